"""The history of the tables, and how a database comes to its head.

A database bears its revision in a table of its own. An empty one gets the tables of engine/models.py in one step and
the newest revision; an older one goes through the revisions it lacks. Either happens in one transaction of the caller:
whoever dies in it leaves the database as it was.

To change a table: change engine/models.py, and beside it add versions/rNNNN_what_it_does.py with the next number. It
goes forward only, in batches (`with op.batch_alter_table(...)`), and speaks of tables as they were then: it imports
nothing of the engine. The tests say when the head and the models differ, and in what.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from engine.errors import Unfit
from engine.models import metadata

HOME = Path(__file__).parent
VERSION_TABLE = "outreach_revision"
_CREATE_VERSION_TABLE = (  # as alembic itself would
    f"CREATE TABLE {VERSION_TABLE} "
    f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)
SOME = 3  # names enough to recognise whose tables they are


def head() -> str:
    """The newest revision, whose tables are those of engine/models.py."""
    return _known(HOME)[-1]


@cache
def _known(home: Path) -> tuple[str, ...]:
    """Every revision, the oldest first, by its file: alembic takes long to load and is seldom needed."""
    return tuple(sorted(path.stem[1:].partition("_")[0] for path in (home / "versions").glob("r[0-9]*_*.py")))


def at_head(connection: Connection, name: str) -> bool:
    """Are the tables those of today? `Unfit` when the database, which people know as `name`, is none of ours."""
    return _revision(connection, name) == head()


def bring_to_head(connection: Connection, name: str) -> None:
    """Make or upgrade the tables, in the transaction for writing that is open here."""
    found = _revision(connection, name)
    if found is None:
        _create(connection)
    elif found != head():
        _upgrade(connection)


def _revision(connection: Connection, name: str) -> str | None:
    """What the database says of itself; None when it is empty."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise Unfit(
            f"the database {name} holds tables that outreach did not make ({_some(tables)}), and nothing was changed; "
            "name an empty or a new database under `database:` in config.yaml"
        )
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    known = _known(HOME)
    if found not in known:
        raise Unfit(
            f"the database {name} was made by a later outreach (its tables are at revision {found}, and this one knows "
            f"none after {known[-1]}), and nothing was changed; install that version again"
        )
    return str(found)


def _some(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:SOME])
    return shown if len(names) <= SOME else f"{shown} and {len(names) - SOME} more"


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(_CREATE_VERSION_TABLE)
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:revision)"), {"revision": head()})


def _upgrade(connection: Connection) -> None:
    """Through every revision it lacks, by alembic."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HOME).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
