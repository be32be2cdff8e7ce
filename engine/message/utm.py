"""Links told apart in the shop's statistics: `utm_...` parameters, as config.yaml says, on links to the shop's hosts.

What an author wrote goes before: a parameter that is there stays as it is, so do the order of the others and the part
behind #. Links that we make ourselves (unsubscribe, preferences, clicks, answers) are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape, unescape
from typing import Final, TypeAlias
from urllib.parse import quote, unquote_plus, urlsplit

from engine.settings import LinkSettings

MakeTags: TypeAlias = "Callable[[str, tuple[str, ...], Mapping[str, str]], Tags | None]"
_HREF: Final = re.compile(r"""href\s*=\s*("|')(https?://.*?)\1""", re.DOTALL)
_LINKING: Final = re.compile(r"<(?:a|area|v:\w+)\s")
_IN_TEXT: Final = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", re.IGNORECASE)
_STRANGE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\\]")
_MOST_KNOWN: Final = 256  # addresses that most messages of a wave share
_LONGEST: Final = 2000  # characters of an address; one that would be longer stays as it is


@dataclass(frozen=True)
class Tags:
    """Sets the parameters of one message's links."""

    hosts: frozenset[str]  # `shop.example.com`, `*.example.com`
    pairs: tuple[tuple[str, str], ...]  # ready to stand in an address
    ours: tuple[str, ...]  # links that begin so are our own
    known: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # what was asked before

    def url(self, url: str) -> str:
        """One address."""
        if url.startswith(self.ours):
            return url
        tagged = self.known.get(url)
        if tagged is None:
            tagged = self._tagged(url)
            if len(self.known) < _MOST_KNOWN:
                self.known[url] = tagged
        return tagged

    def _tagged(self, url: str) -> str:
        if _STRANGE.search(url) or not self._is_own(url):
            return url
        whole, hash_sign, fragment = url.partition("#")
        address, _, query = whole.partition("?")
        there = {unquote_plus(one.partition("=")[0]).lower() for one in re.split("[&;]", query)}
        more = "&".join(f"{name}={value}" for name, value in self.pairs if name not in there)
        if not more:
            return url
        apart = "&" if query and not query.endswith("&") else ""
        tagged = f"{address}?{query}{apart}{more}{hash_sign}{fragment}"
        return tagged if len(tagged) <= _LONGEST else url

    def in_html(self, html: str) -> str:
        """Where the links of a page lead."""
        return _HREF.sub(self._href, html)

    def in_text(self, text: str) -> str:
        """Addresses among words, without the full stop behind them."""
        return _IN_TEXT.sub(self._among_words, text)

    def _href(self, found: re.Match[str]) -> str:
        page, start = found.string, found.start()
        if not page[start - 1 : start].isspace() or not _LINKING.match(page, page.rfind("<", 0, start)):
            return found[0]
        url = unescape(found[2])
        tagged = self.url(url)
        if tagged == url:
            return found[0]
        return found[0][: found.start(2) - start] + escape(tagged) + found[1]

    def _among_words(self, found: re.Match[str]) -> str:
        url = found[0].rstrip(".,;:!?'" if "(" in found[0] else ".,;:!?')")
        return self.url(url) + found[0][len(url) :]

    def _is_own(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        host = (parts.hostname or "").lower()
        if parts.scheme not in ("https", "http") or not host:
            return False
        above = (f"*.{host[dot + 1 :]}" for dot, sign in enumerate(host) if sign == ".")
        return host in self.hosts or any(one in self.hosts for one in above)


def tags_for(settings: LinkSettings, shop_url: str) -> MakeTags:
    """What makes the tags of a message, given its channel, how our own links begin, and what parameters may name."""
    written = settings.utm.model_dump(exclude_none=True) if settings.utm else {}
    hosts = frozenset(one.lower() for one in settings.hosts or _own_hosts(shop_url))
    channels = frozenset(settings.channels)

    @lru_cache(maxsize=64)
    def made(ours: tuple[str, ...], *names: tuple[str, str]) -> Tags:
        values = ((f"utm_{key}", _filled(text, dict(names))) for key, text in written.items())
        return Tags(hosts, tuple((key, value) for key, value in values if value), ours)

    def make(channel: str, ours: tuple[str, ...], names: Mapping[str, str]) -> Tags | None:
        return made(ours, *names.items()) if written and channel in channels else None

    return make


def _own_hosts(shop_url: str) -> Iterable[str]:
    host = (urlsplit(shop_url).hostname or "").removeprefix("www.")
    return (host, f"www.{host}")


def _filled(text: str, names: Mapping[str, str]) -> str:
    return quote(re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], ""), text), safe="")
