"""Google's own library and the double of FCM agree: the double checks what it says, and it understands the double."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from doubles.fcm import PROJECT, Fcm, refusal, service_account

from channels.clock import system_now
from channels.testing import Double

admin = pytest.importorskip("firebase_admin")
messaging = pytest.importorskip("firebase_admin.messaging")

pytestmark = [
    pytest.mark.vendor,
    pytest.mark.filterwarnings("ignore:Message.token is deprecated:DeprecationWarning"),
]


@pytest.fixture
def fcm() -> Fcm:
    return Fcm(system_now)  # the library asks the system for the time


@pytest.fixture
def app(fcm: Fcm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with Double(fcm.handle).in_thread() as place:
        monkeypatch.setattr(messaging._MessagingService, "FCM_URL", place + "/v1/projects/{0}/messages:send")
        account = admin.credentials.Certificate(json.loads(service_account(place)))
        app = admin.initialize_app(account, name="outreach")
        yield app
        admin.delete_app(app)


def message(to: str = "device-ann", **besides: Any) -> Any:
    return messaging.Message(
        token=to,
        notification=messaging.Notification(title="标题", body="你好", image="https://example.org/i.png"),
        data={"message_id": "msg-0001"},
        android=messaging.AndroidConfig(ttl=3600, priority="high", collapse_key="k"),
        apns=messaging.APNSConfig(headers={"apns-priority": "10"}),
        webpush=messaging.WebpushConfig(fcm_options=messaging.WebpushFCMOptions(link="https://example.org/o")),
        fcm_options=messaging.FCMOptions(analytics_label="spring"),
        **besides,
    )


def test_it_signs_in_and_sends(app: Any, fcm: Fcm) -> None:
    assert messaging.send(message(), app=app) == f"projects/{PROJECT}/messages/0"
    assert messaging.send(message(), app=app) == f"projects/{PROJECT}/messages/1"
    assert fcm.accepted[0]["data"] == {"message_id": "msg-0001"}
    assert len(fcm.issued) == 1


def test_a_rehearsal_sends_nothing(app: Any, fcm: Fcm) -> None:
    messaging.send(message(), dry_run=True, app=app)
    assert fcm.accepted == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("UNREGISTERED", "UnregisteredError"),
        ("SENDER_ID_MISMATCH", "SenderIdMismatchError"),
        ("QUOTA_EXCEEDED", "QuotaExceededError"),
        ("THIRD_PARTY_AUTH_ERROR", "ThirdPartyAuthError"),
        ("APNS_AUTH_ERROR", "ThirdPartyAuthError"),
    ],
)
def test_a_code_of_the_double_is_the_librarys_error(app: Any, fcm: Fcm, code: str, error: str) -> None:
    fcm.answer = refusal(code)
    with pytest.raises(getattr(messaging, error)):
        messaging.send(message(), app=app)


def test_a_token_that_is_none_is_an_invalid_argument(app: Any) -> None:
    with pytest.raises(admin.exceptions.InvalidArgumentError, match="registration token"):
        messaging.send(message("no token"), app=app)


def test_an_app_that_is_gone_is_unregistered(app: Any, fcm: Fcm) -> None:
    fcm.gone.add("device-ann")
    with pytest.raises(messaging.UnregisteredError):
        messaging.send(message(), app=app)


def test_a_new_token_is_asked_for_when_one_is_not_accepted(app: Any, fcm: Fcm) -> None:
    messaging.send(message(), app=app)
    fcm.issued.clear()
    messaging.send(message(), app=app)
    assert len(fcm.accepted) == 2
