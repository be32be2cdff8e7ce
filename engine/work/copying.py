"""A shop moves to another database: all tables, row by row, in one transaction that is compared before it is kept.

Killed at any point, the new database is as empty as it was, or whole: the same command begins again, or finds that all
is there. While it runs, neither database can be run or written to; afterwards the old one knows where its shop went.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table

from engine.errors import Refused, Unfit
from engine.store import whole
from engine.store.database import Database
from engine.store.hold import held
from engine.store.tables import set_fact
from engine.store.whole import Digest, Page


@dataclass(frozen=True)
class Copied:
    """One table that both databases now hold alike."""

    table: str
    rows: int
    sum: str


Tell = Callable[[Copied], None]


def copy_shop(source: Database, target: Database, name: str, now: datetime, tell: Tell) -> bool:
    """Copy a whole shop into an empty database, and tell of each table once it is compared.

    False: it stood there already, the same in every row. `Refused` when anything else stands there, `Busy` while one of
    them is run.
    """
    if _same_place(source, target):
        raise Refused("the shop is in this database already")
    with ExitStack() as both:
        both.enter_context(held(source, name, now))
        target.create()
        both.enter_context(held(target, name, now))
        there = both.enter_context(source.writing())
        whole.patient(there)
        with target.reading() as here:
            filled = whole.first_filled(here)
        if filled is None:
            with target.writing() as here:
                _fill(there, here, target.name, tell)
            _learn(target)
        else:
            _compare(there, target, filled, tell)
        set_fact(there, whole.MOVED, json.dumps({"to": target.name, "at": now.isoformat()}))
    return filled is None


def _same_place(one: Database, other: Database) -> bool:
    if one.path is not None and other.path is not None:
        return one.path.resolve() == other.path.resolve()
    return one.url == other.url


def _fill(there: Connection, here: Connection, name: str, tell: Tell) -> None:
    """Copy every table, then read each back and compare: nothing is kept unless all are equal."""
    whole.patient(here)
    whole.empty(here)
    sums: dict[str, Digest] = {}
    for table in whole.all_tables():
        sums[table.name] = Digest()
        try:
            whole.fill(here, table, _summed(there, table, sums[table.name]))
        except whole.Unwritable as error:
            raise Unfit(f"table {table.name} cannot be copied to {name}, and nothing was kept there: {error}") from None
    for table in whole.all_tables():
        mine, copied = sums[table.name], whole.sum_of(here, table)
        if (mine.rows, mine.sum) != (copied.rows, copied.sum):
            raise Unfit(
                f"table {table.name} reads otherwise in {name} ({mine.rows} rows were written, {copied.rows} read); "
                "nothing was kept there"
            )
        tell(Copied(table.name, mine.rows, mine.sum))


def _summed(connection: Connection, table: Table, digest: Digest) -> Iterator[Page]:
    for page in whole.pages(connection, table):
        digest.add(page)
        yield page


def _compare(there: Connection, target: Database, filled: str, tell: Tell) -> None:
    """What stands in the target must be this very shop, as a copy leaves it that was killed right after its commit."""
    with target.reading() as here:
        whole.patient(here)
        same = []
        for table in whole.all_tables():
            mine, other = whole.sum_of(there, table), whole.sum_of(here, table)
            if (mine.rows, mine.sum) != (other.rows, other.sum):
                raise Refused(
                    f"{target.name} is not empty (there are rows in {filled}), and holds another shop or another state "
                    f"of this one: {table.name} has {other.rows} rows there and {mine.rows} here; nothing was changed. "
                    "Name an empty database"
                )
            same.append(Copied(table.name, mine.rows, mine.sum))
    for one in same:
        tell(one)


def _learn(target: Database) -> None:
    with target.writing() as connection:
        whole.learn(connection)
