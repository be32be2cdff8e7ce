"""Alibaba Cloud's own client library takes our double for the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from doubles.aliyun import SHANGHAI, Aliyun

from channels.clock import system_now
from channels.testing import Double

pytestmark = [
    pytest.mark.vendor,
    pytest.mark.filterwarnings("ignore"),  # the library's own
]
dysms = pytest.importorskip("alibabacloud_dysmsapi20170525.client", exc_type=ImportError)
models = pytest.importorskip("alibabacloud_dysmsapi20170525.models", exc_type=ImportError)
configs = pytest.importorskip("alibabacloud_tea_openapi.utils_models", exc_type=ImportError)
signing = pytest.importorskip("alibabacloud_tea_openapi.utils", exc_type=ImportError)


@pytest.fixture
def account() -> Aliyun:
    return Aliyun(system_now, per_minute=1)


@pytest.fixture
def address(account: Aliyun) -> Iterator[str]:
    with Double(account.handle).in_thread() as address:
        yield address


def client(account: Aliyun, address: str, **other: Any) -> Any:
    told = {"access_key_id": account.key_id, "access_key_secret": account.key_secret}
    return dysms.Client(
        configs.Config(**{**told, "endpoint": address.removeprefix("http://"), "protocol": "http", **other})
    )


def one(**other: Any) -> Any:
    told = {
        "phone_numbers": "13800138000",
        "sign_name": "示例签名",
        "template_code": "SMS_154950909",
        "template_param": '{"name":"张三 & co*~"}',
        "out_id": "msg-0001",
    }
    return models.SendSmsRequest(**{**told, **other})


def test_it_sends_and_asks_what_became_of_it(account: Aliyun, address: str) -> None:
    library = client(account, address)

    sent = library.send_sms(one()).body
    asked = models.QuerySendDetailsRequest(
        phone_number="13800138000",
        send_date=f"{account.taken[0].at.astimezone(SHANGHAI):%Y%m%d}",
        page_size=50,
        current_page=1,
        biz_id=sent.biz_id,
    )
    (told,) = library.query_send_details(asked).body.sms_send_detail_dtos.sms_send_detail_dto

    assert (sent.code, sent.biz_id) == ("OK", account.taken[0].biz_id)
    assert account.taken[0].values == {"name": "张三 & co*~"}
    assert (told.out_id, told.send_status, told.phone_num) == ("msg-0001", 1, "13800138000")


def test_it_sends_to_many(account: Aliyun, address: str) -> None:
    request = models.SendBatchSmsRequest(
        phone_number_json='["13800138000","13900139000"]',
        sign_name_json='["示例签名","示例签名"]',
        template_code="SMS_154950909",
        template_param_json='[{"name":"张三"},{"name":"李四 & co*~"}]',
    )

    sent = client(account, address).send_batch_sms(request).body

    assert sent.code == "OK"
    assert [(one.phone, one.values["name"]) for one in account.taken] == [
        ("13800138000", "张三"),
        ("13900139000", "李四 & co*~"),
    ]


def test_it_is_refused_in_the_words_it_knows(account: Aliyun, address: str) -> None:
    library = client(account, address)
    library.send_sms(one())

    assert library.send_sms(one()).body.code == "isv.BUSINESS_LIMIT_CONTROL"
    assert library.send_sms(one(template_code="SMS_1")).body.code == "isv.SMS_TEMPLATE_ILLEGAL"
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        client(account, address, access_key_secret="another").send_sms(one())
    with pytest.raises(Exception, match=r"InvalidAccessKeyId\.NotFound"):
        client(account, address, access_key_id="nobody").send_sms(one())


def test_keys_of_an_hour_come_with_their_token(account: Aliyun, address: str) -> None:
    account.token = "token-of-an-hour"

    assert client(account, address, security_token="token-of-an-hour").send_sms(one()).body.code == "OK"


def test_the_older_signature_as_the_library_makes_it(account: Aliyun, address: str) -> None:
    params = {
        "Action": "SendSms",
        "Version": "2017-05-25",
        "Format": "JSON",
        "AccessKeyId": account.key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": "a word nobody has said before",
        "Timestamp": f"{system_now():%Y-%m-%dT%H:%M:%SZ}",
        "PhoneNumbers": "13800138000",
        "SignName": "示例签名",
        "TemplateCode": "SMS_154950909",
        "TemplateParam": '{"name":"张三 & co*~"}',
    }
    params["Signature"] = signing.Utils.get_rpcsignature(params, "GET", account.key_secret)

    said = httpx.get(f"{address}/?{urlencode(params)}", trust_env=False).json()

    assert said["Code"] == "OK"
    assert len(account.taken) == 1
