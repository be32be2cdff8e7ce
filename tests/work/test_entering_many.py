"""A wave to many: killed with -9 wherever it stands it goes on at the row it had come to, and its memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Mother, mother
from servers import Fresh
from servers import postgres as postgres

from bench import history
from engine.clock import ManualClock

PEOPLE = 2_500
FEW, MANY = 2_000, 8_000
KILLS = 4
CHILD = """
from datetime import timedelta
from pathlib import Path
from bench import history
from engine.clock import ManualClock
from engine.store import waves
from engine.work.entering.waves import Entered, plan_waves
from engine.work.advance import advance, advance_failed
from engine.work.entering.pages import enter_page
from engine.work.recovery import recover

app = history.open_shop(Path(folder), url or None, ManualClock(history.NOW))
recover(app, history.NOW)
with app.database.reading() as connection:
    rules = app.rules(connection)
needs, entered = app.needs(rules), Entered()
plan_waves(app, rules, history.NOW, entered)
with app.database.reading() as connection:
    begins = [run.cursor for run in waves.open_runs(connection)]
tell(begins[0] if begins else 0)
more = True
while more:
    more = (
        enter_page(app, rules, needs, history.NOW, entered)
        or advance(app, rules, needs, history.NOW)
        or advance_failed(app, rules, needs, history.NOW)
    )
    tell(entered.entered)
app.close()
tell("done")
"""


@pytest.fixture(scope="module")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    loaded = ("bench.history", "psycopg", "pysqlite3", "alembic.command")
    with mother(tmp_path_factory.mktemp("nest"), *loaded) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return ""
    fresh: Fresh = request.getfixturevalue("postgres")
    return fresh(tables=True)


def a_shop(folder: Path, url: str, people: int) -> None:
    app = history.shop(folder, url or None)
    history.fill(app.database, people)
    app.close()


def test_S7_D9_a_wave_killed_again_and_again_goes_on_at_the_row_it_had_come_to(
    tmp_path: Path, url: str, nest: Mother
) -> None:
    # Two things hold it: the cursor is written with its page, and the name of the wave lets each in once. With only one
    # of them taken away nobody entered twice.
    folder = tmp_path / "shop"
    a_shop(folder, url, PEOPLE)
    came, ended = [0], False
    while not ended:
        child = nest.start(CHILD, folder=str(folder), url=url)
        began = int(child.hear())
        assert began >= came[-1], "it began again at a row that was behind it"
        came.append(began)
        if len(came) <= KILLS:
            if len(came) % 2:
                child.hear()
            child.heard_within(37 * len(came))  # somewhere in the next page
            child.kill()
        ended = [line.strip() for line in child.told][-1:] == ["done"]
        child.wait()

    app = history.open_shop(folder, url or None, ManualClock(history.NOW))
    with app.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT count(*), count(DISTINCT customer_id), count(DISTINCT key) FROM message"
        ).one()
        ways = connection.exec_driver_sql("SELECT count(*), count(DISTINCT customer_id) FROM enrollment").one()
    app.close()
    assert tuple(rows) == (PEOPLE, PEOPLE, PEOPLE)
    assert tuple(ways) == (PEOPLE, PEOPLE)
    assert len([place for place in came if place]) > 1, "it was never killed in the middle"


def test_S7_the_memory_of_the_process_that_lets_a_wave_in_stays_flat(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "shop"
    a_shop(folder, url, MANY)
    first, last = (history.measured(folder, url or None, people) for people in (FEW, MANY))

    assert last["peak"] < 200
    assert last["peak"] - first["peak"] < (10 if url else 64)  # SQLite keeps pages of its file, up to a bound
