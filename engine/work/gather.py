"""Read everything a decision may depend on, for a chunk of people, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from engine.app import App
from engine.audience.values import Happening, Person
from engine.decide.state import Code, CustomerState, Enrolled, Rules
from engine.needs import Needs
from engine.store import customers, enrollments, events, messages, work


@dataclass(frozen=True)
class Gathered:
    """People as they were read, and the revision each of them had then."""

    states: tuple[CustomerState, ...]
    revisions: Mapping[int, int]

    def is_of(self, state: CustomerState, revisions: Mapping[int, int]) -> bool:
        """Has nothing been learned about this person since they were read?"""
        return revisions.get(state.person.id) == self.revisions[state.person.id]


def gather(
    app: App,
    connection: Connection,
    ids: Sequence[int],
    rules: Rules,
    needs: Needs,
    now: datetime,
    journeys: Collection[str] | None = None,
    failures: int = enrollments.GIVE_UP_AFTER - 1,
) -> Gathered:
    """The states of these people. With `journeys`, also what ended in them, so that re-entry can be judged.

    Ways that failed more than `failures` times are left out, those set aside always: they hold up no others.
    """
    people = customers.people(connection, ids)
    enrolled = enrollments.of_people(connection, ids, journeys, failures)
    happened = _happened(connection, ids, enrolled, rules, needs, now, journeys)
    said = messages.of_people(connection, ids, now - needs.said)
    theirs = messages.to_addresses(connection, _owners(app, people), now - needs.said)
    consents = customers.consents(connection, ids)
    tasks = work.tasks_of_people(connection, ids)
    blocked = _suppressed(app, connection, people)
    codes = _set_aside(connection, enrolled, rules, needs, now)
    states = [
        CustomerState(
            person=people[number][0],
            happenings=tuple(happened.get(number, ())),
            enrollments=tuple(enrolled.get(number, ())),
            said=(*said.get(number, ()), *theirs.get(number, ())),
            consents=tuple(consents.get(number, ())),
            suppressed=blocked.get(number, frozenset()),
            tasks=tuple(tasks.get(number, ())),
            codes=codes.get(number, {}),
        )
        for number in ids
        if number in people
    ]
    return Gathered(tuple(states), {number: revision for number, (_, revision) in people.items()})


def _happened(
    connection: Connection,
    ids: Sequence[int],
    enrolled: Mapping[int, list[Enrolled]],
    rules: Rules,
    needs: Needs,
    now: datetime,
    journeys: Collection[str] | None,
) -> dict[int, list[Happening]]:
    """customer -> their events, as far as the journeys they are in, or may enter, ask for them: a query per version."""
    asking: dict[int, set[int]] = {rules.live[name]: set(ids) for name in journeys or () if name in rules.live}
    for number, ways in enrolled.items():
        for way in ways:
            if way.active:
                asking.setdefault(way.version_id, set()).add(number)
    found: dict[int, dict[int, Happening]] = {}
    for version, people in sorted(asking.items()):
        asked = needs.events.get(version)
        if asked:
            for number, happenings in events.of_people(connection, sorted(people), asked, now).items():
                found.setdefault(number, {}).update((one.id, one) for one in happenings)
    return {
        number: sorted(happenings.values(), key=lambda one: (one.at, one.id)) for number, happenings in found.items()
    }


def _suppressed(
    app: App, connection: Connection, people: Mapping[int, tuple[Person, int]]
) -> dict[int, frozenset[str]]:
    """customer -> channels whose address is on the suppression list."""
    if not customers.any_suppressed(connection):
        return {}
    owners = _owners(app, people)
    blocked = customers.suppressed(connection, owners)
    return {
        number: frozenset(
            channel for channel, address in person.addresses.items() if app.address_hash(channel, address) in blocked
        )
        for number, (person, _) in people.items()
    }


def _owners(app: App, people: Mapping[int, tuple[Person, int]]) -> dict[str, list[int]]:
    """address hash -> the people of this chunk who have it."""
    found: dict[str, list[int]] = {}
    for number, (person, _) in people.items():
        for channel, address in person.addresses.items():
            found.setdefault(app.address_hash(channel, address), []).append(number)
    return found


def _set_aside(
    connection: Connection, enrolled: Mapping[int, list[Enrolled]], rules: Rules, needs: Needs, now: datetime
) -> dict[int, dict[str, tuple[Code, ...]]]:
    """customer -> voucher codes they may be given in this chunk, nobody else's among them."""
    wanted: dict[str, list[int]] = {}
    for number, ways in enrolled.items():
        for way in ways:
            if way.active and not way.holdout:
                for pool in needs.pools.get(way.version_id, ()):
                    wanted.setdefault(pool, []).append(number)
    aside: dict[int, dict[str, tuple[Code, ...]]] = {}
    for pool, people in sorted(wanted.items()):
        expires = rules.audience.pools[pool].expires if pool in rules.audience.pools else None
        rows = work.free_codes(connection, pool, len(people))
        for number, row in zip(people, rows, strict=False):
            code = work.as_code(row, now + expires if expires else None)
            mine = aside.setdefault(number, {})
            mine[pool] = (*mine.get(pool, ()), code)
    return aside
