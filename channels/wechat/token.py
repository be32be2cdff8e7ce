"""Questions to WeChat and WeCom: each carries an access token that all workers share, and each answer has a code.

HTTP says 200 to everything here; whether something happened stands in `errcode`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from channels import http
from channels.callbacks import word
from channels.contract import Provider
from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain
from channels.http import Api, Reply
from channels.tables import Meaning, refused
from channels.tokens import AccessToken, Fresh

Row: TypeAlias = dict[str, Any]

_LEAST, _MOST = 60, 7200  # seconds that a token lasts; WeChat says 300 to 7200
_STRANGE = refused(FailureReason.unknown, "it gives a code that is not known here")


class Account:
    """One account at one of the two services: asks with the token, and with a new one after it is called spent."""

    def __init__(
        self,
        api: Api,
        codes: Mapping[str, Meaning],
        token: AccessToken,
        wait: Callable[[str], float | None] = lambda code: None,
    ) -> None:
        """`codes` tell what an errcode means, `wait` for how many seconds one of them keeps us away, where it does."""
        self._api = api
        self._codes = codes
        self._token = token
        self._wait = wait

    async def post(self, path: str, said: Mapping[str, Any], deadline: float) -> Row:
        """What the service answers, once it says that it did what was asked; its SendError where it did not."""
        body = encoded(said)
        row = await self._ask(path, deadline, lambda where: self._api.post(where, body, deadline))
        return agreed(row, self._codes, self._api.place, self._wait)

    async def get(self, path: str, deadline: float) -> Row:
        """What is asked for; here a code comes with a refusal only."""
        row = await self._ask(path, deadline, lambda where: self._api.get(where, deadline))
        return agreed({"errcode": 0, **row}, self._codes, self._api.place, self._wait)

    async def _ask(self, path: str, deadline: float, ask: Callable[[str], Awaitable[Reply]]) -> Row:
        token = await self._token.value(deadline)
        row = read(await ask(_with(path, token)), self._api.place)
        if self._codes.get(code_in(row), _STRANGE).renews:
            token = await self._token.renewed(token, deadline)
            row = read(await ask(_with(path, token)), self._api.place)
        return row


def _with(path: str, token: str) -> str:
    return f"{path}?access_token={quote(token, safe='')}"


def encoded(said: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8 as it is: WeChat shows \\u escapes as they stand, and WeCom refuses them (40033)."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def read(reply: Reply, place: str) -> Row:
    """The object in an answer; SendError when there is none."""
    error = http.refused(reply, place)
    if error is not None:
        raise error
    try:
        found = json.loads(reply.body or b"")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Uncertain(f"{place} gave an answer that cannot be read; it may have taken the message.")
    return found


def code_in(row: Row) -> str:
    """The errcode; empty when there is none."""
    code = word(row, "errcode")
    return code if re.fullmatch(r"-?[0-9]{1,9}", code) else ""


def agreed(
    row: Row, codes: Mapping[str, Meaning], place: str, wait: Callable[[str], float | None] = lambda code: None
) -> Row:
    """The answer when it says yes; the error that its code means when it says no."""
    code = code_in(row)
    if code == "0":
        return row
    if not code:
        raise Uncertain(f"{place} gave an answer without a code; it may have taken the message.")
    raise codes.get(code, _STRANGE).error(place, code, retry_after=wait(code))


# --- how a token is fetched ------------------------------------------------------------------------------------------


def stable(provider: Provider, api: Api, app_id: str, key: SecretStr, codes: Mapping[str, Meaning]) -> AccessToken:
    """The token of an official account or a mini program. Never by force: that ends the token of everyone else."""
    body = encoded(
        {
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": key.get_secret_value(),
            "force_refresh": False,
        }
    )

    async def fetch(deadline: float) -> Fresh:
        return await _fresh(api.post("/cgi-bin/stable_token", body, deadline), api.place, codes)

    return AccessToken(provider.keep, provider.now, _name(provider, app_id, key), fetch)


def corporate(provider: Provider, api: Api, corp_id: str, key: SecretStr, codes: Mapping[str, Meaning]) -> AccessToken:
    """The token of one app of a company in WeCom: each secret has its own."""
    path = "/cgi-bin/gettoken?" + urlencode({"corpid": corp_id, "corpsecret": key.get_secret_value()})

    async def fetch(deadline: float) -> Fresh:
        return await _fresh(api.get(path, deadline), api.place, codes)

    return AccessToken(provider.keep, provider.now, _name(provider, corp_id, key), fetch)


def _name(provider: Provider, account: str, key: SecretStr) -> str:
    """Under which a token is kept: another secret is another token."""
    whose = hashlib.sha256(key.get_secret_value().encode()).hexdigest()[:16]
    return f"{provider.name}/{account}/{whose}/access_token"


async def _fresh(asking: Awaitable[Reply], place: str, codes: Mapping[str, Meaning]) -> Fresh:
    """A new token. That there is none proves that no message left."""
    try:
        row = agreed({"errcode": 0, **read(await asking, place)}, codes, place)  # a code comes with a refusal only
    except Uncertain as error:
        raise Unavailable(
            f"{place} gave no access token, so that no message left.", retry_after=error.retry_after, code=error.code
        ) from None
    except Rejected as error:
        raise _locked_out(error, place) from None
    value, lasts = row.get("access_token"), row.get("expires_in")
    if not isinstance(value, str) or not value:
        raise Unavailable(f"{place} gave an answer without an access token.")
    seconds = lasts if isinstance(lasts, int) else _LEAST
    return Fresh(value, timedelta(seconds=min(max(seconds, _LEAST), _MOST)))


def _locked_out(error: Rejected, place: str) -> SendError:
    return Misconfigured(f"{place} gives no access token ({error.code}): look at the id, the secret.", code=error.code)
