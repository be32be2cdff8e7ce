"""What providers report about messages: kept once, whatever the order, and then what follows from it.

A report is found its message by our key, or by the provider's own name for it. One that came before our own commit
waits for it; one about nothing we know is kept as well, and what it says of an address holds all the same.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from channels.contract import FailureReason, Receipt, ReceiptType, keepable, keepable_json
from engine.app import App
from engine.decide.outcome import DeliveryKind
from engine.decide.policy import ALL_TOPICS
from engine.decide.responses import RESPONSES, SCANNED
from engine.store import customers, deliveries, enrollments, messages, receipts
from engine.store.deliveries import Happening
from engine.store.tables import Row, in_parts
from engine.work.incoming.intake import NewEvent, take_events

log = logging.getLogger("outreach.receipts")

TOGETHER = 500  # reports in one transaction
WAIT_FOR_COMMIT = timedelta(hours=1)  # so long a report may be ahead of what we know ourselves
LONGEST_RAW = 16_000  # characters of a provider's own words that are kept
LONGEST_NAME = 200  # characters of the name of a report: an index takes no more than 2,704 bytes
PATIENCE = 5.0

#: what a report says of the state of a message
KINDS = {
    ReceiptType.accepted: DeliveryKind.accepted,
    ReceiptType.delivered: DeliveryKind.delivered,
    ReceiptType.bounced: DeliveryKind.bounced,
    ReceiptType.complained: DeliveryKind.complained,
    ReceiptType.opened: DeliveryKind.delivered,  # nobody reads or answers what did not arrive
    ReceiptType.clicked: DeliveryKind.delivered,
    ReceiptType.replied: DeliveryKind.delivered,
}

_TEXTS = ("event_id", "key", "provider_id", "to", "link", "detail")
_TYPES = {one.value: one for one in ReceiptType}
_REASONS = {one.value: one for one in FailureReason}


@dataclass
class Kept:
    """What became of reports."""

    new: int = 0
    repeated: int = 0
    unmatched: int = 0  # kept, and about no message we know


def take_receipts(app: App, lane: str, heard: Sequence[Receipt]) -> Kept:
    """Keep what the provider of a lane reports, and do what follows, each batch of them in one transaction."""
    kept = Kept()
    for part in in_parts([_keepable(one) for one in heard], TOGETHER):
        now = app.clock.now()
        with app.database.writing(PATIENCE) as connection:
            _take(app, connection, lane, part, now, kept)
    return kept


def match_open(app: App, now: datetime) -> int:
    """Reports that came before we knew of their message: those whose message is known by now. How many."""
    with app.database.reading() as connection:
        if not receipts.any_open(connection):
            return 0
    with app.database.writing(PATIENCE) as connection:
        waiting = receipts.open_reports(connection, TOGETHER)
        found: dict[int, int | None] = dict.fromkeys(receipts.open_since(connection, now - WAIT_FOR_COMMIT))
        for lane in sorted({row.lane for row in waiting}):
            mine = [(row, _receipt(row.told)) for row in waiting if row.lane == lane]
            named = _named(connection, lane, [one for _, one in mine])
            pairs = [(row, one, named[number]) for number, (row, one) in enumerate(mine) if number in named]
            found |= {row.id: message_id for row, _, message_id in pairs}
            _follow(app, connection, lane, [(one, message_id) for _, one, message_id in pairs], now)
        receipts.settle(connection, found)
    return sum(number is not None for number in found.values())


def _take(app: App, connection: Connection, lane: str, part: Sequence[Receipt], now: datetime, kept: Kept) -> None:
    once = {one.event_id: one for one in part}
    before = receipts.heard_before(connection, lane, list(once))
    fresh = [one for name, one in once.items() if name not in before]
    named = _named(connection, lane, fresh)
    rows = [_row(lane, one, named.get(number), now) for number, one in enumerate(fresh)]
    receipts.add(connection, rows)
    _follow(app, connection, lane, [(one, named.get(number)) for number, one in enumerate(fresh)], now)
    kept.new += len(fresh)
    kept.repeated += len(part) - len(fresh)
    kept.unmatched += len(fresh) - len(named)


def _keepable(one: Receipt) -> Receipt:
    """A report in words that a database keeps: one that it does not would keep out all that came with it."""
    own: dict[str, Any] = {name: keepable(told) for name in _TEXTS if isinstance(told := getattr(one, name), str)}
    if len(own["event_id"]) > LONGEST_NAME:
        own["event_id"] = hashlib.sha256(own["event_id"].encode()).hexdigest()
    return replace(one, **own, raw=keepable_json(dict(one.raw)))


def _named(connection: Connection, lane: str, told: Sequence[Receipt]) -> dict[int, int]:
    """Which of these are about a message we know: place -> message."""
    names = {name for one in told for name in (one.key, one.provider_id) if name}
    known = receipts.messages_named(connection, lane, names)
    found = {}
    for number, one in enumerate(told):
        message_id = known.get(one.key or "") or known.get(one.provider_id or "")
        if message_id is not None:
            found[number] = message_id
    return found


def _row(lane: str, one: Receipt, message_id: int | None, now: datetime) -> Row:
    told = {name: value for name, value in asdict(one).items() if value not in (None, "", False)}
    told["at"] = one.at.isoformat()
    told["raw"] = dict(one.raw) if len(str(one.raw)) <= LONGEST_RAW else {"cut": str(one.raw)[:LONGEST_RAW]}
    return {
        "lane": lane,
        "event_id": one.event_id,
        "type": one.type.value,
        "at": one.at,
        "received_at": now,
        "message_id": message_id,
        "open": message_id is None and bool(one.key or one.provider_id),
        "told": told,
    }


def _receipt(told: Mapping[str, Any]) -> Receipt:
    """The report again."""
    reason = _REASONS[told["reason"]] if "reason" in told else None
    own = {**told, "type": _TYPES[told["type"]], "at": datetime.fromisoformat(told["at"]), "reason": reason}
    return Receipt(**own)


# --- what follows ----------------------------------------------------------------------------------------------------


def _follow(
    app: App, connection: Connection, lane: str, told: Sequence[tuple[Receipt, int | None]], now: datetime
) -> None:
    """The state of messages, the suppression list, words about being written to, and events that journeys wait for."""
    ids = sorted({number for _, number in told if number is not None})
    rows = messages.of_ids(connection, ids) if ids else {}
    pairs = [(one, rows[number]) for one, number in told if number in rows]
    people = {row.customer_id for row in rows.values()}
    customers.keep(connection, people)
    _suppress(app, connection, lane, [(one, rows.get(number or 0)) for one, number in told], now)
    if not pairs:
        return
    folded = deliveries.fold(connection, ids)
    attempts = {number: folded[number].attempt if number in folded else 0 for number in ids}
    deliveries.append(connection, [_happening(lane, one, row, attempts[row.id], now) for one, row in _stating(pairs)])
    _say_no(connection, pairs, now)
    _tell_journeys(app, connection, lane, pairs, now)
    enrollments.wake_ids(connection, [row.enrollment_id for _, row in pairs], now)
    customers.raise_revision(connection, people)


def _stating(pairs: Sequence[tuple[Receipt, Any]]) -> list[tuple[Receipt, Any]]:
    """Those that say something of the state; a machine that opens a message proves no arrival at a person."""
    return [(one, row) for one, row in pairs if one.type in KINDS and not one.machine]


def _happening(lane: str, one: Receipt, row: Any, attempt: int, now: datetime) -> Happening:
    said = {
        ReceiptType.accepted: "the provider says that it was accepted",
        ReceiptType.bounced: f"it came back [{one.reason or FailureReason.unknown}]",
        ReceiptType.complained: "its reader called it spam",
    }.get(one.type)
    at, kind = min(one.at, now), KINDS[one.type]
    known = one.provider_id or None
    return Happening(row.id, row.customer_id, kind, at, attempt, reason=said, provider=lane, provider_id=known)


def _suppress(
    app: App, connection: Connection, lane: str, told: Sequence[tuple[Receipt, Any | None]], now: datetime
) -> None:
    """Addresses that are not to be written to again: dead ones, and those of who complained or said stop."""
    channel = lane.partition("/")[0]
    found: dict[str, Row] = {}
    for one, row in told:
        reason = _ending(one)
        if reason is None:
            continue
        hashes = [row.address_hash] if row is not None else []
        hashes += [app.address_hash(channel, one.to)] if one.to and row is None else []
        found |= {known: {"channel": channel, "reason": reason, "at": now} for known in hashes if known}
    if found:
        customers.suppress(connection, found)


def _ending(one: Receipt) -> str | None:
    """Why nothing more goes to the address a report is about, if so."""
    if one.type is ReceiptType.bounced and one.reason is not None and one.reason.ends_address:
        return one.reason.value
    if one.type is ReceiptType.complained:
        return "complained"
    if one.type is ReceiptType.unsubscribed or (one.type is ReceiptType.replied and one.opt_out):
        return FailureReason.opted_out.value
    return None


def _say_no(connection: Connection, pairs: Sequence[tuple[Receipt, Any]], now: datetime) -> None:
    """Who said stop where the provider heard it has said so to us."""
    ending = (ReceiptType.unsubscribed, ReceiptType.complained, ReceiptType.replied)
    rows = [
        {
            "customer_id": row.customer_id,
            "channel": row.channel,
            "topic": ALL_TOPICS,
            "purpose": "marketing",
            "granted": False,
            "at": now,
            "source": f"{one.type} reported for message {row.id}",
            "wording": "",
        }
        for one, row in pairs
        if one.type in ending and _ending(one) is not None
    ]
    if rows:
        customers.record_consents(connection, rows, now)


def _tell_journeys(
    app: App, connection: Connection, lane: str, pairs: Sequence[tuple[Receipt, Any]], now: datetime
) -> None:
    """Responses are events like all others: journeys wait for them, traits count them."""
    rules = app.rules(connection)
    names = customers.names_of(connection, {row.customer_id for _, row in pairs})
    told = []
    for one, row in pairs:
        name = RESPONSES.get(one.type.value)
        if name is None or row.customer_id not in names:
            continue
        name = SCANNED if one.machine else name
        more: dict[str, Any] = {"link": one.link} if one.link else {}
        more |= {"machine": True} if one.machine else {}
        about = {
            **{"message": row.message, "channel": row.channel, "journey": row.journey},
            **{"enrollment_id": row.enrollment_id, **more},
        }
        told.append(NewEvent(f"report-{lane}-{one.event_id}", names[row.customer_id], name, min(one.at, now), about))
    if told:
        take_events(app, connection, rules, app.needs(rules), told, now, live=True)
