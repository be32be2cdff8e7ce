"""What every look needs: the folder of its pages, the shop around a message, and the small pieces of HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from engine.cli.words import _
from engine.message.links import INERT, BadLink, safe_link
from engine.message.locale import direction
from engine.settings import Settings
from engine.simulate.preview import Shown

#: what these pages may do in a browser: show themselves. Pictures of messages are fetched, as the person's device would
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
GUARD: Final = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
_HEAD: Final = re.compile(r"<head\b[^>]*>|<html\b[^>]*>|<!doctype\b[^>]*>", re.IGNORECASE)
_UNSAFE: Final = re.compile(r"[^\w.-]+")


@dataclass
class Pages:
    """Mails stand in pages of their own: their styles must not touch ours, nor ours theirs."""

    folder: Path
    count: int = field(default=0)

    def add(self, name: str, html: str) -> str:
        """Write one; its file's name."""
        self.count += 1
        file = f"{self.count:04d}-{_UNSAFE.sub('-', name)}.html"
        (self.folder / file).write_text(_guarded(html), encoding="utf-8")
        return file


def _guarded(html: str) -> str:
    """A mail with the policy at its head: opened alone, it may do no more than inside the gallery."""
    heads = {found[0][1:5].lower(): found.end() for found in reversed(list(_HEAD.finditer(html)))}
    at = heads.get("head", heads.get("html", heads.get("!doc", 0)))
    return html[:at] + GUARD + html[at:]


@dataclass(frozen=True)
class Scene:
    """Where and when a message is seen."""

    pages: Pages
    settings: Settings
    when: datetime  # on the person's own clock

    def option(self, channel: str, *names: str) -> str:
        """What config.yaml says of a channel under the first of these names; empty when nothing."""
        known = self.settings.channels.get(channel)
        options: Mapping[str, Any] = known.options if known else {}
        return next((str(options[name]) for name in names if options.get(name)), "")


# --- pieces of HTML --------------------------------------------------------------------------------------------------


def safe(value: object) -> str:
    """Text for HTML, between tags as in the quotes of an attribute."""
    return escape("" if value is None else str(value), quote=True)


def spoken(locale: str) -> str:
    """The attributes that tell in which language a text is, and which way it is read."""
    return f'lang="{safe(locale)}" dir="{direction(locale)}"' if locale else 'dir="auto"'


def figure(kind: str, name: str, shown: Shown, body: str) -> str:
    """A message in its frame, with what it is and whom it goes to."""
    to = shown.content.get("to")
    facts = [f"<b>{safe(name)}</b>", safe(shown.locale), f"<bdi>{safe(to)}</bdi>" if to else ""]
    told = "".join(f"<span>{one}</span>" for one in facts if one)
    return f'<figure class="look {kind}"><figcaption>{told}</figcaption><div class="scene">{body}</div></figure>'


def avatar(name: str) -> str:
    """A round sign with the first letter of a name."""
    return f'<span class="avatar" aria-hidden="true">{safe(name.strip()[:1].upper() or "·")}</span>'


def linked(url: object) -> str:
    """An address, to follow where it is safe and leads somewhere; links of a preview do nothing."""
    text = str(url)
    try:
        target = safe_link(text)
    except BadLink:
        return f"<code>{safe(text)}</code>"
    if target.rstrip("/").endswith(f"/{INERT}"):
        return f"<code>{safe(text)}</code> <small>{safe(_('a link of a preview: it does nothing'))}</small>"
    return f'<a href="{safe(target)}" rel="noreferrer noopener">{safe(text)}</a>'


def picture(url: object) -> str:
    """A picture of a message; only what the policy lets in."""
    text = str(url or "")
    if not text.startswith("https://"):
        return ""
    alt = safe(_("the picture of the message"))
    return f'<img src="{safe(text)}" alt="{alt}" loading="lazy" referrerpolicy="no-referrer">'


def note(text: str) -> str:
    """Something to mend."""
    return f'<p class="note">{text}</p>'


def rows(pairs: list[tuple[str, str]]) -> str:
    """Facts beside a message; the values are HTML."""
    return "<dl>" + "".join(f"<dt>{safe(name)}</dt><dd>{value}</dd>" for name, value in pairs) + "</dl>"
