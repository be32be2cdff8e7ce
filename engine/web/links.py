"""The addresses of this server. GET and HEAD show, only POST changes; a click alone is counted by GET.

/health     is the daemon alive, when was its last beat
/u/TOKEN    unsubscribe: one POST without cookies or login ends a topic for a person (RFC 8058)
/c/TOKEN    a click: counted, then led to the address written in the token
/a/TOKEN    an answer to a question: one button, one POST
/p/TOKEN    what a person has agreed to, to look at
/hooks/LANE what the service of a lane's provider reports: signed, or refused
/t/TOKEN    one task, for the colleagues who were told of it: to look at by GET, to act on by POST
/y/TOKEN    yes to a topic, from the mail of a confirmation: one button, one POST
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from engine.app import App
from engine.message.links import BadLink, LinkUse, Token, checked_url, read_token
from engine.store import messages
from engine.web import pages
from engine.web.desk import Desk, Unavailable
from engine.web.health import judged
from engine.web.hooks import add_hooks
from engine.web.inbox import add_inbox
from engine.web.labels import label_of
from engine.web.tasks import add_task_page
from engine.web.visitors import is_machine
from engine.web.words import Words, words_asked_for
from engine.work.incoming import respond
from engine.work.incoming.confirming import asked, confirm

log = logging.getLogger("outreach.web")

SHOW = ["GET", "HEAD"]
RETRY_AFTER = {"Retry-After": "60"}


class NoSuchLink(Exception):
    """Nothing is at this address: no page, or a token that we did not make for it."""


def make_web(app: App, health: Callable[[], dict[str, Any]], desk: Desk) -> FastAPI:
    """The pages over one installation."""
    web = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    settings = app.settings

    @web.api_route("/health", methods=SHOW)
    async def show_health() -> Response:
        told = judged(health(), app.clock, settings.beat)
        return JSONResponse(told, status_code=200 if told["ok"] else 503)

    @web.api_route("/u/{text}", methods=SHOW)
    async def show_unsubscribe(text: str) -> Response:
        token = _read(app, text, LinkUse.unsubscribe)
        who = await desk.ask(partial(respond.visitor, app, token))
        return HTMLResponse(pages.unsubscribe(settings, token.topic, who))

    @web.post("/u/{text}")
    async def unsubscribe(text: str) -> Response:
        token = _read(app, text, LinkUse.unsubscribe)
        await desk.ask(partial(respond.unsubscribe, app, token))
        who = await desk.ask(partial(respond.visitor, app, token))
        return HTMLResponse(pages.unsubscribed(settings, token.topic, who))

    @web.api_route("/c/{text}", methods=SHOW)
    async def follow(text: str, request: Request) -> Response:
        token = _read(app, text, LinkUse.click)
        target = _target(token)
        try:
            await desk.ask(partial(respond.clicked, app, token, is_machine(request.method, request.headers)))
        except Unavailable:  # to be counted is our wish, to arrive is theirs
            log.warning("a click on message %s could not be kept", token.message_id)
        return RedirectResponse(target, status_code=302)

    @web.api_route("/a/{text}", methods=SHOW)
    async def show_answer(text: str) -> Response:
        token = _read(app, text, LinkUse.answer)
        who = await desk.ask(partial(respond.visitor, app, token))
        said = await desk.ask(partial(_said, app, token, f"/{LinkUse.answer}/{text}"))
        return HTMLResponse(pages.answer(settings, said, who))

    @web.post("/a/{text}")
    async def answer(text: str) -> Response:
        token = _read(app, text, LinkUse.answer)
        first = await desk.ask(partial(respond.answered, app, token))
        who = await desk.ask(partial(respond.visitor, app, token))
        return HTMLResponse(pages.thanks(settings, who, first))

    @web.api_route("/p/{text}", methods=SHOW)
    async def show_preferences(text: str) -> Response:
        token = _read(app, text, LinkUse.preferences)
        who = await desk.ask(partial(respond.visitor, app, token))
        return HTMLResponse(pages.preferences(settings, who))

    @web.api_route("/y/{text}", methods=SHOW)
    async def show_confirm(text: str) -> Response:
        token = _read(app, text, LinkUse.confirm)
        return HTMLResponse(pages.confirm(settings, token.topic, await desk.ask(partial(asked, app, token))))

    @web.post("/y/{text}")
    async def say_yes(text: str) -> Response:
        token = _read(app, text, LinkUse.confirm)
        wording = pages.wording(settings, token.topic, await desk.ask(partial(asked, app, token)))
        return HTMLResponse(pages.confirm(settings, token.topic, await desk.ask(partial(confirm, app, token, wording))))

    add_hooks(web, app, desk)
    add_task_page(web, app, desk, _read)
    add_inbox(web, app, desk)
    _add_refusals(web, app)
    return web


def _read(app: App, text: str, use: LinkUse) -> Token:
    """What a token says. `NoSuchLink` for one that was altered, cut, made elsewhere or for something else."""
    token = None if app.inert else read_token(app.secrets, text, use)
    if token is None:
        raise NoSuchLink
    return token


def _target(token: Token) -> str:
    """Where a click leads: what was written when the message was rendered, if it is a web address today as well."""
    try:
        return checked_url(token.word)
    except BadLink:
        raise NoSuchLink from None


def _said(app: App, token: Token, path: str) -> str | None:
    """What stood on the button of the mail."""
    with app.database.reading() as connection:
        content = messages.content_of(connection, token.message_id) or {}
    html = content.get("html")
    return label_of(html, path) if isinstance(html, str) else None


# --- what is refused -------------------------------------------------------------------------------------------------


def _add_refusals(web: FastAPI, app: App) -> None:
    settings = app.settings

    def say(request: Request) -> Words:
        return words_asked_for(request.headers.get("accept-language", ""), settings.shop.locale)

    async def no_such_link(request: Request, _: Exception) -> Response:
        return HTMLResponse(pages.bad_link(settings, say(request)), status_code=404)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return await no_such_link(request, error)
        return Response(status_code=error.status_code, headers=error.headers)

    async def unavailable(request: Request, _: Exception) -> Response:
        return HTMLResponse(pages.busy(settings, say(request)), status_code=503, headers=RETRY_AFTER)

    async def broken(request: Request, _: Exception) -> Response:
        return HTMLResponse(pages.broken(settings, say(request)), status_code=500)

    web.add_exception_handler(NoSuchLink, no_such_link)
    web.add_exception_handler(HTTPException, refused)
    web.add_exception_handler(Unavailable, unavailable)
    web.add_exception_handler(Exception, broken)
