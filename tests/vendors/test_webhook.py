"""What we send as webhooks is believed by the libraries that receivers use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.clock import system_now
from channels.contract import Sent, Webhook
from channels.testing import Double, Request, Response, answers, outgoing
from channels.webhook import WebhookProvider

pytestmark = [pytest.mark.vendor, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NEW = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def receivers(library: str) -> Sequence[Any]:
    """Receivers by this library: one that knows the new secret, one that knows the old one, one that knows neither."""
    module = pytest.importorskip(library)
    kind = module.Webhook
    return [kind(NEW), kind(OLD), kind("whsec_" + "C" * 32)]


@pytest.mark.parametrize("library", ["standardwebhooks", "svix.webhooks"])
def test_a_receiver_with_this_library_believes_us_and_nobody_else(library: str) -> None:
    by_new, by_old, by_none = receivers(library)
    heard: list[Any] = []

    def handle(request: Request) -> Response:
        for one in (by_new, by_old):
            one.verify(request.body, dict(request.headers))  # raises where it does not believe
        heard.append(json.loads(request.body))
        with pytest.raises(Exception, match="No matching signature"):
            by_none.verify(request.body, dict(request.headers))
        with pytest.raises(Exception, match="No matching signature"):
            by_new.verify(request.body + b" ", dict(request.headers))
        return Response(200)

    with Double(handle).in_thread() as place:
        options = {"url": f"{place}/hook", "secret_env": "SECRETS", "allow": ["localhost"]}
        provider = WebhookProvider("webhook", options, {"SECRETS": f"{NEW} {OLD}"}, now=system_now)
        content = Webhook(to="crm", type="order.sent", data='{"name":"张三"}')
        (answer,) = asyncio.run(answers(provider, [outgoing(content)]))

    assert isinstance(answer, Sent), answer
    created = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert heard == [{"type": "order.sent", "timestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}", "data": {"name": "张三"}}]
