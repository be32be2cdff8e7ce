"""What is known of WeChat and WeCom from outside: meanings of codes, reports, seals, what a client library sends."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from doubles.letters import ADDRESS, AT, Sender, event, sha1
from doubles.still import StillClock
from doubles.vectors import each_of
from doubles.wechat import CUSTOM, WeChatService
from doubles.wechat import Token as Held
from doubles.wecom import WeComService

from channels.contract import Answer, Asked, Callback, Content, Heard, Notice, Provider, ReceiptType, Sent, WeChat
from channels.errors import FailureReason, InvalidReceipt, Misconfigured, Rejected, SendError, Unavailable
from channels.testing import Double, Request, Run, answers, outgoing
from channels.wechat.miniprogram import MiniProgramProvider
from channels.wechat.official import OfficialProvider
from channels.wechat.wecom import WeComProvider

CORP = "wx5823bf96d3bd56c7"
CORP_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
ENV = {"SECRET": "hunter2-of-wechat", "CORP_SECRET": "the secret of the app", "ROBOT": "the-key-of-the-robot"}
TEMPLATE = WeChat(to="oOPENID", template="T1", values=(("thing1", "张三"),))
TEXT = WeChat(to="oOPENID", text="好的")
NOTICE = Notice(to="zhangsan", text="有 3 位客户待跟进")

#: what a class of error_classes.json is answered with
ANSWERS: Mapping[str, type[Answer]] = {  # type: ignore[type-arg]
    "ok": Sent,
    "retry": Unavailable,
    "throttle": Unavailable,
    "refresh": Misconfigured,  # the second time, see below
    "config": Misconfigured,
    "suppress": Rejected,
    "suppress-template": Rejected,
    "content": Rejected,
    "permanent": Rejected,
}
#: too many to one person: with a time to wait the whole channel would stand still for one
WITHOUT_A_TIME = {("wechat-official-account", "43117")}


def official(place: str = "http://localhost:1", **more: object) -> OfficialProvider:
    options = {"app_id": "wx1234567890abcdef", "secret_env": "SECRET", "url": place, **more}
    return OfficialProvider("wechat", options, {**ENV, **_held(more)}, now=StillClock())


def miniprogram(place: str) -> MiniProgramProvider:
    options = {"app_id": "wx1234567890abcdef", "secret_env": "SECRET", "url": place}
    return MiniProgramProvider("wechat", options, ENV, now=StillClock())


def wecom(mode: str, place: str = "http://localhost:1", **more: object) -> WeComProvider:
    account = {} if mode == "robot" else {"corp_id": CORP, "secret_env": "CORP_SECRET"}
    needs = {"app": {"agent_id": 1000002}, "broadcast": {"sender": "zhangsan"}, "robot": {"key_env": "ROBOT"}}[mode]
    options = {"mode": mode, "url": place, **account, **needs, **more}
    env = {**ENV, **_held(more)}
    return WeComProvider("wechat" if mode == "broadcast" else "notice", options, env, now=StillClock())


def _held(more: Mapping[str, object]) -> dict[str, str]:
    """For options like token_env="outreachtoken": the variable is called like what it holds."""
    return {str(value): str(value) for name, value in more.items() if name in ("token_env", "aes_key_env")}


def asked_of(run: Run, double: Double, make: Any, content: Content) -> Answer:
    provider: Provider = make(run(double.start()))
    (answer,) = run(answers(provider, [outgoing(content)]))
    run(double.stop())
    return answer


def means(case: Mapping[str, Any], answer: Answer) -> None:
    """Does the answer say what the class of this row says?"""
    cls, code = case["cls"], (case["provider"], case["code"])
    assert isinstance(answer, ANSWERS[cls]), answer
    if isinstance(answer, SendError):
        assert answer.code == case["code"]
    if isinstance(answer, Rejected):
        assert answer.reason.ends_address == (cls == "suppress")
        assert (answer.reason is FailureReason.content) == (cls == "content")
        assert answer.reason is not FailureReason.unknown
    if isinstance(answer, Unavailable) and cls == "throttle":
        assert (answer.retry_after is None) == (code in WITHOUT_A_TIME)


# --- error_classes.json ----------------------------------------------------------------------------------------------


@each_of("error_classes.json", "wechat-official-account", "where", "code")
def test_a_code_of_wechat_means_what_is_known_of_it(run: Run, case: dict[str, Any]) -> None:
    if case["where"] != "errcode":
        return _status_of_a_template_message(run, case)
    ways = [(official, TEMPLATE), (official, TEXT), (miniprogram, TEMPLATE)]
    for make, content in [*ways, (lambda place: official(place, product="subscribe"), TEMPLATE)]:
        kind = "miniprogram" if make is miniprogram else "official"
        account = WeChatService(StillClock(), kind=kind, scripted=[int(case["code"])] * 2)
        double = Double(account.handle)
        means(case, asked_of(run, double, make, content))
        asked = [one for one in double.requests if one.route.startswith("/cgi-bin/message/")]
        assert len(asked) == (2 if case["cls"] == "refresh" else 1)
        if case["cls"] == "refresh":
            account.scripted = [int(case["code"])]
            assert isinstance(asked_of(run, Double(account.handle), make, content), Sent)


def _status_of_a_template_message(run: Run, case: dict[str, Any]) -> None:
    for status in (case["code"], case["code"].replace(": ", ":"), case["code"].replace(":", ": ")):
        body = event("TEMPLATESENDJOBFINISH", f"<MsgID>1</MsgID><Status><![CDATA[{status}]]></Status>")
        (receipt,) = run(official(token_env="T").receipts(Sender("T", "wx1234567890abcdef").post(body))).receipts
        if case["cls"] == "delivered":
            assert receipt.type is ReceiptType.delivered
            continue
        assert receipt.type is ReceiptType.bounced
        assert receipt.reason is not None
        assert receipt.reason.ends_address == (case["cls"] == "suppress")
    return None


@each_of("error_classes.json", "wecom", "where", "code")
def test_a_code_of_wecom_means_what_is_known_of_it(run: Run, case: dict[str, Any]) -> None:
    if case["where"] != "errcode":
        return _status_of_a_task(run, case)
    for mode, content in (("app", NOTICE), ("broadcast", TEXT), ("robot", NOTICE)):
        company = WeComService(StillClock(), scripted=[int(case["code"])] * 2)
        double = Double(company.handle)
        means(case, asked_of(run, double, lambda place, mode=mode: wecom(mode, place), content))
        asked = [one for one in double.requests if one.method == "POST"]
        assert len(asked) == (2 if case["cls"] == "refresh" and mode != "robot" else 1)
        if case["cls"] == "refresh" and mode != "robot":
            company.scripted = [int(case["code"])]
            again = Double(company.handle)
            assert isinstance(asked_of(run, again, lambda place, mode=mode: wecom(mode, place), content), Sent)


def _status_of_a_task(run: Run, case: dict[str, Any]) -> None:
    company = WeComService(StillClock())
    company.tasks["msg"] = {
        "message": {"external_userid": ["oOPENID"], "sender": "zhangsan"},
        "status": int(case["code"]),
        "send_time": None,
    }
    double = Double(company.handle)

    async def ask() -> Any:
        provider = wecom("broadcast", await double.start())
        found = await provider.look_up([Asked("k", TEXT, AT, "msg")], 5.0)
        await provider.close()
        await double.stop()
        return found[0]

    receipt = run(ask())
    if case["cls"] == "pending":
        assert receipt is None
        return
    assert (receipt.type is ReceiptType.delivered) == (case["cls"] == "delivered")
    assert (receipt.reason is not None and receipt.reason.ends_address) == (case["cls"] == "suppress")


# --- inbound_payloads.json -------------------------------------------------------------------------------------------

OURS = {"delivered": "delivered", "failed": "bounced", "unsubscribed": "unsubscribed"}
OURS |= {"grant": "granted", "revoke": "revoked"}


def told(heard: Heard) -> list[dict[str, Any]]:
    return [
        {
            "type": one.type.value,
            "address": one.to,
            "provider_id": one.provider_id,
            "ends": one.type is ReceiptType.unsubscribed or (one.reason is not None and one.reason.ends_address),
            "detail": one.detail,
        }
        for one in heard.receipts
    ]


@each_of("inbound_payloads.json", "wechat-official-account")
@pytest.mark.parametrize("key", ["", CORP_KEY], ids=["plain", "sealed"])
def test_a_report_of_wechat_says_what_is_expected(run: Run, case: dict[str, Any], key: str) -> None:
    provider = official(token_env="T", **({"aes_key_env": key} if key else {}))
    heard = run(provider.receipts(Sender("T", "wx1234567890abcdef", key).post(case["input"]["body"])))

    assert (heard.status, heard.body.decode()) == (200, case["expected"]["reply"]["body"])
    for found, expected in zip(told(heard), case["expected"]["events"], strict=True):
        assert found["type"] == OURS[expected["type"]]
        assert found["address"] == expected["address"]
        assert found["provider_id"] == expected.get("provider_id")
        assert found["ends"] == expected.get("suppress", False)
        assert expected.get("template") in (None, found["detail"])


@each_of("inbound_payloads.json", "wecom")
def test_a_report_of_wecom_says_what_is_expected(run: Run, case: dict[str, Any]) -> None:
    provider = wecom("broadcast", token_env="T", aes_key_env=CORP_KEY)
    heard = run(provider.receipts(Sender("T", CORP, CORP_KEY).post(case["input"]["body"])))

    assert (heard.status, heard.body.decode()) == (200, case["expected"]["reply"]["body"])
    for found, expected in zip(told(heard), case["expected"]["events"], strict=True):
        assert (found["type"], found["address"]) == (OURS[expected["type"]], expected["address"])
        assert (found["ends"], found["detail"]) == (expected["suppress"], expected["via"])


# --- wechat_oa_callback.json, wecom_callback.json --------------------------------------------------------------------


def callback(case: Mapping[str, Any], method: str, body: bytes = b"", **words: str) -> Callback:
    given = case["input"]
    query = urlencode({"timestamp": given["timestamp"], "nonce": given["nonce"], **words})
    at = datetime.fromtimestamp(int(given["timestamp"]), UTC)
    return Callback(method, f"{ADDRESS}?{query}", {}, body, at)


@each_of("wechat_oa_callback.json")
def test_a_callback_of_wechat_is_believed_or_not(run: Run, case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    if "echostr" in given:
        asked = callback(case, "GET", signature=expected["signature"], echostr=given["echostr"])
        heard = run(official(token_env=given["token"]).receipts(asked))
        assert heard.body.decode() == expected["response_body"]
        return
    sealed = given.get("encrypt") or expected["encrypt"]
    provider = official(app_id=given["app_id"], token_env=given["token"], aes_key_env=given["encoding_aes_key"])
    body = f"<xml><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>".encode()
    signature = given.get("msg_signature") or expected["msg_signature"]
    asked = callback(case, "POST", body, encrypt_type="aes", msg_signature=signature)
    if expected.get("valid") is False:
        with pytest.raises(InvalidReceipt, match="another app id"):
            run(provider.receipts(asked))
        return
    (receipt,) = run(provider.receipts(asked)).receipts
    plaintext = expected.get("plaintext") or given["plaintext"]
    assert receipt.to is not None
    assert receipt.to in plaintext
    assert receipt.type is (ReceiptType.replied if "abcdteT" in plaintext else ReceiptType.delivered)
    _the_double_seals_alike(given, expected, given["app_id"])


@each_of("wecom_callback.json")
def test_a_callback_of_wecom_is_believed(run: Run, case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    more = {"token_env": given["token"], "aes_key_env": given["encoding_aes_key"]}
    provider = wecom("broadcast", corp_id=given["corp_id"], **more)
    if "echostr" in given:
        asked = callback(case, "GET", msg_signature=given["msg_signature"], echostr=given["echostr"])
        assert run(provider.receipts(asked)).body.decode() == expected["response_body"]
        return
    body = f"<xml><Encrypt><![CDATA[{expected['encrypt']}]]></Encrypt></xml>".encode()
    (receipt,) = run(provider.receipts(callback(case, "POST", body, msg_signature=expected["msg_signature"]))).receipts
    assert (receipt.type, receipt.to) == (ReceiptType.unsubscribed, "woAJ2GCAAAXtWyujaWJHDDGi0mACAAAA")
    _the_double_seals_alike(given, expected, given["corp_id"])


def _the_double_seals_alike(given: Mapping[str, str], expected: Mapping[str, str], identity: str) -> None:
    if "random_prefix" in given:
        sender = Sender(given["token"], identity, given["encoding_aes_key"])
        sealed = sender.sealed(given["plaintext"].encode(), given["random_prefix"].encode())
        assert sealed == expected["encrypt"]
        assert sha1(given["token"], given["timestamp"], given["nonce"], sealed) == expected["msg_signature"]


# --- sdk_wire_recordings.json ----------------------------------------------------------------------------------------


@each_of("sdk_wire_recordings.json", "wechatpy", "sdk", "name")
def test_the_double_answers_what_a_client_library_sent(run: Run, case: dict[str, Any]) -> None:
    refused = "43004" in case["sdk_result"]
    account = WeChatService(StillClock(), strangers={"oOPENID": 43004} if refused else {})
    account.tokens = [Held("TOKEN", AT + timedelta(hours=1), AT + timedelta(minutes=55))]
    sent = case["request"]
    path = f"{sent['path']}?access_token={dict(sent['query'])['access_token']}"
    answer = json.loads(account.handle(Request(sent["method"], path, {}, sent["body"].encode())).body)

    if refused:
        assert f"Error code: {answer['errcode']}, message: {answer['errmsg']}" in case["sdk_result"]
    else:
        assert answer == ast.literal_eval(case["sdk_result"])

    body = json.loads(sent["body"])
    values = tuple((name, held["value"]) for name, held in body["data"].items())
    content = WeChat(body["touser"], body["template_id"], page=body.get("url"), values=values)
    path, said = official().request(content, "the key")
    assert path == sent["path"]
    assert {name: value for name, value in said.items() if name != "client_msg_id"} == body


def test_an_entity_is_not_even_declared(run: Run) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Event>&a;</Event></xml>'
    with pytest.raises(InvalidReceipt, match="DTD"):
        run(official(token_env="T").receipts(Sender("T", "wx1234567890abcdef").post(bomb)))


def test_escapes_are_what_the_doubles_refuse() -> None:
    account, company = WeChatService(StillClock()), WeComService(StillClock())
    account.tokens = [Held("TOKEN", AT + timedelta(hours=1), AT)]
    company.tokens = {"TOKEN": AT + timedelta(hours=1)}
    for service, path, code in (
        (account, f"{CUSTOM}?access_token=TOKEN", 47001),
        (company, "/cgi-bin/message/send?access_token=TOKEN", 40033),
    ):
        answer = service.handle(Request("POST", path, {}, json.dumps({"text": {"content": "您好"}}).encode()))
        assert json.loads(answer.body)["errcode"] == code


@pytest.mark.parametrize("provider", [OfficialProvider, MiniProgramProvider, WeComProvider])
def test_every_option_stands_on_its_page(provider: type[Provider]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "providers" / f"{provider.name}.md").read_text(encoding="utf-8")

    assert [name for name in provider.Options.model_fields if f"`{name}`" not in page] == []
