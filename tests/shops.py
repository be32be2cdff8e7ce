"""Small shops for tests: a folder, a database in it, a clock that one moves, and people with plain names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.app import App, build_app
from engine.cli.shipped import copy_shipped
from engine.cli.starter import write_starter
from engine.clock import Clock, ManualClock
from engine.store import customers
from engine.store.database import sqlite_module as sqlite_module
from engine.store.tables import Row
from engine.work.incoming.intake import NewEvent, Taken, record_events
from engine.work.publishing.drafts import load_drafts, publish

SECRET = "a secret for tests only"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def starter(folder: Path) -> Path:
    """The folder that `outreach init` makes."""
    write_starter(folder, NOW)
    return folder


def shipped(folder: Path) -> Path:
    """The shop that ships, with its three journeys."""
    folder.mkdir(parents=True, exist_ok=True)
    copy_shipped(folder)
    return folder


def opened(folder: Path, clock: Clock | None = None, secrets: Mapping[str, str] = {}, **more: Any) -> App:
    """The installation in a folder, at a clock that stands still."""
    return build_app(
        folder / "config.yaml", clock=clock or ManualClock(NOW), env={"OUTREACH_SECRET": SECRET, **secrets}, **more
    )


def add_people(app: App, people: Sequence[Row], consent: bool = True) -> dict[str, int]:
    """Put people into the database; each row may leave out what does not matter. Shop's id -> ours."""
    now = app.clock.now()
    rows = [
        {
            "zone": app.settings.shop.zone,
            "locale": app.settings.shop.locale,
            "country": app.settings.shop.country,
            "created_at": now,
            "addresses": {"email": f"{one['external_id']}@example.com"},
            "attributes": {},
            **one,
        }
        for one in people
    ]
    with app.database.writing() as connection:
        customers.upsert(connection, rows)
        ids = customers.ids_of(connection, [one["external_id"] for one in people])
        if consent:
            customers.record_consents(
                connection,
                [
                    {
                        "customer_id": number,
                        "channel": channel,
                        "topic": topic,
                        "purpose": "marketing",
                        "granted": True,
                        "at": now,
                        "source": "test",
                        "wording": "",
                    }
                    for number in ids.values()
                    for channel in app.settings.channels
                    for topic in app.settings.topics
                ],
                now,
            )
    return ids


def publish_all(app: App) -> None:
    """Publish everything in journeys/."""
    drafts = load_drafts(app)
    assert not drafts.errors, [f"{p.position}: {p.sentence}" for p in drafts.errors]
    publish(app, drafts, sorted(drafts.graphs))


def happen(
    app: App, number: str, person: str, name: str, payload: Mapping[str, Any] | None = None, at: datetime | None = None
) -> Taken:
    """One event, now or at an instant."""
    return happen_together(app, [NewEvent(number, person, name, at or app.clock.now(), dict(payload or {}))])


def happen_together(app: App, events: Sequence[NewEvent]) -> Taken:
    """Events that come in one after the other and are there at once."""
    with app.database.reading() as connection:
        rules = app.rules(connection)
    return record_events(app, rules, app.needs(rules), events)
