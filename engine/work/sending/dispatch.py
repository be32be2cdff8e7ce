"""Hand batches to providers. A message leaves in two commits: after any death it is known what may be out.

Commit 1 judges once more and appends `begun` for those that leave now, never more than the provider takes at once; then
they are handed over; commit 2 appends what the provider answered, and is commit 1 of those that leave next. Lanes run
side by side, database work in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from channels.contract import Answer, Outgoing, Provider
from channels.errors import SendError, Unavailable, Uncertain
from engine.app import App
from engine.clock import fresh_token
from engine.decide.state import Rules
from engine.errors import OutreachError
from engine.store import messages, work
from engine.work.sending.batches import BREAKER_PAUSE, TIMEOUT, Batch, Dispatched, Leaving, Outcomes
from engine.work.sending.leaving import begin_next, read_people
from engine.work.sending.outcomes import write_kept, write_outcomes

log = logging.getLogger("outreach.dispatch")


def dispatch(app: App, rules: Rules, now: datetime) -> Dispatched:
    """Hand over every batch that is due, lanes side by side."""
    done = Dispatched()
    write_kept(app, done)
    with app.database.reading() as connection:
        due = messages.due_batches(connection, now)
    if due:
        lanes: dict[str, list[int]] = {}
        for number, channel in due:
            lanes.setdefault(channel, []).append(number)
        app.run(_lanes(app, rules, lanes, done))
    return done


async def _lanes(app: App, rules: Rules, lanes: dict[str, list[int]], done: Dispatched) -> None:
    """Every lane to its end; one that fails stops no other."""
    work = (_lane(app, rules, channel, batches, done) for channel, batches in lanes.items())
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


async def _lane(app: App, rules: Rules, channel: str, batches: Sequence[int], done: Dispatched) -> None:
    """Batches of one channel, one after the other, until the lane closes."""
    try:
        provider: Provider | None = app.provider(channel)
        assert provider is not None
        await provider.open()
    except Unavailable as error:
        await asyncio.to_thread(_pause_lane, app, channel, error)
        provider = None
    except (SendError, OutreachError) as error:
        await asyncio.to_thread(_stop_lane, app, channel, str(error))
        provider = None
    for number in batches:
        if app.stopping:
            return
        await _batch(app, rules, channel, provider, number, done)


async def _batch(
    app: App, rules: Rules, channel: str, provider: Provider | None, number: int, done: Dispatched
) -> None:
    """One batch, slice by slice: what answers one slice and what begins the next are one commit."""
    batch = await asyncio.to_thread(_take, app, channel, number)
    last: Outcomes | None = None
    while (leaving := await asyncio.to_thread(_between, app, rules, provider, batch, last, done)) is not None:
        last = None
        if leaving and provider is not None:
            answers = await _hand_over(app, provider, [one.outgoing for one in leaving])
            last = Outcomes(channel, provider.name, batch.token, leaving, answers)


def _between(
    app: App, rules: Rules, provider: Provider | None, batch: Batch, last: Outcomes | None, done: Dispatched
) -> list[Leaving] | None:
    """Commit 2 of the last slice and commit 1 of the next, in one transaction. None: no slice is left."""
    now, told = app.clock.now(), Dispatched()
    try:
        with app.database.writing() as connection:
            if last is not None:
                write_outcomes(app, connection, last, now, told)
            leaving = begin_next(app, connection, rules, provider, batch, now, told)
    except Exception:
        if last is not None:
            app.kept.append(last)  # written before anything else leaves
        raise
    done.add(told)
    return leaving


def _take(app: App, channel: str, number: int) -> Batch:
    """Take a batch in hand, with whom it is for, as they are now."""
    token = fresh_token()
    with app.database.writing() as connection:
        messages.hold(connection, number, token)
        waiting = messages.in_batch(connection, number)
        known = read_people(connection, {row.customer_id for row in waiting})
    return Batch(channel, number, token, waiting, known)


def _stop_lane(app: App, channel: str, reason: str) -> None:
    with app.database.writing() as connection:
        work.set_lane(connection, channel, stopped=reason)
    log.error("lane %s stopped until it is resumed: %s", channel, reason)


def _pause_lane(app: App, channel: str, error: Unavailable) -> None:
    """The provider could not be reached to begin with: nothing was tried, and nobody has to mend anything."""
    now = app.clock.now()
    until = now + max(BREAKER_PAUSE, timedelta(seconds=error.retry_after or 0))
    with app.database.writing() as connection:
        work.set_lane(connection, channel, paused_until=until)
    log.warning("lane %s waits until %s: %s", channel, until, error)


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
    return [*answers[: len(outgoing)], *[Uncertain(f"{provider.name} gave no answer for it")] * missing]
