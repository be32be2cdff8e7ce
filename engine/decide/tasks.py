"""What is asked of people at a step: work (`task`) and a yes (`approve`).

A task for which the person is called up is a touch like a message: it is judged before it is opened, it fills caps from
then on, and it is called off when what allowed it is gone before somebody took it.

Its time counts from when it is really asked: nobody can work or answer in the past. About who is held out nobody is
asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.decide import timing
from engine.decide.decision import APPROVAL, CloseTask, OpenTask, Rule, Want, not_sent
from engine.decide.draft import Here, changed, on_the_way
from engine.decide.outcome import WENT, MessageState
from engine.decide.policy import Allowed, Deferred, Forbidden, clock, judge, objection
from engine.decide.results import End, Go, Result, Stay
from engine.decide.send import deadline, make_room
from engine.decide.state import Assigned
from engine.journey.parts import CALL, OWNER, ROUND_ROBIN
from engine.journey.steps import OVERDUE, ApproveStep, TaskStep
from engine.settings import Queue
from engine.values import replace

# --- task ------------------------------------------------------------------------------------------------------------


def task(step: TaskStep, here: Here) -> Result:
    """Work for a human: opened once; its first outcome moves the way on, and so does its time running out."""
    if here.enrolled.holdout:
        return _no_task(step, here)
    one = _asked_here(here)
    if one is None:
        return _call(step, here) if step.call else _open_task(step, here)
    if one.outcome is not None:
        return Go(one.outcome, one.closed_at or one.due_at, Rule.task, f"{step.task}: {one.outcome}", {"task": one.id})
    if step.call and (reason := _called_off(here)) is not None:
        outcome, rule, sentence = reason
        here.draft.close_tasks.append(CloseTask(one.id, outcome, here.now))
        _take_back(here, rule, sentence)
        return Go(outcome, here.now, rule, f"{step.task} is called off: {sentence}", {"task": one.id})
    if here.now >= one.due_at:
        return _overdue(step, one, here)
    return Stay(one.due_at, Rule.waits, f"waits for {step.task} until {_clock(here, one.due_at)}")


def _open_task(step: TaskStep, here: Here, call: Want | None = None) -> Result:
    """Its time counts from now: nobody could have worked on it before."""
    queue, zone = _queue(step.queue, here)
    due = timing.work_done(here.now, step.due, zone, queue.hours, queue.days)
    ladder, hands = step.escalate, hands_for(step.assign, queue.people, here.state.person.attributes.get(OWNER))
    if call is not None:  # it counts from here on, and may be made until it is due
        call = replace(call, send_by=due, enrollment=changed(call.enrollment, due_at=None))
        here.draft.places.take(call, here.now)
    here.draft.open_tasks.append(
        OpenTask(
            enrollment=here.enrolled,
            step=step.id,
            visit=here.enrolled.visit,
            brief=step.task,
            queue=step.queue,
            assignee=hands.assignee,
            in_turn=hands.in_turn,
            opened_at=here.now,
            due_at=due,
            escalate_at=timing.work_done(here.now, ladder.after, zone, queue.hours, queue.days) if ladder else None,
            escalate_to=ladder.to if ladder else None,
            outcomes=step.answers,
            call=call,
        )
    )
    return Stay(due, Rule.task, f"{step.task} for {step.queue}{hands.told}, due {_clock(here, due)}")


@dataclass(frozen=True)
class Hands:
    """Who gets a task, and how its story says so."""

    told: str
    assignee: str | None = None  # None: whose turn it is, or whoever takes it
    in_turn: tuple[str, ...] = ()  # those who go round


def hands_for(assign: str | None, people: Sequence[str], owner: object) -> Hands:
    """Into whose hands a task goes. Who has nobody, or somebody of another queue, gets whose turn it is."""
    if assign is None:
        return Hands("")
    if assign not in (OWNER, ROUND_ROBIN):
        return Hands(f", in the hands of {assign}", assign)
    in_turn = Hands(", in turn" if people else ", for whoever takes it", None, tuple(people))
    if assign == ROUND_ROBIN:
        return in_turn
    if owner is None or not str(owner).strip():
        return Hands(f"{in_turn.told} since nobody is their owner", None, in_turn.in_turn)
    if people and str(owner) not in people:
        return Hands(f"{in_turn.told} since their owner {owner} is not of this queue", None, in_turn.in_turn)
    return Hands(f", in the hands of {owner}, their owner", str(owner))


def _overdue(step: TaskStep, one: Assigned, here: Here) -> Result:
    here.draft.close_tasks.append(CloseTask(one.id, OVERDUE, one.due_at))
    _take_back(here, Rule.late, "nobody took the call in time")
    return Go(OVERDUE, one.due_at, Rule.task, f"{step.task}: overdue", {"task": one.id})


def _take_back(here: Here, rule: Rule, sentence: str) -> None:
    """The place of a call that nobody has taken is free again."""
    here.draft.withdraw([one.id for one in here.said_here if on_the_way(one)], rule, sentence)


def _no_task(step: TaskStep, here: Here) -> Result:
    """Who is held out waits as long as the task would have had, and falls through to the next step."""
    queue, zone = _queue(step.queue, here)
    due = timing.work_done(here.arrived, step.due, zone, queue.hours, queue.days)
    if here.now >= due:
        return Go(None, due, Rule.holdout, f"held out: no {step.task} was asked for")
    return Stay(due, Rule.holdout, f"held out: no {step.task}, goes on at {_clock(here, due)}")


def _asked_here(here: Here) -> Assigned | None:
    """What was asked of people at this step, in this round."""
    mine = [one for one in here.tasks if (one.step, one.visit) == (here.enrolled.step, here.enrolled.visit)]
    return mine[-1] if mine else None


# --- calls ---------------------------------------------------------------------------------------------------------


def _call(step: TaskStep, here: Here) -> Result:
    """Open it when the person may be called up, and only if they may be."""
    topic = here.graph.head.topic
    want = Want(
        enrollment=here.enrolled,
        step=step.id,
        visit=here.enrolled.visit,
        wish=0,
        channel=CALL,
        message=step.task,
        topic=topic,
        marketing=here.rules.policy.is_marketing(topic),
        priority=here.head.priority,
        due_at=here.arrived,
        send_by=deadline(step, here),
        tags=frozenset(here.head.tags),
    )
    match verdict := judge(want, here.state, here.rules, here.now, here.draft.places):
        case Allowed():
            make_room(want, verdict, here)
            return _open_task(step, here, replace(want, due_at=verdict.due_at))
        case Deferred():
            return Stay(verdict.until, Rule.deferred, verdict.sentence)
        case Forbidden():
            here.draft.unsent.append(
                not_sent(replace(want, due_at=verdict.at), verdict.rule, verdict.sentence, verdict.detail)
            )
            return Go(
                call_outcome(verdict.rule),
                verdict.at,
                verdict.rule,
                f"no {step.task}: {verdict.sentence}",
                verdict.detail,
            )


def call_outcome(rule: Rule) -> str:
    """The way on from a call that must not be made."""
    return {Rule.capped: "capped", Rule.displaced: "capped", Rule.late: "late"}.get(rule, "unreachable")


def _called_off(here: Here) -> tuple[str, Rule, str] | None:
    """Why an open call must not be made any more, if so. Who has taken it may be speaking with them already."""
    said = next(iter(here.said_here), None)
    if said is None or said.state in WENT:
        return None
    if said.state is MessageState.cancelled:
        return "capped", Rule.displaced, "something more important has taken its place"
    refused = objection(CALL, said.topic, said.marketing, here.state)
    if refused is None and not here.state.person.address(CALL):
        refused = Rule.unreachable, "no telephone number"
    return None if refused is None else ("unreachable", *refused)


# --- approve ---------------------------------------------------------------------------------------------------------


def approve(step: ApproveStep, here: Here) -> Result:
    """A question to a colleague: nobody goes on without a yes. Who is held out goes on at once, and nobody is asked."""
    if here.enrolled.holdout:
        return Go("approved", here.arrived, Rule.holdout, "held out: nobody is asked")
    one = _asked_here(here)
    if one is None:
        return _ask(step, here)
    if one.outcome is not None:
        by = f" by {one.closed_by}" if one.closed_by else ""
        return _answered(here, one.outcome, one.closed_at or one.due_at, f"{step.approve}: {one.outcome}{by}")
    if here.now >= one.due_at:
        here.draft.close_tasks.append(CloseTask(one.id, "expired", one.due_at))
        return _answered(here, "expired", one.due_at, f"{step.approve}: no answer of {step.by} in time")
    return Stay(one.due_at, Rule.waits, f"waits for {step.by} until {_clock(here, one.due_at)}: {step.approve}")


def _ask(step: ApproveStep, here: Here) -> Result:
    """Its time counts from now: nobody could have answered before."""
    due = timing.later(here.now, step.within)
    here.draft.open_tasks.append(
        OpenTask(
            enrollment=here.enrolled,
            step=step.id,
            visit=here.enrolled.visit,
            brief=step.approve,
            queue="",
            assignee=step.by,
            opened_at=here.now,
            due_at=due,
            escalate_at=None,
            escalate_to=None,
            outcomes=("approved", "refused"),
            kind=APPROVAL,
        )
    )
    return Stay(due, Rule.asked, f"asks {step.by}, until {_clock(here, due)}: {step.approve}")


def _answered(here: Here, outcome: str, at: datetime, sentence: str) -> Result:
    """A yes leads on; anything else leads to the steps that are written for it, or to the end."""
    if outcome != "approved" and here.graph.follow(here.node.id, outcome) is None:
        return End(f"{outcome}: {here.node.id}", at, Rule.asked, sentence)
    return Go(outcome, at, Rule.asked, sentence)


def _queue(name: str, here: Here) -> tuple[Queue, ZoneInfo]:
    queue = here.rules.queues.get(name) or Queue(title=name)
    return queue, ZoneInfo(queue.zone or here.rules.default_zone)


def _clock(here: Here, at: datetime) -> str:
    return clock(at, here.state.person.zone)
