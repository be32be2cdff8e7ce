"""Daemons killed in the middle: every message is accepted once at most, none is lost, every accept has its row.

`python3 dev.py crash` runs these with many more kills.
"""

from __future__ import annotations

import os
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shops
from daemons import Books, Nursery, Post, Running, most, set_clock
from stubs import CONFIG, shop

from engine.app import App
from engine.clock import ManualClock

DUE = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # an hour after the orders
BEGUN = (
    "SELECT count(*) FROM delivery d JOIN message m ON m.id = d.message_id "
    "WHERE m.key = ? AND d.kind = 'begun' AND d.payload_hash <> '' AND d.deadline > d.at AND d.provider = ? "
    "AND d.token <> ''"
)


def buyers(folder: Path, channel: str, count: int) -> Path:
    """The starter shop, whose buyers are all due for their thank-you at the same instant."""
    shops.starter(folder)
    config = folder / "config.yaml"
    text = config.read_text().replace("folder: outbox", "").replace("provider: maildir", channel)
    config.write_text(re.sub(r"    +#.*", "", text) + "web: {port: 0}\ntest_clock: clock.txt\n")
    set_clock(folder, shops.NOW)
    app = shops.opened(folder, ManualClock(shops.NOW))
    shops.publish_all(app)
    names = [f"p{number:04d}" for number in range(count)]
    shops.add_people(app, [{"external_id": name} for name in names])
    order(app, names)
    app.close()
    set_clock(folder, DUE)
    return folder


def order(app: App, names: list[str]) -> None:
    from engine.work.incoming.intake import NewEvent, record_events

    now = app.clock.now()
    with app.database.reading() as connection:
        rules = app.rules(connection)
    paid = {"total": 20, "currency": "EUR"}
    record_events(
        app,
        rules,
        app.needs(rules),
        [NewEvent(f"o-{name}", name, "Order Completed", now, {"order_id": name, **paid}) for name in names],
    )


def states(books: Books) -> dict[str, str]:
    """key -> the state of its message, from the deliveries alone."""
    heaviest = (
        "SELECT m.key, (SELECT kind FROM delivery WHERE message_id = m.id ORDER BY weight DESC LIMIT 1) FROM message m"
    )
    return dict(books.rows(heaviest))


def test_D1_D3_D9_mails_over_a_real_socket_survive_every_kill_of_the_daemon(
    tmp_path: Path, born: Nursery, office: Post, kills: int, dice: random.Random
) -> None:
    people = max(200, 16 * kills)
    smtp = f"provider: smtp\n    host: 127.0.0.1\n    port: {office.port}\n    mode: plain\n    in_flight: 8"
    folder = buyers(tmp_path / "shop", smtp, people)
    running: list[Running] = []
    deadly = sorted(dice.sample(range(5, people - 10 * kills), kills))
    unproved: list[str] = []

    def before(key: str) -> None:
        """Is it on the books before its first byte can have left?"""
        look = Books(folder)
        if look.one(BEGUN, key, "smtp") != 1:
            unproved.append(key)
        look.close()

    def after(number: int) -> None:
        if deadly and number >= deadly[0] and not running[-1].ended():  # what a dead one had handed over kills nobody
            deadly.pop(0)
            running[-1].kill()

    office.before, office.after = before, after
    while deadly:
        running.append(born.start(folder, "daemon"))
        assert running[-1].wait() == -9
    office.after = None
    assert born.start(folder, "daemon", "--once").wait() == 0

    assert unproved == []
    assert most(office.tries) == 1
    look = Books(folder)
    found = states(look)
    assert len(found) == people
    assert set(found.values()) == {"accepted", "unknown"}
    unknown = {key for key, state in found.items() if state == "unknown"}
    accepted = {key for key, state in found.items() if state == "accepted"}
    assert accepted <= set(office.taken) <= accepted | unknown
    assert kills <= len(unknown) <= 8 * kills, "at least the mail of the kill itself, at most what was in flight"
    assert look.one("SELECT count(*) FROM delivery WHERE kind = 'unknown' AND reason LIKE '%died%'") == len(unknown)
    assert look.one("SELECT count(*) FROM enrollment WHERE active") == 0
    assert look.one("SELECT count(*) FROM (SELECT 1 FROM message GROUP BY enrollment_id, step, visit, wish)") == people
    look.close()


def test_D2_D9_a_folder_that_recognises_repeats_gets_every_mail_exactly_once_through_every_kill(
    tmp_path: Path, born: Nursery, kills: int, dice: random.Random
) -> None:
    people = max(400, 40 * kills)
    folder = buyers(tmp_path / "shop", "provider: maildir\n    folder: outbox", people)
    outbox = folder / "outbox" / "email"

    def written() -> int:
        return sum(name.endswith(".eml") for name in os.listdir(outbox)) if outbox.exists() else 0

    killed = 0
    for mark in sorted(dice.sample(range(5, people - 50), kills)):
        if written() < mark:
            running = born.start(folder, "daemon")
            running.until(lambda mark=mark: written() >= mark)  # type: ignore[misc]
            running.kill()
            running.wait()
            killed += 1
    assert born.start(folder, "daemon", "--once").wait() == 0
    look = Books(folder)
    found = states(look)
    assert set(found.values()) <= {"accepted", "dead"}
    aside = [key for key, state in found.items() if state == "dead"]
    assert len(aside) <= kills // 3, "more were set aside than can have died three times, one at a time"
    assert look.one("SELECT count(*) FROM delivery WHERE kind = 'dead' AND reason LIKE '%3 times%'") == len(aside)
    files = {name.removesuffix(".eml") for name in os.listdir(outbox) if name.endswith(".eml")}
    assert set(found) - set(aside) <= files <= set(found)
    assert len(found) == people
    assert killed > 0
    look.close()


# --- waves -----------------------------------------------------------------------------------------------------------

#: 02:30 is shown twice in Berlin in the first of these nights, and not at all in the second, nor is 00:30 in Beirut
NIGHTS = [datetime(2026, 10, 23, 12, tzinfo=UTC), datetime(2027, 3, 26, 12, tzinfo=UTC)]
ZONES = ("Europe/Berlin", "Asia/Beirut")
CHANGES = {  # the day of the change -> when the waves of that day fire, in UTC, worked out by hand
    "2026-10-25": {
        ("early", "Europe/Berlin"): "2026-10-24 22:30",
        ("late", "Europe/Berlin"): "2026-10-25 00:30",
        ("early", "Asia/Beirut"): "2026-10-24 22:30",
        ("late", "Asia/Beirut"): "2026-10-25 00:30",
    },
    "2027-03-28": {
        ("early", "Europe/Berlin"): "2027-03-27 23:30",
        ("late", "Europe/Berlin"): "2027-03-28 01:00",
        ("early", "Asia/Beirut"): "2027-03-27 22:00",
        ("late", "Asia/Beirut"): "2027-03-27 23:30",
    },
}
WAVE = """
title: At {at}
owner: us
topic: orders
enter: {{every: day, at: "{at}", zone: person, segment: everyone}}
again: always
steps: [{{send: note, via: [sms]}}]
"""
SIMULATED = "sms: {provider: simulated, dedupe: key, latency: 0.03, record: record.jsonl}"


@pytest.mark.parametrize("night", NIGHTS, ids=["an hour twice", "an hour skipped"])
def test_Q5_a_wave_fires_once_per_planned_instant_through_kills_and_clock_changes(
    tmp_path: Path, born: Nursery, kills: int, dice: random.Random, night: datetime
) -> None:
    journeys = {"early": WAVE.format(at="00:30"), "late": WAVE.format(at="02:30")}
    config = CONFIG.replace("sms: {provider: simulated}", SIMULATED) + "test_clock: clock.txt\n"
    folder = shop(tmp_path / "shop", journeys, config)
    app = shops.opened(folder, ManualClock(night))
    shops.publish_all(app)
    people = {f"p{n:03d}": ZONES[n % 2] for n in range(40)}
    shops.add_people(
        app,
        [
            {"external_id": name, "zone": zone, "addresses": {"sms": f"+4917{n:08d}"}}
            for n, (name, zone) in enumerate(people.items())
        ],
    )
    app.close()
    record = folder / "record.jsonl"

    def size() -> int:
        return record.stat().st_size if record.exists() else 0

    def beaten(moment: datetime) -> bool:
        look = Books(folder)
        try:
            return (look.one("SELECT max(beat_at) FROM worker") or "") >= f"{moment:%Y-%m-%d %H:%M:%S}"
        finally:
            look.close()

    midnights = [night + timedelta(days=day, hours=12) for day in range(3)]
    for midnight in midnights:  # of UTC: all instants of a night lie within three hours of it
        moments = sorted(midnight + timedelta(minutes=dice.randrange(-150, 150)) for _ in range(-(-kills // 3)))
        for moment in moments:
            set_clock(folder, moment)
            running, grown = born.start(folder, "daemon"), size() + dice.randrange(1, 2000)
            running.until(lambda grown=grown, moment=moment: size() >= grown or beaten(moment))  # type: ignore[misc]
            running.kill()
            assert running.wait() == -9
        set_clock(folder, midnight + timedelta(hours=6))
        assert born.start(folder, "daemon", "--once").wait() == 0

    look = Books(folder)
    runs = look.rows("SELECT journey, zone, planned, planned_at, state FROM run")
    assert len(runs) == 2 * 2 * 3, "three nights, two waves, two zones"
    assert {state for *_, state in runs} == {"done"}
    instants = {(journey, zone): at[:16] for journey, zone, planned, at, _ in runs if planned[:10] in CHANGES}
    assert instants == CHANGES[f"{night + timedelta(days=2):%Y-%m-%d}"]
    keys = dict(look.rows("SELECT m.key, m.id FROM message m"))
    recorded = [line.split('"key": "')[1].split('"')[0] for line in record.read_text().splitlines()] if size() else []
    assert most(recorded) <= 1, "the provider took something twice"
    assert set(recorded) == set(keys), "something was lost, or has no row"
    assert len(recorded) == 20 * len(runs), "every person of the zone, once per run"
    look.close()
