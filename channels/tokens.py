"""Access tokens: fetched once for all workers, renewed before they end, and once after a service calls one expired."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.errors import SendError, Unavailable
from channels.keep import Keep

_LOOK = 0.05  # seconds between looks whether another worker has it by now
_FETCHING = timedelta(seconds=20)  # after which who fetches is believed to be dead
_PATIENCE = 15.0  # seconds: well before that, who fetches gives up


@dataclass(frozen=True)
class Fresh:
    """A token as a service gave it."""

    value: str
    lasts: timedelta


class AccessToken:
    """One token of one account. `fetch(deadline)` gets a new one from the service; it raises SendErrors.

    What is in the keep counts; what this process remembers of it saves a look. A worker that finds none claims the
    right to fetch it, and the others wait for what it puts there. Of one worker's messages one asks for all: a service
    that gives no token counts how often it is asked.
    """

    def __init__(
        self,
        keep: Keep,
        now: Callable[[], datetime],
        name: str,
        fetch: Callable[[float], Awaitable[Fresh]],
        *,
        early: timedelta = timedelta(minutes=5),
    ) -> None:
        """`early`: so long before its end a token counts as over, or for a fifth of its life where that is less."""
        self._keep = keep
        self._now = now
        self._name = name
        self._fetch = fetch
        self._early = early
        self._known: tuple[str, datetime] | None = None
        self._asking: dict[str | None, asyncio.Task[str]] = {}  # by the token that is spent

    async def value(self, deadline: float) -> str:
        """A token that holds. Unavailable when none could be had until `deadline` by the clock of the event loop."""
        if self._known is not None and self._known[1] > self._now():
            return self._known[0]
        return await self._shared(None, deadline)

    async def renewed(self, spent: str, deadline: float) -> str:
        """Another token than `spent`, which the service does not accept any more: the one that another worker has
        fetched meanwhile, or a new one."""
        if self._known is not None and self._known[0] == spent:
            self._known = None
        return await self._shared(spent, deadline)

    async def _shared(self, spent: str | None, deadline: float) -> str:
        """What the one that asks gets. It goes on when a message that waits for it is called off, and no message waits
        longer than it may."""
        asking = self._asking.get(spent)
        if asking is None:
            patience = min(deadline, asyncio.get_running_loop().time() + _PATIENCE)
            asking = self._asking[spent] = asyncio.ensure_future(self._proved(spent, patience))
            asking.add_done_callback(lambda _: self._asking.pop(spent, None))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(asking)
        except TimeoutError as error:
            raise Unavailable("An access token was not there in time.") from error

    async def _proved(self, spent: str | None, deadline: float) -> str:
        """Whatever goes wrong on the way to a token, a message has not left yet: that is said in the right class."""
        try:
            return await self._get(spent, deadline)
        except SendError:
            raise
        except Exception as error:
            raise Unavailable(f"An access token could not be fetched and kept: {type(error).__name__}.") from error

    async def _get(self, spent: str | None, deadline: float) -> str:
        while True:
            found = await self._kept(spent)
            if found is not None:
                return found
            if await self._keep.claim(self._name, self._now() + _FETCHING):
                try:
                    return await self._kept(spent) or await self._fetched(deadline)
                finally:
                    await self._keep.release(self._name)
            if asyncio.get_running_loop().time() + _LOOK > deadline:
                raise Unavailable("Another worker fetches an access token, and did not have it in time.")
            await asyncio.sleep(_LOOK)

    async def _kept(self, spent: str | None) -> str | None:
        """What any worker put there. It says itself until when: what is remembered must not outlive it."""
        kept = await self._keep.get(self._name)
        if kept is None:
            return None
        until, _, value = kept.partition(" ")
        if value == spent:
            return None
        self._known = value, datetime.fromisoformat(until)
        return value

    async def _fetched(self, deadline: float) -> str:
        fresh = await self._fetch(deadline)
        until = self._now() + max(fresh.lasts - self._early, fresh.lasts * 4 / 5)
        await self._keep.put(self._name, f"{until.isoformat()} {fresh.value}", until)
        self._known = fresh.value, until
        return fresh.value
