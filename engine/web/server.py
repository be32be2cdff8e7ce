"""The small web server inside the daemon: health, and the links that messages carry. GET shows, only POST changes.

/health     is the daemon alive, when was its last beat
/u/TOKEN    unsubscribe: one POST without cookies or login ends a topic for a person (RFC 8058)
/c/TOKEN    a click: counted, then led to the address written in the token
/a/TOKEN    an answer to a question: one button, one POST
/p/TOKEN    what a person has agreed to, to look at
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from engine.app import App
from engine.errors import Unfit
from engine.message.links import Purpose, Token, read_token
from engine.web import pages
from engine.work.respond import answered, choices, clicked, unsubscribe

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
MAX_BODY = 10_000  # bytes; nothing that is posted here is longer


def make_web(app: App, health: Callable[[], dict[str, Any]]) -> FastAPI:
    """The pages over one installation. Endpoints run in threads, so database sessions stay synchronous."""
    web = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @web.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return Response(status_code=413, headers=HEADERS)
        response: Response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @web.get("/health")
    def show_health() -> Response:
        told = health()
        return JSONResponse(told, status_code=200 if told["ok"] else 503)

    @web.get("/u/{text}")
    def show_unsubscribe(text: str) -> Response:
        token = _read(app, text, Purpose.unsubscribe)
        if token is None:
            return _bad_link()
        page = pages.unsubscribe(app.settings, *choices(app, token))
        return HTMLResponse(page)

    @web.post("/u/{text}")
    def do_unsubscribe(text: str) -> Response:
        token = _read(app, text, Purpose.unsubscribe)
        if token is None:
            return _bad_link()
        unsubscribe(app, token)
        return HTMLResponse(pages.unsubscribed(app.settings, *choices(app, token)))

    @web.get("/c/{text}")
    def follow(text: str) -> Response:
        token = _read(app, text, Purpose.click)
        if token is None:
            return _bad_link()
        clicked(app, token)
        return RedirectResponse(token.word, status_code=302)

    @web.get("/a/{text}")
    def show_answer(text: str) -> Response:
        token = _read(app, text, Purpose.answer)
        if token is None:
            return _bad_link()
        return HTMLResponse(pages.answer(app.settings, token.word, *choices(app, token)))

    @web.post("/a/{text}")
    def do_answer(text: str) -> Response:
        token = _read(app, text, Purpose.answer)
        if token is None:
            return _bad_link()
        answered(app, token)
        return HTMLResponse(pages.thanks(app.settings, *choices(app, token)))

    @web.get("/p/{text}")
    def show_preferences(text: str) -> Response:
        token = _read(app, text, Purpose.preferences)
        if token is None:
            return _bad_link()
        return HTMLResponse(pages.preferences(app.settings, *choices(app, token)))

    return web


def _read(app: App, text: str, purpose: Purpose) -> Token | None:
    return read_token([app.secret], text, purpose)


def _bad_link() -> Response:
    return HTMLResponse(pages.bad_link(), status_code=404)


class WebServer:
    """The server in a thread of its own. `start` returns when it answers; `stop` when it does no longer."""

    def __init__(self, app: App, health: Callable[[], dict[str, Any]]) -> None:
        web = app.settings.web
        config = uvicorn.Config(
            make_web(app, health), host=web.host, port=web.port, log_config=None, access_log=False, lifespan="off"
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
        self._thread.join(5)

    @property
    def port(self) -> int:
        """The port it listens on; another than configured when that was 0."""
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def _serve(self) -> None:
        with contextlib.suppress(SystemExit):  # uvicorn's way of saying that the port is taken
            self._server.run()
