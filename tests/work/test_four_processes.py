"""C1 between processes: four of them decide about one person and hand over to the providers, on one database.

The hold that refuses a second daemon is passed by: these processes call the rooms of work themselves, on clocks up to
five minutes apart (Q7), and decide as if nobody else spoke, without any cap. So all that keeps the caps is commit 1.
Broken by hand: with a door that counts nothing the person gets dozens of messages on a day that allows two.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import shops
from processes import Mother, mother
from servers import Fresh
from servers import postgres as postgres
from stubs import JOURNEY, shop

from engine.clock import ManualClock
from engine.decide.outcome import COUNTS, MessageState
from engine.decide.state import Said
from engine.store import messages

PROCESSES, BEATS = 4, 16
HOUR = timedelta(hours=1)
ZONE = ZoneInfo("America/New_York")  # ten in Berlin is four in the morning there
CONFIG = """
shop: {name: Shop, url: "https://shop.example.com", zone: Europe/Berlin, country: DE, locale: en, currency: EUR,
       address: Example Street 1}
topics: {news: {title: News, purpose: marketing}}
channels:
  email: {provider: simulated, uncertain: 10%, reject: 10%, record: email.jsonl}
  sms: {provider: simulated, unavailable: 20%, record: sms.jsonl}
policy: {caps: [], least_gap: 0m, quiet_hours: {sms: "21:00-08:00"}}
"""
CAPS = "[{at_most: 2, per: day}, {at_most: 5, per: week}, {at_most: 1, per: day, channel: sms}, {at_most: 3, per: 50h}]"
JOURNEYS = {
    "note": JOURNEY,
    "deal": JOURNEY.replace("again:", "priority: 60\nagain:").replace("[email, sms]", "[sms]"),
    "vip": JOURNEY.replace("again:", "priority: 90\nagain:").replace("[email, sms]", "[sms, email]"),
}
CHILD = """
import sys
sys.path.insert(0, "tests")
import shops
from datetime import timedelta
from pathlib import Path
from engine.app import build_app
from engine.clock import ManualClock
from engine.store import chunks
from engine.work.advance import advance
from engine.work.sending.dispatch import dispatch

def rules_of(app):
    with app.database.reading() as connection:
        return app.rules(connection)

chunks.people = lambda connection: set()  # nobody keeps out of the others' way
clock = ManualClock(shops.NOW + timedelta(minutes=skew))
env = {"OUTREACH_SECRET": shops.SECRET}
careless, strict = (
    build_app(Path(folder) / name, clock=clock, env=env, durable=False) for name in ("config.yaml", "strict.yaml")
)
tell("ready")
for beat in range(beats):
    clock.move_to(shops.NOW + timedelta(minutes=skew + 240 * beat))
    order = f"{number}-{beat}"
    shops.happen(careless, f"o-{order}", "anna", "Order Completed", {"order_id": order})
    rules = rules_of(careless)
    while advance(careless, rules, careless.needs(rules), clock.now()):
        pass
    while dispatch(strict, rules_of(strict)).any:
        pass
careless.close()
strict.close()
tell("done")
"""


@pytest.fixture(scope="module")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    loaded = (
        "engine.app",
        "engine.work.sending.dispatch",
        "channels.simulated",
        "psycopg",
        "pysqlite3",
        "alembic.command",
    )
    with mother(tmp_path_factory.mktemp("nest"), *loaded) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A shop on a database of each kind, with one person who has agreed to everything."""
    config = CONFIG
    if request.param == "postgresql":
        fresh: Fresh = request.getfixturevalue("postgres")
        config += f"database: {fresh(tables=True)}\n"
    home = shop(tmp_path / "shop", JOURNEYS, config)
    (home / "strict.yaml").write_text(config.replace("caps: []", f"caps: {CAPS}"))
    app = shops.opened(home, ManualClock(shops.NOW), durable=False)
    shops.publish_all(app)
    addresses = {"email": "anna@example.com", "sms": "+12125550123"}
    shops.add_people(app, [{"external_id": "anna", "zone": ZONE.key, "addresses": addresses}])
    app.close()
    return home


def test_C1_C2_Q7_four_processes_that_fight_over_one_person_exceed_no_cap(folder: Path, nest: Mother) -> None:
    running = [
        nest.start(CHILD, folder=str(folder), number=number, skew=skew, beats=BEATS)
        for number, skew in enumerate((0, 1, 3, 5))
    ]
    assert len(running) == PROCESSES
    for child in running:
        assert [line.strip() for line in child.told] == ["ready", "done"]

    app = shops.opened(folder, ManualClock(shops.NOW + timedelta(days=9)))
    with app.database.reading() as connection:
        said = messages.of_people(connection, [1], shops.NOW - timedelta(days=9))[1]
    app.close()
    out = [one for one in said if one.state in COUNTS and one.begun]
    first = touches(out)
    days = Counter(one.counts_at.astimezone(ZONE).date() for one in first)
    weeks = Counter(one.counts_at.astimezone(ZONE).isocalendar()[:2] for one in first)
    sms = Counter(one.counts_at.astimezone(ZONE).date() for one in out if one.channel == "sms")
    assert max(days.values()) <= 2
    assert max(weeks.values()) <= 5
    assert max(sms.values()) <= 1
    for one in first:
        assert len([other for other in first if HOUR * 0 <= one.counts_at - other.counts_at < 50 * HOUR]) <= 3
    held_back = [one for one in said if one.state is MessageState.suppressed and one.reason == "capped"]
    assert len(held_back) > 3 * len(out) > 9  # they did get something, and much was held back

    accepted = [json.loads(line)["key"] for name in ("email", "sms") for line in recorded(folder / f"{name}.jsonl")]
    assert len(accepted) == len(set(accepted))
    assert len(accepted) <= len(out)


def touches(said: list[Said]) -> list[Said]:
    """The first message of each touch."""
    return list({one.touch_id: one for one in sorted(said, key=lambda one: one.counts_at, reverse=True)}.values())


def recorded(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
