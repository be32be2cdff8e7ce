"""From one lane of a channel to another: what a closed lane cannot take, and what one proved not to have taken.

Nobody else is asked about a message that may be out. A channel with one lane asks nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from channels.contract import Answer, Content, content_from_json
from channels.errors import FailureReason, Misconfigured, Rejected, Unavailable
from engine.app import App
from engine.decide.route import NOTHING_YET, Past, Whither, serves, turns, whither
from engine.journey.parts import SMS
from engine.settings import Lane
from engine.store import customers, deliveries, lanes, messages
from engine.store.messages import Tried
from engine.work.line import leave_later, put_off
from engine.work.sending.batches import Batch, Known, Leaving, Outcomes
from engine.work.sending.lane import STOPPED_LOOK, HeldUp, Opening, opening_of

FIRST_RETRY = timedelta(seconds=30)
_OF_THE_LANE = frozenset({FailureReason.sender, FailureReason.policy})  # refused for good there, not everywhere


class Place(NamedTuple):
    """By which lane a message leaves, and when."""

    lane: str
    due_at: datetime


def first_lane(app: App, channel: str, address: str, country: str | None, key: str) -> str:
    """The lane by which a message sets out."""
    ways = app.settings.ways[channel]
    if len(ways) == 1:
        return ways[0].name
    to = whither(channel, address, country, app.settings.shop.country)
    return (turns(ways, to, key) or ways)[0].name


def asked_again(app: App, connection: Connection, row: Any) -> str:
    """The lane by which a message that a person brings back sets out: the one that was asked last, which may recognise
    it, else the first in turn."""
    past = deliveries.pasts(connection, [row.id]).get(row.id, NOTHING_YET)
    lane = app.lane_asked_as(row.channel, past.bound_to or past.last_asked)
    if lane is not None:
        return lane.name
    ways = app.settings.ways.get(row.channel, ())
    if len(ways) < 2:
        return ways[0].name if ways else str(row.channel)
    told = messages.content_of(connection, row.id) or {}
    people = customers.in_brief(connection, [row.customer_id])
    country = people[row.customer_id][0].country if row.customer_id in people else None
    return first_lane(app, row.channel, str(told.get("to", "")), country, row.key)


def unserved_here(app: App, batch: Batch, one: Leaving) -> bool:
    """Does its lane not serve this message? It did when it was written. Who may have it is asked again in any case."""
    lane = app.settings.lanes[batch.lane]
    return not one.may_be_out and not serves(lane, _whither(app, one.row, one.outgoing.content, batch.known))


def elsewhere(app: App, one: Leaving, known: Known) -> str | None:
    """The lane that serves this message, where its own does not; None when none does."""
    ways = app.settings.ways.get(one.row.channel, ())
    found = turns(ways, _whither(app, one.row, one.outgoing.content, known), one.row.key)
    return found[0].name if found else None


def _whither(app: App, row: Any, content: Content | None, known: Known) -> Whither:
    person = known[row.customer_id][0] if row.customer_id in known else None
    address = content.to if content is not None else ""
    return whither(row.channel, address, person.country if person else None, app.settings.shop.country)


@dataclass
class Ways:
    """The lanes of one channel as they stand in this transaction, and how much each may take now."""

    app: App
    lanes: Sequence[Lane]
    openings: dict[str, Opening]
    known: Known

    @classmethod
    def of(cls, app: App, connection: Connection, batch: Batch, now: datetime) -> Ways:
        found, ways = lanes.lanes(connection), app.settings.ways.get(batch.channel, ())
        return cls(app, ways, {one.name: opening_of(app, one, found.get(one.name), now) for one in ways}, batch.known)

    def turns(self, row: Any, content: Content | None, past: Past) -> list[Lane]:
        """Who may be asked about a message, in turn: whoever may have taken it, and nobody else; or all who serve its
        address and have not refused it for good."""
        if past.bound_to is not None:
            lane = self.app.lane_asked_as(row.channel, past.bound_to)
            return [] if lane is None else [lane]
        found = turns(self.lanes, _whither(self.app, row, content, self.known), row.key)
        return [lane for lane in found if self.app.asked_as(lane) not in past.turned_away]

    def place(self, among: Sequence[Lane], past: Past, now: datetime) -> Place | None:
        """The first of these that may begin one more at once, and is counted; else who may begin it first. Who was
        asked just now is given a moment."""
        for lane in among:
            opening = self.openings[lane.name]
            if opening.messages > 0 and not self.was_asked(lane, past):
                self.openings[lane.name] = opening._replace(messages=opening.messages - 1)
                return Place(lane.name, now)

        def at(lane: Lane) -> datetime:
            opened = self.openings[lane.name].at or now + STOPPED_LOOK
            return max(opened, now + FIRST_RETRY) if self.was_asked(lane, past) else opened

        soonest = min(among, key=at, default=None)
        return Place(soonest.name, at(soonest)) if soonest is not None else None

    def was_asked(self, lane: Lane, past: Past) -> bool:
        """In this round, which ends when the message waits."""
        return self.app.asked_as(lane) in past.passed_on


# --- what a closed lane cannot take ----------------------------------------------------------------------------------


def spread(
    app: App,
    connection: Connection,
    batch: Batch,
    rows: Sequence[Any],
    tried: Mapping[int, Tried],
    until: datetime,
    now: datetime,
) -> int:
    """The lane of this batch is closed until then: each of its messages leaves by the lane that takes it at once, or
    first. The number of those that go elsewhere."""
    ways = Ways.of(app, connection, batch, now)
    if batch.lane in ways.openings:
        ways.openings[batch.lane] = Opening(0, until)
    latest = min(row.send_by for row in rows) + timedelta(seconds=1)  # then it is looked at for what expires
    pasts = deliveries.pasts(connection, [row.id for row in rows if tried[row.id].attempts])
    content = _contents(batch.channel, rows)
    places: dict[Place, list[int]] = {}
    for row in rows:
        past = pasts.get(row.id, NOTHING_YET)
        who = ways.turns(row, content.get(row.id), past)
        place = ways.place(who, past, now) or Place(batch.lane, until)
        places.setdefault(Place(place.lane, min(place.due_at, latest)), []).append(row.id)
    return _leave(app, connection, batch, places)


def _contents(channel: str, rows: Sequence[Any]) -> dict[int, Content]:
    """The number an SMS goes to stands in its text; of other messages nobody asks for the address."""
    found: dict[int, Content] = {}
    for row in rows if channel == SMS else ():
        try:
            found[row.id] = content_from_json(messages.unpack(row.content))
        except ValueError:  # damaged: at the door it is given up
            continue
    return found


def _leave(app: App, connection: Connection, batch: Batch, places: Mapping[Place, Sequence[int]]) -> int:
    """Those of one place leave together. Where all have the same, the batch goes there as it is."""
    mine = min((place for place in places if place.lane == batch.lane), default=None)
    if mine is None and len(places) == 1:
        mine = next(iter(places))
        put_off(app, connection, batch, mine.due_at, mine.lane)
        return len(places[mine])
    moved = 0
    for place, numbers in sorted(places.items()):
        if place != mine:
            leave_later(app, connection, numbers, place.lane, place.due_at, batch.urgent, batch.deaths)
            moved += len(numbers)
    if mine is None:
        messages.close(connection, batch.id)
    else:
        put_off(app, connection, batch, mine.due_at)
    return moved


# --- what one provider proved not to have taken ----------------------------------------------------------------------


@dataclass(frozen=True)
class Onward:
    """What becomes of messages that a lane did not take."""

    following: Mapping[int, Place]  # message -> who is asked next, at once or as soon as it has room
    later: Mapping[int, str]  # message -> the lane it waits for, where it may be asked about again
    passed: Mapping[int, int]  # message -> attempts that followed another without a wait


STAYS = Onward({}, {}, {})


def onward(app: App, connection: Connection, outcomes: Outcomes, now: datetime) -> Onward:
    """Who is asked next about the messages of a slice that this lane proved not to have taken."""
    batch = outcomes.batch
    failed = [
        (one, answer)
        for one, answer in zip(outcomes.leaving, outcomes.answers, strict=True)
        if proves_not_taken(answer) and not one.may_be_out
    ]
    if not failed or len(app.settings.ways.get(batch.channel, ())) < 2:
        return STAYS
    ways = Ways.of(app, connection, batch, now)
    before = {one.row.id: one.outgoing.attempt for one, _ in failed if one.outgoing.attempt > 1}
    pasts = deliveries.pasts(connection, list(before), before)
    following, later = {}, {}
    for one, answer in failed:
        number, past = one.row.id, pasts.get(one.row.id, NOTHING_YET)
        if past.bound_to is not None:
            continue
        who = ways.turns(one.row, one.outgoing.content, past)
        others = [lane for lane in who if lane.name != batch.lane]
        left = who if not isinstance(answer, Rejected) else others
        if place := ways.place([lane for lane in others if not ways.was_asked(lane, past)], past, now):
            following[number] = place
        if left:
            later[number] = left[0].name
    return Onward(following, later, {number: past.at_once for number, past in pasts.items()})


def proves_not_taken(answer: Answer) -> bool:
    """Does this answer prove that this lane did not take the message, and leave the question to another lane?"""
    if isinstance(answer, Rejected):
        return answer.reason in _OF_THE_LANE
    return isinstance(answer, Unavailable | Misconfigured) and not isinstance(answer, HeldUp)
