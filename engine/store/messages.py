"""Touches, messages, their bodies and the batches they leave in."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from lz4 import frame
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select, text, union, update

from engine.decide.decision import Rule
from engine.decide.outcome import IN_WORDS, WAITING, DeliveryKind, MessageState, read_weight, state_of
from engine.decide.state import Said
from engine.store import deliveries
from engine.store.deliveries import Heaviest
from engine.store.questions import Question
from engine.store.tables import (
    Row,
    among,
    batch,
    body,
    customer,
    delivery,
    enrollment,
    in_parts,
    lane,
    message,
    put,
    suppression,
    take_ids,
    touch,
)
from engine.values import replace

_NO_TAGS: frozenset[str] = frozenset()


def pack(content: bytes) -> bytes:
    """Rendered content as JSON -> bytes to keep: an LZ4 frame with its checksum, in an eighth of zlib's time."""
    packed: bytes = frame.compress(content, content_checksum=True)
    return packed


def unpack(packed: bytes) -> bytes:
    """The bytes kept -> rendered content as JSON. ValueError when they are damaged."""
    try:
        content: bytes = frame.decompress(packed)
    except RuntimeError as error:
        raise ValueError(f"the bytes that were kept are damaged: {error}") from None
    return content


_TOUCHES = Question(
    select(touch.c.enrollment_id, touch.c.step, touch.c.visit, touch.c.id).where(among(touch.c.enrollment_id))
)


def touches(connection: Connection, keys: Sequence[tuple[int, str, int]]) -> dict[tuple[int, str, int], int]:
    """(enrollment, step, visit) -> touch id, for those that exist."""
    rows = _TOUCHES.ask(connection, ids=sorted({key[0] for key in keys}))
    return {(enrollment_id, step, visit): number for enrollment_id, step, visit, number in rows}


_WISHES = Question(
    select(message.c.enrollment_id, message.c.step, message.c.visit, message.c.wish).where(
        among(message.c.enrollment_id)
    )
)


def wishes(connection: Connection, enrollment_ids: Sequence[int]) -> frozenset[tuple[Any, ...]]:
    """(enrollment, step, visit, wish) of every message of these enrollments."""
    return frozenset(_WISHES.ask(connection, ids=enrollment_ids))


def add_touches(connection: Connection, rows: Sequence[Row]) -> None:
    put(connection, touch, rows)


def add(connection: Connection, rows: Sequence[Row], bodies: Sequence[Row]) -> None:
    """Write messages and their bodies."""
    put(connection, message, rows)
    put(connection, body, bodies)


def of_people(connection: Connection, ids: Sequence[int], since: datetime) -> dict[int, list[Said]]:
    """id -> messages that caps may count (after `since`) and all of their active enrollments, oldest first."""
    found: dict[int, list[Said]] = {}
    for said, customer_id in _folded(connection, _OF_PEOPLE.ask(connection, ids=ids, since=since)):
        found.setdefault(customer_id, []).append(said)
    return found


#: of a message, what `decide` reads; whose it is comes last
_NAMED = ("id", "enrollment_id", "touch_id", "journey", "step", "visit", "wish", "channel", "message", "topic")
_READ = (*_NAMED, "marketing", "priority", "created_at", "send_by", "due_at", "address_hash", "tags", "state", "rule")
_SAYINGS = select(*(message.c[name] for name in _READ), message.c.customer_id)
_OLDEST_FIRST = message.c.created_at, message.c.id

#: two questions, each with an index of its own: as one with an `or`, all that was ever said would be looked through
_LATELY = select(message.c.id).where(among(message.c.customer_id), message.c.created_at > bindparam("since"))
_STANDING = (
    select(message.c.id)
    .join(enrollment, enrollment.c.id == message.c.enrollment_id)
    .where(among(enrollment.c.customer_id), enrollment.c.active)
)
_OF_PEOPLE = Question(_SAYINGS.where(message.c.id.in_(union(_LATELY, _STANDING))).order_by(*_OLDEST_FIRST))
_HOLD_ADDRESS = text("SELECT pg_advisory_xact_lock(:kind, hashtext(one)) FROM unnest(CAST(:hashes AS text[])) one")
ADDRESS = 0x6F616464  # the first half of the advisory locks of PostgreSQL that stand for addresses


def hold_addresses(connection: Connection, hashes: Collection[str]) -> None:
    """Nobody else begins an attempt to one of these addresses until this transaction ends."""
    if hashes and connection.dialect.name != "sqlite":
        connection.execute(_HOLD_ADDRESS, {"kind": ADDRESS, "hashes": sorted(hashes)})


_TO_ADDRESSES = Question(
    _SAYINGS.where(among(message.c.address_hash), message.c.created_at > bindparam("since")).order_by(*_OLDEST_FIRST)
)
_ADDRESS = _READ.index("address_hash")


def to_addresses(
    connection: Connection, owners: Mapping[str, Collection[int]], since: datetime
) -> dict[int, list[Said]]:
    """id -> messages that went to an address of theirs but to another person: two people may share one.

    `owners` names for each address hash the people who have it.
    """
    found: dict[int, list[Said]] = {}
    rows = _TO_ADDRESSES.ask(connection, ids=list(owners), since=since)
    strangers = [row for row in rows if set(owners[row[_ADDRESS]]) - {row[-1]}]
    for said, customer_id in _folded(connection, strangers):
        for owner in set(owners[said.address]) - {customer_id}:
            found.setdefault(owner, []).append(replace(said, theirs=True))
    return found


def _folded(connection: Connection, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Said, int]]:
    """What was read of messages as values, with what became of them; and whose they are."""
    queued = [row[0] for row in rows if row[-3] == MessageState.queued]
    states = deliveries.fold(connection, queued) if queued else {}
    refused = [number for number, one in states.items() if one.kind in (DeliveryKind.suppressed, DeliveryKind.expired)]
    rules = deliveries.rules_at_the_door(connection, refused) if refused else {}
    for row in rows:
        yield _said(row[:-1], states.get(row[0]), rules.get(row[0])), row[-1]


def _said(row: Sequence[Any], heaviest: Heaviest | None = None, rule: str | None = None) -> Said:
    number, enrollment_id, touch_id, journey, step, visit, wish, channel, text, topic, *rest = row
    marketing, priority, created_at, send_by, due_at, address, tags, born, own_rule = rest
    if born == MessageState.queued:
        state = state_of(heaviest.kind if heaviest else None)
        begun = state not in (MessageState.queued, MessageState.retry)
    else:
        state, begun = MessageState(born), False
    return Said(
        id=number,
        enrollment_id=enrollment_id,
        touch_id=touch_id,
        journey=journey,
        step=step,
        visit=visit,
        wish=wish,
        channel=channel,
        message=text,
        topic=topic,
        marketing=marketing,
        priority=priority,
        at=created_at,
        state=state,
        reason=rule or own_rule,
        begun=begun,
        counts_at=(heaviest.begun_at if heaviest else None) or created_at,
        send_by=send_by,
        settled_at=heaviest.at if heaviest else None,
        due_at=due_at,
        address=address,
        tags=_NO_TAGS if not tags else frozenset(tags.split(",")),
    )


_UNFOLDED = Question(_SAYINGS.where(among(message.c.id)))


def as_born(connection: Connection, ids: Sequence[int]) -> dict[int, Said]:
    """Messages as the values `decide` reads, before anything became of them."""
    return {row[0]: _said(row[:-1]) for row in _UNFOLDED.ask(connection, ids=ids)}


#: states a message is born with that are not its last
_MAY_CHANGE = (MessageState.queued, MessageState.dead)


def state_today(row: Any, kind: DeliveryKind | None) -> MessageState:
    """The state of a message whose heaviest delivery is of this kind; without any, the one it was born with."""
    return MessageState(row.state) if kind is None else state_of(kind)


class Tried(NamedTuple):
    """What was tried so far of a message that waits to leave."""

    attempts: int = 0
    may_be_out: bool = False  # one of them may have been accepted


class Standing(NamedTuple):
    """How it stands with a message that waits to leave."""

    tried: Tried
    revision: int | None  # of its person; None: nobody knows them any more
    suppressed: bool  # its address
    several: bool  # lately, other messages to its person were to leave as well
    shared: bool  # or messages to somebody else at its address


_HEAVIEST = select(func.max(delivery.c.weight)).where(delivery.c.message_id == message.c.id).scalar_subquery()
_beside = message.alias("beside")
_ALSO = select(_beside.c.id).where(
    _beside.c.state == MessageState.queued.value,
    _beside.c.created_at > bindparam("since", type_=_beside.c.created_at.type),
)
_STANDING_OF = Question(
    select(
        message.c.id,
        _HEAVIEST,
        select(customer.c.revision).where(customer.c.id == message.c.customer_id).scalar_subquery(),
        select(suppression.c.address_hash)  # not `exists`, for which PostgreSQL may read all of the list
        .where(suppression.c.address_hash == message.c.address_hash)
        .scalar_subquery(),
        _ALSO.where(_beside.c.customer_id == message.c.customer_id, _beside.c.id != message.c.id).exists(),
        and_(
            message.c.address_hash != "",
            _ALSO.where(
                _beside.c.address_hash == message.c.address_hash, _beside.c.customer_id != message.c.customer_id
            ).exists(),
        ),
    ).where(among(message.c.id))
)


def standing(connection: Connection, ids: Sequence[int], since: datetime) -> dict[int, Standing]:
    """Those of these messages that still wait to leave, each with what may keep it from that."""
    found = {}
    for number, heaviest, revision, blocked, several, shared in _STANDING_OF.ask(connection, ids=ids, since=since):
        kind, attempts = read_weight(heaviest) if heaviest is not None else (None, 0)
        if kind is None or kind in WAITING:
            tried = Tried(attempts, kind is DeliveryKind.repeat)
            found[number] = Standing(tried, revision, blocked is not None, several, shared)
    return found


def recallable(connection: Connection, ids: Sequence[int]) -> dict[int, Tried]:
    """Those of these messages that can still be taken back: no attempt is under way."""
    folded = deliveries.fold(connection, ids)
    tried = {
        number: Tried(one.attempt, one.kind is DeliveryKind.repeat)
        for number, one in folded.items()
        if one.kind in WAITING
    }
    return {number: tried.get(number, Tried()) for number in ids if number in tried or number not in folded}


# --- batches ---------------------------------------------------------------------------------------------------------


def add_batch(
    connection: Connection, channel: str, lane_name: str, due_at: datetime, urgent: bool, deaths: int = 0
) -> int:
    """A batch for messages that leave together; its number."""
    (number,) = take_ids(connection, batch, 1)
    row = {"id": number, "channel": channel, "lane": lane_name, "due_at": due_at, "urgent": urgent, "deaths": deaths}
    put(connection, batch, [{**row, "open": True, "worker_id": None, "token": None, "front": None, "stuck": 0}])
    return number


def due_batches(connection: Connection, now: datetime, limit: int = 100) -> list[Any]:
    """(id, lane, urgent) of batches that may leave now and nobody holds: the urgent ones, then the oldest first."""
    due = select(batch.c.id, batch.c.lane, batch.c.urgent).where(
        batch.c.open, batch.c.due_at <= now, batch.c.token.is_(None)
    )
    return list(connection.execute(due.order_by(batch.c.urgent.desc(), batch.c.due_at, batch.c.id).limit(limit)))


def count_due_batches(connection: Connection, now: datetime) -> int:
    """How many batches wait to leave now, or are leaving."""
    due = select(func.count()).select_from(batch).where(batch.c.open, batch.c.due_at <= now)
    return connection.execute(due).scalar_one()


def next_batch_due(connection: Connection) -> datetime | None:
    """When the next batch may leave."""
    return connection.execute(select(func.min(batch.c.due_at)).where(batch.c.open)).scalar()


def take_batch(connection: Connection, batch_id: int, lane_name: str, worker_id: int, token: str) -> Any | None:
    """Take a batch of this lane: from here on only the bearer of `token` writes its outcomes. None when another holds
    it, or it went to another lane."""
    free = update(batch).where(batch.c.id == batch_id, batch.c.lane == lane_name, batch.c.open, batch.c.token.is_(None))
    return connection.execute(free.values(worker_id=worker_id, token=token).returning(*batch.c)).first()


_HELD = Question(
    select(lane)
    .select_from(batch.outerjoin(lane, lane.c.name == batch.c.lane))
    .where(batch.c.id == bindparam("number"), batch.c.token == bindparam("token"), batch.c.open)
    .with_for_update(of=batch)
)


def held(connection: Connection, batch_id: int, token: str) -> tuple[bool, Any | None]:
    """Is the batch still in the hands of the bearer of `token`? Until the transaction ends it stays there. And its
    lane, None when nothing was ever said about it."""
    for found in _HELD.named(connection, number=batch_id, token=token):
        return True, found if found.name is not None else None
    return False, None


def free(connection: Connection, batch_id: int, **more: Any) -> None:
    """Let go of a batch before all of it has left."""
    connection.execute(update(batch).where(batch.c.id == batch_id).values(token=None, worker_id=None, **more))


def postpone(connection: Connection, batch_id: int, lane_name: str, until: datetime) -> None:
    """What is left of a batch leaves at that instant, by this lane."""
    later = {"lane": lane_name, "due_at": until, "token": None, "worker_id": None}
    connection.execute(update(batch).where(batch.c.id == batch_id).values(**later))


def close(connection: Connection, batch_id: int) -> None:
    """Every message of it has left, is settled or has moved to a later batch."""
    connection.execute(update(batch).where(batch.c.id == batch_id).values(open=False, token=None, worker_id=None))


def batches_held_by(connection: Connection, workers: Sequence[int] | None) -> list[Any]:
    """Open batches in the hands of these workers; None: of anybody."""
    query = select(batch).where(batch.c.open, batch.c.token.is_not(None))
    if workers is not None:
        query = query.where(batch.c.worker_id.in_(workers))
    return list(connection.execute(query.order_by(batch.c.id)))


_WHOSE = ("id", "customer_id", "enrollment_id", "journey", "channel", "topic", "marketing")
_HOW = ("key", "address_hash", "send_by", "created_at", "parts")
_IN_BATCH = Question(
    select(*(message.c[name] for name in (*_WHOSE, *_HOW)), body.c.content, body.c.hash)
    .join(body, body.c.message_id == message.c.id)
    .where(message.c.batch_id == bindparam("batch_id"))
    .order_by(message.c.priority.desc(), message.c.id)
)


def in_batch(connection: Connection, batch_id: int) -> list[Any]:
    """All messages of a batch as far as their way out asks, with the packed `content` of their text and its `hash`.

    Some may have left already, or been taken back: `standing` says which of them still wait.
    """
    return _IN_BATCH.named(connection, batch_id=batch_id)


def explain_end(connection: Connection, details: Mapping[int, Mapping[str, Any]]) -> None:
    """What ended a message that was born to leave: the cap, and who went instead."""
    for number, detail in details.items():
        connection.execute(update(message).where(message.c.id == number).values(detail=dict(detail)))


def move_to_batch(connection: Connection, ids: Sequence[int], batch_id: int) -> None:
    """These messages leave with another batch."""
    for part in in_parts(list(ids)):
        connection.execute(update(message).where(message.c.id.in_(part)).values(batch_id=batch_id))


def story(connection: Connection, where: Iterable[Any], limit: int) -> list[Any]:
    """Messages as rows, newest first."""
    return list(
        connection.execute(
            select(message).where(*where).order_by(message.c.created_at.desc(), message.c.id.desc()).limit(limit)
        )
    )


def queued_of(connection: Connection, enrollment_id: int) -> list[int]:
    """Numbers of the messages of one enrollment that were born to leave, whatever became of them."""
    query = select(message.c.id).where(
        message.c.enrollment_id == enrollment_id, message.c.state == MessageState.queued.value
    )
    return [row.id for row in connection.execute(query.order_by(message.c.id))]


def of_ids(connection: Connection, ids: Sequence[int]) -> dict[int, Any]:
    return {
        row.id: row
        for part in in_parts(list(ids))
        for row in connection.execute(select(message).where(message.c.id.in_(part)))
    }


def content_of(connection: Connection, message_id: int) -> dict[str, Any] | None:
    """The rendered content of one message."""
    packed = connection.execute(select(body.c.content).where(body.c.message_id == message_id)).scalar()
    return json.loads(unpack(packed)) if packed else None


def bodies_of(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """message id -> its rendered content as JSON, of those that have one."""
    rows = connection.execute(select(body.c.message_id, body.c.content).where(body.c.message_id.in_(ids)))
    return {number: unpack(packed) for number, packed in rows}


def listed(
    connection: Connection, customer_id: int | None, journey: str | None, state: str | None, limit: int
) -> list[dict[str, Any]]:
    """The last messages, newest first, with deliveries folded, as people look at them."""
    query = select(message, customer.c.external_id.label("person")).join(
        customer, customer.c.id == message.c.customer_id
    )
    if customer_id is not None:
        query = query.where(message.c.customer_id == customer_id)
    if journey is not None:
        query = query.where(message.c.journey == journey)
    found: list[dict[str, Any]] = []
    for row in connection.execute(
        query.order_by(message.c.created_at.desc(), message.c.id.desc()).execution_options(yield_per=500)
    ):
        happened = deliveries.of_messages(connection, [row.id]).get(row.id, []) if row.state in _MAY_CHANGE else []
        heaviest = max(happened, key=lambda one: one.weight, default=None)
        now = state_today(row, DeliveryKind(heaviest.kind) if heaviest else None)
        if state in (None, now.value):
            found.append(
                {
                    "id": row.id,
                    "at": row.created_at,
                    "person": row.person,
                    "journey": row.journey,
                    "step": row.step,
                    "message": row.message,
                    "channel": row.channel,
                    "locale": row.locale,
                    "provider": next((one.provider for one in reversed(happened) if one.provider), None),
                    "state": now.value,
                    "reason": _told_why((heaviest.reason if heaviest else row.reason) or IN_WORDS.get(now), happened),
                }
            )
        if len(found) >= limit:
            break
    return found


def _told_why(reason: str | None, happened: Sequence[Any]) -> str | None:
    """Why it stands as it does, and why those who were asked before did not take it."""
    before = [
        f"not {one.provider}: {one.reason}"
        for one in happened
        if one.rule in (Rule.passed_on.value, Rule.turned_away.value) and one.reason != reason
    ]
    return "; ".join([*filter(None, [reason]), *before]) or None


def count_in_state(connection: Connection, state: str, journeys: Sequence[str] | None = None) -> int:
    """How many messages are in a state now."""
    heaviest = deliveries.folded()
    query = (
        select(heaviest.c.weight, func.count())
        .join(message, message.c.id == heaviest.c.message_id)
        .group_by(heaviest.c.weight)
    )
    if journeys is not None:
        query = query.where(message.c.journey.in_(journeys))
    rows = connection.execute(query)
    return sum(count for weight, count in rows if state_of(read_weight(weight)[0]).value == state)


def waiting(connection: Connection, journey: str) -> int:
    """How many messages of a journey can still be taken back: they stand in batches that are open."""
    leaving = message.c.batch_id.in_(select(batch.c.id).where(batch.c.open))
    mine = (leaving, message.c.journey == journey, message.c.state == MessageState.queued.value)
    ids = list(connection.execute(select(message.c.id).where(*mine)).scalars())
    return sum(len(recallable(connection, part)) for part in in_parts(ids))


def in_flight(connection: Connection, journeys: Sequence[str]) -> int:
    """Messages of these journeys with an attempt under way: they stand in batches that somebody holds."""
    held = select(batch.c.id).where(batch.c.open, batch.c.token.is_not(None))
    return _sending(connection, [message.c.batch_id.in_(held), message.c.journey.in_(journeys)])


def _sending(connection: Connection, which: Sequence[ColumnElement[bool]]) -> int:
    ids = list(connection.execute(select(message.c.id).where(*which)).scalars())
    states = [one for part in in_parts(ids) for one in deliveries.fold(connection, part).values()]
    return sum(state_of(one.kind) is MessageState.sending for one in states)


def hurry(connection: Connection, channel: str, now: datetime) -> list[Any]:
    """Batches of a channel that waited for a lane are due now; they, as (id, lane, urgent)."""
    later = update(batch).where(batch.c.open, batch.c.channel == channel, batch.c.due_at > now)
    return list(connection.execute(later.values(due_at=now).returning(batch.c.id, batch.c.lane, batch.c.urgent)))


def in_flight_on(connection: Connection, lane_names: Sequence[str]) -> int:
    """Messages with an attempt under way on these lanes."""
    held = select(batch.c.id).where(batch.c.open, batch.c.token.is_not(None), batch.c.lane.in_(lane_names))
    return _sending(connection, [message.c.batch_id.in_(held)])
