"""One way of one person through one journey: leave, pause, end, or perform the step and follow the graph."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from engine.audience.conditions import holds
from engine.audience.segments import LOOK_BACK, crossed_at, member_of
from engine.decide import responses, steps
from engine.decide.decision import CloseTask, Rule
from engine.decide.draft import Draft, Here, changed, on_the_way
from engine.decide.policy import clock
from engine.decide.results import End, Go, Result, Stay
from engine.decide.send import deadline, send
from engine.decide.state import Enrolled
from engine.journey.problems import Position
from engine.journey.steps import ApproveStep, RepeatStep, SendStep, TaskStep, WaitForStep, WaitStep
from engine.values import replace

#: how long until people of a paused journey are looked at again
PAUSE_LOOK = timedelta(minutes=15)
#: who goes first: higher priority, sooner to expire, older
Turn = tuple[int, datetime, datetime, int]


class _Left(Struct, frozen=True):
    at: datetime
    reason: str
    sentence: str
    position: Position | None


def walk(way: Enrolled, draft: Draft) -> Iterator[Turn]:
    """Move one way on as far as it goes now. It yields its turn before a touch is judged, and is resumed in turn."""
    here = Here.of(way, draft)
    left = _left(here)
    if left is not None:
        here.tell(Rule.left, left.sentence, position=left.position)
        _finish(here, End(left.reason, left.at, Rule.left, left.sentence), way)
    elif way.journey in draft.rules.paused:
        _pause(here)
    elif way.arrived_at <= draft.now:
        yield from _walk_on(here)
    else:
        _not_yet(here)


def _walk_on(here: Here) -> Iterator[Turn]:
    before = here.enrolled
    if here.enrolled.step is None:
        here = here.at(here.graph.start, here.arrived)
    while here.enrolled.step is not None:
        if isinstance(step := here.node.step, SendStep) or (isinstance(step, TaskStep) and step.call):
            yield _turn(here, step)
        match result := _perform(here):
            case Stay():
                _stay(here, result, before)
                return
            case Go():
                here.tell(result.rule, result.sentence, result.detail)
                onward = here.graph.follow(here.enrolled.step, result.outcome)
                here = here.holding(result.carries or here.enrolled).at(onward, result.at)
            case End():
                here.tell(result.rule, result.sentence)
                _finish(here, result, before)
                return
    here.tell(Rule.ended, "the end of the plan")
    _finish(here, End("done", here.arrived, Rule.ended, "the end of the plan"), before)


def _perform(here: Here) -> Result:
    """What the step stood on does, inside the plan's time: no step begins later than `ends_after`."""
    if here.arrived > here.ends:
        return _over(here, here.arrived)
    step = here.node.step
    if isinstance(step, SendStep):
        return send(step, here)
    assert isinstance(step, steps.Step)
    return _bounded(steps.perform(step, here), here)


def _turn(here: Here, step: SendStep | TaskStep) -> Turn:
    way = here.enrolled
    return -here.head.priority, deadline(step, here), way.entered_at, way.id


def _stay(here: Here, stay: Stay, before: Enrolled) -> None:
    after = changed(here.enrolled, due_at=stay.until)
    if after != before:
        here.tell(stay.rule, stay.sentence, {"until": stay.until.isoformat()} if stay.until else None)
        here.draft.moves.append(after)


def _not_yet(here: Here) -> None:
    """The plan is not there yet (it begins later, or another process's clock is ahead): look again when it is."""
    due = here.enrolled.due_at
    if due is None or due <= here.now:
        here.draft.moves.append(changed(here.enrolled, due_at=here.enrolled.arrived_at))


def _pause(here: Here) -> None:
    """Nothing begins while a journey is paused; what is due is looked at again later."""
    due = here.enrolled.due_at
    if due is not None and due <= here.now:
        here.tell(Rule.paused, f"{here.enrolled.journey} is paused")
        here.draft.moves.append(changed(here.enrolled, due_at=here.now + PAUSE_LOOK))


# --- the end of the plan's time --------------------------------------------------------------------------------------


def _bounded(result: Result, here: Here) -> Result:
    """Waiting for what would come after the end of the plan's time ends with it."""
    if not isinstance(here.node.step, WaitStep | WaitForStep | RepeatStep | ApproveStep):
        return result
    match result:
        case Stay(until=datetime() as until) if until > here.ends:
            return _over(here, here.ends) if here.now >= here.ends else replace(result, until=here.ends)
        case Go(at=at) if at > here.ends:
            return _over(here, here.ends)
    return result


def _over(here: Here, at: datetime) -> End:
    return End("ends_after", at, Rule.ended, f"the plan ended at {_clock(here, here.ends)}: ends_after")


# --- leaving ---------------------------------------------------------------------------------------------------------


def _left(here: Here) -> _Left | None:
    """The first rule by which the person left, if any."""
    if here.enrolled.journey in here.rules.let_out:
        return _Left(here.now, "left: retired", "the journey was retired, and who was inside let out", None)
    if (link := here.enrolled.stopped) is not None:
        return _Left(link.at, f"stopped: {link.by}", f"stopped by {link.by}", None)
    found = [left for index in range(len(here.head.leave)) if (left := _left_by(here, index)) is not None]
    return min(found, key=lambda one: one.at, default=None)


def _left_by(here: Here, index: int) -> _Left | None:
    rule = here.head.leave[index]
    position = here.live.leave_positions[index] if index < len(here.live.leave_positions) else None
    if rule.segment is not None:
        inside, seen = member_of(rule.segment), responses.view(here)
        if not holds(inside, seen, here.now):
            return None
        at = crossed_at(inside, seen, max(here.enrolled.entered_at, here.now - LOOK_BACK), here.now)
        since = f" since {_clock(here, at)}" if at < here.now else ""
        sentence = f"is in segment {rule.segment}{since}"
        return _Left(at, f"left: segment {rule.segment}", sentence, position)
    by_goal = rule.event is None
    matching = responses.goal_events(here) if by_goal else responses.leave_events(here, str(rule.event), rule.where)
    first = min(matching, key=lambda one: (one.at, one.id), default=None)
    if first is None:
        return None
    reason = "left: goal" if by_goal else f"left: {first.name}"
    sentence = f"{first.name} at {_clock(here, first.at)}" + (", the goal" if by_goal else "")
    return _Left(min(first.at, here.now), reason, sentence, position)


def _finish(here: Here, end: End, before: Enrolled) -> None:
    """Close the way: what has not begun is taken back, open tasks are cancelled."""
    waiting = [one.id for one in here.said if on_the_way(one)]
    here.draft.withdraw(waiting, Rule.left if end.rule is Rule.left else Rule.ended, end.sentence)
    here.draft.close_tasks += [
        CloseTask(one.id, "cancelled", here.now)
        for one in here.tasks
        if one.outcome is None and one.id not in {closed.task_id for closed in here.draft.close_tasks}
    ]
    after = changed(here.enrolled, step=None, due_at=None, active=False, reason=end.reason, ended_at=end.at)
    if after != before:
        here.draft.moves.append(after)


def _clock(here: Here, at: datetime) -> str:
    return clock(at, here.state.person.zone)
