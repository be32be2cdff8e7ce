"""What the services of providers report, at /hooks/CHANNEL: believed when it is signed, answered once it is kept."""

from __future__ import annotations

import logging
from functools import partial

from fastapi import FastAPI, Request, Response

from channels.contract import Callback
from channels.errors import ChannelError, InvalidReceipt
from engine.app import App
from engine.errors import OutreachError
from engine.web.desk import Desk, Unavailable
from engine.work.incoming.receipts import take_receipts

log = logging.getLogger("outreach.hooks")


def add_hooks(web: FastAPI, app: App, desk: Desk) -> None:
    """The address of every lane for what its provider reports."""

    @web.api_route("/hooks/{lane:path}", methods=["GET", "POST"])
    async def hear(lane: str, request: Request) -> Response:
        if lane not in app.settings.lanes:
            return Response(status_code=404)
        try:
            provider = app.listener(lane)
        except OutreachError as error:
            log.error("lane %s cannot hear what is reported: %s", lane, error)
            return Response(status_code=503, headers={"Retry-After": "300"})
        try:
            heard = await provider.receipts(await _callback(app, request))
        except InvalidReceipt as error:
            log.warning("a report for lane %s was refused: %s", lane, error)
            return Response(status_code=401)
        except ChannelError as error:  # what proves it could not be had
            log.warning("a report for lane %s could not be verified: %s", lane, error)
            raise Unavailable from error
        if heard.receipts:
            await desk.ask(partial(take_receipts, app, lane, heard.receipts))
        return Response(heard.body, heard.status, media_type=heard.content_type if heard.body else None)


async def _callback(app: App, request: Request) -> Callback:
    """The request as the service made it: to the address that it was told."""
    query = f"?{request.url.query}" if request.url.query else ""
    return Callback(
        method=request.method,
        url=f"{app.settings.web.url.rstrip('/')}{request.url.path}{query}",
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.body(),
        at=app.clock.now(),
    )
