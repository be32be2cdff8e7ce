"""The small web server inside the daemon, in a thread of its own. What it answers is in `links`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.app import App
from engine.errors import Unfit
from engine.web.desk import Desk
from engine.web.guard import Guard
from engine.web.links import make_web

CONNECTIONS = 400  # at once; more are told to come back
STOP_WITHIN = 3  # seconds answers under way may take when it ends
WHOLE_WITHIN = 20.0  # seconds a connection may go without bringing a whole request


class WebServer:
    """`start` returns when it answers; `stop` when it does no longer."""

    def __init__(self, app: App, health: Callable[[], dict[str, Any]]) -> None:
        web = app.settings.web
        self._desk = Desk()
        config = uvicorn.Config(
            Guard(make_web(app, health, self._desk)),
            host=web.host,
            port=web.port,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=STOP_WITHIN,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)
        self._where = f"{web.host}:{web.port}"

    def start(self) -> None:
        """Begin to answer. `Unfit` when the port cannot be had."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive():
                raise Unfit(f"the web server cannot listen on {self._where}: is another program there?")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_WITHIN + 2)
        self._desk.close()

    @property
    def port(self) -> int:
        """The port it listens on; another than configured when that was 0."""
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def _serve(self) -> None:
        with contextlib.suppress(SystemExit):  # uvicorn's way of saying that the port is taken
            self._server.run()


class _Connection(H11Protocol):
    """Hangs up on who holds a connection open without asking for anything; writes no paths down."""

    _look: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.access_log = False  # tokens stand in paths; uvicorn's own switch gives way to any handler of the root

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look = self.loop.call_later(WHOLE_WITHIN, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def _hang_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:  # it is being answered
            self._look = self.loop.call_later(WHOLE_WITHIN, self._hang_up)
