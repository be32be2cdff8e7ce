"""The words that stood on a link of a message, to show them again to who followed it."""

from __future__ import annotations

from html.parser import HTMLParser

LONGEST = 200  # characters


def label_of(html: str, path: str) -> str | None:
    """The text of the first link of a mail whose address ends with `path`; None when there is none, or too long."""
    reader = _Reader(path)
    reader.feed(html)
    text = " ".join("".join(reader.found).split())
    return text if 0 < len(text) <= LONGEST else None


class _Reader(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._path = path
        self._inside = False
        self._done = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and not self._done:
            self._inside = (dict(attrs).get("href") or "").endswith(self._path)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._inside:
            self._inside, self._done = False, True

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)
