"""D23: when `pause` returns nothing of that journey begins any more, and what is in flight has been told.

Broken by hand: with a door that does not read which journeys are paused, the daemon sends all forty mails, and the
processes begin attempts after `pause` has returned.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from daemons import BREATH, PATIENCE, Nursery, Post, most, set_clock
from processes import Mother, mother
from servers import Fresh
from sqlalchemy import text
from stubs import CONFIG, JOURNEY, World, shop
from typed import typed

PEOPLE = 40
DISPATCH = """
import sys
sys.path.insert(0, "tests")
import shops
from pathlib import Path
from engine.work.sending.dispatch import dispatch

app = shops.opened(Path(folder))
tell("ready")
for _ in range(60):
    with app.database.reading() as connection:
        rules = app.rules(connection)
    dispatch(app, rules)
app.close()
tell("done")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return ""
    fresh: Fresh = request.getfixturevalue("postgres")
    return f'database: "{fresh(tables=True)}"\n'


def waiting(folder: Path, config: str, people: int = PEOPLE, **journeys: str) -> Path:
    """A shop in which so many people have just ordered."""
    world = World(folder, journeys or None, config)
    world.order(*world.people(people))
    world.close()
    return folder


def counts(folder: Path) -> dict[str, int]:
    """How many attempts of the journey have begun, and how many ended."""
    app = shops.opened(folder)
    with app.database.reading() as connection:
        query = "SELECT kind, count(*) FROM delivery d JOIN message m ON m.id = d.message_id WHERE journey = 'note'"
        found = {kind: count for kind, count in connection.execute(text(f"{query} GROUP BY kind"))}
    app.close()
    begun = found.pop("begun", 0)
    return {"begun": begun, "ended": sum(found.values())}


def test_D23_no_attempt_begins_after_pause_and_the_number_in_flight_is_told(
    tmp_path: Path, born: Nursery, office: Post, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    smtp = f"provider: smtp, host: 127.0.0.1, port: {office.port}, mode: plain"
    config = CONFIG.replace("provider: maildir, folder: outbox", smtp) + "test_clock: clock.txt\n" + database
    folder = waiting(tmp_path / "shop", config, note=JOURNEY, other=JOURNEY.replace("topic: news", "topic: orders"))
    set_clock(folder, shops.NOW)
    reached, gate = threading.Event(), threading.Event()

    def wait(_: str) -> None:
        if len(office.taken) >= 3:
            reached.set()
            assert gate.wait(PATIENCE)

    office.before = wait
    running = born.daemon(folder)
    assert reached.wait(PATIENCE)

    paused = typed(folder, "pause", "note", "--format", "json")

    at_pause = counts(folder)
    assert paused.code == 0
    assert paused.value == {"paused": ["note"], "in_flight": at_pause["begun"] - at_pause["ended"]}
    gate.set()
    for minutes in (2, 4, 6):
        set_clock(folder, shops.NOW + timedelta(minutes=minutes))
        running.until(lambda: counts(folder)["ended"] == at_pause["begun"])
    running.until(lambda: len(office.taken) >= at_pause["begun"] + PEOPLE)  # the other journey goes on
    after = counts(folder)
    assert after == {"begun": at_pause["begun"], "ended": at_pause["begun"]}
    assert after["begun"] < PEOPLE

    assert typed(folder, "resume", "note").code == 0
    set_clock(folder, shops.NOW + timedelta(minutes=10))
    running.until(lambda: counts(folder)["ended"] == PEOPLE)
    running.kill()
    running.wait()
    assert most(office.taken) == 1


@pytest.fixture(scope="module")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    with mother(tmp_path_factory.mktemp("nest"), "engine.work.sending.dispatch", "engine.app") as made:
        yield made


def test_D23_with_many_processes_that_hand_over_none_begins_after_pause(
    tmp_path: Path, nest: Mother, postgres: Fresh
) -> None:
    """They pass by the hold that lets one daemon run, and hand over as fast as they can."""
    slow = CONFIG.replace(
        "email: {provider: maildir, folder: outbox, sender: hello@shop.example.com}",
        "email: {provider: simulated, record: email.jsonl}",
    )
    folder = shop(tmp_path / "shop", {"note": JOURNEY}, slow + f'database: "{postgres(tables=True)}"\n')
    world = shops.opened(folder)
    shops.publish_all(world)
    names = [f"p{number:05d}" for number in range(4_000)]
    shops.add_people(world, [{"external_id": name} for name in names])
    for start in range(0, 4_000, 500):
        _orders(world, names[start : start + 500])
    _decide(world)
    world.close()
    children = [nest.start(DISPATCH, folder=str(folder)) for _ in range(3)]
    assert [child.hear() for child in children] == ["ready"] * 3
    while not counts(folder)["begun"]:
        assert not any(child.heard_within(BREATH) for child in children), "it was over before anything began"

    paused = typed(folder, "pause", "note", "--format", "json")

    at_pause = counts(folder)["begun"]
    assert [child.hear() for child in children] == ["done"] * 3
    assert [child.wait() for child in children] == [0] * 3
    assert counts(folder)["begun"] == at_pause < 4_000
    assert json.loads(paused.out)["in_flight"] <= at_pause


def _orders(app: Any, names: list[str]) -> None:
    from engine.work.incoming.intake import NewEvent, record_events

    with app.database.reading() as connection:
        rules = app.rules(connection)
    told = [NewEvent(f"o-{one}", one, "Order Completed", shops.NOW, {"order_id": one}) for one in names]
    record_events(app, rules, app.needs(rules), told)


def _decide(app: Any) -> None:
    from engine.work.advance import advance

    with app.database.reading() as connection:
        rules = app.rules(connection)
    while advance(app, rules, app.needs(rules), shops.NOW):
        pass
