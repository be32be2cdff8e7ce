"""What each verb does to one person standing on it: wait, go on by an outcome, or end. `send` has a file of its own.

Instants are those of the plan: whoever looks late finds the same instants as who looks in time, so that an outage does
not stretch a plan. People held out walk the same steps and nothing outside happens: no message, no code, no task.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import assert_never

from engine.audience.conditions import holds
from engine.decide import links, responses, timing
from engine.decide.decision import Give, Rule
from engine.decide.draft import Here, changed
from engine.decide.policy import clock, span
from engine.decide.results import End, Go, Result, Stay
from engine.decide.split import variant_of
from engine.decide.state import Round
from engine.decide.tasks import approve, task
from engine.decide.update import update
from engine.journey.steps import (
    ROUND,
    ApproveStep,
    Awaited,
    BranchStep,
    EmitStep,
    ExitStep,
    GiveStep,
    RepeatStep,
    SplitStep,
    StartStep,
    StopStep,
    TaskStep,
    UpdateStep,
    WaitFor,
    WaitForStep,
    WaitStep,
    WaitUntil,
    WebhookStep,
)

Act = UpdateStep | EmitStep | WebhookStep | StartStep | StopStep
Step = WaitStep | WaitForStep | BranchStep | SplitStep | GiveStep | TaskStep | ApproveStep | RepeatStep | ExitStep | Act


def perform(step: Step, here: Here) -> Result:
    """What happens now to a person on `step`."""
    match step:
        case WaitStep():
            return wait(step, here)
        case WaitForStep():
            return wait_for(step, here)
        case BranchStep():
            return branch(step, here)
        case SplitStep():
            return split(step, here)
        case GiveStep():
            return give(step, here)
        case TaskStep():
            return task(step, here)
        case ApproveStep():
            return approve(step, here)
        case UpdateStep():
            return update(step, here)
        case EmitStep():
            return links.emit(step, here)
        case WebhookStep():
            return links.webhook(step, here)
        case StartStep():
            return links.start(step, here)
        case StopStep():
            return links.stop(step, here)
        case RepeatStep():
            return repeat(step, here)
        case ExitStep():
            return End(step.exit, here.arrived, Rule.ended, f"exit: {step.exit}")
        case _:
            assert_never(step)


# --- wait ------------------------------------------------------------------------------------------------------------


def wait(step: WaitStep, here: Here) -> Result:
    """Until so long after arrival, a time of day, or a date kept about the person."""
    until = _wait_ends(step.wait, here)
    if until is None or until < here.arrived:
        name = getattr(step.wait, "until", "")
        sentence = f"{name} is not known" if until is None else f"{name} has passed"
        return Go(None, here.arrived, Rule.moved, f"{sentence}, nothing to wait for")
    if here.now >= until:
        return Go(None, until, Rule.moved, f"waited until {_clock(here, until)}")
    return Stay(until, Rule.waits, f"waits until {_clock(here, until)}")


def _wait_ends(waiting: WaitFor | WaitUntil, here: Here) -> datetime | None:
    zone = here.state.person.zone
    if isinstance(waiting, WaitFor):
        return timing.later(here.arrived, waiting.duration)
    if isinstance(waiting.until, time):
        return timing.next_time(here.arrived, zone, waiting.until, waiting.days)
    shift = (waiting.plus or timedelta(0)) - (waiting.minus or timedelta(0))
    return timing.date_kept(here.state.person.attributes.get(waiting.until), zone, shift)


# --- wait_for --------------------------------------------------------------------------------------------------------


def wait_for(step: WaitForStep, here: Here) -> Result:
    """Until the first of the awaited answers, no longer than `within`."""
    until = timing.later(here.arrived, step.within)
    answers = [found for one in step.wait_for if (found := _answer(one, here, until)) is not None]
    if answers:
        at, name = min(answers)
        return Go("then", min(at, here.now), Rule.answered, f"{name} at {_clock(here, at)}", {"answer": name})
    hopeless = [since for one in step.wait_for if (since := _hopeless(one, here)) is not None]
    if len(hopeless) == len(step.wait_for) and max(hopeless) <= until:
        return Go("otherwise", max(hopeless), Rule.unanswered, f"{_names(step)} cannot come: it was never sent")
    if here.now >= until:
        return Go("otherwise", until, Rule.unanswered, f"no {_names(step)} within {span(step.within)}")
    return Stay(until, Rule.waits, f"waits for {_names(step)} until {_clock(here, until)}")


def _answer(awaited: Awaited, here: Here, until: datetime) -> tuple[datetime, str] | None:
    """The instant of an answer, not before arrival, and its name."""
    if awaited.event is not None:
        instants = [one.at for one in responses.awaited_events(here, awaited.event, awaited.where, until)]
        return (min(instants), awaited.event) if instants else None
    assert awaited.message is not None
    assert awaited.is_ is not None
    at = responses.response_at(here, awaited.message, awaited.is_, awaited.confidence or "likely")
    return None if at is None or at > until else (max(at, here.arrived), _name(awaited))


def _hopeless(awaited: Awaited, here: Here) -> datetime | None:
    return None if awaited.message is None else responses.hopeless_since(here, awaited.message)


def _name(awaited: Awaited) -> str:
    return awaited.event or f"{awaited.message} {awaited.is_}"


def _names(step: WaitForStep) -> str:
    return " or ".join(_name(one) for one in step.wait_for)


# --- branch, split ---------------------------------------------------------------------------------------------------


def branch(step: BranchStep, here: Here) -> Result:
    """The first case that holds for the person as they are now."""
    seen = responses.view(here)
    for number, case in enumerate(step.branch, start=1):
        if holds(case.if_, seen, here.now):
            return Go(f"case-{number}", here.arrived, Rule.branched, f"case {number} holds", {"case": number})
    sentence = "no case holds" + ("" if step.otherwise is None else ", otherwise")
    return Go("otherwise", here.arrived, Rule.branched, sentence)


def split(step: SplitStep, here: Here) -> Result:
    """The person's variant of an experiment; it is kept."""
    way = here.enrolled
    shares = {name: variant.share for name, variant in step.variants.items()}
    variant = way.variants.get(step.split, "")
    if variant not in shares:
        variant = variant_of(here.graph.hashed_as, step.split, here.state.person.external_id, shares)
    kept = changed(way, variants={**way.variants, step.split: variant})
    detail = {"split": step.split, "variant": variant}
    return Go(variant, here.arrived, Rule.split, f"{step.split}: variant {variant}", detail, kept)


# --- repeat ----------------------------------------------------------------------------------------------------------


def repeat(step: RepeatStep, here: Here) -> Result:
    """Before each round, and after the last: is it over? A round begins `every` after the one before began."""
    way, rounds = here.enrolled, step.repeat
    last = way.rounds.get(step.id)
    number = last.number + 1 if last else 1
    begins = here.arrived
    if last is not None and rounds.every is not None and number <= rounds.times:
        begins = max(begins, timing.later(last.began_at, rounds.every))
    if here.now < begins:
        return Stay(begins, Rule.waits, f"round {number} of {rounds.times} begins at {_clock(here, begins)}")
    over = changed(way, rounds={name: one for name, one in way.rounds.items() if name != step.id})
    if rounds.until is not None and holds(rounds.until, responses.view(here), here.now):
        done = "before the first round" if last is None else f"after round {last.number}"
        return Go("then", begins, Rule.branched, f"the condition of `until` holds {done}", {"rounds": number - 1}, over)
    if number > rounds.times:
        sentence = f"all {rounds.times} rounds are over" if rounds.times > 1 else "the one round is over"
        return Go("otherwise", begins, Rule.branched, sentence, {"rounds": rounds.times}, over)
    kept = changed(way, rounds={**way.rounds, step.id: Round(number, begins)})
    return Go(ROUND, begins, Rule.moved, f"round {number} of {rounds.times}", {"round": number}, kept)


# --- give ------------------------------------------------------------------------------------------------------------


def give(step: GiveStep, here: Here) -> Result:
    """One code of a pool per way; who has one of this pool keeps it."""
    way, draft = here.enrolled, here.draft
    if way.holdout:
        return Go("given", here.arrived, Rule.holdout, f"held out: no code of {step.give} is given")
    if step.give in way.vouchers:
        return Go("given", here.arrived, Rule.given, f"keeps the code of {step.give} given before")
    code = draft.free_code(step.give)
    if code is None:
        return Go("empty", here.arrived, Rule.empty, f"the pool {step.give} has no code left", {"pool": step.give})
    draft.given.append(Give(way.id, code, here.now))
    ends = f", good until {_clock(here, code.expires_at)}" if code.expires_at else ""
    kept = changed(way, vouchers={**way.vouchers, step.give: code})
    detail = {"pool": step.give, "value": code.value}
    return Go("given", here.arrived, Rule.given, f"a code of {step.give} worth {code.value}{ends}", detail, kept)


def _clock(here: Here, at: datetime) -> str:
    return clock(at, here.state.person.zone)
