"""The steps of a journey as written: one model per verb. `graph` turns the tree of them into a graph.

Every step names its `ways`: the steps that follow each of its outcomes, and where in the step they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import time, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from engine.journey.allow import Allow
from engine.journey.changes import Changes, Written
from engine.journey.conditions import EventCondition, PersonCondition
from engine.journey.meant import days_meant
from engine.journey.parts import (
    BriefName,
    ChannelName,
    ColleagueName,
    JourneyName,
    MessageName,
    Part,
    PoolName,
    QueueName,
    Tags,
    TopicName,
    WebhookName,
    elsewhere,
)
from engine.journey.quantities import (
    Days,
    Duration,
    Misread,
    Share,
    Text,
    Word,
    parse_duration,
    parse_time,
    parse_word,
)
from engine.journey.source import fault, hint_for, nearest

SEND_OUTCOMES = ("sent", "capped", "unreachable", "late", "failed")
APPROVE_OUTCOMES = ("approved", "refused", "expired")
OVERDUE = "overdue"
CALL_OUTCOMES = ("capped", "unreachable", "late")  # of a task that is a call, besides those of any task
ROUND = "round"
MAX_WISHES = 20  # channels in one `via`
MAX_ROUNDS = 100  # of one `repeat`
MAX_ROUNDS_IN_ALL = 1_000  # of one `repeat` inside others
MAX_REPEATS_AROUND = 3  # how deep they may be nested

Way = tuple[str, "tuple[AnyStep, ...]", tuple[str | int, ...]]  # outcome, its steps, their path inside the step


class Step(Part):
    """What all steps share."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"id": "name", "otherwise": "else default on_timeout", "then": "do on_success"}
    )

    verb: ClassVar[str] = ""
    id: Annotated[str, BeforeValidator(lambda value: _step_id(value))] = Field(
        default="", description="Unique in its journey. Unwritten: the verb and its object, as in send-thanks."
    )

    allow: Allow

    @property
    def default_id(self) -> str:
        """The verb and its object, or the verb alone where the object is a list."""
        return f"{self.verb}-{getattr(self, self.verb)}"

    @property
    def ways(self) -> tuple[Way, ...]:
        """The outcomes that are written out, in the order they are written."""
        return ()

    @property
    def possible(self) -> tuple[str, ...]:
        """Every outcome this step can have; one that is not written falls through to the next step."""
        return ()

    @property
    def final(self) -> frozenset[str]:
        """Outcomes that never lead to the next step: the way ends, after the steps that are written for them."""
        return frozenset()


class TwoWays(Step):
    """A step with two ways out, which have short names."""

    both: ClassVar[tuple[str, str]] = ("then", "otherwise")  # the outcomes that these two stand for

    then: Steps | None = Field(default=None, description="Steps of the first outcome.")
    otherwise: Steps | None = Field(default=None, description="Steps of the second outcome.")
    outcomes: dict[str, Steps] = Field(default_factory=dict, description="The long form of then and otherwise.")

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: object) -> object:
        return _no_twins(value, cls._short())

    @field_validator("outcomes")
    @classmethod
    def _known_outcomes(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _only(value, cls.both, cls.verb)

    @classmethod
    def _short(cls) -> dict[str, str]:
        return dict(zip(("then", "otherwise"), cls.both, strict=True))

    @property
    def ways(self) -> tuple[Way, ...]:
        return (*_short_ways(self, self._short()), *_long_ways(self.outcomes))

    @property
    def possible(self) -> tuple[str, ...]:
        return self.both


class SendStep(Step):
    """Write to the person on the first channel of `via` that is reachable and consented."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {
            "via": "channel channels by on using through",
            "with": "variables values params data",
            "topic": "category",
            "give_up_after": "timeout expires",
        }
    )

    verb: ClassVar[str] = "send"
    unbuilt: ClassVar[frozenset[str]] = frozenset()

    send: MessageName = Field(description="The message: a folder of templates/.")
    via: Annotated[tuple[ChannelName, ...], BeforeValidator(lambda value: _wishes(value))] = Field(
        max_length=MAX_WISHES,
        description="Channels in order of wish. The next is taken only if the one before cannot go in time.",
    )
    give_up_after: Duration = Field(
        default=timedelta(hours=24), description="How long a closed window is waited for, from arrival at the step."
    )
    topic: TopicName | None = Field(default=None, description="Another topic than the journey's.")
    with_: dict[Word, str] = Field(default_factory=dict, alias="with", description="Extra values for the texts.")
    tags: Tags = Field(default=(), description="Words caps may ask for, besides those of the journey.")
    outcomes: dict[str, Steps] = Field(
        default_factory=dict, description="Steps by outcome: sent (also unknown), capped, unreachable, late, failed."
    )

    @field_validator("outcomes")
    @classmethod
    def _known_outcomes(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _only(value, SEND_OUTCOMES, "send")

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple((name, steps, ("outcomes", name)) for name, steps in self.outcomes.items())

    @property
    def possible(self) -> tuple[str, ...]:
        return SEND_OUTCOMES


class WaitFor(Part):
    """`wait: 6h`: that long after the previous step was due."""

    duration: Duration = Field(description="How long.")
    text: str = Field(default="", description="As written; part of the default id.")


class WaitUntil(Part):
    """`wait: {until: "20:00", days: [mon-fri]}` on the person's clock, or until a date kept about the person."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"until": "at time date", "days": "weekdays weekday on"})

    until: Annotated[time | str, BeforeValidator(lambda value: _until(value)), WithJsonSchema({"type": "string"})] = (
        Field(description="A time of day, or an attribute of the person that holds a date.")
    )
    days: Days | None = Field(default=None, description="With a time of day: only on these weekdays.")
    minus: Duration | None = Field(default=None, description="With a date: this long before it.")
    plus: Duration | None = Field(default=None, description="With a date: this long after it.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.until, time):
            for name in ("minus", "plus"):
                if getattr(self, name) is not None:
                    raise fault(
                        "bad-combination",
                        f"`{name}` belongs to a date, not to a time of day",
                        "leave it out",
                        (name,),
                        True,
                    )
        elif self.days is not None:
            raise fault(
                "bad-combination", "`days` belongs to a time of day, not to a date", "leave it out", ("days",), True
            )
        if self.minus is not None and self.plus is not None:
            raise fault("bad-combination", "`minus` and `plus` exclude each other", "keep one", ("plus",), True)
        return self


def _no_length(value: object) -> object:
    """A length of time stands alone: `wait: 6h`."""
    if isinstance(value, dict) and len(value) == 1 and (key := next(iter(value))) in ("for", "duration", "after"):
        length = value[key] if isinstance(value[key], str) and value[key] else "6h"
        raise fault("unknown-key", f"`{key}` is not a key of `wait`", f"write `wait: {length}`", (key,), True)
    return value


Waiting = Annotated[
    Annotated[WaitFor, BeforeValidator(lambda value: _as_duration(value)), Tag("<wait>")]
    | Annotated[WaitUntil, BeforeValidator(_no_length), Tag("<wait until>")],
    Discriminator(lambda value: "<wait until>" if isinstance(value, dict | WaitUntil) else "<wait>"),
]


class WaitStep(Step):
    """Let time pass."""

    verb: ClassVar[str] = "wait"

    wait: Waiting = Field(description='A duration (6h), or {until: "20:00"}, or {until: an attribute, minus: 2d}.')

    @property
    def default_id(self) -> str:
        if isinstance(self.wait, WaitFor):
            return f"wait-{self.wait.text or _written(self.wait.duration)}"
        until = self.wait.until
        return f"wait-until-{until.strftime('%H:%M') if isinstance(until, time) else until}"


Confidence = Literal["possible", "likely", "certain"]


class Awaited(Part):
    """An event of the person, or what they do with a message of this journey."""

    event: Text | None = Field(default=None, description="The name of an event.")
    where: EventCondition | None = Field(default=None, description="Only an event with such a payload.")
    message: MessageName | None = Field(default=None, description="A message this journey sent before.")
    is_: Literal["sent", "delivered", "opened", "clicked", "replied", "bounced", "complained"] | None = Field(
        default=None, alias="is", description="What became of it."
    )
    confidence: Confidence | None = Field(default=None, description="How sure it must be that it was a person.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.event is not None and self.message is not None:
            raise fault(
                "bad-combination", "an event and a message exclude each other", "write two items", ("message",), True
            )
        if self.event is None and self.message is None:
            raise fault("missing-key", "neither an event nor a message is named", "write `event:` or `message:`")
        if self.message is not None and self.is_ is None:
            raise fault("missing-key", "`is` is missing", "write `is: clicked`", ("message",), True)
        if self.event is not None and self.is_ is not None:
            raise fault("bad-combination", "`is` belongs to a message", "leave it out", ("is",), True)
        if self.event is not None and self.confidence is not None:
            raise fault("bad-combination", "`confidence` belongs to a message", "leave it out", ("confidence",), True)
        if self.message is not None and self.where is not None:
            raise fault("bad-combination", "`where` belongs to an event", "leave it out", ("where",), True)
        return self


class WaitForStep(TwoWays):
    """Wait until something happens, but no longer than `within`."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"within": "timeout max up_to for at_most", "otherwise": "else on_timeout", "then": "do", "where": "if filter"}
    )

    verb: ClassVar[str] = "wait_for"

    wait_for: Annotated[tuple[Awaited, ...], BeforeValidator(lambda value: _as_awaited(value))] = Field(
        description="An event, or {message: thanks, is: clicked}, or a list of them: the first that happens."
    )
    where: EventCondition | None = Field(default=None, description="Only an event with such a payload.")
    within: Duration = Field(description="How long it is waited for.")
    confidence: Confidence | None = Field(
        default=None,
        description="possible: also what a machine did; likely: what none is known to have done; certain: proved.",
    )
    then: Steps | None = Field(default=None, description="When it happened in time.")
    otherwise: Steps | None = Field(default=None, description="When it did not.")

    @model_validator(mode="after")
    def _where_of_the_one(self) -> Self:
        if self.where is None:
            return self
        if len(self.wait_for) != 1 or self.wait_for[0].event is None or self.wait_for[0].where is not None:
            hint = "write `{event: ..., where: ...}` for each event"
            raise fault("bad-combination", "it is not clear which event `where` is about", hint, ("where",), True)
        return self

    @model_validator(mode="after")
    def _sure_of_messages(self) -> Self:
        if self.confidence is not None and not any(one.message for one in self.wait_for):
            hint = "leave it out, or wait for `{message: thanks, is: clicked}`"
            raise fault("bad-combination", "`confidence` belongs to a message", hint, ("confidence",), True)
        return self

    @property
    def awaited(self) -> tuple[Awaited, ...]:
        """What is waited for, each with the condition, and the confidence, that belongs to it."""
        if self.where is not None and len(self.wait_for) == 1:
            return (self.wait_for[0].model_copy(update={"where": self.where}),)
        if self.confidence is None:
            return self.wait_for
        sure = {"confidence": self.confidence}
        return tuple(
            one.model_copy(update=sure) if one.message and one.confidence is None else one for one in self.wait_for
        )

    @property
    def default_id(self) -> str:
        if len(self.wait_for) != 1:
            return "wait_for"
        one = self.wait_for[0]
        return f"wait_for-{one.message}-{one.is_}" if one.message else f"wait_for-{_as_word(str(one.event))}"


class Case(Part):
    """One case of a branch."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"if": "when condition case where", "then": "do steps actions"})

    if_: PersonCondition = Field(alias="if", description="The condition of this case.")
    then: Steps = Field(description="The steps of people it holds for.")


class Otherwise(Part):
    """The last item of a branch: everyone else."""

    called: ClassVar[Mapping[str, str]] = elsewhere({"otherwise": "else default"})

    otherwise: Steps = Field(description="The steps of everyone else.")


BranchItem = Annotated[
    Annotated[Case, Tag("<branch>")] | Annotated[Otherwise, Tag("<branch otherwise>")],
    Discriminator(lambda value: "<branch otherwise>" if _is_otherwise(value) else "<branch>"),
]


def _is_otherwise(value: object) -> bool:
    """Is it the last item of a branch, perhaps misspelt?"""
    if not isinstance(value, dict):
        return isinstance(value, Otherwise)
    if not Otherwise.called.keys().isdisjoint(value) or "otherwise" in value:
        return "if" not in value
    return "if" not in value and "then" not in value and any(nearest(str(key), ("otherwise",)) for key in value)


class BranchStep(Step):
    """The first case that holds."""

    verb: ClassVar[str] = "branch"

    items: tuple[BranchItem, ...] = Field(
        alias="branch", description="A list of {if: condition, then: steps}; the last item may be {otherwise: steps}."
    )

    @field_validator("items")
    @classmethod
    def _ordered(cls, items: tuple[Case | Otherwise, ...]) -> tuple[Case | Otherwise, ...]:
        if not any(isinstance(item, Case) for item in items):
            raise fault("missing-key", "a branch needs at least one case", "write `- if: ...` with `then: [...]`")
        for index, item in enumerate(items[:-1]):
            if isinstance(item, Otherwise):
                hint = "move it to the end of the list"
                raise fault(
                    "otherwise-not-last", "nothing after `otherwise` is ever reached", hint, (index, "otherwise"), True
                )
        return items

    @property
    def branch(self) -> tuple[Case, ...]:
        """The cases in order."""
        return tuple(item for item in self.items if isinstance(item, Case))

    @property
    def otherwise(self) -> tuple[AnyStep, ...] | None:
        """The steps of everyone else, None when nothing is written."""
        last = self.items[-1]
        return last.otherwise if isinstance(last, Otherwise) else None

    @property
    def default_id(self) -> str:
        return "branch"

    @property
    def ways(self) -> tuple[Way, ...]:
        found: list[Way] = []
        for index, item in enumerate(self.items):
            if isinstance(item, Case):
                found.append((f"case-{index + 1}", item.then, ("branch", index, "then")))
            else:
                found.append(("otherwise", item.otherwise, ("branch", index, "otherwise")))
        return tuple(found)

    @property
    def possible(self) -> tuple[str, ...]:
        return (*(f"case-{index + 1}" for index in range(len(self.branch))), "otherwise")


class Variant(Part):
    """One way of a split, with its share of the people."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"share": "percent percentage weight ratio", "steps": "then do actions"}
    )

    share: Share = Field(description="Share of the people: 50%.")
    steps: Steps = Field(default=(), description="What they get; nothing, if left out.")


class SplitStep(Step):
    """Compare variants: each person stays in theirs, by stable hash."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"variants": "groups arms branches cases", "measure": "metric", "min_per_variant": "min_size sample_size min"}
    )

    verb: ClassVar[str] = "split"
    unbuilt: ClassVar[frozenset[str]] = frozenset({"winner"})

    split: Word = Field(description="The experiment's name.")
    measure: Literal["goal"] = Field(default="goal", description="What decides: the journey's goal.")
    min_per_variant: int = Field(
        default=0, ge=0, description="With fewer people in a variant, reports say that it is too early to judge."
    )
    multivariate: bool = Field(default=False, description="true: the variants differ in several things on purpose.")
    variants: dict[Word, Annotated[Variant, BeforeValidator(lambda value: _as_variant(value))]] = Field(
        description="Share of each variant, or {share: 50%, steps: [...]}; together 100%."
    )

    @field_validator("variants")
    @classmethod
    def _whole(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        if len(variants) < 2:
            raise fault("too-few-variants", "a split needs at least two variants", "write `plain: 50%` beside it")
        whole = sum((variant.share for variant in variants.values()), Decimal(0))
        if whole != 1:
            raise fault("shares-not-100", f"the shares add up to {_percent(whole)}, not 100%", "change one of them")
        return variants

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple((name, one.steps, ("variants", name, "steps")) for name, one in self.variants.items())

    @property
    def possible(self) -> tuple[str, ...]:
        return tuple(self.variants)


class GiveStep(TwoWays):
    """Give one voucher code of a pool; texts see it as `voucher`."""

    verb: ClassVar[str] = "give"
    both: ClassVar[tuple[str, str]] = ("given", "empty")

    give: PoolName = Field(description="A pool of audience.yaml.")
    then: Steps | None = Field(default=None, description="When a code was given.")
    otherwise: Steps | None = Field(default=None, description="When the pool was empty.")
    outcomes: dict[str, Steps] = Field(default_factory=dict, description="The long form: given, empty.")


class Escalate(Part):
    """Whom to tell when nobody takes the task."""

    example: ClassVar[str] = "{after: 4h, to: care}"
    called: ClassVar[Mapping[str, str]] = elsewhere({"to": "queue", "after": "within in"})

    after: Duration = Field(description="In the working hours of the queue: 4h.")
    to: QueueName = Field(description="The queue that is told.")


class TaskStep(Step):
    """Work for a human. Its first outcome closes it, also `overdue`."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"assign": "assignee assigned_to to agent", "due": "deadline within due_in", "outcomes": "answers results"}
    )

    verb: ClassVar[str] = "task"

    task: BriefName = Field(description="The brief: a folder of templates/ with task.<locale>.md.")
    queue: QueueName = Field(description="A queue of config.yaml.")
    assign: ColleagueName | None = Field(
        default=None, description="owner (who is the person's), round_robin, or the name of one of the queue's people."
    )
    call: bool = Field(default=False, description="The person is called up: asked for consent, quiet hours and caps.")
    due: Duration = Field(description="In the working hours of the queue.")
    give_up_after: Duration = Field(
        default=timedelta(hours=24), description="With `call`: how long quiet hours are waited for before it is opened."
    )
    escalate: Escalate | None = Field(default=None, description="{after: 4h, to: another queue}")
    outcomes: dict[Word, Steps] = Field(description="What an agent may answer, and the steps that follow each.")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if not self.answers:
            sentence, hint = "an agent has nothing to answer", "name an outcome: `outcomes: {reached: []}`"
            raise fault("missing-key", sentence, hint, ("outcomes",))
        return self

    @model_validator(mode="after")
    def _waits_to_call(self) -> Self:
        if "give_up_after" in self.model_fields_set and not self.call:
            sentence = "nothing is waited for before this task is opened"
            raise fault("missing-key", sentence, "write `call: true`, or leave it out", ("give_up_after",), True)
        return self

    @model_validator(mode="after")
    def _escalates_in_time(self) -> Self:
        if self.escalate is not None and self.escalate.after >= self.due:
            sentence = "the task is overdue before it would move to another queue"
            raise fault("bad-combination", sentence, "let `after` be shorter than `due`", ("escalate", "after"))
        return self

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple(_long_ways(self.outcomes))

    @property
    def possible(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.outcomes, *self.own)))

    @property
    def own(self) -> tuple[str, ...]:
        """Outcomes that no agent tells."""
        return (OVERDUE, *CALL_OUTCOMES) if self.call else (OVERDUE,)

    @property
    def answers(self) -> tuple[str, ...]:
        """What an agent may answer."""
        return tuple(name for name in self.outcomes if name not in self.own)


class ApproveStep(Step):
    """Ask a colleague. Who is refused, or gets no answer in time, goes no further."""

    verb: ClassVar[str] = "approve"

    approve: Text = Field(description="The question, as the colleague reads it.")
    by: Word = Field(description="Who is asked: retention_lead.")
    within: Duration = Field(description="How long the answer is waited for: 24h.")
    outcomes: dict[str, Steps] = Field(
        default_factory=dict,
        description="Steps by outcome: approved, refused, expired. After the last two the way ends.",
    )

    @field_validator("outcomes")
    @classmethod
    def _known_outcomes(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _only(value, APPROVE_OUTCOMES, "approve")

    @property
    def default_id(self) -> str:
        return "approve"

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple(_long_ways(self.outcomes))

    @property
    def possible(self) -> tuple[str, ...]:
        return APPROVE_OUTCOMES

    @property
    def final(self) -> frozenset[str]:
        return frozenset(APPROVE_OUTCOMES[1:])


class UpdateStep(Step):
    """Change what is kept about the person."""

    verb: ClassVar[str] = "update"

    update: Changes = Field(description="Any of set, forget, tags and consent.")

    @property
    def default_id(self) -> str:
        return "update"


class EmitStep(TwoWays):
    """Record an event of the person, as if it had come from outside."""

    verb: ClassVar[str] = "emit"
    both: ClassVar[tuple[str, str]] = ("ok", "failed")

    emit: Text = Field(description="The name of the event.")
    with_: dict[Text, Written] = Field(
        default_factory=dict, alias="with", description="Its payload: {total: {from: event.total}, reason: late}."
    )

    @property
    def default_id(self) -> str:
        return f"emit-{_as_word(self.emit)}"


class WebhookStep(TwoWays):
    """Tell another system, signed, and wait until it has answered."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"with": "data payload values body params", "give_up_after": "timeout expires"}
    )
    verb: ClassVar[str] = "webhook"
    both: ClassVar[tuple[str, str]] = ("ok", "failed")

    webhook: WebhookName = Field(description="Who is told: the name of an endpoint of config.yaml.")
    with_: dict[Text, Written] = Field(
        default_factory=dict, alias="with", description="What it is told: {total: {from: event.total}, reason: late}."
    )
    give_up_after: Duration = Field(
        default=timedelta(hours=24), description="How long it is tried again, from arrival at the step."
    )


class StartStep(TwoWays):
    """Let the person into another journey."""

    verb: ClassVar[str] = "start"
    both: ClassVar[tuple[str, str]] = ("started", "refused")

    start: JourneyName = Field(description="A journey: the name of its file.")


class StopStep(TwoWays):
    """End the person's way through another journey."""

    verb: ClassVar[str] = "stop"
    both: ClassVar[tuple[str, str]] = ("stopped", "absent")

    stop: JourneyName = Field(description="A journey: the name of its file.")


class Rounds(Part):
    """What a `repeat` repeats, how often and how far apart."""

    example: ClassVar[str] = "{times: 3, every: 7d, steps: [...]}"
    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"times": "count max rounds", "every": "interval wait", "until": "if"}
    )

    times: int = Field(ge=1, le=MAX_ROUNDS, description="Rounds at most.")
    every: Duration | None = Field(
        default=None, description="From the start of one round to the start of the next; unwritten: without a pause."
    )
    until: PersonCondition | None = Field(default=None, description="No further round for whom this holds.")
    steps: Steps = Field(description="What is done in each round.")

    @field_validator("steps")
    @classmethod
    def _something(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise fault("no-steps", "there is nothing to repeat", "write a list of steps")
        return value

    @field_validator("every")
    @classmethod
    def _apart(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and not value:
            raise fault("bad-duration", "rounds that begin at one instant are no rounds", "write `every: 7d`")
        return value


class RepeatStep(TwoWays):
    """Do the same again, a few times at most: the only loop."""

    verb: ClassVar[str] = "repeat"

    repeat: Rounds = Field(description="{times: 3, every: 7d, until: condition, steps: [...]}")
    then: Steps | None = Field(default=None, description="When `until` held.")
    otherwise: Steps | None = Field(default=None, description="When the rounds were over and it did not.")

    @model_validator(mode="after")
    def _then_of_until(self) -> Self:
        if self.repeat.until is None:
            for path in [("then",)] * (self.then is not None) + [("outcomes", "then")] * ("then" in self.outcomes):
                hint = "write `until:` inside `repeat`, or put these steps behind it"
                raise fault("bad-combination", "`then` is for whom `until` holds, and there is none", hint, path, True)
        return self

    @property
    def default_id(self) -> str:
        return "repeat"

    @property
    def ways(self) -> tuple[Way, ...]:
        around: Way = (ROUND, self.repeat.steps, ("repeat", "steps"))
        return (around, *super().ways)

    @property
    def possible(self) -> tuple[str, ...]:
        return (ROUND, *self.ways_out)

    @property
    def ways_out(self) -> tuple[str, ...]:
        """The outcomes by which it is over."""
        return ("otherwise",) if self.repeat.until is None else ("then", "otherwise")


class ExitStep(Step):
    """The way ends here, with a reason."""

    verb: ClassVar[str] = "exit"

    exit: Word = Field(description="The reason, as reports name it.")


VERBS: Mapping[str, type[Step]] = {
    kind.verb: kind
    for kind in (
        SendStep,
        WaitStep,
        WaitForStep,
        BranchStep,
        SplitStep,
        GiveStep,
        TaskStep,
        ApproveStep,
        UpdateStep,
        EmitStep,
        WebhookStep,
        StartStep,
        StopStep,
        RepeatStep,
        ExitStep,
    )
}
_REFINEMENTS = frozenset(
    info.alias or name for kind in VERBS.values() for name, info in kind.model_fields.items()
) - frozenset(VERBS) | {key for kind in VERBS.values() for key in kind.unbuilt}
_MEANT = {  # words authors of other tools bring along
    **dict.fromkeys(("delay", "sleep", "pause", "wait_until"), "wait"),
    **dict.fromkeys(("email", "sms", "push", "message", "mail"), "send"),
    **dict.fromkeys(("if", "switch", "condition"), "branch"),
    **dict.fromkeys(("coupon", "voucher"), "give"),
    **dict.fromkeys(("experiment", "ab_test"), "split"),
    **{"end": "exit", "call": "task", "await": "wait_for", "else": "otherwise", "loop": "repeat"},
}


def _verb(value: object) -> str:
    if isinstance(value, Step):
        return f"<{value.verb}>"
    return next((f"<{key}>" for key in value if key in VERBS), "<none>") if isinstance(value, dict) else "<none>"


def _one_verb(value: object) -> object:
    """Each step has exactly one verb."""
    if isinstance(value, Step):
        return value
    if not isinstance(value, dict):
        raise fault("expected-mapping", "a step is a verb with its object", _as_step_hint(value))
    verbs = [key for key in value if key in VERBS]
    if len(verbs) > 1:
        sentence = f"`{verbs[0]}` and `{verbs[1]}` stand in one step; each step has one verb"
        raise fault("two-verbs", sentence, f"begin a new step: `- {verbs[1]}: ...`", (verbs[1],), True)
    if not verbs:
        raise _no_verb(value)
    return value


def _no_verb(value: dict[str, Any]) -> Exception:
    strange = [key for key in value if key not in _REFINEMENTS or key in _MEANT]
    if not strange:
        first, verbs = next(iter(value), "via"), ", ".join(VERBS)
        hint = f"begin it with one of: {verbs}; if `{first}` belongs to the step above, write it without a dash"
        return fault("no-verb", "this step has no verb", hint)
    begins = strange[0].partition("_")[0]
    near = _MEANT.get(strange[0]) or nearest(strange[0], VERBS) or (begins in VERBS and begins)
    hint = f"did you mean `{near}`?" if near else "there are: " + ", ".join(VERBS)
    return fault("unknown-verb", f"`{strange[0]}` is not a verb", hint, (strange[0],), True)


def _as_step_hint(value: object) -> str:
    verb, _, rest = str(value).partition(" ") if isinstance(value, str) else ("", "", "")
    return f"write `- {verb}: {rest or '...'}`" if verb in VERBS else "write `- wait: 6h` or another verb"


AnyStep = Annotated[
    Annotated[SendStep, Tag("<send>")]
    | Annotated[WaitStep, Tag("<wait>")]
    | Annotated[WaitForStep, Tag("<wait_for>")]
    | Annotated[BranchStep, Tag("<branch>")]
    | Annotated[SplitStep, Tag("<split>")]
    | Annotated[GiveStep, Tag("<give>")]
    | Annotated[TaskStep, Tag("<task>")]
    | Annotated[ApproveStep, Tag("<approve>")]
    | Annotated[UpdateStep, Tag("<update>")]
    | Annotated[EmitStep, Tag("<emit>")]
    | Annotated[WebhookStep, Tag("<webhook>")]
    | Annotated[StartStep, Tag("<start>")]
    | Annotated[StopStep, Tag("<stop>")]
    | Annotated[RepeatStep, Tag("<repeat>")]
    | Annotated[ExitStep, Tag("<exit>")],
    Discriminator(_verb),
    BeforeValidator(_one_verb),
]
Steps = tuple[AnyStep, ...]


# --- small readers of single keys


def _step_id(value: object) -> str:
    """An id is a name that may also hold a time: `wait-until-20:00`."""
    parse_word(str(value).replace(":", "-") if isinstance(value, str) else value)
    return str(value)


def _wishes(value: object) -> object:
    if value == "best" or (isinstance(value, list) and "best" in value):
        path = (value.index("best"),) if isinstance(value, list) else ()
        raise fault("not-built-yet", "`via: best` is not built yet", "name the channels: `via: [push, email]`", path)
    if isinstance(value, str):
        if len(several := [one for one in re.split(r"[,;/&+ ，、]+", value) if one]) > 1:
            raise fault("bad-name", f"`{value}` are several channels", f"write `via: [{', '.join(several)}]`")
        return (value,)
    if isinstance(value, list):
        if not value:
            raise fault("missing-key", "no channel is named", "write `via: [sms, email]`")
        for index, channel in enumerate(value[:MAX_WISHES]):
            if channel in value[:index]:
                raise fault("duplicate-wish", f"`{channel}` is wished for twice", "keep the first", (index,))
    return value


def _until(value: object) -> time | str:
    if isinstance(value, time):
        return value
    if isinstance(value, str) and value[:1].isdigit():
        return parse_time(value)
    if isinstance(value, str) and (days := days_meant(value)):
        raise fault("bad-time", f"`{value}` is no time of day", f'write `{{until: "10:00", days: [{days}]}}`')
    try:
        return parse_word(value)
    except Misread:
        raise fault(
            "bad-time",
            "this is neither a time of day nor an attribute",
            'write `until: "20:00"`, or the name of a date',
        ) from None


def _as_duration(value: object) -> object:
    if isinstance(value, WaitFor):
        return value
    return {"duration": parse_duration(value), "text": str(value).replace(" ", "")}


def _as_awaited(value: object) -> object:
    """One item may stand without a list, an event without its key."""
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise fault("missing-key", "nothing is waited for", "write the name of an event")
    return [{"event": item} if isinstance(item, str) else item for item in items]


def _as_variant(value: object) -> object:
    return {"share": value} if isinstance(value, str) else value


def _only(value: dict[str, Any], allowed: tuple[str, ...], verb: str) -> dict[str, Any]:
    for name in value:
        if name not in allowed:
            raise fault(
                "unknown-outcome", f"`{name}` is no outcome of `{verb}`", hint_for(name, allowed), (name,), True
            )
    return value


def _no_twins(value: object, short: Mapping[str, str]) -> object:
    """An outcome is written in its short form or in its long one, not in both."""
    if isinstance(value, dict) and isinstance(value.get("outcomes"), dict):
        for key, outcome in short.items():
            if key in value and outcome in value["outcomes"]:
                sentence = f"`{key}` and `outcomes: {outcome}` say the same thing"
                raise fault("bad-combination", sentence, "keep one of them", ("outcomes", outcome), True)
    return value


def _short_ways(step: Step, short: Mapping[str, str]) -> Iterator[Way]:
    for key, outcome in short.items():
        steps = getattr(step, key)
        if steps is not None:
            yield outcome, steps, (key,)


def _long_ways(outcomes: Mapping[str, tuple[AnyStep, ...]]) -> Iterator[Way]:
    for name, steps in outcomes.items():
        yield name, steps, ("outcomes", name)


def _as_word(text: str) -> str:
    return "_".join(text.lower().split())


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"


def _written(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
