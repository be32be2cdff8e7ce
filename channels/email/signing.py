"""DKIM signatures (RFC 6376, RFC 8463) over the very bytes that are sent; the same message has the same one again.

dkimpy says what is signed and how it is written; the signature itself is made by `cryptography`, in a twentieth of the
time that dkimpy takes, for both kinds of keys, and of the instant at which the message was made, not of this one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field, StringConstraints, model_validator

from channels.contract import ProviderOptions, secret
from channels.email.mime import Domain
from channels.errors import Misconfigured

#: signed once more than they are there, so that a second one cannot be added (RFC 6376, 8.15)
_SIGNED = (
    *("from", "to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"),
    *("list-unsubscribe", "list-unsubscribe-post"),  # which RFC 8058 wants, or nobody believes the one click
)
_SHORTEST_RSA = 1024  # bits; verifiers take no less (RFC 8301)

Selector = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]


class DkimOptions(ProviderOptions):
    """What config.yaml may say about the signature: whose it is, where its public key stands, and the private one."""

    domain: Domain = Field(min_length=1)
    selector: Selector
    key_env: str | None = None  # the environment variable that holds the private key
    key_file: Path | None = None  # or the file that does

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if (self.key_env is None) == (self.key_file is None):
            raise ValueError("name the private key by key_env or by key_file, one of them")
        return self


class Signer:
    """Signs mails for one domain."""

    def __init__(self, options: DkimOptions, env: Mapping[str, str], home: Path) -> None:
        """A key in the environment is read here, one in a file when the first mail is signed."""
        self._dkim = _library()
        self._relaxed = self._dkim.canonicalization.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
        self._options = options
        self._file = home / options.key_file if options.key_file is not None else None
        self._key: tuple[bytes, Callable[[bytes], bytes]] | None = None
        if options.key_env is not None:
            text = secret(env, options.key_env).get_secret_value()
            self._key = _key(text.replace("\\n", "\n").encode(), f"The environment variable {options.key_env}")

    def open(self) -> tuple[bytes, Callable[[bytes], bytes]]:
        """The name of the algorithm, and what makes a signature of a SHA-256. Misconfigured when there is no key."""
        if self._key is None:
            assert self._file is not None
            try:
                self._key = _key(self._file.read_bytes(), f"The file {self._file}")
            except OSError as error:
                why = error.strerror or type(error).__name__
                raise Misconfigured(f"The DKIM key {self._file} cannot be read: {why}.") from None
        return self._key

    def signed(self, data: bytes, at: datetime) -> bytes:
        """A mail with its signature on top. `at` is when the message was made."""
        algorithm, sign = self.open()
        head, _, body = data.partition(b"\r\n\r\n")
        headers = self._relaxed.canonicalize_headers(self._dkim.rfc822_parse(head)[0])
        names = [name for name, _ in headers if name.decode("ascii") in _SIGNED] + [name.encode() for name in _SIGNED]
        body_hash = hashlib.sha256(self._relaxed.canonicalize_body(body)).digest()
        fields = {
            b"v": b"1",
            b"a": algorithm,
            b"c": b"relaxed/relaxed",
            b"d": self._options.domain.encode(),
            b"s": self._options.selector.encode(),
            b"t": b"%d" % at.timestamp(),
            b"h": b" : ".join(names),
            b"bh": base64.b64encode(body_hash),
        }
        value = self._folded(b"; ".join(b"=".join(field) for field in fields.items())) + b";\r\n b="
        digest = hashlib.sha256()
        self._dkim.hash_headers(digest, self._relaxed, headers, names, (b"DKIM-Signature", b" " + value), {})
        signature = base64.b64encode(sign(digest.digest()))
        lines = [signature[start : start + 70] for start in range(0, len(signature), 70)]
        return b"DKIM-Signature: " + value + b"\r\n ".join(lines) + b"\r\n" + data

    def _folded(self, value: bytes) -> bytes:
        folded: bytes = self._dkim.fold(value, namelen=len("DKIM-Signature: "), linesep=b"\r\n")
        return folded


def _library() -> Any:
    try:
        import dkim  # type: ignore[import-untyped]
        import dkim.canonicalization  # type: ignore[import-untyped]
    except ImportError:
        raise Misconfigured(
            "To sign mails outreach needs dkimpy: install it with pip install 'outreach[dkim]', or drop `dkim`."
        ) from None
    return dkim


def _key(text: bytes, whose: str) -> tuple[bytes, Callable[[bytes], bytes]]:
    """A private key: PEM of RSA or Ed25519, or the 32 bytes of an Ed25519 key in base64, as dknewkey writes them."""
    try:
        key = load_pem_private_key(text, None) if b"-----" in text else _seed(text)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Misconfigured(
            f"{whose} holds no private key that we can read: write PEM without a password (RSA or Ed25519)."
        ) from None
    if isinstance(key, Ed25519PrivateKey):
        return b"ed25519-sha256", key.sign
    if isinstance(key, RSAPrivateKey) and key.key_size >= _SHORTEST_RSA:
        return b"rsa-sha256", lambda digest: key.sign(digest, PKCS1v15(), Prehashed(hashes.SHA256()))
    raise Misconfigured(f"{whose} holds no key for DKIM: it takes RSA with {_SHORTEST_RSA} bits at least, or Ed25519.")


def _seed(text: bytes) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))
    except binascii.Error:
        raise ValueError("no base64") from None
