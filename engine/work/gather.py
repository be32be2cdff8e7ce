"""Read everything a decision may depend on, for a chunk of people, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from engine.app import App
from engine.audience.instants import earlier
from engine.audience.values import Happening, Person
from engine.decide.state import Code, CustomerState, Enrolled, Rules
from engine.needs import Needs
from engine.store import customers, enrollments, events, messages, nightly, work
from engine.store.enrollments import Before
from engine.values import replace

_NOTHING: Mapping[str, int] = {}


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
    entering: Mapping[str, int] = _NOTHING,
    failures: int = enrollments.GIVE_UP_AFTER - 1,
    whole: Callable[[CustomerState], bool] = lambda _: True,
) -> Gathered:
    """The states of these people. `entering` names journeys they may enter and the version that would be: what those
    ask for is read too, and which of their ways have ended, so that re-entry can be judged.

    Ways that failed more than `failures` times are left out, those set aside always: they hold up no others. `whole`
    is asked of each person with their ways: of whom it says no, nothing else is read.
    """
    everybody = customers.people(connection, ids, nightly.of_people(connection, ids) if needs.nightly else {})
    ways = enrollments.of_people(connection, ids, _before(needs, needs.started.union(entering), now), failures)
    first = [
        CustomerState(person=everybody[number][0], enrollments=tuple(ways.get(number, ())))
        for number in ids
        if number in everybody
    ]
    ids = [state.person.id for state in first if whole(state)]
    people = {number: everybody[number][0] for number in ids}
    enrolled = {number: ways[number] for number in ids if number in ways}
    happened = _happened(connection, ids, enrolled, needs, now, entering)
    said = messages.of_people(connection, ids, now - needs.said)
    theirs = messages.to_addresses(connection, _owners(app, people), now - needs.said)
    consents = customers.consents(connection, ids)
    tasks = work.tasks_of_people(connection, ids)
    blocked = _suppressed(app, connection, people)
    codes = _set_aside(connection, enrolled, rules, needs, now)
    states = [
        CustomerState(
            person=state.person,
            happenings=tuple(happened.get(number, ())),
            enrollments=state.enrollments,
            said=(*said.get(number, ()), *theirs.get(number, ())),
            consents=tuple(consents.get(number, ())),
            suppressed=blocked.get(number, frozenset()),
            tasks=tuple(tasks.get(number, ())),
            codes=codes.get(number, {}),
        )
        if (number := state.person.id) in people
        else state
        for state in first
    ]
    return Gathered(tuple(states), {number: revision for number, (_, revision) in everybody.items()})


def _before(needs: Needs, journeys: frozenset[str], now: datetime) -> Before:
    """What of ways that have ended is asked where these journeys may be entered."""
    keyed = journeys & needs.keyed
    dated = (journeys & needs.dated) - keyed
    return Before(keyed, dated, journeys - keyed - dated, earlier(now, needs.patience))


def _happened(
    connection: Connection,
    ids: Sequence[int],
    enrolled: Mapping[int, list[Enrolled]],
    needs: Needs,
    now: datetime,
    entering: Mapping[str, int],
) -> dict[int, list[Happening]]:
    """customer -> their events, as far as the journeys they are in, or may enter, ask for them: a query per version."""
    asking: dict[int, set[int]] = {version: set(ids) for version in entering.values()}
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


def _suppressed(app: App, connection: Connection, people: Mapping[int, Person]) -> dict[int, frozenset[str]]:
    """customer -> channels whose address is on the suppression list."""
    if not customers.any_suppressed(connection):
        return {}
    owners = _owners(app, people)
    blocked = customers.suppressed(connection, owners)
    return {
        number: frozenset(
            channel for channel, address in person.addresses.items() if app.address_hash(channel, address) in blocked
        )
        for number, person in people.items()
    }


def _owners(app: App, people: Mapping[int, Person]) -> dict[str, list[int]]:
    """address hash -> the people of this chunk who have it."""
    found: dict[str, list[int]] = {}
    for number, person in people.items():
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
        for number, code in zip(people, _free(connection, pool, len(people), rules, now), strict=False):
            mine = aside.setdefault(number, {})
            mine[pool] = (*mine.get(pool, ()), code)
    return aside


def _free(connection: Connection, pool: str, count: int, rules: Rules, now: datetime) -> list[Code]:
    expires = rules.audience.pools[pool].expires if pool in rules.audience.pools else None
    ends = now + expires if expires else None
    return [work.as_code(row, ends) for row in work.free_codes(connection, pool, count)]


def with_codes(
    connection: Connection, gathered: Gathered, version_id: int, rules: Rules, needs: Needs, now: datetime
) -> Gathered:
    """The same people, with the codes this version may give to each of them once they are inside."""
    states = list(gathered.states)
    for pool in sorted(needs.pools.get(version_id, ())):
        aside = {one.code for state in states for one in state.codes.get(pool, ())}
        free = _free(connection, pool, len(states) + len(aside), rules, now)
        more = [code for code in free if code.code not in aside]
        for place, code in zip(range(len(states)), more, strict=False):
            codes = states[place].codes
            states[place] = replace(states[place], codes={**codes, pool: (*codes.get(pool, ()), code)})
    return replace(gathered, states=tuple(states))
