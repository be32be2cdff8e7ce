"""The in-app inbox as the shop's app reads it: a person's entries, and which of them were looked at.

GET  /v1/inbox/PERSON         how many are unread, and the newest 100, newest first; ?before=INSTANT for those before
POST /v1/inbox/PERSON/read    {"keys": ["..."]}: these were looked at

Who asks is the shop's own server, with the key whose variable `web.api_key_env` names: `Authorization: Bearer KEY`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.app import App
from engine.store import inbox
from engine.web.desk import Desk
from engine.work.incoming.reading import read

MOST = 100  # entries in one answer


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[str] = Field(max_length=MOST)


def add_inbox(web: FastAPI, app: App, desk: Desk) -> None:
    """The addresses of the inbox; without a key that is configured there are none."""
    name = app.settings.web.api_key_env
    if name is None:
        return

    @web.get("/v1/inbox/{person}")
    async def show(person: str, request: Request, before: str | None = None) -> Response:
        if (refused := _refused(app, name, request)) is not None:
            return refused
        try:
            since = datetime.fromisoformat(before) if before else None
        except ValueError:
            return _error(400, "`before` is no instant; write one like 2026-12-01T10:00:00Z")
        since = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
        return JSONResponse(await desk.ask(partial(_box, app, person, since)))

    @web.post("/v1/inbox/{person}/read")
    async def mark(person: str, request: Request) -> Response:
        if (refused := _refused(app, name, request)) is not None:
            return refused
        try:
            asked = _Read.model_validate_json(await request.body())
        except ValidationError:
            return _error(400, 'write which entries were read: {"keys": ["..."]}')
        return JSONResponse({"read": await desk.ask(partial(read, app, person, asked.keys))})


def _box(app: App, person: str, before: datetime | None) -> dict[str, Any]:
    with app.database.reading() as connection:
        rows = inbox.entries(connection, person, MOST, before)
        return {"unread": inbox.unread(connection, person), "entries": _told(rows)}


def _told(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "key": row.key,
            "at": row.at.isoformat(),
            "read_at": row.read_at and row.read_at.isoformat(),
            **{name: value for name, value in json.loads(row.entry).items() if name != "at"},
        }
        for row in rows
    ]


def _refused(app: App, name: str, request: Request) -> Response | None:
    """The answer to who has not the key."""
    key, said = app.env.get(name, ""), request.headers.get("authorization", "")
    if len(key) >= 16 and hmac.compare_digest(said.encode(), f"Bearer {key}".encode()):
        return None
    return JSONResponse({"error": "the key is missing or wrong"}, 401, {"WWW-Authenticate": "Bearer"})


def _error(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)
