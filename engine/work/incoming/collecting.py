"""Reports that come in by mail: fetched from where they wait, kept, and only then let go."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from channels.contract import Callback, Provider
from channels.errors import ChannelError, InvalidReceipt
from engine.app import App
from engine.errors import OutreachError
from engine.work.incoming.receipts import take_receipts

log = logging.getLogger("outreach.collecting")

EVERY = 60.0  # seconds
ROUNDS = 500  # fetches in one go: the rest the next time


@dataclass
class Collected:
    """What became of mails."""

    read: int = 0
    aside: int = 0  # not to be trusted, or about nothing: they stay for a person
    new: int = 0  # reports kept


async def collect(app: App, lane: str, provider: Provider) -> Collected:
    """Read what waits for a lane. Raises a ChannelError when its mailbox cannot be had."""
    done = Collected()
    box = provider.letterbox
    if box is None:
        return done
    try:
        for _ in range(ROUNDS):
            mails = await box.fetch()
            if not mails or app.stopping:
                break
            for mail in mails:
                kept = await take_mail(app, lane, provider, mail.data)
                done.read += 1
                if kept is None:
                    done.aside += 1
                    await box.aside(mail)
                else:
                    done.new += kept
                    await box.done(mail)
    finally:
        await box.close()
    return done


async def take_mail(app: App, lane: str, provider: Provider, mail: bytes) -> int | None:
    """Keep what one mail says: how many new reports; None when nothing in it can be trusted."""
    try:
        heard = await provider.receipts(Callback("POST", "", {}, mail, app.clock.now()))
    except InvalidReceipt as error:
        log.info("lane %s: a mail says nothing that can be trusted: %s", lane, error)
        return None
    if not heard.receipts:
        return 0
    kept = await asyncio.to_thread(take_receipts, app, lane, heard.receipts)
    return kept.new


def lanes_by_mail(app: App) -> dict[str, Provider]:
    """The lanes whose reports come in by mail, each with a provider of its own: this runs beside all else."""
    found = {}
    for lane in app.settings.lanes:
        try:
            provider = app.another_provider(lane)
        except OutreachError as error:
            log.error("lane %s cannot be asked for reports: %s", lane, error)
            continue
        if provider.letterbox is not None:
            found[lane] = provider
    return found


@contextmanager
def collecting(app: App) -> Iterator[None]:
    """Read them every minute, in a thread beside the beats, until the block ends. One worker does it for all."""
    lanes = lanes_by_mail(app)
    if not lanes:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_until, args=(app, lanes, ended), name="collecting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5)


def _until(app: App, lanes: dict[str, Provider], ended: threading.Event) -> None:
    while not ended.is_set():
        for lane, provider in lanes.items():
            try:
                if app.keep.claims(f"collecting {lane}", app.clock.now() + timedelta(seconds=EVERY - 1)):
                    done = asyncio.run(collect(app, lane, provider))
                    if done.read:
                        log.info("lane %s: %s mails read, %s reports kept", lane, done.read, done.new)
            except ChannelError as error:
                log.warning("lane %s: what came back cannot be read now: %s", lane, error)
            except Exception as error:  # the next minute is another one
                log.exception("lane %s: reading what came back failed", lane, exc_info=error)
        ended.wait(EVERY)
