"""The nouns as tables. What is true about a person carries their customer_id, so that tables can be spread by it.

Instants are aware and in UTC both ways. Rows of the bulk paths get their ids from `Counter` in one step per chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Column, Dialect, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import BigInteger, Field, SQLModel, UTCDateTime

_NONE_OR_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_JSON = JSON().with_variant(JSONB(), "postgresql")

_FOR_PEOPLE = text("kind = 'unknown' OR kind = 'dead'")  # what only a person decides, few among millions
_BORN_DEAD = text("state = 'dead'")
_WAITING = text("state = 'waiting'")
_UNTOLD = text("state = 'begun' OR state = 'failed' OR state = 'unknown'")


class Instant(UTCDateTime):
    """sqlmodel's own instants, by one step instead of four: on SQLite text `YYYY-MM-DD HH:MM:SS.ffffff` in UTC."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return _as_text if dialect.name == "sqlite" else _if_any

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], Any] | None:
        return _from_text if dialect.name == "sqlite" else _if_any


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _if_any(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo is UTC else _in_utc(at)


def _as_text(at: datetime | None) -> str | None:
    return None if at is None else _written(at)


@lru_cache(maxsize=4_096)  # what is written in one go has few instants
def _written(at: datetime) -> str:
    return _in_utc(at).isoformat(" ", "microseconds")[:26]


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


def _json() -> Any:
    return Field(default_factory=dict, sa_column=Column(_JSON, nullable=False))


#: on SQLite a number of this type names the row itself; of any other it would need an index of its own
_ID = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Any:
    return Field(sa_column=Column(_ID, primary_key=True, autoincrement=False))


class Counter(SQLModel, table=True):
    """The next free id of each kind of row."""

    kind: str = Field(primary_key=True)
    next: int = Field(sa_type=BigInteger)


class Customer(SQLModel, table=True):
    """A person. `revision` rises with every fact about them, so that a decision on old facts is not written.

    `changed` numbers what was last told of the person themselves, in one count with the events, so that who has to be
    judged again is found. It is `live` unless it is about somebody the shop knew long before: that is history.
    """

    __table_args__ = (Index("customer_by_zone", "zone", "id"),)

    id: int = _id()
    external_id: str = Field(unique=True)
    zone: str
    locale: str
    country: str | None = None
    created_at: datetime = Field(index=True)
    addresses: dict[str, Any] = _json()  # channel -> address
    attributes: dict[str, Any] = _json()
    tags: dict[str, Any] = _json()  # tag -> true
    revision: int = 0
    changed: int = Field(default=0, sa_type=BigInteger, index=True)
    live: bool = True


class Event(SQLModel, table=True):
    """Something that happened to a customer, once."""

    __table_args__ = (Index("event_by_person", "customer_id", "name", "at"),)

    id: int = _id()
    customer_id: int = Field(sa_type=BigInteger)
    external_id: str = Field(unique=True)
    name: str
    at: datetime = Field(index=True)
    received_at: datetime
    payload: dict[str, Any] = _json()
    body_hash: str  # the same id with another body is a conflict
    live: bool = True  # False: history, or it came too late; it feeds traits and starts nothing
    lineage: list[Any] | None = Field(default=None, sa_column=Column(_NONE_OR_JSON))  # of one that a journey emitted


class Rfm(SQLModel, table=True):
    """Where a customer stood among all in the last night: fifths, of which 5 is the best. Nobody without an order."""

    customer_id: int = _id()
    r: int
    f: int
    m: int
    segment: str


class Habit(SQLModel, table=True):
    """Where and when a customer answered, as it was in the last night."""

    customer_id: int = _id()
    channel: str | None = None
    hour: int | None = None  # 0 to 23, on their own clock


class Consent(SQLModel, table=True):
    """A log, only ever added to: every word a person said about being written to. The latest per channel and topic
    holds."""

    id: int = _id()
    customer_id: int = Field(sa_type=BigInteger, index=True)
    channel: str
    topic: str  # "*" means all
    purpose: str
    granted: bool
    at: datetime  # when the person said so
    recorded_at: datetime  # when it became known here
    source: str
    wording: str = ""  # the text they agreed to


class Suppression(SQLModel, table=True):
    """Addresses never to be written to again, as keyed hashes."""

    address_hash: str = Field(primary_key=True)
    channel: str
    reason: str
    at: datetime


class JourneyVersion(SQLModel, table=True):
    """One published text of a journey, kept for good: people stay on the version they entered."""

    __tablename__ = "journey_version"
    __table_args__ = (UniqueConstraint("journey", "number"),)

    id: int = _id()
    journey: str = Field(index=True)
    number: int
    fingerprint: str
    file: str
    source: str
    published_at: datetime


class JourneyState(SQLModel, table=True):
    """Which version of a journey people enter now, and whether it is paused."""

    __tablename__ = "journey_state"

    journey: str = Field(primary_key=True)
    hashed_as: str  # the name by which chance knows it: its first one, whatever it is called today
    version_id: int = Field(sa_type=BigInteger)
    paused_at: datetime | None = None
    paused_by: str | None = None
    waves_from: datetime  # waves planned at or before this instant are not fired
    published_at: datetime  # the last time anything of it was published
    retired_at: datetime | None = None  # nobody enters any more
    let_out: bool = False  # and who is inside leaves at once


class FormerName(SQLModel, table=True):
    """What a journey was called before. Rows carry the name of today; texts told under an old one keep it."""

    __tablename__ = "former_name"

    name: str = Field(primary_key=True)
    journey: str  # as it is called today
    until: datetime


class Journal(SQLModel, table=True):
    """What people did to journeys: which version they made live, whom they moved. Appended, never changed."""

    id: int = _id()
    journey: str
    version_id: int = Field(sa_type=BigInteger)
    at: datetime
    by: str
    deed: str  # published, renamed, rolled back, moved, retired
    note: str = ""


class Run(SQLModel, table=True):
    """One planned instant of a wave in one zone, or one request. Unique, so it happens once."""

    __table_args__ = (
        UniqueConstraint("journey", "planned", "zone"),
        Index("run_by_zone", "journey", "zone", "planned_at"),
    )

    id: int = _id()
    journey: str
    version_id: int = Field(sa_type=BigInteger)
    planned: str  # wall time, 2026-12-01T10:00
    zone: str
    planned_at: datetime
    state: str = Field(index=True)  # taking (people in), waiting (for approval), entering, done, refused, expired, late
    stage: int = 0  # stages of the roll-out that have entered
    cursor: int = Field(default=0, sa_type=BigInteger)  # last customer looked at in the stage under way
    entered: int = 0
    reason: str = ""


class Request(SQLModel, table=True):
    """Somebody asks to let people into a journey that is entered by request: one run. The same key twice is one."""

    __table_args__ = (UniqueConstraint("journey", "key"),)

    run_id: int = _id()
    journey: str
    key: str
    body_hash: str  # the same key with other people or values is a conflict
    by: str
    asked_at: datetime
    people: int


class Entrant(SQLModel, table=True):
    """Whom a request names, until its run is done."""

    run_id: int = Field(primary_key=True, sa_type=BigInteger)
    customer_id: int = Field(primary_key=True, sa_type=BigInteger)
    data: dict[str, Any] = _json()  # what texts and conditions see as `event`


class Happened(SQLModel, table=True):
    """Something that happened to the shop or the world, told once: whoever is in a segment then enters."""

    __table_args__ = (UniqueConstraint("name", "key"),)

    id: int = _id()
    name: str
    key: str  # which time it is: 2026-11-11
    at: datetime
    payload: dict[str, Any] = _json()
    told_at: datetime
    by: str
    planned: bool = False  # the journeys that wait for it have their runs


class Chosen(SQLModel, table=True):
    """Who may enter a wave or a request where not all may; customer 0 stands for the choice itself."""

    journey: str = Field(primary_key=True)
    planned: str = Field(primary_key=True)  # of all its runs
    customer_id: int = Field(primary_key=True, sa_type=BigInteger)


class Approval(SQLModel, table=True):
    """What a human says to one stage of a wave: one word for all its zones."""

    __table_args__ = (UniqueConstraint("journey", "planned", "stage"),)

    id: int = _id()
    journey: str
    planned: str
    stage: int  # 1 is the first
    asked_at: datetime
    expires_at: datetime
    people: int
    messages: int
    cost: str
    outcome: str | None = None  # approved, refused, expired
    by: str | None = None
    at: datetime | None = None


class Membership(SQLModel, table=True):
    """Who is inside a segment now."""

    segment: str = Field(primary_key=True)
    customer_id: int = Field(primary_key=True, sa_type=BigInteger)
    since: datetime


class Crossing(SQLModel, table=True):
    """Someone went into or out of a segment, stamped with the instant it became true."""

    __table_args__ = (Index("crossing_by_segment", "segment", "at"),)

    id: int = _id()
    segment: str
    customer_id: int = Field(sa_type=BigInteger, index=True)
    direction: str  # in, out
    at: datetime
    judged_at: datetime


class SegmentState(SQLModel, table=True):
    """When a segment was last judged, and by which definition: an edit is no crossing."""

    __tablename__ = "segment_state"

    segment: str = Field(primary_key=True)
    fingerprint: str
    judged_at: datetime
    seen: int = Field(sa_type=BigInteger)  # the number of the last fact it was judged with


class Enrollment(SQLModel, table=True):
    """One customer's way through one version of one journey."""

    __table_args__ = (
        Index("enrollment_due", "due_at", sqlite_where=text("active = 1"), postgresql_where=text("active")),
        Index("enrollment_inhabited", "version_id", sqlite_where=text("active = 1"), postgresql_where=text("active")),
        Index(
            "enrollment_ended",
            "ended_at",
            sqlite_where=text("active = 0 AND trimmed = 0"),
            postgresql_where=text("NOT active AND NOT trimmed"),
        ),
        Index("enrollment_by_person", "customer_id", "active", "journey", "entered_at"),
        Index("enrollment_by_journey", "journey", "id"),
    )

    id: int = _id()
    customer_id: int = Field(sa_type=BigInteger)
    journey: str
    version_id: int = Field(sa_type=BigInteger)
    run_id: int | None = Field(default=None, sa_type=BigInteger)
    key: str = ""
    entered_at: datetime
    holdout: bool = False
    step: str | None = None
    visit: int = 1
    arrived_at: datetime
    due_at: datetime | None = None
    active: bool = True
    reason: str | None = None
    ended_at: datetime | None = None
    data: dict[str, Any] = _json()  # event, event_at, vouchers, variants, rounds, lineage, stopped
    started_by: str = ""  # journey/step, where a step of another journey led to it
    failures: int = 0  # processes that died or errors raised while deciding; three set it aside
    trimmed: bool = False  # what happened on it is kept no longer; the row stays while `again` may ask for it
    news: int = 0  # how often it was told to look again: what was decided on fewer is not written


class Touch(SQLModel, table=True):
    """One wish to speak: what total caps count."""

    __table_args__ = (UniqueConstraint("enrollment_id", "step", "visit"),)

    id: int = _id()
    customer_id: int = Field(sa_type=BigInteger)
    enrollment_id: int = Field(sa_type=BigInteger)
    step: str
    visit: int


class Message(SQLModel, table=True):
    """One rendered text for one customer on one channel, or the recorded reason it was not sent.

    `state` and `reason` are what it was born with; deliveries are appended and their fold is the state today.
    """

    __table_args__ = (
        UniqueConstraint("enrollment_id", "step", "visit", "wish"),
        Index("message_by_person", "customer_id", "created_at"),
        Index("message_by_address", "address_hash", "created_at"),
        Index("message_born_dead", "created_at", sqlite_where=_BORN_DEAD, postgresql_where=_BORN_DEAD),
    )

    id: int = _id()
    customer_id: int = Field(sa_type=BigInteger)
    touch_id: int = Field(sa_type=BigInteger)
    enrollment_id: int = Field(sa_type=BigInteger)
    batch_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    journey: str
    step: str
    visit: int
    wish: int
    channel: str
    message: str
    locale: str = ""
    parts: int = 1  # of an SMS: what it is sent and paid in
    topic: str
    marketing: bool
    priority: int
    tags: str = ""  # of its journey and its step, with commas between
    key: str  # stable for all attempts, and the same in a simulation
    address_hash: str = ""
    due_at: datetime  # the plan's instant
    send_by: datetime
    created_at: datetime
    state: str  # queued, or suppressed / expired with its reason
    reason: str | None = None
    rule: str | None = None
    detail: dict[str, Any] = _json()


class Body(SQLModel, table=True):
    """The rendered content of a message, compressed."""

    message_id: int = _id()
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: str


class Batch(SQLModel, table=True):
    """Up to 500 messages of one lane that leave together."""

    __table_args__ = (Index("batch_due", "due_at", sqlite_where=text("open = 1"), postgresql_where=text("open")),)

    id: int = _id()
    channel: str
    lane: str
    due_at: datetime
    open: bool = True
    worker_id: int | None = Field(default=None, sa_type=BigInteger)  # who holds it
    token: str | None = None  # and by what: one for each time it was taken
    urgent: bool = False  # before those that are not
    deaths: int = 0
    front: int | None = Field(default=None, sa_type=BigInteger)  # the message that was next when its worker last died
    stuck: int = 0  # deaths with this one next


class Chunk(SQLModel, table=True):
    """People in hand: written before anything is decided about them, gone with the write of what was decided.

    Up to 500 who are due, or those of a page of a run. Whoever was in hand when a worker died has failed once.
    """

    id: int = _id()
    made_at: datetime
    people: list[Any] = Field(default_factory=list, sa_column=Column(_JSON, nullable=False))
    failures: int = 0  # the ways of theirs that are looked at failed no more often
    way: int | None = Field(default=None, sa_type=BigInteger)  # or only this one is
    run_id: int | None = Field(default=None, sa_type=BigInteger, index=True)  # these people are to enter by it
    stage: int = 0  # of the run
    urgent: bool = False  # before those that are not
    worker_id: int | None = Field(default=None, sa_type=BigInteger)  # who holds it
    token: str | None = None  # and by what
    deaths: int = 0


class Delivery(SQLModel, table=True):
    """What happened to a message: appended, never changed. The heaviest row is its state."""

    __table_args__ = (
        Index("delivery_by_message", "message_id", "weight", "at", "kind"),
        Index("delivery_for_people", *("kind", "at"), sqlite_where=_FOR_PEOPLE, postgresql_where=_FOR_PEOPLE),
    )

    id: int = _id()
    message_id: int = Field(sa_type=BigInteger)
    customer_id: int = Field(sa_type=BigInteger)
    attempt: int
    kind: str
    weight: int
    at: datetime
    token: str | None = None
    payload_hash: str | None = None
    deadline: datetime | None = None
    provider: str | None = None
    provider_id: str | None = None
    rule: str | None = None
    reason: str | None = None
    cost: int | None = Field(default=None, sa_type=BigInteger)  # of an attempt that begins, in millionths
    currency: str | None = None


class Turn(SQLModel, table=True):
    """Who of a queue was given the last task of those that go round."""

    queue: str = Field(primary_key=True)
    last: str


class Task(SQLModel, table=True):
    """Work for a human, or a question to one."""

    __table_args__ = (
        UniqueConstraint("enrollment_id", "step", "visit"),
        Index(
            "task_open",
            "escalate_at",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: int = _id()
    kind: str = "task"  # or approval: its brief is the question, its assignee who is asked
    customer_id: int = Field(sa_type=BigInteger, index=True)
    enrollment_id: int = Field(sa_type=BigInteger)
    journey: str
    step: str
    visit: int
    brief: str
    call: bool = False  # the person is called up: a message of the same step says whether they still may be
    queue: str
    assignee: str | None = None
    taken_at: datetime | None = None  # when its assignee said so
    handed_on_from: str | None = None  # the queue in which nobody took it in time
    outcomes: dict[str, Any] = _json()  # {"names": [...]}
    opened_at: datetime
    due_at: datetime = Field(index=True)
    escalate_at: datetime | None = None
    escalate_to: str | None = None
    outcome: str | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str = ""
    later: dict[str, Any] = _json()  # outcomes told after the first: kept, they move nothing


class Voucher(SQLModel, table=True):
    """One code of a pool. Given once."""

    __table_args__ = (
        UniqueConstraint("pool", "code"),
        Index("voucher_by_code", "code"),
        Index(
            "voucher_free",
            *("pool", "id"),
            sqlite_where=text("customer_id IS NULL"),
            postgresql_where=text("customer_id IS NULL"),
        ),
    )

    id: int = _id()
    pool: str
    code: str
    value: str
    customer_id: int | None = Field(default=None, sa_type=BigInteger, index=True)
    enrollment_id: int | None = Field(default=None, sa_type=BigInteger)
    given_at: datetime | None = None
    expires_at: datetime | None = None
    redeemed_at: datetime | None = None  # the first order that named it


class Trace(SQLModel, table=True):
    """Why: one line of the story of a customer in a journey."""

    __table_args__ = (Index("trace_by_person", "customer_id", "journey"),)

    id: int = _id()
    customer_id: int = Field(sa_type=BigInteger)
    enrollment_id: int | None = Field(default=None, sa_type=BigInteger)
    journey: str
    version_id: int | None = Field(default=None, sa_type=BigInteger)
    step: str | None = None
    at: datetime
    rule: str
    sentence: str
    detail: dict[str, Any] = _json()
    file: str | None = None
    line: int | None = None


class Lane(SQLModel, table=True):
    """The state of one way out of a channel, obeyed by all workers and after a restart."""

    name: str = Field(primary_key=True)  # of a channel with one provider, the channel's; else sms/twilio
    failures: int = 0  # in a row
    paused_until: datetime | None = None
    stopped: str | None = None  # why a human must resume it
    probing_until: datetime | None = None  # after failures one message asks whether it goes again, and no second one
    used: list[Any] = Field(
        default_factory=list, sa_column=Column(_JSON, nullable=False)
    )  # what was granted lately: by what name, until when, how many
    day: str | None = None  # the shop's calendar day on which attempts are counted
    begun: int = 0  # attempts that began on it


class Kept(SQLModel, table=True):
    """What providers share among all workers, sealed: access tokens and the like."""

    name: str = Field(primary_key=True)
    sealed: str
    until: datetime


class Claim(SQLModel, table=True):
    """Somebody works on something that one is enough for, until then at most."""

    name: str = Field(primary_key=True)
    until: datetime


class InboxEntry(SQLModel, table=True):
    """A message in the shop's own app: a person's box holds each once."""

    __tablename__ = "inbox_entry"
    __table_args__ = (Index("inbox_by_box", "box", "at"),)

    key: str = Field(primary_key=True)
    box: str  # the shop's id of the person
    entry: str  # JSON: title, text, image, link
    at: datetime
    read_at: datetime | None = None


class Alias(SQLModel, table=True):
    """By what a provider's reports name a message: its key, or the provider's own name for it, hashed."""

    hash: int = Field(primary_key=True, sa_type=BigInteger)
    message_id: int = Field(primary_key=True, sa_type=BigInteger)


class Errand(SQLModel, table=True):
    """Something to be told to a queue's room, once: there is a task. What its state means: engine/work/colleagues."""

    __table_args__ = (
        UniqueConstraint("task_id", "place"),
        Index("errand_waiting", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("errand_open", "state", "at", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    )

    id: int = _id()
    task_id: int = Field(sa_type=BigInteger)
    place: str  # the queue
    key: str  # the same at every attempt
    state: str  # waiting, begun, told, failed, unknown
    attempts: int = 0
    due_at: datetime
    at: datetime  # of its state
    reason: str = ""


class Report(SQLModel, table=True):
    """What a provider reported, once by its name there; kept also when it is about nothing we know."""

    __table_args__ = (
        UniqueConstraint("lane", "event_id"),
        Index("report_open", "received_at", sqlite_where=text("open = 1"), postgresql_where=text("open")),
        Index("report_by_message", "message_id"),
        Index("report_by_time", "received_at"),
    )

    id: int = _id()
    lane: str
    event_id: str
    type: str
    at: datetime
    received_at: datetime
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    open: bool = False  # its message is not known, and may be yet: the report was faster than our own commit
    told: dict[str, Any] = _json()


class Worker(SQLModel, table=True):
    """A process that runs journeys; on SQLite there is one. It holds what it took as long as it beats."""

    id: int = _id()
    name: str  # host and process
    started_at: datetime
    beat_at: datetime
    stopped_at: datetime | None = None
    lost_at: datetime | None = None  # it was silent for too long, and what it held was freed


class Import(SQLModel, table=True):
    """How far an import of a file has come, so that it can be taken up again."""

    file_hash: str = Field(primary_key=True)
    kind: str
    rows: int
    done: bool
    at: datetime


class Fact(SQLModel, table=True):
    """Single facts of this installation: its id, when the waves were last looked at."""

    name: str = Field(primary_key=True)
    value: str


metadata = SQLModel.metadata  # of every table above

for _table in metadata.tables.values():
    for _column in _table.columns:
        if isinstance(_column.type, UTCDateTime):
            _column.type = Instant()
