"""Requests of WeChat and WeCom to us: who signed them, and what is sealed inside.

A signature is the SHA-1 of a few words, sorted and joined, the token among them. It covers the body only where that is
sealed: with an AES key configured nothing else is believed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import SecretStr

from channels.callbacks import query, same, word
from channels.contract import Callback, secret
from channels.errors import InvalidReceipt, Misconfigured
from channels.wechat import letters

_FRESH = 300.0  # seconds; a request is repeated within seconds, and signed anew
_BLOCK = 32  # bytes, to which a plain text is filled up


class Seal:
    """The token and the key of one address for reports. `identity` is whom sealed words are for: app id or corp id."""

    def __init__(self, identity: str, token: SecretStr | None, key: bytes | None) -> None:
        self._identity = identity.encode()
        self._token = token
        self._key = key

    @property
    def seals(self) -> bool:
        """Are reports sealed?"""
        return self._key is not None

    def verify(self, callback: Callback, name: str, *more: str) -> Mapping[str, str]:
        """The words behind the ? of the address, once the signature of this name is right and fresh."""
        if self._token is None:
            raise InvalidReceipt("No token is configured for reports; without one they cannot be trusted.")
        asked = query(callback)
        at, nonce = asked.get("timestamp", ""), asked.get("nonce", "")
        if not re.fullmatch(r"[0-9]{10}", at) or not nonce:
            raise InvalidReceipt("The request has no timestamp and nonce.")
        if not same(asked.get(name, ""), signature(self._token.get_secret_value(), at, nonce, *more)):
            raise InvalidReceipt("The signature is not right.")
        if abs(callback.at.timestamp() - int(at)) > _FRESH:
            raise InvalidReceipt("The request is older or newer than five minutes.")
        return asked

    def letter(self, callback: Callback) -> dict[str, object]:
        """What a POST says, once its signature is right; unsealed, where it is sealed."""
        if not self.seals:
            self.verify(callback, "signature")
            return letters.read(callback.body)
        if self._token is None:
            raise InvalidReceipt("No token is configured for reports; without one they cannot be trusted.")
        sealed = word(letters.read(callback.body), "Encrypt")
        self.verify(callback, "msg_signature", sealed)
        return letters.read(self.opened(sealed))

    def opened(self, sealed: str) -> bytes:
        """What was sealed for us: 16 bytes of chance, the length, the words, and for whom they are."""
        if self._key is None:
            raise InvalidReceipt("No key is configured for sealed reports.")
        try:
            inner = base64.b64decode(sealed, validate=True)
            unlocking = Cipher(algorithms.AES256(self._key), modes.CBC(self._key[:16])).decryptor()
            filled = unlocking.update(inner) + unlocking.finalize()
        except (binascii.Error, ValueError):
            raise InvalidReceipt("What is sealed cannot be opened.") from None
        rest = filled[16 : len(filled) - filled[-1]] if filled and 1 <= filled[-1] <= _BLOCK else b""
        end = 4 + int.from_bytes(rest[:4], "big")
        if len(rest) < end or not same(rest[end:], self._identity):
            raise InvalidReceipt("What is sealed is not for us: it names another app id or corp id.")
        return rest[4:end]


def signature(*words: str) -> str:
    """The SHA-1 of words, sorted and joined."""
    return hashlib.sha1("".join(sorted(words)).encode("utf-8", "surrogateescape")).hexdigest()


def seal_of(identity: str, env: Mapping[str, str], token_env: str | None, aes_key_env: str | None) -> Seal:
    """The seal made of what variables of the environment hold."""
    token = secret(env, token_env) if token_env else None
    return Seal(identity, token, _key(aes_key_env, secret(env, aes_key_env)) if aes_key_env else None)


def _key(variable: str, encoded: SecretStr) -> bytes:
    try:
        key = base64.b64decode(encoded.get_secret_value() + "=", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise Misconfigured(f"{variable} must hold the EncodingAESKey, 43 letters and digits, as the console shows it.")
    return key
