"""What providers need to hear out a request of their service: its body as values, its key, and words that say stop."""

from __future__ import annotations

import hmac
import json
import unicodedata
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from pydantic import SecretStr

from channels.contract import Callback
from channels.errors import InvalidReceipt

MOST = 8 * 1024 * 1024  # bytes of a body that are read: no service sends half of it
MOST_ROWS = 10_000  # reports in one request; the services that say so stop at 1,000

#: by which people say at a phone that they want no more (the carriers' words, and those of China)
_STOP = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "end", "quit", "revoke", "optout", "opt-out", "cancel"),
        *("r", "t", "td", "n", "退订", "拒收", "取消订阅", "退訂", "取消訂閱"),
    }
)


def same(one: str | bytes, other: str | bytes) -> bool:
    """Are two secrets equal? Takes as long when they are not."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def header(callback: Callback, name: str) -> str:
    """A header that has to be there."""
    value = callback.headers.get(name.lower(), "")
    if not value:
        raise InvalidReceipt(f"The request has no header {name}.")
    return value


def query(callback: Callback) -> dict[str, str]:
    """What stands behind the ? of the address; of a name said twice the first."""
    return {name: values[0] for name, values in parse_qs(urlsplit(callback.url).query, keep_blank_values=True).items()}


def require_key(callback: Callback, key: SecretStr | None) -> None:
    """For a service that signs nothing: its requests come to an address with a secret, `?key=...`. Without one that is
    configured nothing is believed."""
    if key is None:
        raise InvalidReceipt("No key is configured for reports of this service; without one they cannot be trusted.")
    if not same(query(callback).get("key", ""), key.get_secret_value()):
        raise InvalidReceipt("The request has not the key of our address for reports.")


def json_of(callback: Callback) -> Any:
    """The body as JSON."""
    if len(callback.body) > MOST:
        raise InvalidReceipt("The request is larger than any report.")
    try:
        return json.loads(callback.body)
    except (ValueError, RecursionError):
        raise InvalidReceipt("The request is no JSON.") from None


def objects_of(callback: Callback) -> list[dict[str, Any]]:
    """The body as a list of JSON objects; one object is a list of one."""
    found = json_of(callback)
    rows = found if isinstance(found, list) else [found]
    if len(rows) > MOST_ROWS or not all(isinstance(row, dict) for row in rows):
        raise InvalidReceipt("The request holds something else than reports.")
    return rows


def form_of(callback: Callback) -> list[tuple[str, str]]:
    """The body as a form: names and values in their order."""
    if len(callback.body) > MOST:
        raise InvalidReceipt("The request is larger than any report.")
    try:
        return parse_qsl(callback.body.decode(), keep_blank_values=True, max_num_fields=1_000)
    except ValueError:
        raise InvalidReceipt("The request is no form.") from None


def word(row: dict[str, Any], name: str) -> str:
    """A value that should be a text or a number; empty when it is neither."""
    value = row.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def asks_to_stop(text: str) -> bool:
    """Does an answer say that one wants no more? In any case and width; the word alone, not in a sentence."""
    plain = unicodedata.normalize("NFKC", text).strip(" \t\r\n.,!。！，'\"“”【】[]").casefold()
    return plain in _STOP
