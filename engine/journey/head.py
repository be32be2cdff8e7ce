"""The head of a journey: who enters when, how often, under which limits, and how one leaves."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from engine.journey.allow import Allow
from engine.journey.conditions import ConditionError, EventCondition, FieldKind, parse_field
from engine.journey.conditions import Field as AskedField
from engine.journey.enter import EACH_ONCE, ByEvent, ByHappening, ByRequest, ByWave, Enter
from engine.journey.parts import Part, ReachName, SegmentName, Tags, TopicName, elsewhere
from engine.journey.quantities import Duration, LocalWindow, Misread, Share, Text, Word, parse_duration
from engine.journey.source import Fault, fault, faults, nearest
from engine.journey.steps import Steps
from engine.settings import Cap


class Again(Part):
    """Whether one who was inside may enter again. Exactly one of the four holds."""

    unwritten: ClassVar[frozenset[str]] = frozenset({"word"})
    example: ClassVar[str] = "{after: 30d}"
    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"after": "every in within wait cooldown days", "per": "key by once_per each"}
    )

    word: Literal["never", "always"] | None = None
    after: Duration | None = Field(default=None, description="Not before this long after the last entry.")
    per: Word | None = Field(default=None, description="Once per value of this key of the event: order_id.")

    @property
    def never(self) -> bool:
        return self.word == "never"

    @property
    def always(self) -> bool:
        return self.word == "always"


_AGAIN = "never, always, {after: 30d} or {per: order_id}"


def _again(value: object) -> object:
    if isinstance(value, str):
        if value not in ("never", "always"):
            raise fault("unknown-word", f"`{value}` does not say when one may enter again", _again_meant(value))
        return {"word": value}
    if isinstance(value, dict):
        if len(value) != 1:
            raise fault("bad-combination", "`again` takes one rule", f"write {_AGAIN}")
        if "word" in value:
            raise fault("unknown-key", "`word` is not a key here", "there are: after, per", ("word",), True)
    return value


def _again_meant(value: str) -> str:
    """The rule that was meant: a length of time, another word for one of the two, else all there are."""
    if value.lower() in ("true", "yes", "on", "unlimited", "false", "no", "off", "once"):
        return f"did you mean `{'always' if value.lower() in ('true', 'yes', 'on', 'unlimited') else 'never'}`?"
    with suppress(Misread):
        parse_duration(value)
        return f"did you mean `{{after: {value}}}`?"
    near = nearest(value, ("never", "always"))
    return f"did you mean `{near}`?" if near else f"write {_AGAIN}"


class Approve(Part):
    """Who has to agree before anyone enters, and how long their answer is waited for."""

    example: ClassVar[str] = "{by: retention_lead, within: 24h}"
    called: ClassVar[Mapping[str, str]] = elsewhere({"by": "approver who", "within": "timeout"})

    by: Word = Field(description="Who is asked: retention_lead.")
    within: Duration = Field(description="How long the answer is waited for: 24h.")


class Leave(Part):
    """One way out, whatever the step: an event, membership of a segment, or the goal."""

    event: Text | None = Field(default=None, description="The name of an event: Order Completed.")
    where: EventCondition | None = Field(default=None, description="Only events with such a payload.")
    segment: SegmentName | None = Field(default=None, description="A segment: whoever is in it leaves.")
    goal: bool = Field(default=False, description="true: whoever reached the goal leaves.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("event", "segment", "goal") if getattr(self, name)]
        if not kinds:
            raise fault("missing-key", "it is not said when one leaves", "write `event:`, `segment:` or `goal`")
        if len(kinds) > 1:
            raise fault(
                "bad-combination", f"`{kinds[0]}` and `{kinds[1]}` are two rules", "write two items", (kinds[1],), True
            )
        if self.where is not None and self.event is None:
            raise fault("bad-combination", "`where` belongs to an event", "leave it out", ("where",), True)
        return self


def _leave(value: object) -> object:
    if value == "goal":
        return {"goal": True}
    if isinstance(value, str) and nearest(value, ("goal",)) is not None:
        raise fault("unknown-word", f"`{value}` is no way out", "did you mean `goal`? An event is `{event: ...}`")
    return {"event": value} if isinstance(value, str) else value


class Goal(Part):
    """Success: the event after entry, also after leaving."""

    example: ClassVar[str] = "{event: Order Completed, within: 30d}"
    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"within": "in by for during window", "value": "amount", "where": "if filter"}
    )

    event: Text = Field(description="The name of the event: Order Completed.")
    within: Duration = Field(description="Counted from entry.")
    value: Text | None = Field(default=None, description="The key of the event that holds what it is worth: total.")
    where: EventCondition | None = Field(default=None, description="Only events with such a payload.")


class Journey(Part):
    """One file of journeys/: a named plan."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {
            "enter": "trigger start entry when on",
            "leave": "exit exit_on exits stop_on",
            "title": "name",
            "steps": "actions plan flow",
            "again": "reentry re_enter frequency repeat",
            "holdout": "control control_group",
            "ends_after": "duration timeout",
        }
    )

    unbuilt: ClassVar[frozenset[str]] = frozenset({"budget"})

    was: Annotated[tuple[Word, ...], BeforeValidator(lambda value: _was(value))] = Field(
        default=(),
        exclude=True,  # a name is no part of the plan
        description="What it was called before, the oldest name first: people inside, re-entry and shares stay.",
    )
    title: str = Field(default="", description="For people.")
    owner: str = Field(default="", description="Who answers for it.")
    topic: TopicName = Field(
        description="What a person can unsubscribe from; its purpose decides consent, caps, quiet hours."
    )
    priority: int = Field(default=50, ge=0, le=100, description="0-100: who goes first when a cap binds.")
    enter: Enter = Field(description="How one enters: by event, by crossing a segment's border, or in a wave.")
    again: Annotated[Again, BeforeValidator(_again)] = Field(
        default=Again(word="never"),
        description="never, always, {after: 30d} or {per: order_id}. Unwritten never; by a date, once for each date.",
    )
    approve: Approve | None = Field(default=None, description="A wave waits for this person's word.")
    rollout: tuple[Share, ...] = Field(default=(), description="Stages of a wave: [5%, 25%, 100%].")
    at_most: int | None = Field(default=None, ge=1, description="Of a wave or a request, so many people enter at most.")
    first: Annotated[
        AskedField | None, BeforeValidator(lambda value, info: _first(value, info)), WithJsonSchema({"type": "string"})
    ] = Field(default=None, description="With `at_most`: whoever has the most of this trait or attribute goes first.")
    spread: Duration | None = Field(default=None, description="People of a wave or a request begin within so long.")
    leave: tuple[Annotated[Leave, BeforeValidator(_leave)], ...] = Field(
        default=(), description="Exits at once, whatever the step."
    )
    ends_after: Duration | None = Field(default=None, description="No step begins later than this after entry.")
    goal: Goal | None = Field(default=None, description="Success: {event: Order Completed, within: 30d, value: total}.")
    holdout: Share = Field(default=Decimal(0), description="Share of people who get nothing and are measured.")
    max_lateness: Duration | None = Field(default=None, description="What is due longer ago than this is not sent.")
    quiet_hours: dict[ReachName, LocalWindow] = Field(
        default_factory=dict, description="By channel; only stricter than config.yaml."
    )
    caps: tuple[Cap, ...] = Field(default=(), description="Only stricter than config.yaml.")
    tags: Tags = Field(default=(), description="Words caps may ask for: [sale].")
    allow: Allow
    steps: Steps = Field(description="The plan.")

    @model_validator(mode="before")
    @classmethod
    def _each_once(cls, written: Any) -> Any:
        """By a date or a silence one enters once for each, unless `again` says otherwise."""
        if isinstance(written, dict) and "again" not in written:
            entry = written.get("enter")
            if isinstance(entry, dict) and EACH_ONCE.intersection(entry):
                return {**written, "again": "always"}
        return written

    @field_validator("rollout")
    @classmethod
    def _rising(cls, stages: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
        for index, (one, next_one) in enumerate(pairwise(stages), start=1):
            if next_one <= one:
                raise fault(
                    "bad-rollout", "each stage must be larger than the one before", "write [5%, 25%, 100%]", (index,)
                )
        if stages and (stages[-1] != 1 or stages[0] <= 0):
            raise fault("bad-rollout", "the last stage must be 100%, the first above 0%", "write [5%, 25%, 100%]")
        return stages

    @field_validator("holdout")
    @classmethod
    def _someone_left(cls, share: Decimal) -> Decimal:
        if share >= 1:
            raise fault("out-of-range", "a holdout of everyone leaves nobody to write to", "write at most 50%")
        return share

    @field_validator("steps")
    @classmethod
    def _some(cls, steps: Steps) -> Steps:
        if not steps:
            raise fault("no-steps", "the plan has no step", "write `- send: ...`")
        return steps

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        """Keys that make sense with some ways to enter only, or with another key."""
        wrong: list[Fault] = []
        wave = isinstance(self.enter, ByWave | ByHappening)
        told = isinstance(self.enter, ByEvent | ByRequest)
        if self.approve is not None and not wave:
            wrong.append(_alone("approve", "waves (`enter: {every: ...}`) and happenings"))
        if self.rollout and not wave:
            wrong.append(_alone("rollout", "waves (`enter: {every: ...}`) and happenings"))
        for key in ("at_most", "spread"):
            if getattr(self, key) is not None and not (wave or isinstance(self.enter, ByRequest)):
                wrong.append(_alone(key, "waves, happenings and requests (`enter: {api: true}`)"))
        if self.first is not None and self.at_most is None:
            sentence = "`first` says who goes first where not all may"
            wrong.append(Fault("bad-combination", sentence, "write `at_most:` too, or leave it out", ("first",), True))
        if self.again.per is not None and not told:
            path = ("again", "per")
            wrong.append(
                Fault(
                    "bad-combination", "`per` belongs to an event or `api`", "write never or {after: 30d}", path, True
                )
            )
        for index, rule in enumerate(self.leave):
            if rule.goal and self.goal is None:
                wrong.append(Fault("no-goal", "the journey has no goal to leave at", "write `goal:`", ("leave", index)))
        if wrong:
            raise faults(wrong)
        return self


def _was(value: object) -> object:
    """One name, or several, the oldest first."""
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list) and len(set(map(str, names))) < len(names):
        raise fault("bad-value", "a name stands here twice", "write each once, the oldest first")
    return names


def _first(value: object, info: ValidationInfo) -> object:
    """A trait or an attribute of the person."""
    if not isinstance(value, str):
        return value
    traits = cast("frozenset[str]", (info.context or {}).get("traits", frozenset()))
    try:
        found = parse_field(value, traits)
    except ConditionError as error:
        raise faults([replace(one, key=False) for one in error.faults]) from None
    if found.kind not in (FieldKind.attribute, FieldKind.trait):
        raise fault(
            "unknown-field", f"`{value}` is nothing that is kept of a person", "name a trait: `first: spend_12m`"
        )
    return found


def _alone(key: str, owner: str) -> Fault:
    return Fault("bad-combination", f"`{key}` belongs to {owner}", "leave it out", (key,), True)
