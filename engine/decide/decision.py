"""What `decide` answers: everything that follows for one customer, as values another room performs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from engine.audience.values import Link, Person
from engine.decide.outcome import MessageState
from engine.decide.state import Code, Enrolled


class Rule(StrEnum):
    """Which rule spoke. A trace, a held-back message and `explain` use these words."""

    entered = "entered"
    not_entered = "not_entered"  # does not match, entered before, holdout does not prevent entry
    moved = "moved"  # the plan went on to a step
    waits = "waits"
    sends = "sends"
    deferred = "deferred"  # quiet hours, until an instant
    holdout = "holdout"
    unreachable = "unreachable"  # no address, or no text or provider for the channel
    no_consent = "no_consent"
    suppressed = "suppressed"  # the address is on the suppression list
    capped = "capped"
    displaced = "displaced"  # taken back for one of higher priority
    late = "late"  # max_lateness, give_up_after, ends_after
    failed = "failed"
    passed_on = "passed_on"  # one provider of its channel did not take it, and the next is asked at once
    turned_away = "turned_away"  # one provider of its channel will never take it; another may
    answered = "answered"  # an awaited event or response came
    unanswered = "unanswered"
    branched = "branched"
    split = "split"  # type: ignore[assignment]  # shadows str.split, which nobody asks of a rule
    given = "given"
    empty = "empty"  # the voucher pool has no code left
    task = "task"
    emitted = "emitted"
    started = "started"  # another journey
    stopped = "stopped"
    refused = "refused"  # nothing was emitted or started
    asked = "asked"  # a colleague
    updated = "updated"  # something about the person was changed
    left = "left"  # a leave rule
    ended = "ended"  # the end of the plan, exit, ends_after
    paused = "paused"
    goal = "goal"


class Trace(Struct, frozen=True):
    """Why: one line of the story of one customer in one journey."""

    enrollment_id: int | None
    journey: str
    step: str | None
    rule: Rule
    sentence: str  # English, for people: "held until 10:00 Asia/Shanghai: quiet hours of sms are 21:00-08:00"
    detail: Mapping[str, Any] = {}  # JSON values; names, limits, ids of winners
    file: str | None = None  # where the rule is written
    line: int | None = None


class Want(Struct, frozen=True):
    """One message to render and queue."""

    enrollment: Enrolled  # as it stands when the message is decided (event, vouchers)
    step: str
    visit: int
    wish: int  # index into `via`
    channel: str
    message: str
    topic: str
    marketing: bool
    priority: int
    due_at: datetime  # the plan's instant; waits count from it
    send_by: datetime
    extra: Mapping[str, Any] = {}  # `with:`
    tags: frozenset[str] = frozenset()  # of the journey and of the step; caps may ask for them


class Unsent(Struct, frozen=True):
    """A touch that will not be: recorded as a Message row with its reason, so that every wish to speak has a row."""

    enrollment: Enrolled
    step: str
    visit: int
    wish: int
    channel: str
    message: str
    topic: str
    marketing: bool
    priority: int
    due_at: datetime
    send_by: datetime
    state: MessageState  # suppressed or expired
    rule: Rule
    sentence: str
    detail: Mapping[str, Any] = {}
    tags: frozenset[str] = frozenset()


def not_sent(want: Want, rule: Rule, sentence: str, detail: Mapping[str, Any]) -> Unsent:
    """What is recorded of a wish that a rule forbids."""
    return Unsent(
        enrollment=want.enrollment,
        step=want.step,
        visit=want.visit,
        wish=want.wish,
        channel=want.channel,
        message=want.message,
        topic=want.topic,
        marketing=want.marketing,
        priority=want.priority,
        due_at=want.due_at,
        send_by=want.send_by,
        state=MessageState.expired if rule is Rule.late else MessageState.suppressed,
        rule=rule,
        sentence=sentence,
        detail=detail,
        tags=want.tags,
    )


class TakeBack(Struct, frozen=True):
    """A queued Message that must not leave: its person left, or a higher priority took its place.

    Void if it is on its way to the provider; one that waits to be tried again can still be taken back.
    """

    message_id: int
    rule: Rule  # left, ended, displaced
    sentence: str
    detail: Mapping[str, Any] = {}  # who took its place


#: kinds of what is asked of people: work that is done, a question that is answered
TASK, APPROVAL = "task", "approval"


class OpenTask(Struct, frozen=True):
    enrollment: Enrolled
    step: str
    visit: int
    brief: str
    queue: str
    assignee: str | None  # None: whose turn it is, or whoever takes it
    opened_at: datetime
    due_at: datetime
    escalate_at: datetime | None
    escalate_to: str | None
    outcomes: tuple[str, ...]
    call: Want | None = None  # what it means for caps, if the person is called up
    in_turn: tuple[str, ...] = ()  # those who go round; the turn is taken when the task is written
    kind: str = TASK


class CloseTask(Struct, frozen=True):
    """A task that ends without a human's word: overdue, or cancelled because its person left."""

    task_id: int
    outcome: str  # "overdue", "expired" or "cancelled"
    at: datetime


class Give(Struct, frozen=True):
    enrollment_id: int
    code: Code
    at: datetime


class Emit(Struct, frozen=True):
    """An event of the person that a journey records."""

    enrollment: Enrolled
    step: str
    visit: int
    event: str
    payload: Mapping[str, Any]
    at: datetime
    lineage: tuple[Link, ...]  # the steps that led to it, its own last


class Started(Struct, frozen=True):
    """A way that another journey opened. Its id is one of this decision only, below 0."""

    way: Enrolled
    trace: Trace


class Agreed(Struct, frozen=True):
    """A word of the person on one channel and topic, as a journey learned it."""

    channel: str
    topic: str
    granted: bool
    at: datetime
    source: str
    evidence: str


class Decision(Struct, frozen=True):
    """All that follows for one customer at one instant. Empty tuples mean nothing of that kind."""

    customer_id: int
    moves: tuple[Enrolled, ...] = ()  # enrollments that changed, whole
    wants: tuple[Want, ...] = ()
    unsent: tuple[Unsent, ...] = ()
    take_back: tuple[TakeBack, ...] = ()
    open_tasks: tuple[OpenTask, ...] = ()
    close_tasks: tuple[CloseTask, ...] = ()
    given: tuple[Give, ...] = ()
    person: Person | None = None  # as they are now; None: nothing about them was changed
    agreed: tuple[Agreed, ...] = ()
    emitted: tuple[Emit, ...] = ()
    started: tuple[Started, ...] = ()
    traces: tuple[Trace, ...] = ()
