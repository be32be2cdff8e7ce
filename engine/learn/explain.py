"""Why did this person get it, and why did that one not: the whole story of one person, with file and line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from engine.app import App
from engine.audience.values import Happening
from engine.decide.decision import Rule
from engine.decide.outcome import DeliveryKind, read_weight
from engine.decide.policy import span
from engine.decide.price import from_millionths
from engine.decide.state import CustomerState, Rules
from engine.errors import Refused
from engine.journey.graph import Graph
from engine.learn.entry import entry_told, opening
from engine.learn.why import Reason, minute
from engine.store import customers, deliveries, enrollments, journeys, messages, work
from engine.store.names import all_of
from engine.store.tables import message
from engine.work.gather import gather
from engine.work.trimming import kept


@dataclass(frozen=True)
class Line:
    """One line of a story."""

    at: datetime
    step: str | None
    rule: str
    sentence: str
    place: str | None  # file:line


@dataclass(frozen=True)
class Told:
    """One message and everything that happened to it."""

    id: int
    step: str
    message: str
    channel: str
    locale: str
    state: str
    reason: str | None
    at: datetime
    happened: tuple[str, ...]
    winners: tuple[str, ...] = ()  # messages that filled the cap or took the place, and what became of them


@dataclass(frozen=True)
class Way:
    """One enrollment and its story."""

    id: int
    entered_at: datetime
    active: bool
    step: str | None
    due_at: datetime | None
    reason: str | None
    holdout: bool
    lines: tuple[Line, ...]
    messages: tuple[Told, ...]
    set_aside: bool = False  # after three failures; the reason says what happened
    version: int = 0  # the number of the version whose steps it follows
    lineage: tuple[str, ...] = ()  # the steps of other journeys that led to it, the last one last
    trimmed: bool = False  # what happened on it is kept no longer


@dataclass(frozen=True)
class Story:
    """One journey as this person met it, or why they did not."""

    journey: str
    place: str  # where its entry is written
    ways: tuple[Way, ...]
    refused: tuple[Line, ...]  # times they could have entered and did not
    entry: tuple[Reason, ...] = ()  # the condition of entry, taken apart, as of now
    sentence: str = ""
    paused_at: datetime | None = None  # since when nothing of it begins
    version: int = 0  # the number of the version that people enter now
    retired_at: datetime | None = None  # since when nobody enters any more


@dataclass(frozen=True)
class Explanation:
    """Everything there is to say about one person. Its sentences tell instants on the clock of their zone."""

    person: str
    zone: str
    locale: str
    country: str | None
    reachable: tuple[str, ...]  # channels with an address
    consents: tuple[str, ...]
    suppressed: tuple[str, ...]
    stories: tuple[Story, ...] = field(default=())
    tags: tuple[str, ...] = ()
    kept_since: datetime | None = None  # what ended before this is not there any more


def explain(app: App, external_id: str, journey: str | None = None) -> Explanation:
    """The story of one person, in all journeys or in one. `Refused` when the person or the journey is not known."""
    now = app.clock.now()
    with app.database.reading() as connection:
        rules = app.rules(connection)
        person = customers.find(connection, external_id)
        if person is None:
            raise Refused(f"there is no person {external_id}")
        if journey is not None and journey not in rules.heads:
            raise Refused(f"there is no published journey {journey}; published: {', '.join(sorted(rules.heads))}")
        names = [journey] if journey else sorted(rules.heads)
        entering = {name: rules.heads[name] for name in names}
        gathered = gather(app, connection, [person.id], rules, app.needs(rules), now, entering)
        state = gathered.states[0]
        live, since = journeys.live(connection), kept(connection).ways
        stories = tuple(
            replace(
                _story(connection, state, rules, name, now),
                paused_at=live[name].paused_at,
                retired_at=live[name].retired_at,
            )
            for name in names
        )
    return Explanation(
        person=external_id,
        zone=person.zone.key,
        locale=person.locale,
        country=person.country,
        reachable=tuple(sorted(person.addresses)),
        consents=tuple(_consents(state)),
        suppressed=tuple(sorted(state.suppressed)),
        stories=stories,
        tags=tuple(sorted(person.tags)),
        kept_since=since,
    )


def _consents(state: CustomerState) -> Iterator[str]:
    for one in sorted(state.consents, key=lambda one: (one.topic, one.channel)):
        word = "yes" if one.granted else "no"
        since = f"{one.at.astimezone(state.person.zone):%Y-%m-%d}"
        yield f"{one.topic} by {one.channel}: {word}, since {since} ({one.source})"


def _story(connection: Connection, state: CustomerState, rules: Rules, name: str, now: datetime) -> Story:
    graph, zone = rules.graphs[rules.heads[name]], state.person.zone
    traces = work.traces_of(connection, state.person.id, all_of(connection, name))
    rows = enrollments.story(connection, state.person.id, name)
    said = messages.story(connection, [message.c.customer_id == state.person.id, message.c.journey == name], 1_000)
    happened = deliveries.of_messages(connection, [row.id for row in said])
    became = _became(connection, [one["message_id"] for row in said for one in row.detail.get("winners", ())])
    versions = journeys.versions(connection, [rules.heads[name], *(row.version_id for row in rows)])
    numbers = {one.id: one.number for one in versions}
    ways = tuple(
        Way(
            id=row.id,
            entered_at=row.entered_at,
            active=row.active,
            step=row.step,
            due_at=row.due_at,
            reason=row.reason,
            holdout=row.holdout,
            lines=tuple(_told_once(_line(t) for t in traces if t.enrollment_id == row.id)),
            messages=tuple(
                _told(m, happened.get(m.id, ()), zone, became) for m in reversed(said) if m.enrollment_id == row.id
            ),
            set_aside=row.active and row.failures >= enrollments.GIVE_UP_AFTER,
            version=numbers[row.version_id],
            lineage=tuple(one.by for one in enrollments.as_value(row).lineage),
            trimmed=row.trimmed,
        )
        for row in rows
    )
    refused = tuple(_line(t) for t in traces if t.enrollment_id is None and t.rule == Rule.not_entered.value)
    place = f"{graph.enter_position.file}:{graph.enter_position.line}"
    unasked = _unasked(connection, graph, state, rules, {row.at for row in traces})
    if unasked is not None:
        refused += (Line(unasked[0].received_at, None, Rule.not_entered.value, unasked[1], place),)
    entry, sentence = entry_told(graph, state, rules, now)
    return Story(name, place, ways, refused, entry, sentence, version=numbers[rules.heads[name]])


def _unasked(
    connection: Connection, graph: Graph, state: CustomerState, rules: Rules, asked_at: Collection[datetime]
) -> tuple[Happening, str] | None:
    """The last event that could have opened the journey, when nobody asked whether it does; and why nobody did.

    Who is asked leaves a line with the instant at which the event was received.
    """
    last = opening(graph, state)
    if last is None or last.received_at in asked_at:
        return None
    told = f"the {last.name} of {minute(last.at, state.person.zone)}"
    published = journeys.first_published(connection, graph.journey)
    if published is None or last.received_at < published:
        return last, f"{told} was known before this journey was published"
    if last.received_at - last.at > rules.policy.max_lateness:
        return last, f"{told} came too late to start anything: more than {span(rules.policy.max_lateness)} after it was"
    return last, f"{told} came as history: imported without --live, which starts no journey"


def _told_once(lines: Iterator[Line]) -> Iterator[Line]:
    """Who is woken and stays where they are tells the same again: once is enough."""
    before: tuple[str | None, str] | None = None
    for line in lines:
        if (line.step, line.sentence) != before:
            yield line
        before = line.step, line.sentence


def _line(row: Any) -> Line:
    return Line(row.at, row.step, row.rule, row.sentence, f"{row.file}:{row.line}" if row.file else None)


def _became(connection: Connection, numbers: Sequence[int | None]) -> dict[int, str]:
    """Message -> what became of it, for those that won a place."""
    rows = messages.of_ids(connection, sorted({number for number in numbers if number is not None}))
    folded = deliveries.fold(connection, list(rows)) if rows else {}
    return {
        number: messages.state_today(row, folded[number].kind if number in folded else None).value
        for number, row in rows.items()
    }


def _winner(one: Mapping[str, Any], became: Mapping[int, str]) -> str:
    number = one["message_id"]
    state = became.get(number, one["state"]) if number is not None else one["state"]
    return f"{number or ''} {one['message']} {one['channel']} of {one['journey']}, {one['step']}: {state}".strip()


def _told(row: Any, happened: Sequence[Any], zone: ZoneInfo, became: Mapping[int, str]) -> Told:
    kind = read_weight(max(one.weight for one in happened))[0] if happened else None
    state = messages.state_today(row, kind).value
    reason = next((one.reason for one in reversed(happened) if one.kind == (kind.value if kind else "")), row.reason)
    return Told(
        id=row.id,
        step=row.step,
        message=row.message,
        channel=row.channel,
        locale=row.locale,
        state=state,
        reason=reason,
        at=row.created_at,
        happened=tuple(_happening(one, zone) for one in happened),
        winners=tuple(_winner(one, became) for one in row.detail.get("winners", ())),
    )


def _happening(row: Any, zone: ZoneInfo) -> str:
    told = [f"{row.at.astimezone(zone):%Y-%m-%d %H:%M:%S}", row.kind]
    if row.kind == DeliveryKind.begun.value:
        told.append(f"attempt {row.attempt} by {row.provider}")
        if row.cost is not None:
            told.append(f"for {from_millionths(row.cost)} {row.currency}")
    if row.provider_id:
        told.append(f"as {row.provider_id}")
    if row.reason:
        told.append(row.reason)
    return " ".join(told)
