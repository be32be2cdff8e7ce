"""JPush's own library and the double of JPush agree: the double checks what it says, and it understands the double."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from doubles.jpush import APP_KEY, SECRET, JPush, refusal

from channels.clock import system_now
from channels.testing import Double

library = pytest.importorskip("jpush")

pytestmark = pytest.mark.vendor


@pytest.fixture
def jpush() -> JPush:
    return JPush(system_now)


@pytest.fixture
def client(jpush: JPush, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with Double(jpush.handle).in_thread() as place:
        monkeypatch.setitem(library.common.ZONES["DEFAULT"], "PUSH", f"{place}/v3/")
        client = library.JPush(APP_KEY, SECRET)
        yield client
        client.session.close()


def push(client: Any, device: str = "1104a89792a8ae1e7d1") -> Any:
    made = client.create_push()
    made.platform = ["android", "ios"]
    made.audience = {"registration_id": [device]}
    extras = {"message_id": "msg-0001"}
    made.notification = library.notification(
        android=library.android("你好", title="标题", extras=extras),
        ios=library.ios({"title": "标题", "body": "你好"}, extras=extras),
    )
    made.options = {"apns_production": True, "time_to_live": 3600}
    return made


def test_a_push_with_a_cid_is_taken_once(client: Any, jpush: JPush) -> None:
    one = push(client)
    (one.cid,) = one.get_cid(1, "push").payload["cidlist"]

    first, second = one.send().payload, one.send().payload

    assert first == second == {"sendno": "0", "msg_id": "18100287008546964"}
    assert [taken.key for taken in jpush.taken] == ["msg-0001"]


def test_a_push_is_examined(client: Any, jpush: JPush) -> None:
    assert push(client).send_validate().status_code == 200
    assert jpush.accepted == []


@pytest.mark.parametrize("code", [1003, 1011, 2002, 1030, 2006])
def test_a_code_of_the_double_is_the_librarys_error(client: Any, jpush: JPush, code: int) -> None:
    jpush.answer = refusal(code)
    with pytest.raises(library.common.JPushFailure) as caught:
        push(client).send()
    assert caught.value.error_code == code


def test_a_wrong_secret_is_told(client: Any) -> None:
    client.session.auth = (APP_KEY, "hunter2")
    with pytest.raises(library.common.Unauthorized):
        push(client).send()
