"""A library for APNs that is not ours and the double agree: each says what the other understands."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trustme
from doubles import http2
from doubles.apns import KEY_ID, TEAM, TOPIC, Apns, refusal
from doubles.http2 import H2Double
from doubles.pushes import ec_pair

from channels.clock import system_now
from channels.testing.double import friendly

library = pytest.importorskip("aioapns")
connection = pytest.importorskip("aioapns.connection")

pytestmark = pytest.mark.vendor
ANN = "ab" * 32


@pytest.fixture
def apns() -> Apns:
    return Apns(system_now)  # the library asks the system for the time


@pytest.fixture
async def double(apns: Apns, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[H2Double]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    double = H2Double(apns.handle)
    place = await double.start(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    monkeypatch.setattr(connection.APNsProductionClientProtocol, "APNS_SERVER", "localhost")
    monkeypatch.setattr(connection.APNsProductionClientProtocol, "APNS_PORT", int(place.rpartition(":")[2]))
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    yield double
    await double.stop()


@pytest.fixture
async def send(double: H2Double) -> AsyncIterator[Callable[..., Any]]:
    client = library.APNs(key=ec_pair()[0], key_id=KEY_ID, team_id=TEAM, topic=TOPIC)

    async def sending(to: str = ANN, number: int = 0) -> Any:
        message = {"aps": {"alert": {"title": "标题", "body": "你好"}}, "message_id": f"msg-{number:04}"}
        asked = library.NotificationRequest(to, message, time_to_live=3600, push_type=library.PushType.ALERT)
        return await client.send_notification(asked)

    yield sending
    client.pool.close()
    while client.pool.connections:
        await asyncio.sleep(0)


async def test_it_signs_in_and_sends(send: Callable[..., Any], apns: Apns, double: H2Double) -> None:
    results = await asyncio.gather(*(send(number=number) for number in range(5)))

    assert all(result.is_successful for result in results)
    assert sorted(one.key for one in apns.taken) == [f"msg-{number:04}" for number in range(5)]
    assert {one.provider_id for one in apns.taken} == {result.notification_id for result in results}


@pytest.mark.parametrize("reason", ["BadDeviceToken", "Unregistered", "TooManyRequests", "ServiceUnavailable"])
async def test_a_reason_of_the_double_is_the_librarys(send: Callable[..., Any], apns: Apns, reason: str) -> None:
    apns.answer = refusal(reason, timestamp=1_768_465_800_000)

    result = await send()

    assert result.description == reason
    assert result.status == str(apns.answer.status)


async def test_when_the_service_goes_away_the_library_comes_again(
    send: Callable[..., Any], apns: Apns, double: H2Double
) -> None:
    first = True

    async def once(*talk: Any) -> bool:
        nonlocal first
        mood, first = (http2.going_before_it_looks if first else friendly), False
        return await mood(*talk)

    double.mood = once

    assert (await send()).is_successful
    assert double.connections == 2
