"""The connections to one mail server: a few, kept open between messages, never more than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from channels.email.session import Session
from channels.errors import SendError

_STALE = 20.0  # seconds after which an idle connection is not trusted any more


class Pool:
    """Lends connections. One that a task has taken is its own until it is given back."""

    def __init__(self, most: int, messages_each: int, connect: Callable[[], Awaitable[Session]]) -> None:
        self._most = most
        self._limit = most  # what the server has shown to allow
        self._messages_each = messages_each
        self._connect = connect
        self._open = 0
        self._returned: asyncio.LifoQueue[Session | None] = asyncio.LifoQueue()  # None: one fewer is open now
        self._closed = False

    @property
    def is_empty(self) -> bool:
        """True when no connection is open, nor being made."""
        return self._open == 0

    def hope(self) -> None:
        """Try one connection more than the server last allowed."""
        self._limit = min(self._most, self._limit + 1)

    async def take(self) -> Session:
        """A connection ready for a message: an idle one, a new one, or one that another task gives back."""
        while True:
            if self._returned.empty() and self._open < self._limit:
                session = await self._new()
            else:
                session = await self._returned.get()
            if session is None:
                continue
            if session.usable and asyncio.get_running_loop().time() - session.idle_since < _STALE:
                return session
            self._drop(session)

    async def _new(self) -> Session | None:
        """One more connection. None when the server wants no more of them than there are."""
        self._open += 1
        try:
            session = await self._connect()
        except BaseException as error:
            self._forget()
            if isinstance(error, SendError) and self._open > 0:
                self._limit = self._open
                return None
            raise
        session.idle_since = asyncio.get_running_loop().time()
        return session

    def may_go_on(self, session: Session) -> bool:
        """Whether the message after the next may go over this connection, too."""
        return not self._closed and session.sent + 1 < self._messages_each

    def give_back(self, session: Session) -> None:
        if self._closed or not session.usable or session.expects or session.sent >= self._messages_each:
            self._drop(session)
            return
        session.idle_since = asyncio.get_running_loop().time()
        self._returned.put_nowait(session)

    def _drop(self, session: Session) -> None:
        session.leave()
        self._forget()

    def _forget(self) -> None:
        self._open -= 1
        self._returned.put_nowait(None)

    async def close(self) -> None:
        """End the idle connections; those lent out end when they are given back."""
        self._closed = True
        while not self._returned.empty():
            session = self._returned.get_nowait()
            if session is not None:
                await session.end()
                self._open -= 1
