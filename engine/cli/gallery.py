"""The gallery of a preview: one page with every step of every person, and the messages as they look, in all locales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from engine.cli.words import LANGUAGE, _, counted
from engine.journey.graph import Graph
from engine.message.sms import parts_of
from engine.simulate.preview import Shown, Stop, Walk

STYLE = Path(__file__).parent / "gallery.css"


def write_gallery(folder: Path, graph: Graph, walks: Sequence[Walk], texts: Sequence[Shown], at: datetime) -> Path:
    """Write index.html and one page per mail into a folder; the index."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = _Pages(folder)
    body = [_head(graph, walks, at), *(_person(pages, walk) for walk in walks)]
    if walks:
        body.append(_texts(pages, texts))
    index = folder / "index.html"
    index.write_text(_page(graph.head.title or graph.journey, "".join(body)), encoding="utf-8")
    return index


@dataclass
class _Pages:
    """Mails stand in pages of their own: their styles must not touch ours, nor ours theirs."""

    folder: Path
    count: int = field(default=0)

    def add(self, name: str, html: str) -> str:
        """Write one; its file's name."""
        self.count += 1
        file = f"{self.count:04d}-{name}.html"
        (self.folder / file).write_text(html, encoding="utf-8")
        return file


def _page(title: str, body: str) -> str:
    style = STYLE.read_text(encoding="utf-8")
    return (
        f"<!doctype html><html lang={LANGUAGE}><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(graph: Graph, walks: Sequence[Walk], at: datetime) -> str:
    people = "".join(f"<a href='#p-{escape(walk.person, True)}'>{escape(walk.person)}</a>" for walk in walks)
    facts = f"{escape(graph.file)} · {at:%Y-%m-%d %H:%M} UTC · {_('links do nothing here')}"
    legend = (
        f"<span class='key mine'>{_('by what is known of them today')}</span>"
        f"<span class=key>{_('another way the journey may take')}</span>"
    )
    nav = f"<nav>{people}<a href='#texts'>{_('Every text in every language')}</a></nav>"
    return (
        f"<header><h1>{escape(graph.head.title or graph.journey)}</h1><p class=facts>{facts}</p>{nav}{legend}</header>"
    )


# --- one person's way ------------------------------------------------------------------------------------------------


def _person(pages: _Pages, walk: Walk) -> str:
    held = f"<p class=held>{_('in the holdout: gets nothing')}</p>" if walk.holdout else ""
    facts = f"{escape(walk.locale)} · {escape(walk.zone)}"
    stops = "".join(_stops(pages, walk.stops))
    return (
        f"<section id='p-{escape(walk.person, True)}'><h2>{escape(walk.person)} <small>{facts}</small></h2>"
        f"<p class=entry>{escape(walk.entry)}</p>{held}<ol>{stops}</ol></section>"
    )


def _stops(pages: _Pages, stops: Sequence[Stop]) -> Iterator[str]:
    way = ""
    for stop in stops:
        if stop.by and stop.by != way:
            yield f"<li class=way style='--depth:{stop.depth}'>{escape(stop.by)}</li>"
        way = stop.by
        yield _stop(pages, stop)


def _stop(pages: _Pages, stop: Stop) -> str:
    mine = " mine" if stop.on_their_way else ""
    why = f"<p class=why>{escape(stop.sentence)}</p>" if stop.sentence else ""
    shown = _shown(pages, stop.shown) if stop.shown else ""
    return (
        f"<li class='stop{mine}' style='--depth:{stop.depth}'><div class=line><b>{escape(stop.step)}</b>"
        f"<time datetime='{stop.when.isoformat()}'>{escape(stop.local)}</time>"
        f"<code>{escape(stop.place)}</code></div>{why}{shown}</li>"
    )


# --- messages --------------------------------------------------------------------------------------------------------


def _texts(pages: _Pages, texts: Sequence[Shown]) -> str:
    """Every text once, its languages side by side."""
    blocks: dict[tuple[str, str], list[Shown]] = {}
    for shown in texts:
        blocks.setdefault((shown.message, shown.channel), []).append(shown)
    told = "".join(
        f"<h3>{escape(message)} <small>{escape(channel)}</small></h3><div class=grid>"
        + "".join(f"<figure><figcaption>{escape(one.locale)}</figcaption>{_shown(pages, one)}</figure>" for one in some)
        + "</div>"
        for (message, channel), some in blocks.items()
    )
    note = _("with the data of the first person; voucher codes are samples")
    return f"<section id=texts><h2>{_('Every text in every language')}</h2><p class=facts>{note}</p>{told}</section>"


def _shown(pages: _Pages, shown: Shown) -> str:
    content: Mapping[str, Any] = shown.content
    if shown.error:
        return f"<p class=unwritten><b>{_('cannot be written')}</b> {escape(shown.error)}</p>"
    match shown.channel:
        case "email":
            return _mail(pages, shown)
        case "sms":
            return _sms(content)
        case "push":
            title, text = escape(str(content["title"])), escape(str(content["text"]))
            return f"<div class='phone push'><b dir=auto>{title}</b><p dir=auto>{text}</p></div>"
        case _:
            return _card(shown)


def sms_length(content: Mapping[str, Any]) -> str:
    """`2 parts, GSM-7, 187 of 306`."""
    parts = parts_of(str(content["text"]), str(content["to"]))
    told = _("{parts}, {alphabet}, {used} of {room}")
    count = counted("{count} part", "{count} parts", parts.count)
    return told.format(parts=count, alphabet=parts.alphabet, used=parts.used, room=parts.room)


def _sms(content: Mapping[str, Any]) -> str:
    text = escape(str(content["text"]))
    return f"<div class='phone sms'><p dir=auto>{text}</p></div><p class=length>{sms_length(content)}</p>"


def _mail(pages: _Pages, shown: Shown) -> str:
    subject = escape(str(shown.content["subject"]), True)
    file = pages.add(f"{shown.message}.{shown.locale}", str(shown.content["html"]))
    return (
        f"<div class=mail><div class=subject>{subject}<a href='{escape(file, True)}'>{_('open')}</a></div>"
        f"<iframe sandbox loading=lazy src='{escape(file, True)}' title='{subject}'></iframe></div>"
    )


def _card(shown: Shown) -> str:
    """A message of WeChat: what its template says, or where nobody knows, its fields and what stands in them."""
    content = shown.content
    if shown.wording:
        return f"<div class='phone wechat'><p dir=auto>{escape(shown.wording)}</p></div>"
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in content.get("values", ()))
    return f"<div class='phone wechat'><b>{escape(str(content.get('template', '')))}</b><dl>{rows}</dl></div>"
