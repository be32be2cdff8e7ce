"""Return addresses that name their message (VERP), with a token that only we can have made.

What comes back to `bounce+<token>@...` is about the message whose key the token holds. The same token is the message's
name in its Message-ID and in its envelope (ENVID), so that a report is understood whichever of them it quotes; what
names a message without the token's second half, an HMAC of the key, was not sent by who got the message from us.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from channels.callbacks import same
from channels.email.mime import address
from channels.errors import Misconfigured

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")  # the engine's keys are 32 hexadecimal digits
_TOKEN = re.compile(r"(?<![a-z0-9])([a-z0-9][a-z0-9_-]{0,31})\.([a-z2-7]{13})(?![a-z0-9])")
_PROOF = 13  # characters of five bits
_LOCAL = 64 - 1 - 32 - 1 - _PROOF  # what is left of the part before the @
_SHORTEST_SECRET = 16
_MOST = 200  # tokens in one report that are looked at


def _return_address(text: str) -> str:
    """An address to which a token can be added."""
    local = address(text).rpartition("@")[0]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", local):
        raise ValueError("write it without the +: `bounce@mail.example.com` becomes bounce+...@mail.example.com")
    if len(local) > _LOCAL:
        raise ValueError(f"before the @ at most {_LOCAL} characters: a token of {64 - _LOCAL} is added to them")
    return address(text)


ReturnAddress = Annotated[str, AfterValidator(_return_address)]


class Tokens:
    """Names of messages that prove themselves. Mail servers may change their case, and nothing else."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """The first secret makes tokens; the others are those it followed, whose messages may still come back."""
        self._secrets = secrets

    def of(self, key: str) -> str | None:
        """The token of a message; None for a key that has no place in an address."""
        return f"{key}.{_proof(self._secrets[0], key)}" if _KEY.fullmatch(key) else None

    def key(self, texts: Iterable[str]) -> str | None:
        """The key of the first genuine token that stands in these texts."""
        for found in islice((found for text in texts for found in _TOKEN.finditer(text.lower())), _MOST):
            if any(same(found[2], _proof(secret, found[1])) for secret in self._secrets):
                return found[1]
        return None


def tokens(secret: SecretStr, variable: str) -> Tokens:
    """Tokens under the secret of a variable: one, or several after a change, the newest first and commas between."""
    secrets = [one.strip().encode() for one in secret.get_secret_value().split(",") if one.strip()]
    if not secrets or min(map(len, secrets)) < _SHORTEST_SECRET:
        raise Misconfigured(
            f"The environment variable {variable} must hold a secret of at least {_SHORTEST_SECRET} characters."
        )
    return Tokens(secrets)


def sender(return_address: str, token: str) -> str:
    """The sender of the envelope: the address to which a message comes back."""
    local, _, domain = return_address.rpartition("@")
    return f"{local}+{token}@{domain}"


def _proof(secret: bytes, key: str) -> str:
    digest = hmac.digest(secret, b"outreach bounce " + key.encode(), hashlib.sha256)
    return base64.b32encode(digest)[:_PROOF].decode().lower()
