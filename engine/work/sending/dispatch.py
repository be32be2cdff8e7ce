"""Hand batches to providers. A message leaves in two commits: after any death it is known what may be out.

Commit 1 judges once more and appends `begun` for those that leave now, never more than the provider takes at once; then
they are handed over; commit 2 appends what the provider answered, and is commit 1 of those that leave next. Lanes run
side by side, and no commit keeps an answer waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from msgspec import structs

from channels.contract import Answer, Outgoing, Provider, Sent, keepable
from channels.errors import SendError, Unavailable, Uncertain
from engine.app import App
from engine.clock import fresh_token
from engine.decide.state import Rules
from engine.errors import OutreachError
from engine.settings import channel_of
from engine.store import customers, messages
from engine.work.in_hand import no_stray
from engine.work.sending.batches import TIMEOUT, Batch, Commit, Dispatched, Outcomes, Slice, Wait
from engine.work.sending.lane import HeldUp, pause_lane, stop_lane
from engine.work.sending.leaving import begin_next, read_people
from engine.work.sending.outcomes import settle_kept, write_outcomes
from engine.work.sure import now_as_trusted, sure_now

log = logging.getLogger("outreach.dispatch")

HELD_UP = 10.0  # seconds after which what was judged to leave is judged again: the process was stopped, or starved
BATCHES = 4  # of a lane, in one go: then those who are due are looked at again
LOOK_EVERY = 0.5  # seconds between looks whether to stop, while a lane at its rate is waited for

P = ParamSpec("P")
T = TypeVar("T")


def dispatch(app: App, rules: Rules) -> Dispatched:
    """Hand over the next batches that are due, lanes side by side."""
    done = Dispatched()
    settle_kept(app, done)
    now = sure_now(app)
    with app.database.reading() as connection:
        due = messages.due_batches(connection, now)
    lanes: dict[str, list[int]] = {}
    for batch in due:
        lanes.setdefault(batch.lane, []).append(batch.id)
    if lanes:
        app.run(_lanes(app, rules, {lane: numbers[:BATCHES] for lane, numbers in lanes.items()}, done))
    return done


async def _lanes(app: App, rules: Rules, lanes: dict[str, list[int]], done: Dispatched) -> None:
    """Every lane in turn of its batches; one that fails stops no other."""
    work = (_lane(app, rules, lane, batches, done) for lane, batches in lanes.items())
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


async def _lane(app: App, rules: Rules, lane: str, batches: Sequence[int], done: Dispatched) -> None:
    """Batches of one lane, one after the other, until it closes."""
    for number in batches:
        if app.stopping:
            return
        await send_batch(app, rules, lane, number, done)


async def send_batch(app: App, rules: Rules, lane: str, number: int, done: Dispatched) -> None:
    """One batch, slice by slice: what answers one slice and what begins the next are one commit."""
    provider = await _opened(app, lane)
    token = fresh_token()
    with no_stray(app, token):  # whatever was handed over is kept; the rest never left
        batch = await _aside(_take, app, number, lane, token)
        if batch is not None:
            await _slices(app, rules, provider, batch, done)


async def _opened(app: App, lane: str) -> Provider | None:
    """The provider of a lane, ready to send; None when the lane had to be closed, or is configured no more while its
    channel is: then another takes what it has."""
    if lane not in app.settings.lanes and channel_of(lane) in app.settings.channels:
        return None
    try:
        provider = app.provider(lane)
        await provider.open()
    except Unavailable as error:
        until = await asyncio.to_thread(pause_lane, app, lane, error.retry_after, now_as_trusted(app))
        log.warning("lane %s waits until %s: %s", lane, until, error)
    except (SendError, OutreachError) as error:
        await asyncio.to_thread(stop_lane, app, lane, str(error))
        log.error("lane %s stopped until it is resumed: %s", lane, error)
    else:
        return provider
    return None


async def _slices(app: App, rules: Rules, provider: Provider | None, batch: Batch, done: Dispatched) -> None:
    last: Outcomes | None = None
    while True:
        judged_at = app.clock.monotonic()
        step = await _aside(_between, app, rules, provider, batch, last, done)
        last = None
        match step:
            case None:
                return
            case Wait(until):
                wait = (until - app.clock.now()).total_seconds()
                await asyncio.sleep(min(max(wait, 0), LOOK_EVERY))
            case Slice(leaving) if leaving and provider is not None:
                outgoing = [one.outgoing for one in leaving]
                late = app.clock.monotonic() - judged_at > HELD_UP
                answers = _held_up(outgoing) if late else await _hand_over(app, provider, outgoing)
                asked = app.asked_as(app.settings.lanes[batch.lane])
                last = Outcomes(batch, asked, leaving, answers, step.grant)


async def _aside(work: Callable[Concatenate[App, P], T], app: App, *args: P.args, **kwargs: P.kwargs) -> T:
    """A transaction, in a thread while others may be answered. SQLite works in this process, on this core: what nobody
    waits for is done here, for a change of threads and back costs a fifth of the way out."""
    if app.database.is_sqlite and not app.in_hand:
        return work(app, *args, **kwargs)
    return await asyncio.to_thread(work, app, *args, **kwargs)


def _between(
    app: App, rules: Rules, provider: Provider | None, batch: Batch, last: Outcomes | None, done: Dispatched
) -> Slice | Wait | None:
    """Commit 2 of the last slice and commit 1 of the next, in one transaction. None: no slice is left."""
    now = app.clock.now()
    most = provider.features.in_flight if provider is not None else 0
    rows = [*(one.row for one in last.leaving if last), *batch.waiting[:most]] if last else batch.waiting[:most]
    try:
        with app.database.writing(beside=True) as connection:
            customers.keep(connection, {row.customer_id for row in rows})
            mine, lane = messages.held(connection, batch.id, batch.token)
            commit = Commit(connection)
            if last is not None:
                lane = write_outcomes(app, commit, last, mine, lane, now_as_trusted(app))
            step = begin_next(app, commit, rules, provider, batch, lane, now) if mine else None
            commit.notes.write()
    except Exception:
        if last is not None:
            app.kept.append(last)  # written before anything else leaves
        raise
    done.add(commit.told)
    return step


def _take(app: App, number: int, lane: str, token: str) -> Batch | None:
    """Take a batch in hand, with whom it is for, as they are now. None when it is in other hands."""
    with app.database.writing(beside=True) as connection:
        found = messages.take_batch(connection, number, lane, app.worker_id, token)
        if found is None:
            return None
        waiting = messages.in_batch(connection, number)
        known = read_people(connection, {row.customer_id for row in waiting})
    return Batch(found.channel, lane, number, token, found.urgent, found.deaths, waiting, known)


def _held_up(outgoing: Sequence[Outgoing]) -> list[Answer]:
    """The rules were asked too long ago: nothing was handed over."""
    return [HeldUp("the process was held up before it left; it is judged again")] * len(outgoing)


async def _hand_over(app: App, provider: Provider, outgoing: Sequence[Outgoing]) -> list[Answer]:
    """One answer per message, whatever the provider does: what proves nothing is Uncertain."""
    app.fence.note(outgoing[0].message_id, outgoing[0].attempt, app.clock.now())
    sending = asyncio.ensure_future(provider.send(outgoing))
    app.in_hand.add(sending)
    try:
        async with asyncio.timeout(TIMEOUT + 5):
            answers = list(await sending)
    except SendError as error:
        return [error] * len(outgoing)
    except TimeoutError:
        return [Uncertain(f"{provider.name} gave no answer within {TIMEOUT:.0f} seconds")] * len(outgoing)
    except asyncio.CancelledError:
        if not app.stopping:
            raise
        return [Uncertain(f"{provider.name} gave no answer before the process had to end")] * len(outgoing)
    except Exception as error:  # a provider's own mistake proves nothing about the messages
        log.exception("provider failed", extra={"provider": provider.name})
        return [Uncertain(f"{provider.name} failed: {type(error).__name__}")] * len(outgoing)
    finally:
        app.in_hand.discard(sending)
    missing = len(outgoing) - len(answers)
    return [*map(_keepable, answers[: len(outgoing)]), *[Uncertain(f"{provider.name} gave no answer for it")] * missing]


def _keepable(answer: Answer) -> Answer:
    """What a provider calls a message is its own word, and has to be written down whatever it is."""
    if not isinstance(answer, Sent) or answer.provider_id is None:
        return answer
    name = keepable(answer.provider_id)
    return answer if name == answer.provider_id else structs.replace(answer, provider_id=name)
