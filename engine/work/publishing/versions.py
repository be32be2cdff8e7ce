"""Published versions: what each says otherwise than the one before, who is inside it, and what people did with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection

from engine.app import AUDIENCE, App
from engine.audience.book import Audience
from engine.errors import Refused
from engine.journey.catalog import read_journey
from engine.journey.differences import Difference, differences, of_two_levels
from engine.journey.enter import Enter
from engine.journey.graph import Graph
from engine.journey.source import hint_for, read
from engine.store import journeys

# --- reading versions ------------------------------------------------------------------------------------------------


def live_version(connection: Connection, name: str) -> journeys.Version | None:
    """The version of this journey that people enter now, or entered last when it is retired."""
    state = journeys.live(connection).get(name)
    return journeys.versions(connection, [state.version_id])[0] if state else None


def still_live(connection: Connection, name: str) -> journeys.Version:
    """The same of a journey that was looked at before. `Refused` when it was renamed meanwhile."""
    version = live_version(connection, name)
    if version is None:
        raise Refused(f"{name} was given another name meanwhile; look again")
    return version


def read_version(version: journeys.Version, audience: Audience) -> Graph | None:
    """The plan of a published version; None when this release can no longer read it."""
    return read_journey(version.source, version.file, version.journey, audience.trait_names)[0]


def opens_otherwise(before: Graph | None, after: Graph) -> bool:
    """Does the entry open at other instants? Those that have passed by now are not made up for then."""
    return before is None or _opening(before.head.enter) != _opening(after.head.enter)


def _opening(entry: Enter) -> Any:
    return type(entry), {name: value for name, value in entry if name not in ("segment", "where")}


# --- the history of one journey --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Past:
    """One version, and what it says otherwise than the one before."""

    number: int
    published_at: datetime
    by: str
    live: bool
    inside: int  # people inside it now
    changes: tuple[Difference, ...] | None = None  # None: one of the two can no longer be read


@dataclass(frozen=True)
class Deed:
    """What somebody did to the journey."""

    at: datetime
    by: str
    deed: str
    number: int
    note: str = ""


@dataclass(frozen=True)
class History:
    """Every version of one journey, the latest first."""

    journey: str
    versions: tuple[Past, ...]
    journal: tuple[Deed, ...]
    paused_at: datetime | None = None
    retired_at: datetime | None = None


def history(app: App, journey: str) -> History:
    """The versions of a journey, or of the audience. `Refused` when nothing of that name was published."""
    with app.database.reading() as connection:
        versions = versions_of(connection, journey)
        audience = app.rules(connection).audience
        state = journeys.live(connection)[journey]
        inside = journeys.inside(connection)
        rows = journeys.journal_of(connection, journey)
    numbers = {one.id: one.number for one in versions}
    publishers = {row.version_id: row.by for row in reversed(rows) if row.deed == journeys.PUBLISHED}
    changed = dict(_changes(versions, audience))
    found = tuple(
        Past(
            number=one.number,
            published_at=one.published_at,
            by=publishers.get(one.id, ""),
            live=one.id == state.version_id and state.retired_at is None,
            inside=inside.get(one.id, 0),
            changes=changed.get(one.number, ()),
        )
        for one in reversed(versions)
    )
    journal = tuple(Deed(row.at, row.by, row.deed, numbers[row.version_id], row.note) for row in rows)
    return History(journey, found, journal, state.paused_at, state.retired_at)


def versions_of(connection: Connection, journey: str) -> list[journeys.Version]:
    """All versions of one journey, the first one first."""
    every = journeys.versions(connection)
    known = sorted({one.journey for one in every})
    if journey not in known:
        hint = f"; {hint_for(journey, known)}" if known else ""
        raise Refused(f"nothing of the name {journey} was ever published{hint}")
    return [one for one in every if one.journey == journey]


def version_numbered(connection: Connection, journey: str, number: int) -> journeys.Version:
    """One version by its number."""
    versions = versions_of(connection, journey)
    for one in versions:
        if one.number == number:
            return one
    raise Refused(f"{journey} has no version {number}; there are 1 to {versions[-1].number}")


def _changes(
    versions: Sequence[journeys.Version], audience: Audience
) -> Iterator[tuple[int, tuple[Difference, ...] | None]]:
    """Of each version but the first: its number, and what it says otherwise than the one before."""
    if versions[0].journey == AUDIENCE:
        trees = [read(one.source, one.file).value for one in versions]
        for one, (before, after) in zip(versions[1:], pairwise(trees), strict=True):
            yield one.number, tuple(of_two_levels(before, after))
        return
    graphs = [read_version(one, audience) for one in versions]
    for one, (old, new) in zip(versions[1:], pairwise(graphs), strict=True):
        yield one.number, None if old is None or new is None else tuple(differences(old, new))
