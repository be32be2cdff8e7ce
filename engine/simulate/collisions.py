"""Where caps will collide: messages of waves inside one cap's window to the same people, more than it allows.

A wave's messages are those of the straight way, each with its waits: of somebody who answers nothing. A stage of a
roll-out comes a day after the one before; of a wave that is spread, everyone begins in the middle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import takewhile

from sqlalchemy import Connection, and_, case, or_

from engine.app import App
from engine.decide.state import Rules
from engine.journey.steps import SendStep
from engine.settings import Cap
from engine.simulate.calendar import Wave, is_marketing
from engine.store import waves
from engine.work.entering.asked import Condition
from engine.work.entering.waves import STAGE_EVERY


@dataclass(frozen=True)
class Collision:
    """People whom a message of one wave cannot go to, since those before it have filled a cap."""

    wall: datetime  # of the message
    zone: str  # person: everyone's own clock
    journey: str  # the one that loses
    message: str
    cap: str
    people: int  # at most: in its segment and in as many of the others as the cap allows, as of now
    winners: tuple[tuple[datetime, str], ...]  # what goes first
    by_priority: bool  # they come at the same time, and priority decides; else who is earlier has gone by then


@dataclass(frozen=True)
class _Message:
    """One message to those who enter in one stage of one wave."""

    wave: Wave
    stage: int
    step: SendStep
    clock: datetime
    people: int  # at most

    @property
    def wall(self) -> datetime:
        return self.wave.coming.wall + (self.clock - self.wave.clock)


def collisions(app: App, planned: Sequence[Wave]) -> list[Collision]:
    """Every message that loses people to a cap, in the order of time."""
    with app.database.reading() as connection:
        look = _Look(connection, app.rules(connection))
        ordered = sorted((one for wave in planned for one in _messages(wave)), key=_turn)
        return [
            found
            for number, message in enumerate(ordered)
            for cap in (*look.rules.policy.caps, *message.wave.graph.head.caps)
            if (found := _lost(look, message, ordered[:number], cap)) is not None
        ]


def _messages(wave: Wave) -> Iterator[_Message]:
    coming, reached = wave.coming, wave.coming.size.enter - wave.coming.size.held_out
    begins = wave.clock + (coming.spread or timedelta(0)) / 2
    before = Decimal(0)
    for stage, until in enumerate(coming.rollout or (Decimal(1),)):
        people = int((reached * (until - before)).to_integral_value(ROUND_CEILING))
        before = until
        for going in wave.goings:
            yield _Message(wave, stage, going.step, begins + STAGE_EVERY * stage + going.after, people)


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


def _turn(one: _Message) -> tuple[datetime, int, str]:
    """Who comes earlier goes first; of those who come together, who has the higher priority."""
    return one.clock, -one.wave.coming.priority, one.wave.coming.journey


def _lost(look: _Look, message: _Message, before: Sequence[_Message], cap: Cap) -> Collision | None:
    if not message.people or not _counts(look.rules, message, cap, binding=True):
        return None
    near = takewhile(lambda one: _in_one_window(cap, one.clock, message.clock), reversed(before))
    rivals = [one for one in near if one.people and _counts(look.rules, one, cap) and _may_meet(one, message)][::-1]
    if len(rivals) < cap.at_most:
        return None
    own = [one for one in rivals if one.wave is message.wave]
    others = [one for one in rivals if one.wave is not message.wave and look.people(message.wave, [one.wave], 1)]
    needed = cap.at_most - len(own)
    people = message.people
    if needed > 0:
        counted = _of_one_stage(others)
        if len(counted) < needed:
            return None
        both = look.people(message.wave, counted, needed)
        people = min(people, both, sum(one.people for one in others) // needed)
    if not people:
        return None
    first = [one for one in rivals if one in own or one in others]
    return Collision(
        wall=message.wall,
        zone=message.wave.coming.zone,
        journey=message.wave.coming.journey,
        message=message.step.send,
        cap=cap.name,
        people=people,
        winners=tuple((one.wall, one.wave.coming.journey) for one in first),
        by_priority=all(one.clock == message.clock for one in first),
    )


def _of_one_stage(messages: Sequence[_Message]) -> list[Wave]:
    """Each wave as often as one person may get messages of it: nobody is in two stages."""
    stages = Counter((id(one.wave), one.stage) for one in messages)
    waves_ = {id(one.wave): one.wave for one in messages}
    times = {wave: max(count for (its, _), count in stages.items() if its == wave) for wave in waves_}
    return [waves_[wave] for wave, count in times.items() for _ in range(count)]


def _in_too_many(wave: Wave, rivals: Sequence[Wave], at_most: int) -> Condition:
    """In this one's segment, and in so many of the others."""
    if at_most == 1:
        return and_(wave.condition, or_(*(one.condition for one in rivals)))
    times = sum((case((one.condition, 1), else_=0) for one in rivals[1:]), case((rivals[0].condition, 1), else_=0))
    return and_(wave.condition, times >= at_most)


def _counts(rules: Rules, message: _Message, cap: Cap, binding: bool = False) -> bool:
    """Does the cap count (or, `binding`, hold back) this message?"""
    step, graph = message.step, message.wave.graph
    topic, marketing = step.topic or graph.head.topic, is_marketing(rules, graph, step)
    tags = frozenset((*graph.head.tags, *step.tags))
    asks = cap.binds if binding else cap.counts
    return any(asks(channel, topic, marketing, tags) for channel in step.via)


def _may_meet(one: _Message, other: _Message) -> bool:
    """Can the same person get both? By two waves of one journey only if it lets them come back in time."""
    if one.wave is other.wave:
        return one.stage == other.stage
    if one.wave.coming.journey != other.wave.coming.journey:
        return True
    again = other.wave.graph.head.again
    return again.always or (again.after is not None and other.wave.clock - one.wave.clock >= again.after)


def _in_one_window(cap: Cap, one: datetime, other: datetime) -> bool:
    if isinstance(cap.per, timedelta):
        return other - one < cap.per
    if cap.per == "week":
        return one.isocalendar()[:2] == other.isocalendar()[:2]
    return one.date() == other.date() if cap.per == "day" else (one.year, one.month) == (other.year, other.month)
