"""`send`: one touch, its wishes tried in order, until one went out or none can.

An earlier wish that can still go in time is waited for; the next is taken only when the one before cannot go in time or
its provider proved that it did not take it. What nobody knows the outcome of counts as sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from engine.decide.caps import taken_by
from engine.decide.decision import Rule, Unsent, Want, not_sent
from engine.decide.draft import Here, changed
from engine.decide.outcome import PROVED_NOT, WENT, MessageState
from engine.decide.policy import Allowed, Deferred, Forbidden, is_held_out, judge
from engine.decide.responses import settled
from engine.decide.results import Go, Result, Stay
from engine.decide.state import Said
from engine.decide.timing import later
from engine.journey.steps import SendStep, TaskStep
from engine.values import replace

_OUTCOMES = {Rule.capped: "capped", Rule.displaced: "capped", Rule.late: "late", Rule.failed: "failed"}


class _Tried(Struct, frozen=True):
    """One wish that will not be, and why."""

    wish: int
    channel: str
    rule: Rule
    sentence: str
    at: datetime
    detail: dict[str, Any]
    recorded: bool = False  # it has a Message of its own


def deadline(step: SendStep | TaskStep, here: Here) -> datetime:
    """The last instant at which this touch may begin: `give_up_after` arrival, and never after the plan's end."""
    return min(later(here.arrived, step.give_up_after), here.ends)


def send(step: SendStep, here: Here) -> Result:
    """Look at what became of the wishes so far, then try those that are left."""
    tried: list[_Tried] = []
    for said in here.said_here:
        found = _became_of(said)
        if not isinstance(found, _Tried):
            return found
        tried.append(found)
        if found.rule in (Rule.late, Rule.capped, Rule.displaced):  # the rule holds for the touch, not for a channel
            return _given_up(step, here, tried)
    return _next_wish(step, here, tried)


def _became_of(said: Said) -> Result | _Tried:
    """What the state of a Message means for its way."""
    due = said.due_at or said.at
    if said.state in WENT:
        how = "it may have arrived" if said.state is MessageState.unknown else said.state.value
        return Go("sent", due, Rule.moved, f"{said.message} by {said.channel}: {how}", {"message": said.id})
    if said.state is MessageState.expired:
        rule = Rule.late
    elif said.state in PROVED_NOT:
        rule = Rule.failed
    elif said.state is MessageState.cancelled:
        rule = Rule.displaced
    elif said.state is MessageState.suppressed:
        rule = _rule(said.reason)
    else:
        return Stay(None, Rule.sends, f"{said.message} by {said.channel} is on its way")
    detail = {"message": said.id}
    return _Tried(said.wish, said.channel, rule, f"{said.state.value}", settled(said), detail, recorded=True)


def _rule(reason: str | None) -> Rule:
    return Rule(reason) if reason and reason in Rule.__members__ else Rule.suppressed


def _next_wish(step: SendStep, here: Here, tried: list[_Tried]) -> Result:
    """The first of the remaining wishes that may go now or in time."""
    first = 1 + max((one.wish for one in tried), default=-1)
    since = max([here.arrived, *(one.at for one in tried)])
    for wish in range(first, len(step.via)):
        want = _want(step, here, wish, since)
        verdict = judge(want, here.state, here.rules, here.now, here.draft.places)
        match verdict:
            case Allowed():
                return _sent(want, verdict, here)
            case Deferred():
                return Stay(verdict.until, Rule.deferred, verdict.sentence)
            case Forbidden():
                tried = [
                    *tried,
                    _Tried(wish, want.channel, verdict.rule, verdict.sentence, verdict.at, dict(verdict.detail)),
                ]
    return _given_up(step, here, tried)


def _want(step: SendStep, here: Here, wish: int, since: datetime) -> Want:
    topic = step.topic or here.graph.head.topic
    return Want(
        enrollment=here.enrolled,
        step=step.id,
        visit=here.enrolled.visit,
        wish=wish,
        channel=step.via[wish],
        message=step.send,
        topic=topic,
        marketing=here.rules.policy.is_marketing(topic),
        priority=here.head.priority,
        due_at=since,
        send_by=deadline(step, here),
        extra=dict(step.with_),
        tags=frozenset((*here.head.tags, *step.tags)),
    )


def _sent(want: Want, allowed: Allowed, here: Here) -> Result:
    """Queue it, and take the place of what gives way to it. Who is held out goes on as if it had been sent."""
    if want.marketing and is_held_out(want.enrollment, here.state, here.rules):
        sentence = f"held out: {want.message} by {want.channel} is not sent"
        return Go("sent", allowed.due_at, Rule.holdout, sentence, {"channel": want.channel})
    make_room(want, allowed, here)
    want = replace(want, due_at=allowed.due_at, enrollment=changed(want.enrollment, due_at=None))
    here.draft.wants.append(want)
    here.draft.places.take(want, here.now)
    return Stay(None, Rule.sends, f"sends {want.message} by {want.channel}")


def make_room(want: Want, allowed: Allowed, here: Here) -> None:
    """Take back what gives up its place."""
    for place, cap in allowed.displaces:
        assert place.message_id is not None
        why = f"priority {want.priority}" if place.priority < want.priority else "as important, and it has to go sooner"
        sentence = f"{want.message} of {want.enrollment.journey} ({why}) takes its place"
        here.draft.withdraw([place.message_id], Rule.displaced, sentence, taken_by(want, cap))


def _given_up(step: SendStep, here: Here, tried: list[_Tried]) -> Result:
    """No wish will be. The first one that could have reached the person names the rule and the outcome."""
    chosen = next((one for one in tried if one.rule in _OUTCOMES), tried[0])
    outcome = _OUTCOMES.get(chosen.rule, "unreachable")
    detail = {"wishes": [_told(one) for one in tried], **chosen.detail}
    sentence = _in_short(tried)
    unrecorded = [one for one in tried if not one.recorded]
    marketing = here.rules.policy.is_marketing(step.topic or here.graph.head.topic)
    if marketing and is_held_out(here.enrolled, here.state, here.rules):
        return Go(outcome, chosen.at, Rule.holdout, f"held out, and {step.send} would not have been sent: {sentence}")
    if unrecorded:
        row = chosen if chosen in unrecorded else unrecorded[0]
        here.draft.unsent.append(_unsent(step, here, row, sentence, {**detail, **row.detail}))
    return Go(outcome, chosen.at, chosen.rule, f"{step.send} is not sent: {sentence}", detail)


def _in_short(tried: list[_Tried]) -> str:
    """What is said of each channel; what is the same of several is said once."""
    channels: dict[str, list[str]] = {}
    for one in tried:
        channels.setdefault(one.sentence, []).append(one.channel)
    return "; ".join(f"{', '.join(names)}: {sentence}" for sentence, names in channels.items())


def _told(one: _Tried) -> dict[str, Any]:
    return {"channel": one.channel, "rule": one.rule.value, "sentence": one.sentence}


def _unsent(step: SendStep, here: Here, one: _Tried, sentence: str, detail: dict[str, Any]) -> Unsent:
    return not_sent(_want(step, here, one.wish, one.at), one.rule, sentence, detail)
