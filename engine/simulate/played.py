"""A scenario played: its people in an empty installation, its story under a clock that jumps, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from engine.app import App
from engine.audience.values import Person
from engine.decide.timing import instant_of
from engine.errors import BadInput, Refused
from engine.imports.entrants import EntrantRow
from engine.imports.mapping import typed
from engine.imports.person_lines import PersonReader
from engine.imports.records import Record
from engine.imports.rows import ADDRESSES, REACH, ConsentWord, PersonRow
from engine.journey.parts import CALL, SMS, WEBHOOK
from engine.journey.problems import Position
from engine.message.links import Token
from engine.simulate.answers import Responder, feed
from engine.simulate.run import empty_copy, publish_drafts, run
from engine.simulate.scenario import Expected, Moment, Scenario, StoryLine
from engine.store import customers, simulated, waves, work
from engine.work.colleagues.approving import answer
from engine.work.colleagues.tasks import done, take
from engine.work.entering.happenings import plan_telling, tell
from engine.work.entering.requests import Who, release, take_in
from engine.work.entering.waves import settle_approval
from engine.work.incoming.importing import take_people
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.incoming.respond import ANSWERED, CLICKED, unsubscribe
from engine.work.publishing.drafts import Drafts

AFTER_THE_LAST = timedelta(days=7)  # time runs on after the last line, unless the test says `until`
RESPONSES = {"delivered": "Message Delivered", "opened": "Message Opened", "clicked": CLICKED}


@dataclass(frozen=True)
class Happened:
    """One thing that came of it. `kind` is a verb of `Expected`, `object` what stands behind it."""

    at: datetime
    person: str
    kind: str
    object: str
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Miss:
    """One thing that is not as the test says."""

    sentence: str
    position: Position


@dataclass(frozen=True)
class Played:
    """A test, what came of it, and what is not as it should be."""

    scenario: Scenario
    happened: tuple[Happened, ...]
    zones: Mapping[str, ZoneInfo]
    misses: tuple[Miss, ...]


def play(app: App, drafts: Drafts, scenario: Scenario) -> Played:
    """Play one test in an installation of its own; nothing of the real one is touched."""
    return _Play(app, drafts, scenario).played()


class _Play:
    """One test while it is played."""

    def __init__(self, app: App, drafts: Drafts, scenario: Scenario) -> None:
        self._app, self._drafts, self._scenario = app, drafts, scenario
        self._shop_zone = ZoneInfo(app.settings.shop.zone)
        self._told = {name: dict(told) for name, told in scenario.people.items()}
        self._rows = {name: self._row(name) for name in self._told}
        self._zones = {name: ZoneInfo(row.zone) for name, row in self._rows.items()}
        self._misses: list[Miss] = []

    def played(self) -> Played:
        scenario = self._scenario
        start = _instant(scenario.start, self._shop_zone, None)
        story = list(zip(scenario.story, self._instants(start), strict=True))
        with empty_copy(self._app, start) as app:
            first = min([start, *(at for _, at in story)])
            take_people(app, [replace_created(row, first) for row in self._rows.values()])
            self._remember(app, [(line, at) for line, at in story if at < start])
            publish_drafts(app, self._drafts, scenario.journeys)
            responder = Responder(scenario.assume)
            for number, (line, at) in enumerate(story):
                if at >= start:
                    responder.plan(at, partial(self._act, line=line, number=number))
            run(app, self._end(start, [at for _, at in story]), responder, to_the_second=True)
            happened = tuple(_happened(app))
        self._judge(happened, start)
        return Played(scenario, happened, self._zones, tuple(self._misses))

    # --- people ---

    def _row(self, name: str) -> PersonRow:
        """A person as an import would tell of them. Who is told nothing of gets mail, and agreed to everything."""
        told = self._told[name]
        values = {"id": name, **{key: _typed(key, value) for key, value in told.items()}}
        if not any(key in told for key in ADDRESSES.values()):
            values["email"] = f"{name}@example.com"
        reader = PersonReader(None, self._app.settings)
        reader.begin(None)
        place = self._scenario.people_at(name)
        found = list(reader.read(Record(place.file, place.line, values, [""])))
        row = next((one for one in found if isinstance(one, PersonRow)), None)
        if row is None:
            problems = [replace(one, position=place) for one in found if not isinstance(one, PersonRow)]
            raise BadInput(f"{place.file} cannot be used", problems)
        if "consent" in told or any(key.startswith("consent.") for key in told):
            return row
        reached = [channel for channel in REACH if row.addresses.get(SMS if channel == CALL else channel)]
        words = tuple(ConsentWord(channel, "*", True, "the test", None) for channel in reached)
        return row.model_copy(update={"consents": words})

    # --- time ---

    def _instants(self, start: datetime) -> list[datetime]:
        found: list[datetime] = []
        for line in self._scenario.story:
            zone = self._zones[self._whom(line)] if self._whom(line) else self._shop_zone
            found.append(_instant(line.at, zone, found[-1] if found else start))
        return found

    def _whom(self, line: StoryLine | Expected) -> str:
        if line.person is not None or line.verb in StoryLine.of_nobody:
            return line.person or ""
        return next(iter(self._told))

    def _end(self, start: datetime, story: Sequence[datetime]) -> datetime:
        scenario = self._scenario
        expected = [
            _instant(one.at, self._zones[self._whom(one)], start) for one in scenario.expect if _is_clock(one.at)
        ]
        last = max([start, *story, *expected])
        return _instant(scenario.until, self._shop_zone, start) if scenario.until else last + AFTER_THE_LAST

    # --- the story ---

    def _remember(self, app: App, before: Sequence[tuple[StoryLine, datetime]]) -> None:
        """What lies before the start is history: it feeds traits and starts nothing."""
        incoming = []
        for number, (line, at) in enumerate(before):
            if line.verb == "event":
                incoming.append(NewEvent(f"history-{number}", self._whom(line), line.object, at, _payload(line)))
            else:
                self._miss(f"`{line.verb}` lies before the start; only events do", "story", number)
        with app.database.reading() as connection:
            rules = app.rules(connection)
        record_events(app, rules, app.needs(rules), incoming, live=False)

    def _act(self, app: App, line: StoryLine, number: int) -> None:
        """One line happens now."""
        now, person, wanted = app.clock.now(), self._whom(line), str(line.object)
        name = f"story-{number}"
        if line.verb == "event":
            feed(app, [NewEvent(name, person, wanted, now, _payload(line))])
        elif line.verb in RESPONSES or line.verb == "answered":
            self._respond(app, line, number)
        elif line.verb == "unsubscribed":
            unsubscribe(app, Token(_person(app, person).id, 0, topic=wanted))
        elif line.verb == "told":
            self._told[person].update(line.told or {})
            take_people(app, [self._row(person)])
        elif line.verb == "let_in":
            row = EntrantRow(person=person, told={}, position=self._scenario.at("story", number))
            asked = take_in(app, wanted, Who(rows=lambda: [row], told=_payload(line)), name, "the test")
            release(app, asked)
        elif line.verb == "task":
            self._finish(app, line, number)
        elif line.verb == "happening":
            self._tell(app, line, number)
        else:
            self._settle(app, line, number)

    def _respond(self, app: App, line: StoryLine, number: int) -> None:
        person, wanted = self._whom(line), str(line.object)
        with app.database.reading() as connection:
            sent = [one for one in simulated.sent_to(connection, person) if one.message == wanted]
        if not sent:
            self._miss(f"{person} cannot have {line.verb} {wanted}: it was not sent to them by then", "story", number)
            return
        last = sent[-1]
        about = {
            **{"message": wanted, "channel": last.channel},
            **{"journey": last.journey, "enrollment_id": last.enrollment_id},
        }
        now = app.clock.now()
        if line.verb == "answered":
            feed(app, [NewEvent(f"story-{number}-answer", person, ANSWERED, now, {**about, "answer": line.word})])
        feed(app, [NewEvent(f"story-{number}", person, RESPONSES.get(line.verb, CLICKED), now, about)])

    def _finish(self, app: App, line: StoryLine, number: int) -> None:
        person, wanted = self._whom(line), str(line.object)
        with app.database.reading() as connection:
            mine = work.tasks_of_people(connection, [_person(app, person).id]).get(_person(app, person).id, [])
            rows = [work.task_by_id(connection, one.id) for one in mine]
        still = [row for row in rows if row is not None and row.brief == wanted and row.closed_at is None]
        if not still or line.outcome not in still[-1].outcomes["names"]:
            self._miss(f"there is no open task {wanted} of {person} that can end as {line.outcome}", "story", number)
            return
        try:
            if still[-1].call and still[-1].taken_at is None:
                take(app, still[-1].id, "the test")
        except Refused as refused:
            self._miss(str(refused), "story", number)
            return
        done(app, still[-1].id, str(line.outcome), "the test")

    def _settle(self, app: App, line: StoryLine, number: int) -> None:
        with app.database.reading() as connection:
            of_wave = [one for one in waves.approvals(connection, str(line.object)) if one.outcome is None]
            who = None if line.person is None else customers.find(connection, line.person)
            at_step = work.questions(connection, str(line.object), customer_id=None if who is None else who.id)
        if line.person is not None:
            of_wave = []
        if not of_wave and not at_step:
            whose = f"no wave of {line.object} waits" if line.person is None else f"{line.person} does not wait"
            self._miss(f"{whose} for a word then, and nobody at a step of it", "story", number)
        for one in of_wave:
            settle_approval(app, one, line.verb, "the test", app.clock.now())
        answer(app, at_step, line.verb, "the test")

    def _tell(self, app: App, line: StoryLine, number: int) -> None:
        try:
            plan = plan_telling(app, str(line.object), f"story-{number}", None, _payload(line))
        except Refused as refused:
            self._miss(str(refused), "story", number)
            return
        tell(app, plan, "the test")

    # --- the verdict ---

    def _miss(self, sentence: str, *path: str | int) -> None:
        self._misses.append(Miss(sentence, self._scenario.at(*path)))

    def _judge(self, happened: Sequence[Happened], start: datetime) -> None:
        """Every expectation finds one thing that happened, each its own; no message remains that none spoke of."""
        left, before = list(happened), start
        for number, line in enumerate(self._scenario.expect):
            person = self._whom(line)
            at = None if line.at is None else _instant(line.at, self._zones[person], before)
            fitting = [one for one in left if _fits(one, line, person, at)]
            if fitting:
                left.remove(fitting[0])
                before = fitting[0].at
            else:
                self._miss(self._missing(line, person, at, left), "expect", number)
        for one in left:
            if one.kind in ("sent", "webhook"):
                self._miss(f"not expected: {self.told(one)}", "title")

    def _missing(self, line: Expected, person: str, at: datetime | None, left: Iterable[Happened]) -> str:
        when = f" at {_clock(at, self._zones[person])}" if at else ""
        wanted = f"{person}{when} {_words(line.verb, str(line.object))}" + _details(line)
        near = [one for one in left if one.person == person and one.object == str(line.object)]
        found = "; ".join(self.told(one) for one in near[:3])
        return f"did not happen: {wanted}" + (f" ({found})" if found else "")

    def told(self, one: Happened) -> str:
        return told(one, self._zones)


def told(one: Happened, zones: Mapping[str, ZoneInfo]) -> str:
    """One line of what happened, on the clock of the person."""
    via = "".join(
        f" {word} {one.details[key]}" for key, word in (("via", "by"), ("queue", "in")) if one.details.get(key)
    )
    why = f": {one.reason}" if one.reason else ""
    return f"{_clock(one.at, zones[one.person])} {one.person} {_words(one.kind, one.object)}{via}{why}"


_PHRASES = {
    "sent": "was sent {0}",
    "not_sent": "was not sent {0}",
    "task": "became the task {0}",
    "webhook": "was told of to {0}",
    "not_told": "was not told of to {0}",
    "approve": "waits for a word: {0}",
    "given": "was given a code of {0}",
    "entered": "entered {0}",
    "ended": "ended: {0}",
    "event": "did {0}",
}


def _words(kind: str, name: str) -> str:
    return _PHRASES[kind].format(name)


def _details(line: Expected) -> str:
    told = {"via": line.via, "locale": line.locale, "because": line.because, "queue": line.queue}
    parts = [f"{key} {value}" for key, value in told.items() if value] + [f"saying {one!r}" for one in line.says]
    return f" ({', '.join(parts)})" if parts else ""


def _fits(one: Happened, line: Expected, person: str, at: datetime | None) -> bool:
    if (one.person, one.kind, one.object) != (person, line.verb, str(line.object)):
        return False
    if at is not None and one.at.replace(second=0, microsecond=0) != at.replace(second=0, microsecond=0):
        return False
    wanted = {"via": line.via, "locale": line.locale, "because": line.because, "queue": line.queue}
    if any(value is not None and one.details.get(key) != value for key, value in wanted.items()):
        return False
    return all(word in str(one.details.get("text", "")) for word in line.says)


def _happened(app: App) -> list[Happened]:
    """Everything that came of it, in order."""
    found: list[Happened] = []
    with app.database.reading() as connection:
        for row, went, text in simulated.all_messages(connection):
            if row.channel == CALL and row.rule is None:
                continue  # told as a task
            details = {"via": row.channel, "locale": row.locale, "because": row.rule, "text": text}
            kind = "sent" if went else "not_sent"
            if row.channel == WEBHOOK:
                kind, details = ("webhook" if went else "not_told"), {"text": text}
            found.append(Happened(row.created_at, row.person, kind, row.message, details, row.reason or ""))
        for row in simulated.tasks_since(connection, 0):
            kind = "task" if row.queue else "approve"  # what is asked at an `approve` step stands in no queue
            found.append(Happened(row.opened_at, row.person, kind, row.brief, {"queue": row.queue}))
        for row in simulated.all_given(connection):
            found.append(Happened(row.given_at, row.person, "given", row.pool))
        for row in simulated.all_ways(connection):
            found.append(Happened(row.entered_at, row.person, "entered", row.journey))
            if row.ended_at is not None:
                found.append(Happened(row.ended_at, row.person, "ended", row.reason or ""))
        for row in simulated.all_events(connection):
            found.append(Happened(row.at, row.person, "event", row.name))
    return sorted(found, key=lambda one: one.at)


def _person(app: App, name: str) -> Person:
    with app.database.reading() as connection:
        found = customers.find(connection, name)
    assert found is not None
    return found


def replace_created(row: PersonRow, first: datetime) -> PersonRow:
    """Who is not said to be known since some day is known since the story began."""
    return row if row.created_at else row.model_copy(update={"created_at": first})


def _payload(line: StoryLine) -> dict[str, Any]:
    return {key: _typed(key, value) for key, value in line.with_.items()}


def _typed(key: str, value: Any) -> Any:
    """Numbers, `true` and `false` as an import of CSV reads them, `null` as JSON; inside lists and mappings too."""
    if isinstance(value, Mapping):
        return {inner: _typed(inner, one) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(key, one) for one in value]
    return None if value == "null" else typed(key, value)


def _is_clock(at: Moment | None) -> bool:
    return isinstance(at, datetime)


def _instant(moment: Moment | None, zone: ZoneInfo, before: datetime | None) -> datetime:
    """A moment of a test as an instant: on this clock, or so long after the one before; unwritten: that one."""
    if isinstance(moment, datetime):
        return instant_of(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)
    assert before is not None
    return before + (moment or timedelta(0))


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
