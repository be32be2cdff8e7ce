"""What WeChat and WeCom send us: signed, and sealed where a key is given. Written anew, not with the product's code."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from channels.contract import Callback

AT = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)  # 1768465800
ADDRESS = "https://shop.example.com/hooks/wechat"


def sha1(*words: str) -> str:
    return hashlib.sha1("".join(sorted(words)).encode()).hexdigest()


@dataclass(frozen=True)
class Sender:
    """The service with what it shares with us. `aes_key`: as the console shows it; empty where letters are plain."""

    token: str
    identity: str
    aes_key: str = ""
    at: datetime = AT
    nonce: str = "1320562132"

    def sealed(self, inner: bytes, chance: bytes = b"0123456789abcdef") -> str:
        filled = chance + len(inner).to_bytes(4, "big") + inner + self.identity.encode()
        rest = 32 - len(filled) % 32
        filled += bytes([rest]) * rest
        key = base64.b64decode(self.aes_key + "=")
        locking = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        return base64.b64encode(locking.update(filled) + locking.finalize()).decode()

    def post(self, inner: bytes | str) -> Callback:
        """A report."""
        inner = inner.encode() if isinstance(inner, str) else inner
        if not self.aes_key:
            return self._asking("POST", {"signature": self._sign()}, inner)
        sealed = self.sealed(inner)
        names = {"signature": self._sign(), "encrypt_type": "aes", "msg_signature": self._sign(sealed)}
        body = f"<xml><ToUserName><![CDATA[gh]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        return self._asking("POST", names, body.encode())

    def check(self, word: str, *, sealed: bool = False) -> Callback:
        """The check of our address."""
        word = self.sealed(word.encode()) if sealed else word
        signed = {"msg_signature": self._sign(word)} if sealed else {"signature": self._sign()}
        return self._asking("GET", {**signed, "echostr": word}, b"")

    def _sign(self, *more: str) -> str:
        return sha1(self.token, self._timestamp, self.nonce, *more)

    @property
    def _timestamp(self) -> str:
        return str(int(self.at.timestamp()))

    def _asking(self, method: str, words: dict[str, str], body: bytes) -> Callback:
        query = urlencode({**words, "timestamp": self._timestamp, "nonce": self.nonce})
        return Callback(method, f"{ADDRESS}?{query}", {"content-type": "text/xml"}, body, AT)


def event(name: str, more: str = "", *, to: str = "oOPENID", at: int = 1768465810) -> str:
    return (
        f"<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName><FromUserName><![CDATA[{to}]]></FromUserName>"
        f"<CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>{more}</xml>"
    )
