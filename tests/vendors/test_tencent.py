"""Tencent Cloud's own client library takes our double for the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from doubles.tencent import Tencent

from channels.clock import system_now
from channels.testing import Double

pytestmark = [
    pytest.mark.vendor,
    pytest.mark.filterwarnings("ignore"),  # the library's own
]
credential = pytest.importorskip("tencentcloud.common.credential", exc_type=ImportError)
profiles = pytest.importorskip("tencentcloud.common.profile.client_profile", exc_type=ImportError)
http_profiles = pytest.importorskip("tencentcloud.common.profile.http_profile", exc_type=ImportError)
clients = pytest.importorskip("tencentcloud.sms.v20210111.sms_client", exc_type=ImportError)
models = pytest.importorskip("tencentcloud.sms.v20210111.models", exc_type=ImportError)


@pytest.fixture
def account() -> Tencent:
    return Tencent(system_now, dead={"+8613900139000"})


@pytest.fixture
def address(account: Tencent) -> Iterator[str]:
    with Double(account.handle).in_thread() as address:
        yield address


def client(account: Tencent, address: str, *, key: str | None = None, token: str | None = None) -> Any:
    profile = profiles.ClientProfile()
    profile.httpProfile = http_profiles.HttpProfile(protocol="http", endpoint=address.removeprefix("http://"))
    keys = credential.Credential(account.secret_id, key or account.secret_key, token)
    return clients.SmsClient(keys, "ap-guangzhou", profile)


def request(**other: Any) -> Any:
    found = models.SendSmsRequest()
    told = {
        "PhoneNumberSet": ["+8613800138000", "+8613900139000"],
        "SmsSdkAppId": "1400006666",
        "TemplateId": "1110",
        "SignName": "示例签名",
        "TemplateParamSet": ["张三"],
        "SessionContext": "msg-0001",
    }
    found.from_json_string(json.dumps({**told, **other}))
    return found


def test_it_sends_and_hears_of_each_number(account: Tencent, address: str) -> None:
    told = client(account, address).SendSms(request()).SendStatusSet

    assert {one.PhoneNumber: one.Code for one in told} == {
        "+8613800138000": "Ok",
        "+8613900139000": "InvalidParameterValue.IncorrectPhoneNumber",
    }
    (taken,) = account.taken
    assert taken.serial in {one.SerialNo for one in told}
    assert taken.values == ("张三",)


def test_it_asks_what_became_of_a_number(account: Tencent, address: str) -> None:
    library = client(account, address)
    library.SendSms(request())
    account.taken[0].state = "SUCCESS"
    asked, now = models.PullSmsSendStatusByPhoneNumberRequest(), int(system_now().timestamp())
    about = {"BeginTime": now - 600, "EndTime": now + 60, "Offset": 0, "Limit": 100}
    asked.from_json_string(json.dumps({**about, "PhoneNumber": "+8613800138000", "SmsSdkAppId": "1400006666"}))

    (told,) = library.PullSmsSendStatusByPhoneNumber(asked).PullSmsSendStatusSet

    assert (told.ReportStatus, told.SerialNo) == ("SUCCESS", account.taken[0].serial)


@pytest.mark.parametrize(
    ("other", "keys", "code"),
    [
        ({}, {"key": "another"}, "AuthFailure.SignatureFailure"),
        ({}, {"token": "over"}, "AuthFailure.TokenFailure"),
        ({"SmsSdkAppId": "1"}, {}, "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        (
            {"PhoneNumberSet": ["+8613800138000", "+12025550123"]},
            {},
            "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
        ),
    ],
)
def test_it_is_refused_in_the_words_it_knows(
    account: Tencent, address: str, other: dict[str, Any], keys: dict[str, str], code: str
) -> None:
    with pytest.raises(Exception, match=code):
        client(account, address, **keys).SendSms(request(**other))
    assert account.taken == []
