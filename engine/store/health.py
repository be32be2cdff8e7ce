"""What PostgreSQL says of itself, as far as messages depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

LONG = timedelta(minutes=5)  # a transaction older than this keeps dead rows from being cleared away
ASKED = (
    *("max_connections", "fsync", "full_page_writes", "synchronous_commit", "autovacuum", "server_encoding"),
    *("idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout"),
)
_SETTINGS = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
_ITSELF = text(
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number, "
    "pg_is_in_recovery() AS standby, pg_backend_pid() AS pid, "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections"
)
_OLD = text(
    "SELECT pid, coalesce(application_name, '') AS name, state, "
    "extract(epoch FROM clock_timestamp() - xact_start)::bigint AS seconds FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND xact_start < clock_timestamp() - make_interval(secs => :seconds) ORDER BY xact_start"
)


@dataclass(frozen=True)
class OldTransaction:
    """One that has been open for long."""

    pid: int
    name: str
    state: str
    age: timedelta


@dataclass(frozen=True)
class Server:
    """A PostgreSQL as it is set up, and as it is just now."""

    version: str
    number: int  # 160004
    settings: dict[str, str]
    connections: int
    standby: bool  # it only reads along with another
    pooled: bool  # somebody stands between, who may hand our session to others
    old: list[OldTransaction]


def server(connection: Connection) -> Server:
    """Ask it."""
    itself = connection.execute(_ITSELF).one()
    settings = {row.name: row.setting for row in connection.execute(_SETTINGS, {"names": list(ASKED)})}
    old = connection.execute(_OLD, {"seconds": LONG.total_seconds()})
    driver: Any = connection.connection.driver_connection
    return Server(
        itself.version,
        itself.number,
        settings,
        itself.connections,
        itself.standby,
        driver.info.backend_pid != itself.pid,  # a pooler introduces itself by a number of its own
        [OldTransaction(row.pid, row.name, row.state or "", timedelta(seconds=row.seconds)) for row in old],
    )
