"""The history of the tables: its head is the models, and a database comes there whole or stays as it was."""

from __future__ import annotations

import ast
import fcntl
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from processes import Mother
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel
from stubs import World, die, shop

from engine import migrations
from engine.cli.main import run_command
from engine.errors import Busy, Unfit
from engine.store import customers, tables
from engine.store.database import Database, sqlite_module
from engine.store.tables import set_fact
from engine.work.recovery import recover

Open = Callable[[str], Database]

HEAD = migrations.head()
LATER = '''
"""What a later release could do to the tables."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "HEAD"


def upgrade() -> None:
    with op.batch_alter_table("customer", recreate="always") as batch:
        batch.add_column(sa.Column("nickname", sa.String(), nullable=False, server_default="none"))
    with op.batch_alter_table("fact", recreate="always") as batch:
        batch.create_unique_constraint("one_of_each", ["value"])
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO later VALUES (1)")
'''


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """From the call on this is a later release, with one revision more. Its migrations' folder."""

    def become() -> Path:
        home = tmp_path / "later 100% other"
        shutil.copytree(migrations.HOME, home, ignore=shutil.ignore_patterns("__pycache__"))
        (home / "versions" / "r9999_later.py").write_text(LATER.replace("HEAD", HEAD))
        monkeypatch.setattr(migrations, "HOME", home)
        return home

    return become


def shape(connection: Connection) -> dict[str, Any]:
    """Everything the database knows of its tables, in a form that can be compared."""
    seen = inspect(connection)
    found = {}
    for name in seen.get_table_names():
        found[name] = {
            "columns": sorted((one["name"], str(one["type"]), one["nullable"]) for one in seen.get_columns(name)),
            "key": seen.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted(tuple(one["column_names"]) for one in seen.get_unique_constraints(name)),
            "indexes": sorted(_index(one) for one in seen.get_indexes(name)),
        }
    return found


def _index(found: Any) -> tuple[str, str, bool, str]:
    options = found.get("dialect_options", {})
    where = next((str(value) for key, value in options.items() if key.endswith("_where")), "")
    return found["name"], ",".join(found["column_names"]), bool(found["unique"]), where


def stamp(database: Database) -> str:
    with database.reading() as connection:
        return str(connection.execute(text(f"SELECT version_num FROM {migrations.VERSION_TABLE}")).scalar_one())


def rows(database: Database) -> dict[str, list[Any]]:
    """Every row of every table of ours."""
    with database.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for table in SQLModel.metadata.sorted_tables
        }


# --- the head --------------------------------------------------------------------------------------------------------


def test_the_revisions_end_at_the_tables_of_the_models(url: str, open_database: Open) -> None:
    database = open_database(url)
    with database.writing() as connection:
        migrations._upgrade(connection)

    with database.reading() as connection:
        options = {"version_table": migrations.VERSION_TABLE, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == [], "add a revision: see engine/migrations/__init__.py"


def test_a_new_database_is_what_all_revisions_together_make(
    url: str, open_database: Open, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made, grown = open_database(url), f"sqlite:///{tmp_path / 'grown.db'}"
    if not made.is_sqlite:
        grown = request.getfixturevalue("postgres")()
    made.create()
    other = open_database(grown)
    with other.writing() as connection:
        migrations._upgrade(connection)

    with made.reading() as one, other.reading() as two:
        assert shape(one) == shape(two)
    assert stamp(made) == stamp(other) == migrations.head()


def test_the_revisions_are_one_line_numbered_in_order_and_speak_of_the_past_alone() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.HOME))
    line = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]
    files = sorted((migrations.HOME / "versions").glob("r*.py"))
    imported = {
        name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
    }

    assert line[::-1] == [file.stem[1:5] for file in files] == [f"{n:04d}" for n in range(1, len(files) + 1)]
    assert not [name for name in imported if name and name.startswith("engine")]


# --- opening ---------------------------------------------------------------------------------------------------------


def test_opening_what_is_at_the_head_asks_little_and_does_not_load_alembic(tmp_path: Path, nest: Mother) -> None:
    child = nest.start(
        """
        import sys
        from engine.store.database import Database
        for name in [name for name in sys.modules if name.partition(".")[0] == "alembic"]:
            del sys.modules[name]
        for _ in range(2):
            database = Database(url)
            database.create()
            tell("alembic" in sys.modules)
            statements = database.statements
            database.close()
        tell(statements)
        """,
        url=f"sqlite:///{tmp_path / 'shop.db'}",
    )

    assert [child.hear() for _ in range(3)] == ["False", "False", "4"]
    assert child.wait() == 0


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_processes_that_open_a_database_at_once_all_find_it_whole(
    url: str, old: bool, later: Callable[[], Path], open_database: Open, nest: Mother
) -> None:
    if old:
        database = open_database(url)
        database.create()
        with database.writing() as connection:
            set_fact(connection, "count", "")
    home = later()
    opening = """
    import fcntl, pathlib
    from engine import migrations
    from engine.store.database import Database
    migrations.HOME = pathlib.Path(home)
    tell("ready")
    fcntl.flock(open(gate), fcntl.LOCK_SH)
    database = Database(url)
    database.create()
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE fact SET value = value || 'x' WHERE name = 'count'")
    """
    gate = home / "gate"
    with gate.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        children = [nest.start(opening, url=url, home=str(home), gate=str(gate)) for _ in range(4)]
        assert [child.hear() for child in children] == ["ready"] * 4

    assert [(child.hear(), child.wait()) for child in children] == [("", 0)] * 4
    database = open_database(url)
    assert stamp(database) == "9999"
    with database.reading() as connection:
        assert connection.execute(text("SELECT value FROM fact")).scalar() == ("xxxx" if old else None)


# --- upgrading -------------------------------------------------------------------------------------------------------


def test_an_upgrade_keeps_every_row(url: str, later: Callable[[], Path], tmp_path: Path) -> None:
    world = World(tmp_path / "shop", database=url)
    world.order(*world.people(3))
    world.tick()
    before = rows(world.app.database)
    assert len(before["message"]) == 3
    later()

    world.app.database.create()

    assert stamp(world.app.database) == "9999"
    assert rows(world.app.database) == before
    assert {row.nickname for row in world.rows("SELECT nickname FROM customer")} == {"none"}
    world.close()


def test_S10_a_backlog_goes_out_once_after_an_upgrade(url: str, later: Callable[[], Path], tmp_path: Path) -> None:
    """Broken by hand: what was on its way is asked again blindly: eight went twice."""
    world = World(tmp_path / "shop", database=url)
    world.order(*world.people(20))
    die(world)  # eight were handed over, twelve wait
    later()

    world.restart()
    recover(world.app, world.clock.now())
    world.tick()
    world.tick(timedelta(minutes=10))

    assert stamp(world.app.database) == "9999"
    assert len(world.email.handed) == len({one.key for one in world.email.handed}) == 20
    assert sorted(world.states().values()) == ["accepted"] * 12 + ["unknown"] * 8
    world.close()


KILLED = """
import os, pathlib, signal
from sqlalchemy import event
from engine import migrations
from engine.store.database import Database
migrations.HOME = pathlib.Path(home)
database = Database(url, durable=False)
count = 0
@event.listens_for(database.engine, "after_cursor_execute")
def die(*_):
    global count
    count += 1
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)
database.create()
tell(count)
"""


def test_S9_an_upgrade_killed_after_any_statement_left_everything_as_it_was_and_is_finished_at_the_next_start(
    tmp_path: Path, later: Callable[[], Path], nest: Mother, open_database: Open
) -> None:
    old = tmp_path / "old.db"
    first = Database(f"sqlite:///{old}")
    first.create()
    fill(first)
    kept = rows(first)
    first.close()
    home = later()
    whole = shutil.copy(old, tmp_path / "whole.db")
    statements = int(nest.start(KILLED, url=f"sqlite:///{whole}", home=str(home), last=0).hear())
    assert statements > 15

    for last in range(1, statements + 1):
        copy = tmp_path / f"{last}.db"
        shutil.copy(old, copy)
        child = nest.start(KILLED, url=f"sqlite:///{copy}", home=str(home), last=last)
        assert child.wait() == -signal.SIGKILL
        database = open_database(f"sqlite:///{copy}")
        assert stamp(database) == HEAD
        assert rows(database) == kept
        database.create()
        assert stamp(database) == "9999"
        assert rows(database) == kept
        database.close()


def test_S9_an_upgrade_of_postgresql_that_is_killed_is_finished_at_the_next_start(
    postgres: Callable[[], str], later: Callable[[], Path], nest: Mother, open_database: Open
) -> None:
    url = postgres()
    database = open_database(url)
    database.create()
    fill(database)
    kept = rows(database)
    home = later()

    for last in (4, 9, 13):
        child = nest.start(KILLED, url=url, home=str(home), last=last)
        assert child.wait() == -signal.SIGKILL
        assert stamp(database) == HEAD
        assert rows(database) == kept

    database.create()
    assert stamp(database) == "9999"
    assert rows(database) == kept


def fill(database: Database) -> None:
    with database.writing() as connection:
        set_fact(connection, "installation", "one")
        people = [
            {
                **{"external_id": f"p{number}", "zone": "Europe/Berlin", "locale": "de", "country": "DE"},
                **{"addresses": {"email": "p@example.com"}, "attributes": {"n": number}, "created_at": shops.NOW},
            }
            for number in range(50)
        ]
        customers.upsert(connection, people)


def test_an_upgrade_that_fails_changes_nothing_and_says_so(
    url: str, later: Callable[[], Path], open_database: Open
) -> None:
    database = open_database(url)
    database.create()
    with database.writing() as connection:
        set_fact(connection, "one", "the same")
        set_fact(connection, "other", "the same")  # which the later release does not allow
    before = rows(database)
    later()

    with pytest.raises(Unfit, match=r"cannot be opened, and is as it was: .*(one_of_each|fact\.value)"):
        database.create()

    assert stamp(database) == HEAD
    assert rows(database) == before
    with database.reading() as connection:
        assert "nickname" not in {one["name"] for one in inspect(connection).get_columns("customer")}


def test_tables_are_not_changed_under_a_daemon_that_runs(
    tmp_path: Path, later: Callable[[], Path], open_database: Open
) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'shop.db'}")
    database.create()
    later()
    assert database.lock_file
    with database.lock_file.open("a+") as handle:
        handle.write("process 7 on example")
        handle.flush()
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Busy, match=r"shop\.db has to be upgraded and is run by process 7 on example; stop it"):
            database.create()
        assert stamp(database) == HEAD

    database.create()
    assert stamp(database) == "9999"


def test_a_lane_of_before_and_what_waited_for_it_mean_what_they_meant(url: str, open_database: Open) -> None:
    """Then a channel had one way out, and its lane was known by the channel."""
    database = open_database(url)
    config = Config()
    config.set_main_option("script_location", str(migrations.HOME).replace("%", "%%"))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        now = "'2026-11-24 09:00:00'" if database.is_sqlite else "'2026-11-24 09:00:00+00'"
        connection.exec_driver_sql(
            "INSERT INTO batch (id, channel, due_at, open, urgent, deaths, stuck) "
            f"VALUES (7, 'sms', {now}, {'1, 0' if database.is_sqlite else 'true, false'}, 0, 0)"
        )
        connection.exec_driver_sql(
            f"INSERT INTO lane VALUES ('sms', 3, {now}, 'a wrong key', NULL, '[[\"a\", \"b\", 1]]')"
        )

    database.create()

    with database.reading() as connection:
        (due,) = connection.execute(text("SELECT channel, lane FROM batch"))
        assert tuple(due) == ("sms", "sms")
        known = connection.execute(tables.lane.select()).one()
        assert (known.name, known.failures, known.stopped, known.used) == ("sms", 3, "a wrong key", [["a", "b", 1]])
        assert (known.day, known.begun) == (None, 0)


# --- refusing --------------------------------------------------------------------------------------------------------


def test_a_database_of_a_later_release_is_refused(url: str, later: Callable[[], Path], open_database: Open) -> None:
    now = migrations.HOME
    later()
    open_database(url).create()
    migrations.HOME = now

    said = rf"made by a later outreach .*at revision 9999, and this one knows none after {HEAD}"
    with pytest.raises(Unfit, match=said):
        open_database(url).create()
    assert stamp(open_database(url)) == "9999"


def test_a_database_of_another_program_is_refused_and_not_touched(url: str, open_database: Open) -> None:
    database = open_database(url)
    with database.writing() as connection:
        for name in ("album", "artist", "genre", "track"):
            connection.exec_driver_sql(f"CREATE TABLE {name} (id INTEGER)")

    with pytest.raises(
        Unfit, match=r"tables that outreach did not make \(album, artist, genre and 1 more\)"
    ) as refusal:
        open_database(url).create()

    assert refusal.value.exit_code == 3
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["album", "artist", "genre", "track"]


def foreign(path: Path) -> None:
    connection = sqlite_module().connect(str(path))
    connection.execute("CREATE TABLE album (id INTEGER)")
    connection.close()


def no_database(path: Path) -> None:
    path.write_text("external_id,zone\n" * 2000)


def damaged(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    database.create()
    database.close()
    whole = bytearray(path.read_bytes())
    whole[100:20_000] = b"\xff" * 19_900  # the first page after its head, and more
    path.write_bytes(whole)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (foreign, "holds tables that outreach did not make (album)"),
        (no_database, "it is no SQLite database; name another file"),
        (damaged, "it is damaged; bring back a copy of it"),
        (folder, "look at the rights of the file and its folder"),
    ],
)
def test_a_command_says_in_a_sentence_why_a_database_cannot_be_used_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], sentence: str
) -> None:
    config = shop(tmp_path / "shop") / "config.yaml"
    file = config.parent / "outreach.db"
    spoil(file)
    before = file.read_bytes() if file.is_file() else None

    code = run_command(["--config", str(config), "messages"])

    told = " ".join(capsys.readouterr().err.split())
    assert code == 3
    assert sentence in told
    assert "Traceback" not in told
    assert before is None or file.read_bytes() == before


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ("outreach.db", "`database:` in config.yaml is no URL of a database"),
        ("oranges://example.com/shop", "keeps its data in SQLite or PostgreSQL, not in oranges"),
    ],
)
def test_what_is_no_database_to_us_is_refused_by_name(wish: str, sentence: str) -> None:
    with pytest.raises(Unfit, match=sentence):
        Database(wish)
