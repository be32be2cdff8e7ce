"""Tests that marketers write: people, what happens to them, and what they must get. A file of `journeys/tests/`.

    journey: after_order
    start: "2026-11-02 09:00"
    people:
      mei: {phone: "+8613900000001", zone: Asia/Shanghai}
    tests:
      - title: An order that is cancelled after the first message
        story:
          - {at: "2026-11-02 10:00", event: Order Completed, with: {order_id: A1, total: 200}}
          - {at: +8h, event: Order Cancelled, with: {order_id: A1}}
        expect:
          - {at: "2026-11-02 16:00", sent: order_on_its_way, via: sms}
          - {ended: "left: Order Cancelled"}

This module says what such a file may hold; `played` plays it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from engine.errors import BadInput
from engine.journey import source
from engine.journey.catalog import Names
from engine.journey.parts import BriefName, ChannelName, MessageName, PoolName, QueueName, TopicName, elsewhere
from engine.journey.problems import Position, Problem
from engine.journey.quantities import Text, Word, parse_duration
from engine.journey.schema import Schema, finished, tidy
from engine.journey.source import Sourced, fault
from engine.simulate.answers import Answers

FOLDER = "tests"  # of journeys/
Moment = datetime | timedelta  # without a zone: on the clock of whom it is about; or so long after the line before


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _moment(value: object) -> Moment:
    """`2026-11-02 10:00`, or `+8h` after the line before."""
    if isinstance(value, datetime | timedelta):
        return value
    text = str(value).strip()
    if text.startswith("+"):
        return parse_duration(text[1:].strip())
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        hint = 'write "2026-11-02 10:00", or +8h: so long after the line before'
        raise fault("bad-instant", f"`{text[:40]}` is no instant", hint) from None


_WRITTEN = WithJsonSchema(
    {"type": "string", "minLength": 2, "description": '"2026-11-02 10:00" on their clock, or +8h.'}
)
At = Annotated[Moment, BeforeValidator(_moment), _WRITTEN]


class _Line(_Part):
    """A line with one verb."""

    verbs: ClassVar[tuple[str, ...]] = ()

    at: At | None = None
    person: Text | None = Field(default=None, description="Whom it is about; may be left out when there is one only.")

    @property
    def verb(self) -> str:
        return next(name for name in self.verbs if getattr(self, name) is not None)

    @property
    def object(self) -> Any:
        """What stands behind the verb."""
        return getattr(self, self.verb)

    @model_validator(mode="after")
    def _one_verb(self) -> Self:
        written = [name for name in self.verbs if getattr(self, name) is not None]
        if not written:
            raise fault("missing-key", "it is not said what happens", "write one of: " + ", ".join(self.verbs))
        if len(written) > 1:
            sentence = f"`{written[0]}` and `{written[1]}` stand in one line"
            raise fault("bad-combination", sentence, "write two lines", (written[1],), True)
        return self

    def belongs(self, key: str, *verbs: str) -> None:
        """Refuse a key that says nothing beside this line's verb."""
        if getattr(self, key) not in (None, (), {}) and self.verb not in verbs:
            sentence = f"`{key}` belongs to {' or '.join(f'`{verb}`' for verb in verbs)}"
            raise fault("bad-combination", sentence, "leave it out", (key,), True)


class StoryLine(_Line):
    """Something that happens."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"at": "when after time", "with": "payload data values", "event": "name happens"}
    )

    verbs: ClassVar[tuple[str, ...]] = (
        *("event", "delivered", "opened", "clicked", "answered", "unsubscribed"),
        *("told", "task", "approved", "refused", "let_in", "happening"),
    )
    of_nobody: ClassVar[tuple[str, ...]] = ("approved", "refused", "happening")  # need no person

    event: Text | None = Field(default=None, description="The name of an event that the person does.")
    with_: dict[str, Any] = Field(
        default_factory=dict, alias="with", description="The payload of the event, or what is told with the request."
    )
    delivered: MessageName | None = Field(default=None, description="A message that arrives.")
    opened: MessageName | None = Field(default=None, description="A message the person opens.")
    clicked: MessageName | None = Field(default=None, description="A message the person clicks in.")
    answered: MessageName | None = Field(default=None, description="A message whose question the person answers.")
    word: Text | None = Field(default=None, description="Their answer.")
    unsubscribed: TopicName | None = Field(default=None, description="A topic the person ends.")
    told: dict[str, Any] | None = Field(default=None, description="What an import tells anew of the person.")
    task: BriefName | None = Field(default=None, description="The brief of a task that a colleague finishes.")
    outcome: Word | None = Field(default=None, description="What came of it.")
    approved: Word | None = Field(
        default=None, description="A journey whose waiting wave, or people at a step, are let go."
    )
    refused: Word | None = Field(
        default=None, description="A journey whose waiting wave, or people at a step, are refused."
    )
    let_in: Word | None = Field(default=None, description="A journey entered by request, which the person is let into.")

    happening: Text | None = Field(default=None, description="Something that happens to the shop or the world.")

    @model_validator(mode="after")
    def _belong(self) -> Self:
        self.belongs("with_", "event", "let_in", "happening")
        self.belongs("word", "answered")
        self.belongs("outcome", "task")
        for verb, key, example in (("answered", "word", "price"), ("task", "outcome", "reached")):
            if self.verb == verb and getattr(self, key) is None:
                raise fault("missing-key", f"`{key}` is missing", f"write `{key}: {example}`")
        return self


class Expected(_Line):
    """Something that must have happened to a person. `at` to the minute, on their clock."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {
            "sent": "message send",
            "via": "channel by",
            "ended": "exit end ends",
            "given": "give voucher",
            "at": "when time",
        }
    )

    verbs: ClassVar[tuple[str, ...]] = ("sent", "not_sent", "task", "webhook", "given", "entered", "ended", "event")

    sent: MessageName | None = Field(default=None, description="A message that went out.")
    not_sent: MessageName | None = Field(default=None, description="A message that was held back.")
    via: ChannelName | None = Field(default=None, description="Its channel.")
    locale: Text | None = Field(default=None, description="Its language.")
    says: Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)] = (
        Field(default=(), description="Words that stand in it.")
    )
    because: Word | None = Field(default=None, description="The rule that held it back: capped, no_consent, ...")
    task: BriefName | None = Field(default=None, description="The brief of a task that was opened.")
    queue: QueueName | None = Field(default=None, description="Its queue.")
    webhook: Word | None = Field(default=None, description="Another system that was told: its name in config.yaml.")
    given: PoolName | None = Field(default=None, description="A pool that a code was given from.")
    entered: Word | None = Field(default=None, description="A journey that was entered.")
    ended: Text | None = Field(default=None, description="Why the way ended: done, an exit's reason, left: ...")
    event: Text | None = Field(default=None, description="An event on the person's record.")

    @model_validator(mode="after")
    def _belong(self) -> Self:
        self.belongs("via", "sent", "not_sent")
        self.belongs("locale", "sent")
        self.belongs("says", "sent", "webhook")
        self.belongs("because", "not_sent")
        self.belongs("queue", "task")
        return self


Start = Annotated[datetime | None, BeforeValidator(lambda value: _start(value)), _WRITTEN]


class Case(_Part):
    """One test: what happens, and what must come of it."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"title": "name", "expect": "expected then", "story": "given when events"}
    )

    title: Text
    start: Start = None
    people: dict[Word, dict[str, Any]] = Field(default_factory=dict, description="Beside or instead of the file's.")
    story: tuple[StoryLine, ...] = ()
    expect: tuple[Expected, ...] = ()
    until: At | None = Field(default=None, description="How far time runs; else a week after the last line.")
    assume: Answers | None = Field(default=None, description="Answers as a simulation assumes them.")


def _start(value: object) -> datetime | None:
    found = None if value is None else _moment(value)
    if isinstance(found, timedelta):
        raise fault("bad-instant", "the start is an instant of its own", 'write "2026-11-02 09:00"')
    return found


class Script(_Part):
    """A file of tests."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"start": "begin begins now", "tests": "cases stories", "people": "persons customers"}
    )

    journey: Annotated[tuple[Word, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
    start: Start = None
    people: dict[Word, dict[str, Any]] = Field(default_factory=dict)
    tests: tuple[Case, ...]

    @model_validator(mode="before")
    @classmethod
    def _own_name(cls, value: Any, info: ValidationInfo) -> Any:
        """A file that names no journey is about the one it is called after."""
        own = (info.context or {}).get("own")
        return {"journey": own, **value} if isinstance(value, dict) and own else value

    @field_validator("tests")
    @classmethod
    def _some(cls, tests: tuple[Case, ...]) -> tuple[Case, ...]:
        if not tests:
            raise fault("missing-key", "there is no test", "write `- title: ...` with `story` and `expect`")
        return tests


@dataclass(frozen=True)
class Scenario:
    """One test with everything its file says for all, and where it stands."""

    journeys: tuple[str, ...]
    title: str
    start: datetime  # without a zone: on the shop's clock
    people: Mapping[str, Mapping[str, Any]]
    story: Sequence[StoryLine]
    expect: Sequence[Expected]
    until: Moment | None
    assume: Answers
    sourced: Sourced
    path: tuple[str | int, ...]

    def at(self, *path: str | int) -> Position:
        return self.sourced.at((*self.path, *path))

    def people_at(self, name: str) -> Position:
        """Where a person is described."""
        own = self.sourced.at((*self.path, "people", name), key=True)
        return own if own != self.at() else self.sourced.at(("people", name), key=True)


def read_scenarios(path: Path, shown: str, journeys: Sequence[str], names: Names) -> list[Scenario]:
    """The tests of a file. BadInput with everything that is wrong with it."""
    sourced = source.read_file(path, shown)
    script, problems = None, list(sourced.problems)
    if not problems:
        script, problems = source.validate(Script, sourced, {"own": path.stem if path.stem in journeys else None})
    if script is not None:
        problems = [
            *_unknown_journeys(script, sourced, journeys),
            *_unclear(script, sourced),
            *_unknown_names(script, sourced, journeys, names),
        ]
    if script is None or problems:
        raise BadInput(f"{shown} cannot be used", problems)
    return [
        Scenario(
            journeys=script.journey,
            title=case.title,
            start=_begins(script, case),
            people={**script.people, **case.people},
            story=case.story,
            expect=case.expect,
            until=case.until,
            assume=case.assume or Answers(),
            sourced=sourced,
            path=("tests", number),
        )
        for number, case in enumerate(script.tests)
    ]


def _begins(script: Script, case: Case) -> datetime:
    start = case.start or script.start
    assert start is not None  # `_unclear` refuses a test without
    return start


def _unknown_journeys(script: Script, sourced: Sourced, journeys: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(script.journey):
        if name not in journeys:
            place = sourced.at(("journey", index))
            yield Problem("unknown-journey", f"there is no journey `{name}`", place, source.hint_for(name, journeys))


def _unknown_names(script: Script, sourced: Sourced, journeys: Sequence[str], names: Names) -> Iterator[Problem]:
    """What lines speak of and the shop does not have."""
    known: dict[str, tuple[str, Collection[str]]] = {
        **dict.fromkeys(("sent", "delivered", "opened", "clicked", "answered"), ("message", names.messages)),
        **dict.fromkeys(("entered", "approved", "refused", "let_in"), ("journey", journeys)),
        **{"task": ("brief", names.briefs), "queue": ("queue", names.queues), "via": ("channel", names.reach)},
        **{"given": ("pool", names.pools), "unsubscribed": ("topic", names.topics)},
        "not_sent": ("message", {*names.messages, *names.briefs}),  # a call that must not be made
    }
    for number, case in enumerate(script.tests):
        for part, lines in (("story", case.story), ("expect", case.expect)):
            for index, line in enumerate(lines):
                for key, (kind, there) in known.items():
                    name = getattr(line, key, None)
                    if name is not None and name not in there:
                        place = sourced.at(("tests", number, part, index, key))
                        yield Problem(
                            f"unknown-{kind}", f"there is no {kind} `{name}`", place, source.hint_for(name, there)
                        )


def _unclear(script: Script, sourced: Sourced) -> Iterator[Problem]:
    """Tests without a start or people, and lines that do not say whom they are about."""
    for number, case in enumerate(script.tests):
        path: tuple[str | int, ...] = ("tests", number)
        people = {**script.people, **case.people}
        if case.start is None and script.start is None:
            hint = 'write `start: "2026-11-02 09:00"` here or at the head of the file'
            yield Problem("missing-key", "it is not said when the story begins", sourced.at(path), hint)
        if not people:
            yield Problem("missing-key", "nobody is there", sourced.at(path), "write `people: {mei: {}}`")
            continue
        for part, lines in (("story", case.story), ("expect", case.expect)):
            for index, line in enumerate(lines):
                place = (*path, part, index)
                if line.person is None and len(people) > 1 and line.verb not in StoryLine.of_nobody:
                    hint = "write `person:` with one of: " + ", ".join(people)
                    yield Problem("missing-key", "it is not said who", sourced.at(place), hint)
                elif line.person is not None and line.person not in people:
                    sentence, hint = f"`{line.person}` is nobody of this test", source.hint_for(line.person, people)
                    yield Problem("unknown-person", sentence, sourced.at((*place, "person")), hint)


def scenario_schema(names: Names, journeys: Sequence[str]) -> Schema:
    """JSON Schema 2020-12 of a file of tests, for editors."""
    generated = Script.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = {name: tidy(one) for name, one in generated.pop("$defs").items()}
    root = tidy(generated)
    known: Schema = {"enum": list(journeys)} if journeys else {"type": "string"}
    root["properties"]["journey"] = {"anyOf": [known, {"type": "array", "items": known}]}
    root["required"] = ["tests"]
    says = definitions["Expected"]["properties"]["says"]
    definitions["Expected"]["properties"]["says"] = {"anyOf": [{"type": "string"}, says]}
    definitions["TaskAnswers"] = {"type": "object", "additionalProperties": {"type": "string"}}
    return finished("Tests of a journey", root, definitions, names)
