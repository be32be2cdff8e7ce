"""Who is inside is kept by asking few, and is what asking everybody would say, after whatever happened before."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from servers import postgres as postgres
from sqlalchemy import delete, select
from stubs import World

from engine.audience.conditions import as_sql
from engine.audience.segments import HAIR, edges_of, member_of
from engine.audience.tables import customer as person
from engine.audience.terms import Trait, TraitKind
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.clock import ManualClock
from engine.journey.conditions import Ago, Condition, Field, FieldKind, Not, Test, Word
from engine.needs import needs_of
from engine.store import customers
from engine.store.tables import Row, crossing, customer, enrollment, event, membership, segment_state, trace
from engine.values import replace
from engine.work.entering.segments import LOOK_EVERY, judge_segments
from engine.work.entering.waves import Entered
from engine.work.incoming.intake import NewEvent, record_events
from tests.audience.drawn import NOW, WINDOWS
from tests.audience.thrown import thrown

WATCHED = "watched"
JOURNEY = f"""
title: Enters by a border
owner: us
topic: orders
enter: {{segment: {WATCHED}, crossing: in}}
again: always
steps: [{{wait: 3d}}]
"""
STEPS = 20
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
MEASURES = (Word.is_, Word.is_not, Word.at_least, Word.at_most, Word.above, Word.below)
INSTANTS = (Word.before, Word.after, Word.at_least, Word.at_most)
NUMBERS = tuple(map(Decimal, range(4)))
AGO = tuple(Ago(window) for window in WINDOWS[:5])
DISTANCES = (*WINDOWS[1:5], 2 * DAY, 4 * DAY)
NOTHING = Happening(0, "Order Completed", NOW, {}, NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres")()
    audience = f"segments: {{{WATCHED}: {{country: CN}}}}"
    found = World(tmp_path / "shop", {"border": JOURNEY, "audience": audience}, database=url, durable=False)
    yield found
    found.close()


class Life:
    """A segment somebody thought of, and people to whom one thing happens after the other."""

    def __init__(self, shop: World, seed: int) -> None:
        self.app, self.chance = shop.app, random.Random(seed)
        self.clock = self.app.clock = ManualClock(NOW - 2 * SECOND)
        case = thrown(self.chance)
        self.people, self.thoughts = case.people, case.questions
        self.told = 0
        with self.app.database.writing() as connection:
            for table in (crossing, membership, segment_state, enrollment, trace, event, customer):
                connection.execute(delete(table))
            customers.upsert(connection, [_row(view.person) for view in self.people])
            self.rules = self.app.rules(connection)
        self.edit()
        for view in self.people:
            past = [one for one in view.happenings if one.at <= self.clock.now()]
            self.tell(*(self.happening(view, one, one.at) for one in past), live=False)
        self.judge()

    def happening(self, view: View, like: Happening, at: datetime) -> NewEvent:
        self.told += 1
        return NewEvent(f"{self.told}", view.person.external_id, like.name, at, like.payload)

    def tell(self, *events: NewEvent, live: bool) -> None:
        record_events(self.app, self.rules, needs_of(self.rules, self.app.texts), events, live)

    # what may be asked that time alone answers anew

    def moving(self) -> dict[str, Trait]:
        order, window = "Order Completed", self.chance.choice(WINDOWS[1:5])
        return {
            "lately": Trait(TraitKind.how_many, order, within=window),
            "since": Trait(self.chance.choice((TraitKind.days_since_last, TraitKind.days_since_first)), order),
            "when": Trait(self.chance.choice((TraitKind.first, TraitKind.last)), order),
        }

    def restless(self) -> Condition:
        field, words, values = self.chance.choice(
            (
                (Field(FieldKind.trait, "lately"), MEASURES, NUMBERS),
                (Field(FieldKind.trait, "since"), MEASURES, NUMBERS),
                (Field(FieldKind.trait, "when"), INSTANTS, AGO),
                (Field(FieldKind.attribute, "created_at"), INSTANTS, AGO),
                (Field(FieldKind.trait, "churn_stage"), (Word.is_, Word.is_not), ("lost", "hesitating", "warning")),
            )
        )
        test = Test(field, self.chance.choice(words), self.chance.choice(values))
        return Not(test) if self.chance.random() < 0.2 else test

    # what may happen

    def edit(self) -> None:
        """Somebody thinks of another segment."""
        book = self.people[0].audience
        thought = self.chance.choice(self.thoughts) if self.chance.random() < 0.3 else self.restless()
        traits, segments = {**book.traits, **self.moving()}, {**book.segments, WATCHED: thought}
        self.rules = replace(self.rules, audience=replace(book, traits=traits, segments=segments))

    def happen(self) -> None:
        """Something happens to a few of them, or did so some minutes ago."""
        now = self.clock.now()
        self.tell(
            *(self.happening(*self.anything(), now - self.chance.choice((0, 0, 9)) * MINUTE) for _ in range(2)),
            live=True,
        )

    def remember(self) -> None:
        """A history is imported, or an event comes far too late."""
        at = self.clock.now() - self.chance.choice((*WINDOWS[1:], 2 * DAY))
        live = self.chance.random() < 0.5 and self.clock.now() - at > DAY / 2
        self.tell(self.happening(*self.anything(), at), live=live)

    def learn(self) -> None:
        """Something is told of a person; or one is told of for the first time, known since now or for long."""
        who = thrown(self.chance).people[0].person
        if self.chance.random() < 0.5:
            who = replace(who, external_id=f"c{self.chance.randint(1, 9)}")
        if self.chance.random() < 0.5:
            who = replace(who, created_at=self.clock.now() - self.chance.choice(WINDOWS))
        with self.app.database.writing() as connection:
            customers.upsert(connection, [_row(who)], self.clock.now() - DAY / 2)

    def pass_time(self) -> None:
        """A little, or until an edge lies just before, at or just behind the clock."""
        now, spans = self.clock.now(), (HAIR, 2 * SECOND, MINUTE, LOOK_EVERY, DAY, 40 * DAY)
        with self.app.database.reading() as connection:
            known = [
                *connection.execute(select(event.c.at)).scalars(),
                *connection.execute(select(customer.c.created_at)).scalars(),
            ]
        edges = [at + distance + hair * HAIR for at in known for distance in DISTANCES for hair in (-1, 0, 1)]
        soon = [edge for edge in edges if now < edge < now + 60 * DAY]
        span = now + self.chance.choice(spans)
        at_edge = now in edges and self.chance.random() < 0.5
        self.clock.move_to(
            now + HAIR if at_edge else self.chance.choice(soon) if soon and self.chance.random() < 0.7 else span
        )

    def anything(self) -> tuple[View, Happening]:
        lived = [one for view in self.people for one in view.happenings]
        one = self.chance.choice(lived) if lived else NOTHING
        return self.chance.choice(self.people), one

    # what is kept

    def judge(self) -> None:
        judge_segments(self.app, self.rules, needs_of(self.rules, self.app.texts), self.clock.now(), Entered())

    def kept(self) -> set[int]:
        with self.app.database.reading() as connection:
            query = select(membership.c.customer_id).where(membership.c.segment == WATCHED)
            return set(connection.execute(query).scalars())

    def true(self) -> set[int]:
        condition = as_sql(member_of(WATCHED), self.rules.audience, self.clock.now())
        with self.app.database.reading() as connection:
            return set(connection.execute(select(person.c.id).where(condition)).scalars())

    def crossed(self) -> list[tuple[int, str]]:
        with self.app.database.reading() as connection:
            rows = connection.execute(select(crossing.c.customer_id, crossing.c.direction).order_by(crossing.c.id))
            return [(row.customer_id, row.direction) for row in rows]


def _row(who: Person) -> Row:
    names = ("external_id", "locale", "country", "created_at", "addresses", "attributes")
    told = {name: getattr(who, name) for name in names}
    return {**told, "zone": who.zone.key, "tags": dict.fromkeys(who.tags, True)}


@pytest.mark.parametrize("seed", range(int(os.environ.get("OUTREACH_CASES", "25"))))
def test_asking_few_keeps_what_asking_everybody_would_say(shop: World, seed: int) -> None:
    life = Life(shop, seed)
    assert life.kept() == life.true()
    for _ in range(STEPS):
        before, crossed = life.kept(), life.crossed()
        what = life.chance.choice(
            (life.happen, life.happen, life.remember, life.learn, life.pass_time, life.pass_time, life.edit)
        )
        what()
        life.judge()
        elsewhere = edges_of(member_of(WATCHED), life.rules.audience).elsewhere
        if elsewhere:
            life.clock.move_to(life.clock.now() + LOOK_EVERY)  # some edges are looked for once an hour
            life.judge()
        kept, new = life.kept(), life.crossed()[len(crossed) :]
        assert kept == life.true(), what.__name__
        moved = [(one, "in") for one in kept - before] + [(one, "out") for one in before - kept]
        if what in (life.happen, life.pass_time):
            assert sorted(new) == sorted(moved)
        elif what in (life.edit, life.remember) and not elsewhere:
            assert new == []
