"""What a calendar says, in words: for the terminal and for its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from engine.cli.words import _, counted, ngettext
from engine.decide.policy import span
from engine.simulate.calendar import AnyTime, Closed, Coming, Days, Expected, UnderWay
from engine.simulate.collisions import Collision

MIDNIGHT = "00:00"


def columns() -> Sequence[str]:
    """Of the table of what is planned; the last is for notes."""
    first = (_("day"), _("time"), _("journey"), _("who"), _("people"), _("enter"), _("reached"))
    return (*first, _("messages at most"), _("cost at most"), "")


def words_of(one: Coming) -> Sequence[str]:
    """When, which journey, who."""
    return day_told(one.wall), time_told(one), one.journey, one.about


def figures_of(one: Coming) -> Sequence[str]:
    """How many; what is estimated has a mark."""
    size, about = one.size, "~" if one.size.sample < one.size.asked else ""
    estimated = (f"{about}{size.enter:,}", f"{about}{size.reached:,}", f"{about}{one.messages:,}")
    return f"{size.asked:,}", *estimated, f"{one.cost:,}"


def weekdays() -> Sequence[str]:
    return _("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")


def day_told(wall: datetime) -> str:
    return f"{weekdays()[wall.weekday()]} {wall:%Y-%m-%d}"


def time_told(one: Coming) -> str:
    """The clock of everyone, or that of one zone."""
    return f"{one.wall:%H:%M}" if one.zone == "person" else f"{one.wall:%H:%M} {one.zone}"


def notes(one: Coming) -> Iterator[str]:
    """What should be known beside the numbers."""
    if one.approve:
        yield _("waits for {who}").format(who=one.approve)
    if one.rollout:
        shares = ", ".join(f"{(share * 100).normalize():f}%" for share in one.rollout)
        yield _("in stages: {shares}").format(shares=shares)
    if one.at_most is not None:
        yield _("at most {count}").format(count=f"{one.at_most:,}")
    if one.spread is not None:
        yield _("spread over {span}").format(span=span(one.spread))
    for closed in one.closed:
        yield f"{kind_told(closed)}: {', '.join(closed.channels)}"


def size_told(found: Days) -> Iterator[str]:
    """What the figures mean."""
    yield _("people: in the segment now. enter: of them, as `again` and `at_most` let them, once all before are in.")
    yield _("reached: of these, without the holdout, with an address and a yes on a channel of the first message.")
    sampled = [one.size.sample for one in found.coming if one.size.sample < one.size.asked]
    if sampled:
        yield _("~: estimated from {count} of them").format(count=f"{min(sampled):,}")


def kind_told(one: Closed) -> str:
    told = _("blackout {name}") if one.kind == "blackout" else _("holiday in {name}")
    return told.format(name=one.name)


def closed_told(one: Closed) -> str:
    """`2026-12-25  holiday in DE: sms, push`."""
    where = f" ({', '.join(one.countries)})" if one.countries and one.kind == "blackout" else ""
    return f"{span_told(one.start, one.end)}  {kind_told(one)}{where}: {', '.join(one.channels)}"


def span_told(start: datetime, end: datetime) -> str:
    whole = f"{start:%H:%M}" == MIDNIGHT == f"{end:%H:%M}"
    if whole and end - start == timedelta(days=1):
        return f"{start:%Y-%m-%d}"
    if whole:
        return f"{start:%Y-%m-%d} .. {end - timedelta(days=1):%Y-%m-%d}"
    return f"{start:%Y-%m-%d %H:%M} .. {end:%Y-%m-%d %H:%M}"


def happening_told(one: Expected) -> str:
    when = f"{one.wall:%Y-%m-%d %H:%M}" if one.timed else f"{one.wall:%Y-%m-%d}"
    state = _("told") if one.told else _("expected; it happens when somebody tells it")
    for_whom = ", ".join(one.journeys) or _("no journey waits for it")
    return f"{when}  {one.name}: {state} ({for_whom})"


def under_way_told(one: UnderWay) -> str:
    stage = _("stage {stage} of {stages}").format(stage=one.stage, stages=one.stages)
    entered = counted("{count} person entered", "{count} people entered", one.entered)
    if one.opens is None:
        word = _("waits for a word: outreach approve {journey}").format(journey=one.journey)
        return f"{one.journey} {one.planned}: {stage}, {entered}; {word}"
    opens = _("from {at} UTC").format(at=f"{one.opens:%Y-%m-%d %H:%M}")
    return f"{one.journey} {one.planned}: {stage}, {entered}; {opens}"


def any_time_told(one: AnyTime) -> str:
    ways: Mapping[str, str] = {
        "event": _("by {name}"),
        "segment": _("by crossing the border of {name}"),
        "silence": _("by silence of {name}"),
        "api": _("by request"),
    }
    return f"{one.journey}: {ways.get(one.way, '{name}').format(name=one.about)}"


def collisions_told(lost: Sequence[Collision]) -> Iterator[str]:
    """Those that come again and again are told once."""
    groups: dict[tuple[object, ...], list[Collision]] = {}
    for one in lost:
        key = (one.journey, one.message, one.cap, one.people, one.by_priority, tuple(name for _, name in one.winners))
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        yield collision_told(group[0], len(group) - 1)


def collision_told(one: Collision, more: int = 0) -> str:
    """`2026-12-01 10:00: silent_wave (come_back) may lose 312 people to win_back (09:00), under 1 per day`."""
    winners = ", ".join(dict.fromkeys(f"{name} ({wall:%m-%d %H:%M})" for wall, name in one.winners))
    people = ngettext("{count} person", "{count} people", one.people).format(count=f"{one.people:,}")
    told = _("{when}: {journey} may lose {people} to {winners}, under {cap}: {why}").format(
        when=f"{one.wall:%Y-%m-%d %H:%M}" + ("" if one.zone == "person" else f" {one.zone}"),
        journey=f"{one.journey} ({one.message})",
        people=people,
        winners=winners,
        cap=one.cap,
        why=_("of lower priority") if one.by_priority else _("it comes later"),
    )
    if more:
        told += "; " + counted("and {count} more time", "and {count} more times", more)
    return told
