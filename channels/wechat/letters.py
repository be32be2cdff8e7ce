"""XML as WeChat and WeCom write it, read without what XML can do beside: no DTD, no entities, no depth."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from channels.errors import InvalidReceipt

_MOST = 1024 * 1024  # bytes; their reports have a few thousand
_DEEPEST = 8
_ELEMENTS = 5_000


def read(body: bytes) -> dict[str, Any]:
    """What stands in `<xml>`: texts and further such objects by name, lists where a name stands more than once."""
    if len(body) > _MOST:
        raise InvalidReceipt("The request is larger than any report.")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):  # the last for encodings nobody knows
        raise InvalidReceipt("The request is no XML.") from None
    return reader.top if isinstance(reader.top, dict) else {}


class _Reader:
    """Elements on their way: each is what it holds by name, and its text."""

    def __init__(self) -> None:
        self.top: dict[str, Any] | str = {}
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self._count = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._declares
        self.parser.EntityDeclHandler = self._declares
        self.parser.StartElementHandler = self._begins
        self.parser.EndElementHandler = self._ends
        self.parser.CharacterDataHandler = self._says

    def _declares(self, *_: object) -> None:
        raise InvalidReceipt("The request declares what no report needs (DTD, entities).")

    def _begins(self, name: str, _: object) -> None:
        self._count += 1
        if len(self._open) == _DEEPEST or self._count > _ELEMENTS:
            raise InvalidReceipt("The request holds more than any report.")
        self._open.append((name, {}, []))

    def _says(self, text: str) -> None:
        self._open[-1][2].append(text)

    def _ends(self, _: str) -> None:
        name, held, texts = self._open.pop()
        value = held or "".join(texts).strip()
        if not self._open:
            self.top = value
            return
        around = self._open[-1][1]
        if name not in around:
            around[name] = value
        elif isinstance(around[name], list):
            around[name].append(value)
        else:
            around[name] = [around[name], value]
