"""Published versions of journeys, which one is live, and what is paused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from engine.store.tables import Row, enrollment, journal, journey_state, journey_version, put, take_ids

# deeds, as the journal names them
PUBLISHED, RENAMED, ROLLED_BACK, MOVED, RETIRED = "published", "renamed", "rolled back", "moved", "retired"


@dataclass(frozen=True)
class Version:
    """One published text."""

    id: int
    journey: str
    number: int
    fingerprint: str
    file: str
    source: str
    published_at: datetime


@dataclass(frozen=True)
class Live:
    """Which version people enter now."""

    journey: str
    hashed_as: str
    version_id: int
    paused_at: datetime | None
    waves_from: datetime
    published_at: datetime
    retired_at: datetime | None = None
    let_out: bool = False


def first_published(connection: Connection, journey: str) -> datetime | None:
    """When the first version of a journey was published."""
    query = select(func.min(journey_version.c.published_at)).where(journey_version.c.journey == journey)
    return connection.execute(query).scalar()


def live(connection: Connection) -> dict[str, Live]:
    """journey -> its state."""
    rows = connection.execute(select(journey_state))
    return {
        row.journey: Live(
            row.journey,
            row.hashed_as,
            row.version_id,
            row.paused_at,
            row.waves_from,
            row.published_at,
            row.retired_at,
            row.let_out,
        )
        for row in rows
    }


def versions(connection: Connection, ids: Iterable[int] | None = None) -> list[Version]:
    """All versions, or those named."""
    query = select(journey_version).order_by(journey_version.c.journey, journey_version.c.number)
    if ids is not None:
        query = query.where(journey_version.c.id.in_(sorted(set(ids))))
    return [Version(*row) for row in connection.execute(query)]


def inhabited(connection: Connection) -> frozenset[int]:
    """Versions someone is inside of now: one look into the index per version, however many people are inside."""
    someone = select(enrollment.c.id).where(enrollment.c.version_id == journey_version.c.id, enrollment.c.active)
    return frozenset(connection.execute(select(journey_version.c.id).where(someone.exists())).scalars())


def inside(connection: Connection) -> dict[int, int]:
    """version id -> people inside it now."""
    rows = connection.execute(
        select(enrollment.c.version_id, func.count()).where(enrollment.c.active).group_by(enrollment.c.version_id)
    )
    return {row[0]: row[1] for row in rows}


def publish(
    connection: Connection,
    journey: str,
    fingerprint: str,
    file: str,
    source: str,
    now: datetime,
    by: str = "",
    waves_anew: bool = False,
    hashed_as: str = "",
) -> Version:
    """Make this text the live version. A fingerprint published before keeps its version.

    `hashed_as` is the name by which chance knows a journey that is published for the first time, if not its own.
    """
    version = _kept(connection, journey, fingerprint, file, source, now)
    make_live(connection, version, now, by, PUBLISHED, waves_anew=waves_anew, hashed_as=hashed_as)
    return version


def _kept(connection: Connection, journey: str, fingerprint: str, file: str, source: str, now: datetime) -> Version:
    same = connection.execute(
        select(journey_version).where(
            journey_version.c.journey == journey, journey_version.c.fingerprint == fingerprint
        )
    ).first()
    if same:
        connection.execute(
            update(journey_version).where(journey_version.c.id == same.id).values(source=source, file=file)
        )
        return Version(*same)
    number = connection.execute(
        select(func.coalesce(func.max(journey_version.c.number), 0) + 1).where(journey_version.c.journey == journey)
    ).scalar_one()
    (new_id,) = take_ids(connection, journey_version, 1)
    version = Version(new_id, journey, number, fingerprint, file, source, now)
    put(connection, journey_version, [version.__dict__])
    return version


def make_live(
    connection: Connection,
    version: Version,
    now: datetime,
    by: str,
    deed: str,
    note: str = "",
    waves_anew: bool = False,
    hashed_as: str = "",
) -> None:
    """This is the version people enter from now on. With `waves_anew`, waves planned until now are not fired."""
    state = live(connection).get(version.journey)
    values: Row = {"version_id": version.id, "published_at": now, "retired_at": None, "let_out": False}
    if state is None:
        values |= {"journey": version.journey, "hashed_as": hashed_as or version.journey}
        values |= {"paused_at": None, "paused_by": None, "waves_from": now}
        connection.execute(insert(journey_state), [values])
    else:
        if waves_anew or state.retired_at is not None:
            values["waves_from"] = now
        connection.execute(update(journey_state).where(journey_state.c.journey == version.journey).values(values))
    if state is None or state.version_id != version.id or state.retired_at is not None:
        write_down(connection, version, now, by, deed, note)


def write_down(connection: Connection, version: Version, now: datetime, by: str, deed: str, note: str = "") -> None:
    """Keep what somebody did to a journey."""
    (number,) = take_ids(connection, journal, 1)
    row = {"journey": version.journey, "version_id": version.id, "at": now, "by": by, "deed": deed, "note": note}
    put(connection, journal, [{"id": number, **row}])


def journal_of(connection: Connection, journey: str) -> list[Any]:
    """What people did to a journey, oldest first."""
    return list(connection.execute(select(journal).where(journal.c.journey == journey).order_by(journal.c.id)))


def retire(connection: Connection, journey: str, let_out: bool, now: datetime) -> None:
    """Nobody enters it any more; with `let_out`, nobody inside goes on either."""
    connection.execute(
        update(journey_state).where(journey_state.c.journey == journey).values(retired_at=now, let_out=let_out)
    )


def pause(connection: Connection, journeys: Sequence[str], by: str, now: datetime) -> None:
    connection.execute(
        update(journey_state)
        .where(journey_state.c.journey.in_(journeys), journey_state.c.paused_at.is_(None))
        .values(paused_at=now, paused_by=by)
    )


def resume(connection: Connection, journeys: Sequence[str]) -> None:
    connection.execute(
        update(journey_state).where(journey_state.c.journey.in_(journeys)).values(paused_at=None, paused_by=None)
    )


_PAUSED = select(journey_state.c.journey).where(journey_state.c.paused_at.is_not(None))


def paused(connection: Connection) -> frozenset[str]:
    """Journeys that are paused now."""
    return frozenset(connection.execute(_PAUSED).scalars())
