"""Signing in at Google as a service account: its JSON, and the access tokens that are given for its signature."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import jwt
from pydantic import TypeAdapter

from channels.errors import Misconfigured, Unavailable, Uncertain
from channels.http import Address, Api, Reply, retry_after
from channels.keep import Keep
from channels.push.words import LongSecret, object_in, signing_key, word
from channels.tokens import AccessToken, Fresh

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_HOUR = 3600  # seconds: the longest that an assertion may hold
_LASTS = 3599  # seconds, where a token does not say how long it holds
_NEEDED = ("project_id", "client_email", "private_key_id", "private_key")
_TOKENS = "https://oauth2.googleapis.com/token"  # the audience too, wherever tokens are asked for
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class Login:
    """Access tokens for one service account."""

    def __init__(self, credential: LongSecret, keep: Keep, now: Callable[[], datetime]) -> None:
        """Misconfigured, quoting nothing, when the credential is no service account."""
        account = object_in(credential.read().get_secret_value().encode("utf-8", "replace"))
        missing = [name for name in _NEEDED if not word(account.get(name))]
        if missing:
            raise Misconfigured(
                f"No JSON of a service account stands in {credential.place}: {', '.join(missing)} is missing."
            )
        try:
            self._key: Any = signing_key("RS256", word(account["private_key"]))
            self._url = TypeAdapter(Address).validate_python(account.get("token_uri", _TOKENS))
        except ValueError:  # ValidationError is one
            raise Misconfigured(f"The private_key or the token_uri in {credential.place} cannot be used.") from None
        self.project = word(account["project_id"])
        self._email, self._key_id = word(account["client_email"]), word(account["private_key_id"])
        self.token = AccessToken(keep, now, f"fcm {self._email} {self._key_id}", self._fetch)
        self._now = now
        self._api = Api(self._url, headers={"content-type": "application/x-www-form-urlencoded"})

    async def close(self) -> None:
        await self._api.close()

    async def _fetch(self, deadline: float) -> Fresh:
        grant = urlencode({"grant_type": _GRANT, "assertion": self._assertion()})
        try:
            reply = await self._api.post("", grant.encode(), deadline)
        except Uncertain:  # the message has not left: this is about a token
            raise Unavailable(f"{self._api.place} gave no access token in time.") from None
        said = object_in(reply.body)
        token, lasts = word(said.get("access_token")), said.get("expires_in")
        if not reply.positive or not token:
            raise self._refusal(reply)
        return Fresh(token, timedelta(seconds=lasts if isinstance(lasts, int) and 0 < lasts < 86_400 else _LASTS))

    def _refusal(self, reply: Reply) -> Misconfigured | Unavailable:
        if reply.positive or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status in _PASSING:
            return Unavailable(f"{self._api.place} gave no access token.", retry_after=retry_after(reply.headers))
        code = word(object_in(reply.body).get("error"))
        code = code if re.fullmatch("[a-z_]{1,40}", code) else str(reply.status)
        return Misconfigured(
            f"{self._api.place} gives the service account no access token: its key is deleted, its rights are taken, "
            f"or the clock of this machine is wrong ({code}).",
            code=code,
        )

    def _assertion(self) -> str:
        at = int(self._now().timestamp())
        claims = {"iss": self._email, "scope": _SCOPE, "aud": _TOKENS, "iat": at, "exp": at + _HOUR}
        return jwt.encode(claims, self._key, "RS256", {"kid": self._key_id})
