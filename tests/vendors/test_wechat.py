"""wechatpy, the usual client of WeChat and WeCom, talks to our doubles and reads what they send us."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from doubles.letters import ADDRESS, AT, Sender, event
from doubles.still import StillClock
from doubles.wechat import BIZSEND, CUSTOM, TEMPLATE, WeChatService
from doubles.wecom import WeComService

from channels.contract import Callback, ReceiptType
from channels.testing import Double
from channels.wechat.official import OfficialProvider

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it was written for older Pythons
    wechatpy = pytest.importorskip("wechatpy")
    crypto = pytest.importorskip("wechatpy.crypto")
    company_crypto = pytest.importorskip("wechatpy.enterprise.crypto")
    company_client = pytest.importorskip("wechatpy.enterprise")
    parser = pytest.importorskip("wechatpy.parser")
    from_client = pytest.importorskip("wechatpy.exceptions").WeChatClientException

pytestmark = [pytest.mark.vendor, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

APP, CORP = "wx1234567890abcdef", "wx5823bf96d3bd56c7"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.fixture
def account() -> WeChatService:
    return WeChatService(StillClock())


@pytest.fixture
def client(account: WeChatService) -> Iterator[Any]:
    with Double(account.handle).in_thread() as place:

        class Client(wechatpy.WeChatClient):  # type: ignore[misc, name-defined]
            API_BASE_URL = f"{place}/cgi-bin/"

            def fetch_access_token(self) -> Any:
                asked = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
                return self._fetch_access_token(f"{place}/cgi-bin/token", asked)

        client = Client(APP, account.secret)
        yield client
        client._http.close()


def test_its_template_messages_are_taken(client: Any, account: WeChatService) -> None:
    answer = client.message.send_template("oOPENID", "T1", {"thing1": {"value": "张三"}}, url="https://example.com/x")

    assert answer["msgid"] == 200228332
    assert account.taken == [
        {
            "route": TEMPLATE,
            "touser": "oOPENID",
            "template_id": "T1",
            "url": "https://example.com/x",
            "data": {"thing1": {"value": "张三"}},
        }
    ]


def test_its_notifications_and_texts_are_taken(client: Any, account: WeChatService) -> None:
    client.message.send_subscribe_message("oOPENID", "T1", {"thing1": {"value": "张三"}}, page="https://example.com/x")
    client.message.send_text("oOPENID", "好的")

    assert [one["route"] for one in account.taken] == [BIZSEND, CUSTOM]


def test_it_understands_a_refusal(client: Any, account: WeChatService) -> None:
    account.strangers["oOPENID"] = 43004

    with pytest.raises(from_client) as caught:
        client.message.send_template("oOPENID", "T1", {"thing1": {"value": "x"}})
    assert caught.value.errcode == 43004
    with pytest.raises(from_client) as caught:
        client.message.send_template("oANOTHER", "T1", {"thing1": {"value": "x" * 21}})
    assert caught.value.errcode == 47003


def test_it_renews_a_token_that_is_called_spent(client: Any, account: WeChatService) -> None:
    assert client.misc.get_wechat_ips() == ["127.0.0.1"]
    account.end_tokens()

    client.message.send_text("oOPENID", "好的")

    assert account.fetched == 2
    assert len(account.taken) == 1


@pytest.fixture
def company() -> WeComService:
    return WeComService(StillClock())


@pytest.fixture
def member(company: WeComService) -> Iterator[Any]:
    with Double(company.handle).in_thread() as place:

        class Client(company_client.WeChatClient):  # type: ignore[misc, name-defined]
            API_BASE_URL = f"{place}/cgi-bin/"

            def fetch_access_token(self) -> Any:
                asked = {"corpid": self.corp_id, "corpsecret": self.secret}
                return self._fetch_access_token(f"{place}/cgi-bin/gettoken", asked)

        client = Client(CORP, company.secret)
        yield client
        client._http.close()


def test_its_messages_to_members_are_taken_and_strangers_named(member: Any, company: WeComService) -> None:
    company.strangers = frozenset({"LiSi"})

    answer = member.message.send_markdown(1000002, ["zhangsan", "LiSi"], "**有 3 位客户待跟进**")

    assert answer["invaliduser"] == "lisi"
    assert company.taken[0]["touser"] == "zhangsan|LiSi"


def test_its_tasks_are_taken(member: Any, company: WeComService) -> None:
    task = {"external_userid": ["woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA"], "sender": "zhangsan", "text": {"content": "您好"}}

    assert member.external_contact.add_msg_template(task)["msgid"] in company.tasks
    assert member.misc.get_wechat_ips() == ["127.0.0.1"]


def test_it_opens_what_our_double_seals() -> None:
    sender, body = Sender("outreachtoken", APP, KEY), event("unsubscribe")
    asked = _words(sender, body)

    opened = crypto.WeChatCrypto(sender.token, KEY, APP).decrypt_message(
        {"Encrypt": sender.sealed(body.encode())}, asked["msg_signature"], asked["timestamp"], asked["nonce"]
    )

    assert opened == body
    assert type(parser.parse_message(opened)).__name__ == "UnsubscribeEvent"


def test_we_open_what_it_seals() -> None:

    env = {"S": "a secret", "T": "outreachtoken", "K": KEY}
    options = {"app_id": APP, "secret_env": "S", "token_env": "T", "aes_key_env": "K"}
    when = str(int(AT.timestamp()))
    body = crypto.WeChatCrypto("outreachtoken", KEY, APP).encrypt_message(event("unsubscribe"), "a-nonce", when)
    signature = body.partition("<MsgSignature><![CDATA[")[2].partition("]")[0]
    url = f"{ADDRESS}?timestamp={when}&nonce=a-nonce&msg_signature={signature}&encrypt_type=aes"

    heard = asyncio.run(OfficialProvider("wechat", options, env).receipts(Callback("POST", url, {}, body.encode(), AT)))

    assert [one.type for one in heard.receipts] == [ReceiptType.unsubscribed]


def test_it_takes_our_doubles_check_of_an_address_for_wecoms() -> None:
    sender = Sender("QDG6eK", CORP, KEY)
    asked = _query(sender.check("1616140317555161061", sealed=True).url)

    shown = company_crypto.WeChatCrypto("QDG6eK", KEY, CORP).check_signature(
        asked["msg_signature"], asked["timestamp"], asked["nonce"], asked["echostr"]
    )

    assert shown == "1616140317555161061"


def _words(sender: Sender, body: str) -> dict[str, str]:
    return _query(sender.post(body).url)


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
