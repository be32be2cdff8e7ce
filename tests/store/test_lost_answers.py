"""S3: a lost answer to COMMIT is read back from PostgreSQL, never assumed.

Broken by hand: what the server says of the transaction is not asked: the first test failed (a write that was done was
told as failed); it is taken for done unasked: the second (a write that was never done was told as done).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from proxy import Proxy, proxy
from servers import Fresh
from sqlalchemy.exc import OperationalError

from engine.store import database as databases
from engine.store.database import Database
from engine.store.tables import get_fact, set_fact


@pytest.fixture
def wire(postgres: Fresh) -> Iterator[Proxy]:
    with proxy(postgres(tables=True)) as made:
        yield made


@pytest.fixture
def database(wire: Proxy, open_database: Callable[[str], Database]) -> Database:
    opened = open_database(wire.url)
    opened.create()
    return opened


def kept(database: Database, name: str) -> str | None:
    with database.reading() as connection:
        return get_fact(connection, name)


def test_S3_a_write_whose_answer_was_lost_is_found_to_be_done(wire: Proxy, database: Database) -> None:
    wire.lose_answer(after="deed")
    with database.writing() as connection:
        set_fact(connection, "deed", "done")
    assert wire.happened
    assert kept(database, "deed") == "done"


def test_S3_a_write_whose_commit_never_arrived_is_found_to_be_undone(wire: Proxy, database: Database) -> None:
    wire.lose_commit(after="deed")
    with pytest.raises(OperationalError), database.writing() as connection:
        set_fact(connection, "deed", "done")
    assert wire.happened
    assert kept(database, "deed") is None


def test_S3_a_connection_lost_before_the_commit_undoes_everything(wire: Proxy, database: Database) -> None:
    def write() -> None:
        with database.writing() as connection:
            set_fact(connection, "deed", "done")
            wire.drop()
            set_fact(connection, "deed", "done twice")

    with pytest.raises(OperationalError):
        write()
    assert kept(database, "deed") is None


def test_S3_who_cannot_find_out_does_not_say_that_it_was_done(
    wire: Proxy, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "READ_BACK_TRIES", 2)
    wire.lose_commit(after="deed")

    def write() -> None:
        with database.writing() as connection:
            set_fact(connection, "deed", "done")
            wire.refuse()

    with pytest.raises(OperationalError):
        write()
    wire.mend()
    assert kept(database, "deed") is None
