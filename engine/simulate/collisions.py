"""Where caps will collide: waves inside one cap's window that ask for the same people, more often than it allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, or_

from engine.app import App
from engine.decide.state import Rules
from engine.settings import Cap
from engine.simulate.calendar import Wave, first_sends, is_marketing
from engine.store import waves
from engine.work.entering.asked import Condition


@dataclass(frozen=True)
class Collision:
    """People whom one wave cannot write to, since those before it have filled a cap."""

    wall: datetime
    zone: str  # person: everyone's own clock
    journey: str  # the one that loses
    cap: str
    people: int  # in its segment and in as many of the others as the cap allows, as of now
    winners: tuple[tuple[datetime, str], ...]  # what goes first
    by_priority: bool  # they come at the same time, and priority decides; else who is earlier has gone by then


def collisions(app: App, planned: Sequence[Wave]) -> list[Collision]:
    """Every wave that loses people to a cap, in the order of time."""
    with app.database.reading() as connection:
        look = _Look(connection, app.rules(connection))
        ordered = sorted(planned, key=_turn)
        return [
            found
            for number, wave in enumerate(ordered)
            for cap in (*look.rules.policy.caps, *wave.graph.head.caps)
            if (found := _lost(look, wave, ordered[:number], cap)) is not None
        ]


@dataclass
class _Look:
    """Who is in several audiences is asked once for each set of them."""

    connection: Connection
    rules: Rules
    known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def people(self, wave: Wave, rivals: Sequence[Wave], at_least: int) -> int:
        """How many of the people of a wave are also in so many of the others."""
        key = (wave.whom, at_least, *sorted(one.whom for one in rivals))
        if key not in self.known:
            self.known[key] = waves.audience_size(self.connection, _in_too_many(wave, rivals, at_least))
        return self.known[key]


def _turn(wave: Wave) -> tuple[datetime, int, str]:
    """Who comes earlier goes first; of those who come together, who has the higher priority."""
    return wave.clock, -wave.coming.priority, wave.coming.journey


def _lost(look: _Look, wave: Wave, before: Sequence[Wave], cap: Cap) -> Collision | None:
    if not wave.coming.size.reached or not _counts(look.rules, wave, cap, binding=True):
        return None
    rivals = [
        one
        for one in before
        if one.coming.size.reached
        and _in_one_window(cap, one.clock, wave.clock)
        and _counts(look.rules, one, cap)
        and _may_follow(one, wave)
    ]
    if len(rivals) < cap.at_most:
        return None
    rivals = [one for one in rivals if look.people(wave, [one], 1)]
    people = look.people(wave, rivals, cap.at_most) if len(rivals) >= cap.at_most else 0
    if not people:
        return None
    return Collision(
        wall=wave.coming.wall,
        zone=wave.coming.zone,
        journey=wave.coming.journey,
        cap=cap.name,
        people=people,
        winners=tuple((one.coming.wall, one.coming.journey) for one in rivals),
        by_priority=all(one.clock == wave.clock for one in rivals),
    )


def _in_too_many(wave: Wave, rivals: Sequence[Wave], at_most: int) -> Condition:
    """In this one's segment, and in so many of the others."""
    if at_most == 1:
        return and_(wave.condition, or_(*(one.condition for one in rivals)))
    times = sum((case((one.condition, 1), else_=0) for one in rivals[1:]), case((rivals[0].condition, 1), else_=0))
    return and_(wave.condition, times >= at_most)


def _counts(rules: Rules, wave: Wave, cap: Cap, binding: bool = False) -> bool:
    """Does the cap count (or, `binding`, hold back) a first message of this wave?"""
    for step in first_sends(wave.graph):
        topic, marketing = step.topic or wave.graph.head.topic, is_marketing(rules, wave.graph, step)
        tags = frozenset((*wave.graph.head.tags, *step.tags))
        asks = cap.binds if binding else cap.counts
        if any(asks(channel, topic, marketing, tags) for channel in step.via):
            return True
    return False


def _may_follow(one: Wave, other: Wave) -> bool:
    """Can the same person enter by both? By two waves of one journey only if it lets them come back in time."""
    if one.coming.journey != other.coming.journey:
        return True
    again = other.graph.head.again
    return again.always or (again.after is not None and other.clock - one.clock >= again.after)


def _in_one_window(cap: Cap, one: datetime, other: datetime) -> bool:
    if isinstance(cap.per, timedelta):
        return other - one < cap.per
    if cap.per == "week":
        return one.isocalendar()[:2] == other.isocalendar()[:2]
    return one.date() == other.date() if cap.per == "day" else (one.year, one.month) == (other.year, other.month)
