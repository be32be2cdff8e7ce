"""`emit`, `webhook`, `start`, `stop`: what a journey does to others, and how far one may lead to the next.

Each thing a journey brings about knows the steps that led to it. Journeys that lead to one another without an end are
cut short: after so many links within a day nothing more is emitted or started. Who is held out moves nobody.
"""

from __future__ import annotations

from datetime import timedelta

from engine.audience.values import Link
from engine.decide.decision import Emit, Rule, Started, Want
from engine.decide.draft import Here, changed
from engine.decide.entry import start_of
from engine.decide.outcome import ON_THE_WAY, WENT, MessageState
from engine.decide.responses import settled
from engine.decide.results import Go, Result, Stay
from engine.decide.state import Said
from engine.decide.timing import later
from engine.decide.update import value_of
from engine.journey.parts import WEBHOOK
from engine.journey.steps import EmitStep, StartStep, StopStep, WebhookStep

MOST_LINKS = 10
WITHIN = timedelta(days=1)


def emit(step: EmitStep, here: Here) -> Result:
    """Record an event of the person. It happens now: nobody could have answered it before."""
    if here.enrolled.holdout:
        return Go("ok", here.arrived, Rule.holdout, f"held out: {step.emit} is not emitted")
    if (objection := _too_far(here)) is not None:
        return Go("failed", here.arrived, Rule.refused, f"{step.emit} is not emitted: {objection}")
    told = {name: value_of(value, here) for name, value in step.with_.items()}
    payload = {name: value for name, value in told.items() if value is not None}
    here.draft.emit(
        Emit(
            enrollment=here.enrolled,
            step=step.id,
            visit=here.enrolled.visit,
            event=step.emit,
            payload=payload,
            at=here.now,
            lineage=_lineage(here),
        )
    )
    return Go("ok", here.arrived, Rule.emitted, f"emits {step.emit}", {"event": step.emit})


def webhook(step: WebhookStep, here: Here) -> Result:
    """Tell another system. It is a message like any other, to a machine: who takes part in no marketing tells none."""
    if here.enrolled.holdout:
        return Go("ok", here.arrived, Rule.holdout, f"held out: {step.webhook} is not told")
    for said in here.said_here:
        return _answered(step, said)
    if WEBHOOK not in here.rules.policy.channels:
        return Go("failed", here.arrived, Rule.failed, "config.yaml has no channel `webhook`")
    until = min(later(here.arrived, step.give_up_after), here.ends)
    if here.now > until:
        return Go("failed", here.arrived, Rule.late, f"it is too late to tell {step.webhook}")
    told = {name: value_of(value, here) for name, value in step.with_.items()}
    here.draft.wants.append(
        Want(
            enrollment=changed(here.enrolled, due_at=None),
            step=step.id,
            visit=here.enrolled.visit,
            wish=0,
            channel=WEBHOOK,
            message=step.webhook,
            topic=here.graph.head.topic,
            marketing=False,
            priority=here.head.priority,
            due_at=here.arrived,
            send_by=until,
            extra={name: value for name, value in told.items() if value is not None},
        )
    )
    return Stay(None, Rule.sends, f"tells {step.webhook}")


def _answered(step: WebhookStep, said: Said) -> Result:
    """Only what was surely heard is `ok`."""
    due, detail = said.due_at or said.at, {"message": said.id}
    if said.state in ON_THE_WAY:
        return Stay(None, Rule.sends, f"{step.webhook} is being told")
    if said.state in WENT and said.state is not MessageState.unknown:
        return Go("ok", due, Rule.moved, f"{step.webhook} was told", detail)
    return Go("failed", settled(said), Rule.failed, f"{step.webhook} was not told: {said.state.value}", detail)


def start(step: StartStep, here: Here) -> Result:
    """Let the person into another journey, if its rules of coming back allow it. It begins when this step was due."""
    if here.enrolled.holdout:
        return Go("started", here.arrived, Rule.holdout, f"held out: {step.start} is not started")
    name = here.rules.called(step.start)
    version = here.rules.live.get(name)
    objection = _too_far(here)
    if version is None:
        objection = "it is retired" if name in here.rules.retired else "no such journey is published"
    if objection is None and version is not None:
        graph, number = here.rules.graphs[version], here.draft.new_id()
        way, trace = start_of(
            graph,
            version,
            here.state,
            here.enrolled,
            _lineage(here),
            here.arrived,
            number,
            here.now,
            rules=here.rules,
        )
        if way is not None:
            here.draft.start(Started(way, trace))
            return Go("started", here.arrived, Rule.started, f"starts {name}", {"journey": name})
        here.draft.traces.append(trace)
        objection = trace.sentence
    return Go("refused", here.arrived, Rule.refused, f"{name} is not started: {objection}")


def stop(step: StopStep, here: Here) -> Result:
    """End the person's ways through another journey: each leaves it when it is looked at next, at once."""
    if here.enrolled.holdout:
        return Go("stopped", here.arrived, Rule.holdout, f"held out: {step.stop} is not stopped")
    name = here.rules.called(step.stop)
    if not here.draft.stop(name, here.enrolled, Link(_me(here), here.now)):
        return Go("absent", here.arrived, Rule.stopped, f"is not inside {name}")
    return Go("stopped", here.arrived, Rule.stopped, f"stops {name}", {"journey": name})


def _me(here: Here) -> str:
    return f"{here.enrolled.journey}/{here.enrolled.step}"


def _lineage(here: Here) -> tuple[Link, ...]:
    return (*here.enrolled.lineage, Link(_me(here), here.now))[-MOST_LINKS:]


def _too_far(here: Here) -> str | None:
    """Journeys that lead to one another for ever do so quickly."""
    known = here.enrolled.lineage
    if len(known) < MOST_LINKS or known[-MOST_LINKS].at <= here.now - WITHIN:
        return None
    return f"{MOST_LINKS} steps led to one another within a day, the last is {known[-1].by}"
