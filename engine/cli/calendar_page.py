"""The calendar as a page: weeks of days with what is planned on each, then the numbers and the collisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from html import escape
from pathlib import Path

from engine.cli import calendar_words as words
from engine.cli.words import LANGUAGE, _
from engine.simulate.calendar import Closed, Coming, Days, Expected
from engine.simulate.collisions import Collision

ROOM = Path(__file__).parent
STYLES = (ROOM / "gallery.css", ROOM / "calendar.css")


def calendar_page(shop: str, found: Days, lost: Sequence[Collision]) -> str:
    """One file with everything in it."""
    style = "".join(path.read_text(encoding="utf-8") for path in STYLES)
    title = f"{shop}: {_('calendar')}"
    body = "".join((_head(title, found), _weeks(found, lost), _collisions(lost), _numbers(found), _lists(found)))
    return (
        f"<!doctype html><html lang={LANGUAGE}><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(title: str, found: Days) -> str:
    facts = f"{found.start:%Y-%m-%d %H:%M} .. {found.end:%Y-%m-%d %H:%M} UTC"
    legend = (
        f"<span class='key mine'>{_('planned')}</span><span class='key lost'>{_('loses people to a cap')}</span>"
        f"<span class='key shut'>{_('closed')}</span><span class='key told'>{_('a happening')}</span>"
    )
    return f"<header><h1>{escape(title)}</h1><p class=facts>{facts}</p>{legend}</header>"


# --- the weeks -------------------------------------------------------------------------------------------------------


def _weeks(found: Days, lost: Sequence[Collision]) -> str:
    losing = {(one.wall, one.journey) for one in lost}
    first, last = found.start.date(), (found.end - timedelta(microseconds=1)).date()
    if found.coming:
        first = min(first, found.coming[0].wall.date())
        last = max(last, found.coming[-1].wall.date())
    monday = first - timedelta(days=first.weekday())
    names = "".join(f"<b>{name}</b>" for name in words.weekdays())
    cells = []
    day = monday
    while day <= last or day.weekday():
        cells.append(_day(found, losing, day, outside=not first <= day <= last))
        day += timedelta(days=1)
    return f"<section class=weeks><div class=names>{names}</div>{''.join(cells)}</section>"


def _day(found: Days, losing: set[tuple[datetime, str]], day: date, outside: bool) -> str:
    shut = [
        one for one in found.closed if one.start.date() <= day and one.end > datetime.combine(day, datetime.min.time())
    ]
    told = [one for one in found.expected if one.wall.date() == day]
    mine = [one for one in found.coming if one.wall.date() == day]
    inner = "".join((*_shut(shut), *map(_told, told), *(_chip(one, (one.wall, one.journey) in losing) for one in mine)))
    empty = " empty" if not inner else ""
    number = f"{day:%m-%d}" if day.day == 1 or day == found.start.date() else f"{day.day}"
    return (
        f"<div class='day{' out' if outside else ''}{empty}'><time datetime={day:%Y-%m-%d}>{number}</time>{inner}</div>"
    )


def _shut(closed: Sequence[Closed]) -> Iterator[str]:
    for one in closed:
        yield f"<p class=shut title='{escape(words.closed_told(one), True)}'>{escape(words.kind_told(one))}</p>"


def _told(one: Expected) -> str:
    at = f"{one.wall:%H:%M} " if one.timed else ""
    return f"<p class=told title='{escape(words.happening_told(one), True)}'>{at}{escape(one.name)}</p>"


def _chip(one: Coming, losing: bool) -> str:
    told = escape("; ".join(words.notes(one)), True)
    kind = "chip lost" if losing else "chip" if one.size.reached else "chip none"
    return (
        f"<p class='{kind}' title='{told}'><time>{one.wall:%H:%M}</time> "
        f"{escape(one.journey)} <span>{one.size.reached:,}</span></p>"
    )


# --- the numbers -----------------------------------------------------------------------------------------------------


def _numbers(found: Days) -> str:
    if not found.coming:
        return f"<p class=entry>{_('nothing is planned in these days')}</p>"
    rows = []
    for one in found.coming:
        cells = [f"<td>{escape(word)}" for word in words.words_of(one)]
        cells += [f"<td class=n>{figure}" for figure in words.figures_of(one)]
        rows.append(f"<tr>{''.join(cells)}<td class=facts>{escape('; '.join(words.notes(one)))}")
    numeric = range(len(words.words_of(found.coming[0])), len(words.columns()) - 1)
    head = "".join(f"<th{' class=n' if n in numeric else ''}>{escape(s)}" for n, s in enumerate(words.columns()))
    told = "".join(f"<p class=facts>{escape(line)}</p>" for line in words.size_told(found))
    cost = _("money in {currency}").format(currency=found.currency)
    return (
        f"<h2>{_('In numbers')}</h2><div class=wide><table><tr>{head}{''.join(rows)}</table></div>"
        f"{told}<p class=facts>{cost}</p>"
    )


def _collisions(lost: Sequence[Collision]) -> str:
    return _list(_("where caps collide"), list(words.collisions_told(lost)))


def _lists(found: Days) -> str:
    parts = (
        (_("happenings"), [words.happening_told(one) for one in found.expected]),
        (_("closed"), [words.closed_told(one) for one in found.closed]),
        (_("under way"), [words.under_way_told(one) for one in found.under_way]),
        (_("entered at any time"), [words.any_time_told(one) for one in found.any_time]),
    )
    return "".join(_list(title, lines) for title, lines in parts)


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}" for line in lines)
    return f"<h2>{escape(title[:1].upper() + title[1:])}</h2><ul>{items}</ul>" if lines else ""
