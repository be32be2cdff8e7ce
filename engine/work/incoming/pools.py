"""Voucher pools: taking in the codes of their files, how many are left, and the codes that orders name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience.audience import Audience
from engine.audience.terms import Pool
from engine.errors import Refused
from engine.journey.source import hint_for
from engine.settings import Scores
from engine.store import work
from engine.store.tables import Row

log = logging.getLogger("outreach.pools")

MOST_NAMED = 20  # codes that one order may name


@dataclass(frozen=True)
class Stock:
    """How a pool stands."""

    pool: str
    codes: int
    given: int
    redeemed: int
    left: int  # neither given nor redeemed
    low: int  # with no more than this it runs low; 0: nobody said

    @property
    def runs_low(self) -> bool:
        return self.left <= self.low and self.low > 0


def stocks(connection: Connection, audience: Audience) -> list[Stock]:
    """Every pool that is published, and every other one that has codes, by name."""
    found = {row.pool: row for row in work.stock(connection)}
    return [_stock(name, found.get(name), audience.pools.get(name)) for name in sorted({*found, *audience.pools})]


def _stock(name: str, row: Any, pool: Pool | None) -> Stock:
    low = pool.low if pool else 0
    return Stock(name, row.codes, row.given, row.redeemed, row.left, low) if row else Stock(name, 0, 0, 0, 0, low)


def warn_of_low(app: App, connection: Connection, audience: Audience) -> None:
    """Tell the log once of each pool that runs low; again when it was filled up and does so anew."""
    watched = {name: pool.low for name, pool in audience.pools.items() if pool.low}
    left = work.left_in(connection, watched)
    low = {name for name, most in watched.items() if left[name] <= most}
    for name in sorted(low - app.low_pools):
        log.warning("pool %s runs low: %d codes are left", name, left[name])
    app.low_pools = low


# --- filling ---------------------------------------------------------------------------------------------------------


def fill(connection: Connection, pools: Mapping[str, Pool], folder: Path) -> dict[str, int]:
    """Take in the lines of these pools' files that are not known yet: pool -> how many."""
    return {
        name: work.fill_pool(connection, name, list(_codes(folder / pool.file)), _worth(pool))
        for name, pool in pools.items()
    }


def refill(app: App, names: Sequence[str]) -> dict[str, int]:
    """The same for pools that are published, all of them when none is named, while the journeys run."""
    with app.database.reading() as connection:
        known = app.rules(connection).audience.pools
    for name in names:
        if name not in known:
            raise Refused(f"there is no published pool {name}; {hint_for(name, known)}")
    wanted = {name: pool for name, pool in known.items() if not names or name in names}
    missing = [pool.file for pool in wanted.values() if not (app.journeys_folder / pool.file).is_file()]
    if missing:
        raise Refused(f"there is no file {app.journeys_folder.name}/{missing[0]}")
    with app.database.writing() as connection:
        return fill(connection, wanted, app.journeys_folder)


def _codes(path: Path) -> Iterator[str]:
    """The lines after the header."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()[1:])
    return (line for line in lines if line)


def _worth(pool: Pool) -> str:
    return f"{pool.value.amount} {pool.value.currency}"


# --- redeeming -------------------------------------------------------------------------------------------------------


def redeem(connection: Connection, rows: Iterable[Row], scores: Scores) -> None:
    """Mark the codes that these orders name, each with its first order. What is redeemed is never given any more."""
    orders = sorted((row for row in rows if row["name"] == scores.order), key=lambda row: (row["at"], row["id"]))
    first: dict[str, datetime] = {}
    for row in orders:
        for code in _named(row["payload"].get(scores.voucher)):
            first.setdefault(code, row["at"])
    work.redeem(connection, first)


def _named(value: Any) -> Iterator[str]:
    """One code, or a list of them."""
    for one in value[:MOST_NAMED] if isinstance(value, list) else [value]:
        if isinstance(one, str) and one.strip():
            yield one.strip()
