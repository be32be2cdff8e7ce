"""A database that is brought back from a copy: what may have gone out since is held until a person decides.

Real daemons over a real mail server, which remembers every mail that it took. Keys of messages are worked out of what
they are about, so a mail that is decided once more comes with the same key, and is seen.

Broken by hand: without the ways being held, everybody's second mail comes twice; without the messages becoming
unknown, those that waited at the copy do; without runs being held, the wave goes out once more.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from daemons import Nursery, Post, most, set_clock
from servers import Fresh
from sqlalchemy import create_engine, make_url, text
from stubs import CONFIG, JOURNEY, World

from engine.cli.main import run_command
from engine.store.database import sqlite_module
from engine.work.incoming.intake import NewEvent, record_events

HOUR = timedelta(hours=1)
SMTP = """  email: {provider: smtp, host: 127.0.0.1, port: PORT, mode: plain, sender: hello@shop.example.com}
"""
NOTE = JOURNEY.replace("topic: news", "topic: orders").replace("via: [email, sms]", "via: [email]")
NOTE += (
    "  - wait: 2h\n  - {send: note, id: more, via: [email]}\n  - wait: 1d\n  - {send: note, id: last, via: [email]}\n"
)
WAVE = """
title: A wave at noon
owner: us
topic: orders
enter: {every: day, at: "12:00", zone: Europe/Berlin, segment: everyone}
again: always
steps: [{send: note, via: [email]}]
"""


class Shop:
    """A shop in a database of either kind, that can be copied while it runs, and brought back."""

    def __init__(self, folder: Path, port: int, server: str | None) -> None:
        config = CONFIG.replace("  email: {provider: maildir, folder: outbox, sender: hello@shop.example.com}\n", "@@")
        config = config.replace("@@", SMTP.replace("PORT", str(port))).replace("caps: [", "caps: [] #")
        more = f'database: "{server}"\n' if server else ""
        self.folder, self.server = folder, server
        world = World(folder, {"note": NOTE, "wave": WAVE}, config + "test_clock: clock.txt\n" + more)
        world.people(12)
        world.close()
        self.at(timedelta())

    def at(self, after: timedelta) -> None:
        self.now = shops.NOW + after
        set_clock(self.folder, self.now)

    def order(self, *people: str) -> None:
        app = shops.opened(self.folder, shops.ManualClock(self.now))
        with app.database.reading() as connection:
            rules = app.rules(connection)
        told = [NewEvent(f"o-{one}", one, "Order Completed", self.now, {"order_id": f"{one}"}) for one in people]
        record_events(app, rules, app.needs(rules), told)
        app.close()

    def again(self, people: list[str], at: timedelta) -> int:
        """The shop tells once more of orders that the copy does not know; how many of them are news."""
        app = shops.opened(self.folder, shops.ManualClock(self.now))
        with app.database.reading() as connection:
            rules = app.rules(connection)
        when = shops.NOW + at
        told = [NewEvent(f"o-{one}", one, "Order Completed", when, {"order_id": f"{one}"}) for one in people]
        done = record_events(app, rules, app.needs(rules), told)
        app.close()
        return done.recorded

    def copy(self) -> None:
        if self.server is None:
            module = sqlite_module()
            source = module.connect(str(self.folder / "outreach.db"), timeout=30)
            target = module.connect(str(self.folder / "copy.db"))
            source.backup(target)
            source.close()
            target.close()
            return
        self._on_server(f"CREATE DATABASE {self._name}copy TEMPLATE {self._name}")

    def bring_back(self) -> None:
        if self.server is None:
            for left in self.folder.glob("outreach.db*"):
                if left.suffix != ".fence":
                    left.unlink()
            (self.folder / "copy.db").rename(self.folder / "outreach.db")
            return
        self._on_server(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._on_server(f"ALTER DATABASE {self._name}copy RENAME TO {self._name}")

    @property
    def _name(self) -> str:
        assert self.server
        return str(make_url(self.server).database)

    def _on_server(self, order: str) -> None:
        assert self.server
        engine = create_engine(make_url(self.server).set(database="postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(order)
        engine.dispose()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        app = shops.opened(self.folder, shops.ManualClock(self.now))
        with app.database.reading() as connection:
            found = [tuple(row) for row in connection.execute(text(query))]
        app.close()
        return found

    def typed(self, *words: str) -> int:
        return run_command(["--config", str(self.folder / "config.yaml"), *words])


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, office: Post) -> Shop:
    fresh: Fresh | None = None
    if request.param == "postgresql":
        fresh = request.getfixturevalue("postgres")
    return Shop(tmp_path / "shop", office.port, fresh(tables=True) if fresh else None)


def beat(shop: Shop, born: Nursery, code: int = 0) -> str:
    """A daemon for one whole beat; what it said."""
    one = born.start(shop.folder, "daemon", "--once")
    assert one.wait() == code, one.told
    return one.told


def some_hours(shop: Shop, born: Nursery, office: Post) -> None:
    """Twelve orders are told; the copy is made after the fifth mail; then all of the next hours happens."""
    shop.order(*(f"p{number:04d}" for number in range(12)))
    office.after = lambda taken: running.kill() if taken == 5 else None
    running = born.start(shop.folder, "daemon", "--once")
    assert running.wait() == -9
    office.after = None
    shop.copy()
    for hours in (0, 3):
        shop.at(hours * HOUR + timedelta(minutes=1))
        beat(shop, born)
    assert most(office.taken) == 1


def everything_goes_on(shop: Shop, born: Nursery, start: float) -> None:
    for hours in (start, start + 3, start + 20):
        shop.at(hours * HOUR)
        beat(shop, born)


def test_S11_after_a_restore_the_daemon_refuses_and_what_may_have_gone_is_held(
    shop: Shop, born: Nursery, office: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    some_hours(shop, born, office)
    before = list(office.taken)
    shop.bring_back()
    shop.at(4 * HOUR)

    refused = beat(shop, born, code=3)
    assert "is an older copy of itself" in refused
    assert "outreach doctor --after-restore" in refused
    assert office.taken == before

    assert shop.typed("doctor", "--after-restore", "--yes", "--by", "mei") == 0
    assert "people whose message or next step is in doubt: 12" in capsys.readouterr().out
    everything_goes_on(shop, born, 4)

    assert office.taken == before, "nothing of before goes out by itself, however long one waits"
    assert shop.rows("SELECT count(*) FROM enrollment WHERE journey = 'note' AND failures < 1000 AND active") == [(0,)]
    assert shop.rows("SELECT planned, state FROM run WHERE planned = '2026-11-24T12:00'") == [
        ("2026-11-24T12:00", "held")
    ]
    assert shop.typed("doctor") == 1
    assert "held since a restore: people 12, waves 1; see: outreach held list" in capsys.readouterr().out


@pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
def test_S11_without_the_command_the_same_mails_would_come_twice(shop: Shop, born: Nursery, office: Post) -> None:
    """What the others would not see if nothing could go wrong."""
    some_hours(shop, born, office)
    shop.bring_back()
    (shop.folder / "outreach.db.fence").unlink()
    shop.at(4 * HOUR)
    beat(shop, born)
    beat(shop, born)
    assert most(office.taken) == 2


def test_S11_what_happened_after_the_copy_and_is_told_again_starts_nothing_by_itself(
    shop: Shop, born: Nursery, office: Post
) -> None:
    some_hours(shop, born, office)
    shop.at(3 * HOUR + timedelta(minutes=5))
    world = shops.opened(shop.folder, shops.ManualClock(shop.now))
    shops.add_people(world, [{"external_id": "late"}])
    world.close()
    shop.order("late")
    beat(shop, born)
    before = list(office.taken)
    shop.bring_back()
    shop.at(4 * HOUR)
    assert shop.typed("doctor", "--after-restore", "--yes", "--by", "mei") == 0
    world = shops.opened(shop.folder, shops.ManualClock(shop.now))
    shops.add_people(world, [{"external_id": "late"}])
    world.close()

    assert shop.again(["late"], 3 * HOUR + timedelta(minutes=5)) == 1
    everything_goes_on(shop, born, 4)

    assert office.taken == before
    held = "SELECT c.external_id FROM enrollment e JOIN customer c ON c.id = e.customer_id WHERE failures >= 1000"
    assert ("late",) in shop.rows(held)


def test_S11_a_person_decides_and_what_is_new_goes_out_as_ever(
    shop: Shop, born: Nursery, office: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    some_hours(shop, born, office)
    before = list(office.taken)
    shop.bring_back()
    shop.at(4 * HOUR)
    assert shop.typed("doctor", "--after-restore", "--yes", "--by", "mei") == 0
    beat(shop, born)
    ((one,), *_) = shop.rows("SELECT id FROM enrollment WHERE journey = 'note' ORDER BY id")

    assert shop.typed("unknown", "close", "--all", "--sent", "--yes", "--reason", "log of the server") in (0, 1)
    assert shop.typed("held", "release", str(one), "--by", "mei") == 0
    assert shop.typed("held", "drop", "--journey", "note", "--yes", "--reason", "they had it", "--by", "mei") == 0
    assert shop.typed("held", "release", "--journey", "wave", "--yes", "--by", "mei") == 0
    capsys.readouterr()
    assert shop.typed("held", "list") == 0
    assert "nothing is held" in capsys.readouterr().out
    beat(shop, born)
    again = office.taken[len(before) :]
    assert len(again) == len(set(again)) == 1 + 12, "the one way that was let go on, and the wave that was"

    world = shops.opened(shop.folder, shops.ManualClock(shop.now))
    shops.add_people(world, [{"external_id": "new"}])
    world.close()
    shop.at(4 * HOUR + timedelta(minutes=1))
    shop.order("new")
    beat(shop, born)
    assert len(office.taken) == len(before) + 13 + 1, "an order of now is answered as ever"


@pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
def test_S11_the_same_copy_brought_back_twice_is_noticed_twice(shop: Shop, born: Nursery, office: Post) -> None:
    some_hours(shop, born, office)
    kept = (shop.folder / "copy.db").read_bytes()
    shop.bring_back()
    shop.at(4 * HOUR)
    assert shop.typed("doctor", "--after-restore", "--yes", "--by", "mei") == 0
    beat(shop, born)
    (shop.folder / "copy.db").write_bytes(kept)
    shop.bring_back()
    assert "it was brought back once more, to before the last restore" in beat(shop, born, code=3)


def test_a_daemon_that_is_killed_is_no_restore(shop: Shop, born: Nursery, office: Post) -> None:
    shop.order("p0000", "p0001", "p0002")
    office.after = lambda taken: running.kill() if taken == 2 else None
    running = born.start(shop.folder, "daemon", "--once")
    assert running.wait() == -9
    office.after = None
    beat(shop, born)
    shop.at(HOUR)
    beat(shop, born)
    assert most(office.taken) == 1
