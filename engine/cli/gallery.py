"""The gallery of a preview: one page with every step of every person, and the messages as they look, in all locales.

It needs no script and nothing from elsewhere; what it may do is told to the browser by the policy in its head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.cli.looks.look import look
from engine.cli.looks.scene import GUARD, Pages, Scene, safe
from engine.cli.money import amounts
from engine.cli.words import LANGUAGE, _
from engine.journey.graph import Graph
from engine.settings import Settings
from engine.simulate.preview import Shown, Stop, Walk

ROOM = Path(__file__).parent
STYLES = (ROOM / "gallery.css", ROOM / "looks" / "looks.css")


def write_gallery(
    folder: Path, settings: Settings, graph: Graph, walks: Sequence[Walk], texts: Sequence[Shown], at: datetime
) -> Path:
    """Write index.html and one page per mail into a folder; the index."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = Pages(folder)
    body = [_person(pages, settings, walk, number) for number, walk in enumerate(walks, 1)]
    if walks:
        there = at.astimezone(ZoneInfo(walks[0].zone))
        body.append(_texts(Scene(pages, settings, there), texts))
    index = folder / "index.html"
    title = graph.head.title or graph.journey
    index.write_text(_page(title, _head(graph, walks, at) + f"<main>{''.join(body)}</main>"), encoding="utf-8")
    return index


def _page(title: str, body: str) -> str:
    style = "".join(path.read_text(encoding="utf-8") for path in STYLES)
    return (
        f'<!doctype html><html lang="{LANGUAGE}"><head><meta charset="utf-8">{GUARD}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<title>{safe(title)}</title><style>{style}</style></head><body class="gallery">{body}</body></html>\n'
    )


def _head(graph: Graph, walks: Sequence[Walk], at: datetime) -> str:
    people = "".join(f'<a href="#p{number}">{safe(walk.person)}</a>' for number, walk in enumerate(walks, 1))
    facts = f"<code>{safe(graph.file)}</code> · {at:%Y-%m-%d %H:%M} UTC · {safe(_('links do nothing here'))}"
    legend = (
        f'<span class="key mine">{safe(_("by what is known of them today"))}</span>'
        f'<span class="key">{safe(_("another way the journey may take"))}</span>'
    )
    texts = f'<a href="#texts">{safe(_("Every text in every language"))}</a>' if walks else ""
    return (
        f"<header><h1>{safe(graph.head.title or graph.journey)}</h1>"
        f'<p class="facts">{facts}</p><nav aria-label="{safe(_("on this page"))}">{people}{texts}</nav>'
        f'<p class="legend">{legend}</p></header>'
    )


# --- one person's way ------------------------------------------------------------------------------------------------


def _person(pages: Pages, settings: Settings, walk: Walk, number: int) -> str:
    held = f'<p class="held">{safe(_("in the holdout: gets nothing"))}</p>' if walk.holdout else ""
    facts = f"{safe(walk.locale)} · {safe(walk.zone)}"
    if walk.cost:
        told = _("cost of what is known of them today, at most: {amounts}")
        facts += f" · {safe(told.format(amounts=amounts(walk.cost)))}"
    stops = "".join(_stops(pages, settings, walk))
    return (
        f'<section id="p{number}" aria-labelledby="h{number}">'
        f'<h2 id="h{number}"><bdi>{safe(walk.person)}</bdi> <small>{facts}</small></h2>'
        f'<p class="entry" lang="en">{safe(walk.entry)}</p>{held}<ol>{stops}</ol></section>'
    )


def _stops(pages: Pages, settings: Settings, walk: Walk) -> Iterator[str]:
    way = ""
    for stop in walk.stops:
        if stop.by and stop.by != way:
            yield f'<li class="way" lang="en" style="--depth:{stop.depth}">{safe(stop.by)}</li>'
        way = stop.by
        scene = Scene(pages, settings, stop.when.astimezone(ZoneInfo(walk.zone)))
        yield _stop(scene, stop)


def _stop(scene: Scene, stop: Stop) -> str:
    mine = " mine" if stop.on_their_way else ""
    why = f'<p class="why" lang="en">{safe(stop.sentence)}</p>' if stop.sentence else ""
    shown = look(scene, stop.shown) if stop.shown else ""
    return (
        f'<li class="stop{mine}" style="--depth:{stop.depth}"><div class="line"><h3>{safe(stop.step)}</h3>'
        f'<time datetime="{stop.when.isoformat()}">{safe(stop.local)}</time>'
        f"<code>{safe(stop.place)}</code></div>{why}{shown}</li>"
    )


# --- all texts -------------------------------------------------------------------------------------------------------


def _texts(scene: Scene, texts: Sequence[Shown]) -> str:
    """Every text once, its languages side by side."""
    blocks: dict[tuple[str, str], list[Shown]] = {}
    for shown in texts:
        blocks.setdefault((shown.message, shown.channel), []).append(shown)
    told = "".join(
        f"<h3>{safe(message)} <small>{safe(channel)}</small></h3>"
        f'<div class="grid">{"".join(look(scene, one) for one in some)}</div>'
        for (message, channel), some in blocks.items()
    )
    note = safe(_("with the data of the first person; voucher codes are samples"))
    head = f'<h2 id="all">{safe(_("Every text in every language"))}</h2><p class="facts">{note}</p>'
    return f'<section id="texts" aria-labelledby="all">{head}{told}</section>'
