"""What push services say, as values; and the long secrets they give out, which stand in a variable or in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from pydantic import SecretStr

from channels.contract import secret
from channels.errors import Misconfigured


def object_in(body: bytes | None) -> dict[str, Any]:
    """The JSON object that a body is; empty when it is none, or was not read."""
    try:
        found = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def objects_in(value: object) -> list[dict[str, Any]]:
    """The objects in what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def word(value: object) -> str:
    """What should be a text or a whole number, as text; empty when it is neither."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def packed(value: object) -> bytes:
    """JSON as it is sent: once made, it is what is counted and what leaves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def signing_key(algorithm: str, text: str) -> Any:
    """A private key in PEM; ValueError when it is none. In a variable its lines may be joined by \\n."""
    try:
        key = jwt.get_algorithm_by_name(algorithm).prepare_key(text.replace("\\n", "\n"))
    except (TypeError, jwt.PyJWTError):
        raise ValueError("it is no key") from None
    if not hasattr(key, "sign"):
        raise ValueError("it is a public key")
    return key


class LongSecret:
    """A secret of many lines: the text in one environment variable, or in a file outside the project that one names."""

    def __init__(self, env: Mapping[str, str], text_in: str | None, file_in: str | None, home: Path) -> None:
        """Misconfigured, naming the variable, when it is not set. The file is opened when it is asked for."""
        self._variable = text_in or file_in or ""
        self._given = secret(env, self._variable)
        self._in_file = text_in is None
        self._home = home

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return (
            f"the file that {self._variable} names" if self._in_file else f"the environment variable {self._variable}"
        )

    def read(self) -> SecretStr:
        if not self._in_file:
            return self._given
        path = Path(self._given.get_secret_value())
        try:
            if path.resolve().is_relative_to(self._home.resolve()):
                raise Misconfigured(f"{self._variable} names a file inside the project; keep secrets outside of it.")
            return SecretStr(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise Misconfigured(f"The file that {self._variable} names cannot be read.") from None
