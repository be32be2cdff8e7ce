"""The scores of the night: what they are by hand and by another reckoning, when they are worked out, who sees it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import shops
from servers import postgres as postgres
from stubs import CONFIG, World

from engine.simulate.answers import Answers, Responder
from engine.simulate.run import copy_of, run
from engine.store import nightly as kept
from engine.store.tables import crossing
from engine.work import nightly
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, plan_publish
from engine.work.tick import next_due

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NIGHT = datetime(2026, 11, 25, 2, tzinfo=UTC)  # 03:00 in Berlin, the first after shops.NOW
AUDIENCE = """
segments:
  everyone: {country: {known: true}}
  best: {rfm.segment: champions}
  morning: {best_hour: {below: 12}}
"""
WAVE = """
title: To the best
owner: us
topic: orders
enter: {every: day, at: "12:00", zone: Europe/Berlin, segment: best}
again: always
steps:
  - branch:
      - if: {rfm.m: {at_least: 4}, best_channel: {known: false}}
        then: [{id: rich, send: note, via: [email]}]
      - otherwise: [{id: others, send: note, via: [sms]}]
"""
NUMBERS = numbers()
ASKING = {"audience": AUDIENCE, "wave": WAVE}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres")()


@pytest.fixture
def made(tmp_path: Path, database: str | None) -> Iterator[Callable[..., World]]:
    """Opens a shop in the database of either kind."""
    worlds: list[World] = []

    def make(journeys: dict[str, str], config: str = CONFIG) -> World:
        worlds.append(World(tmp_path / "shop", journeys, config, database=database))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def tell(world: World, *told: tuple[str, str, datetime, dict[str, Any]]) -> None:
    """What happened before: it starts nothing."""
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    rows = [NewEvent(f"e{next(NUMBERS)}", *one) for one in told]
    record_events(world.app, rules, world.app.needs(rules), rows, live=False)


def orders(person: str, *days: float, **payload: Any) -> list[tuple[str, str, datetime, dict[str, Any]]]:
    return [(person, "Order Completed", shops.NOW - timedelta(days=day), payload) for day in days]


def rfm(world: World) -> dict[str, tuple[int, int, int, str]]:
    rows = world.rows("SELECT c.external_id, r, f, m, segment FROM rfm JOIN customer c ON c.id = customer_id")
    return {row[0]: tuple(row[1:]) for row in rows}


def habits(world: World) -> dict[str, tuple[str | None, int | None]]:
    rows = world.rows("SELECT c.external_id, channel, hour FROM habit JOIN customer c ON c.id = customer_id")
    return {row[0]: tuple(row[1:]) for row in rows}


class Dice:
    """Throws the same numbers every time."""

    def __init__(self, seed: int) -> None:
        self._throws = (hashlib.sha256(f"{seed}/{number}".encode()).digest() for number in numbers())

    def below(self, limit: int) -> int:
        return int.from_bytes(next(self._throws)[:8], "big") % limit

    def choice(self, some: Sequence[Any]) -> Any:
        return some[self.below(len(some))]


# --- what they are ---------------------------------------------------------------------------------------------------


def test_rfm_is_worked_out_as_by_hand(made: Callable[..., World]) -> None:
    """Ten people with orders, two in each fifth, and two without."""
    world = made(ASKING, CONFIG + "rates: {USD: 0.9}\n")
    world.people(12)
    tell(
        world,
        *orders("p0000", 1, total=50),
        *orders("p0001", 2, 3, 4, 5, total=5),
        *orders("p0002", 3, 10, 20, total=90),
        *orders("p0003", 4, 9, total=100, currency="USD"),
        *orders("p0004", 5, total=100),
        *orders("p0005", 6, 7, 8, 9, 10, total=1),
        *orders("p0006", 7, 11, total=2000, currency="XTS"),  # nobody knows what that is worth
        *orders("p0007", 300, total=100),
        *orders("p0008", 300, 301, 302, total=1),
        *orders("p0009", 700, total=9000),
        ("p0010", "Page Viewed", shops.NOW - DAY, {}),
        ("p0011", "Order Completed", NIGHT + HOUR, {}),  # ahead of the night: refused
    )
    world.tick_at(NIGHT)
    assert rfm(world) == told_on_the_page()


def told_on_the_page() -> dict[str, tuple[int, int, int, str]]:
    """The ten people of docs/audience.md."""
    page = (Path(__file__).parents[2] / "docs" / "audience.md").read_text("utf-8")
    found = {}
    for line in page[page.index("| id | latest order |") :].splitlines()[2:12]:
        name, _, _, _, r, f, m, segment = (cell.strip() for cell in line.strip("|").split("|"))
        found[name.replace("p", "p000")] = int(r), int(f), int(m), segment.strip("`")
    return found


def test_rfm_within_a_time_knows_nobody_whose_orders_are_older(made: Callable[..., World]) -> None:
    world = made(ASKING, CONFIG + "scores: {rfm_within: 365d}\n")
    world.people(3)
    tell(world, *orders("p0000", 1), *orders("p0001", 2, 500, 501), *orders("p0002", 364))
    world.tick_at(NIGHT)
    assert {name: row[:2] for name, row in rfm(world).items()} == {"p0000": (3, 1), "p0001": (2, 2), "p0002": (1, 3)}
    world.tick_at(NIGHT + DAY)
    assert rfm(world).keys() == {"p0000", "p0001"}, "the order of the third is older than a year now"


def test_habits_are_worked_out_as_by_hand(made: Callable[..., World]) -> None:
    world = made(ASKING)
    world.people(6)  # in Berlin
    world.people(1, first=6, zone="Asia/Kolkata")

    def at(day: int, hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 11, day, hour, minute, tzinfo=UTC)

    def seen(person: str, *instants: datetime) -> list[tuple[str, str, datetime, dict[str, Any]]]:
        return [(person, "Page Viewed", instant, {}) for instant in instants]

    def said(person: str, word: str, channel: str, *instants: datetime, **more: Any) -> Any:
        return [(person, f"Message {word}", instant, {"channel": channel, **more}) for instant in instants]

    tell(
        world,
        # 20 o'clock on two days, 9 o'clock on one, however often
        *seen("p0000", at(1, 19), at(2, 19, 59), at(3, 8), at(3, 8, 1), at(3, 8, 2)),
        # two hours of a day: too little to tell
        *seen("p0001", at(1, 19), at(1, 20)),
        # before the clocks were changed, 18:30 UTC was 20:30 as well
        *seen("p0002", datetime(2026, 10, 24, 18, 30, tzinfo=UTC), at(1, 19, 30), at(5, 18, 30)),
        # as often at each: the latest
        *seen("p0003", at(1, 10), at(2, 11), at(3, 7)),
        *said("p0003", "Clicked", "email", at(2, 12)),
        *said("p0003", "Opened", "sms", at(2, 12), at(3, 6), at(3, 7)),
        # more clicks by sms, the rest by machines
        *said("p0004", "Clicked", "sms", at(2, 12), at(3, 12)),
        *said("p0004", "Clicked", "email", at(3, 13), at(4, 13), at(5, 13), machine=True),
        *said("p0004", "Clicked", "email", at(6, 13)),
        # one click each: where more was opened, else where the last was
        *said("p0005", "Clicked", "sms", at(2, 12)),
        *said("p0005", "Clicked", "email", at(3, 12)),
        *said("p0005", "Opened", "sms", at(1, 12)),
        *said("p0006", "Clicked", "push", at(2, 18, 29), at(2, 18, 30), at(5, 18, 30)),
    )
    world.tick_at(NIGHT)
    assert habits(world) == {
        "p0000": (None, 20),
        "p0002": (None, 20),
        "p0003": ("email", 8),
        "p0004": ("sms", 13),
        "p0005": ("sms", 13),
        "p0006": ("push", 0),  # 18:30 UTC is midnight in Kolkata
    }


def test_they_are_what_another_reckoning_finds(made: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred people over pages of seventeen, in four zones, over a change of the clocks."""
    monkeypatch.setattr(nightly, "PAGE", 17)
    world = made(ASKING, CONFIG + "rates: {USD: 0.9}\n")
    chance = Dice(7)
    zones = ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Chatham"]
    for number, zone in enumerate(zones):
        world.people(50, first=50 * number, zone=zone, channels=("email",))
    told = []
    for number in range(200):
        for _ in range(chance.choice([0, 0, 1, 1, 2, 5, 9])):
            total = chance.choice([10, 19.99, 0, 250, "many", None])
            payload = {"total": total, "currency": chance.choice(["EUR", "USD", "XTS"])}
            told.append((f"p{number:04d}", "Order Completed", moment(chance, 700), payload))
        for _ in range(chance.choice([0, 1, 3, 12])):
            told.append((f"p{number:04d}", "Page Viewed", moment(chance, 120), {}))
        for _ in range(chance.choice([0, 1, 3])):
            payload = {"channel": chance.choice(["email", "sms", None]), "machine": chance.choice([True, False, None])}
            word = chance.choice(["Clicked", "Opened"])
            told.append((f"p{number:04d}", f"Message {word}", moment(chance, 120), payload))
    tell(world, *told)
    world.tick_at(NIGHT)
    standings = {name: row[:3] for name, row in rfm(world).items()}
    assert standings == standings_by_hand(told)
    assert habits(world) == habits_by_hand(told, {f"p{number:04d}": zones[number // 50] for number in range(200)})


def moment(chance: Dice, days: int) -> datetime:
    return shops.NOW - timedelta(hours=chance.below(days * 24), minutes=chance.choice([0, 0, 30, 59]))


def standings_by_hand(told: list[Any]) -> dict[str, tuple[int, ...]]:
    mine: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for person, name, at, payload in told:
        if name == "Order Completed":
            worth = payload["total"] if isinstance(payload["total"], int | float) else 0
            mine[person].append((at, worth * {"EUR": 1, "USD": 0.9, "XTS": 0}[payload["currency"]]))
    measures: list[Callable[[str], Any]] = [
        lambda one: max(at for at, _ in mine[one]),
        lambda one: len(mine[one]),
        lambda one: round(sum(round(worth, 4) for _, worth in mine[one]), 4),
    ]
    fifths = [ntile([one for _, one in sorted((of(one), one) for one in mine)]) for of in measures]
    return {one: tuple(each[one] for each in fifths) for one in mine}


def ntile(row: list[str]) -> dict[str, int]:
    """As SQL does it."""
    found, start = {}, 0
    for fifth in range(5):
        size = len(row) // 5 + (fifth < len(row) % 5)
        found |= dict.fromkeys(row[start : start + size], fifth + 1)
        start += size
    return found


def habits_by_hand(told: list[Any], zones: dict[str, str]) -> dict[str, tuple[str | None, int | None]]:
    since = NIGHT - 90 * DAY
    clicks: dict[str, list[Any]] = defaultdict(list)
    there: dict[str, list[datetime]] = defaultdict(list)
    for number, (person, name, at, payload) in enumerate(told):
        if at <= since or name == "Order Completed" or payload.get("machine"):
            continue
        there[person].append(at.astimezone(ZoneInfo(zones[person])))
        if payload.get("channel"):
            clicks[person].append((payload["channel"], name == "Message Clicked", at, number))
    found = {}
    for person in sorted({*clicks, *there}):
        channel, hour = None, None
        if clicks[person]:
            names = {one[0] for one in clicks[person]}
            mine = {name: [one for one in clicks[person] if one[0] == name] for name in names}
            rank = {n: (sum(o[1] for o in m), len(m), max((o[2], o[3]) for o in m)) for n, m in mine.items()}
            channel = max(rank, key=rank.__getitem__)
        times = {(at.date(), at.hour) for at in there[person]}
        if len(times) >= 3:
            days = Counter(hour for _, hour in times)
            hour = max(days, key=lambda one: (days[one], max(a for a in there[person] if a.hour == one)))
        if channel is not None or hour is not None:
            found[person] = channel, hour
    return found


# --- when ------------------------------------------------------------------------------------------------------------


def test_they_are_worked_out_once_a_night_on_the_clock_of_the_shop(made: Callable[..., World]) -> None:
    world = made(ASKING)
    world.people(2)
    tell(world, *orders("p0000", 1), *orders("p0001", 2))
    assert rfm(world) == {}, "when the journey was published there were no orders yet"
    assert next_due(world.app, world.clock.now()) is not None
    world.tick_at(NIGHT - timedelta(microseconds=1))
    assert rfm(world) == {}
    world.tick_at(NIGHT)
    assert rfm(world)["p0000"][:3] == (2, 1, 1)
    tell(world, *orders("p0001", 0.5, 0.6))
    world.tick_at(NIGHT + DAY - timedelta(microseconds=1))
    assert rfm(world)["p0001"][:3] == (1, 2, 2)
    world.tick_at(NIGHT + 3 * DAY)  # nights that were slept over are made up for by one
    assert rfm(world)["p0001"][:3] == (2, 2, 2)


def test_the_next_night_is_an_instant_at_which_something_is_due(made: Callable[..., World]) -> None:
    world = made({"audience": AUDIENCE})
    world.tick()
    assert next_due(world.app, world.clock.now()) == NIGHT
    world.tick_at(NIGHT)
    assert next_due(world.app, NIGHT) == NIGHT + DAY


def test_the_hour_is_a_setting_and_one_that_a_clock_skips_is_the_first_after_it(made: Callable[..., World]) -> None:
    world = made({"audience": AUDIENCE}, CONFIG + 'scores: {refresh_at: "02:30"}\n')
    spring = datetime(2027, 3, 28, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
    world.tick_at(spring)
    assert next_due(world.app, spring) == spring + HOUR


def test_where_nobody_asks_nothing_is_worked_out(made: Callable[..., World]) -> None:
    world = made({"audience": "segments: {everyone: {country: {known: true}}}"})
    world.people(2)
    tell(world, *orders("p0000", 1))
    world.tick_at(NIGHT)
    assert rfm(world) == {}
    assert next_due(world.app, world.clock.now()) is None


def test_only_what_is_asked_for_is_worked_out(made: Callable[..., World]) -> None:
    world = made({"audience": "segments: {best: {rfm.r: 5}}"})
    world.people(1)
    tell(world, *orders("p0000", 1), ("p0000", "Message Clicked", shops.NOW - HOUR, {"channel": "sms"}))
    world.tick_at(NIGHT)
    assert rfm(world).keys() == {"p0000"}
    assert habits(world) == {}


def test_who_publishes_the_first_to_ask_sees_who_would_enter(made: Callable[..., World], tmp_path: Path) -> None:
    world = made({"audience": "segments: {everyone: {country: {known: true}}}"})
    names = world.people(10)
    for number, name in enumerate(names):
        tell_one(world, name, number + 1)
    (tmp_path / "shop" / "journeys" / "audience.yaml").write_text(AUDIENCE)
    (tmp_path / "shop" / "journeys" / "wave.yaml").write_text(WAVE)
    drafts = load_drafts(world.app)
    (plan,) = plan_publish(world.app, drafts, ["wave"])
    assert rfm(world).keys() == set(names)
    assert plan.audience == sum(row[3] == "champions" for row in rfm(world).values()) == 0
    tell(world, *(one for name in names[:2] for one in orders(name, 0.1, 0.2)))
    world.clock.move_to(NIGHT)
    (plan,) = plan_publish(world.app, drafts, ["wave"])
    assert plan.audience == sum(row[3] == "champions" for row in rfm(world).values()) == 2


def tell_one(world: World, name: str, days: int) -> None:
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    event = NewEvent(f"one-{name}", name, "Order Completed", shops.NOW - days * DAY, {})
    record_events(world.app, rules, world.app.needs(rules), [event], live=False)


def test_another_formula_holds_from_the_next_beat_on(made: Callable[..., World], tmp_path: Path) -> None:
    world = made(ASKING)
    world.people(2)
    tell(world, *orders("p0000", 1), *orders("p0001", 500))
    world.tick_at(NIGHT)
    config = tmp_path / "shop" / "config.yaml"
    config.write_text(config.read_text() + "scores: {rfm_within: 365d}\n")
    again = shops.opened(tmp_path / "shop", world.clock, database=world.app.database.url)
    world.app.close()
    world.app = again
    world.tick(HOUR)
    assert rfm(world).keys() == {"p0000"}


def test_only_rows_that_changed_are_written(made: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(ASKING)
    names = world.people(20)
    tell(world, *(one for number, name in enumerate(names) for one in orders(name, number + 1)))
    world.tick_at(NIGHT)
    written: list[int] = []
    put = kept.put
    monkeypatch.setattr(
        kept, "put", lambda connection, table, rows: written.append(len(rows)) or put(connection, table, rows)
    )
    world.tick_at(NIGHT + DAY)
    assert written == []
    before = rfm(world)
    tell(world, *orders(names[-1], 0.5))
    world.tick_at(NIGHT + 2 * DAY)
    assert 0 < sum(written) == sum(before[name] != row for name, row in rfm(world).items()) < 20


def test_the_number_of_questions_is_that_of_the_pages_not_of_the_people(
    made: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made({"audience": AUDIENCE})
    asked = []
    for count in (10, 100):
        names = world.people(count, first=count)
        tell(world, *(one for name in names for one in orders(name, 3)))
        world.tick_at(NIGHT + count * DAY)
        before = world.app.database.statements
        world.tick_at(NIGHT + (count + 1) * DAY)
        asked.append(world.app.database.statements - before)
    assert asked[0] == asked[1]


def test_a_process_that_is_asked_to_end_begins_anew(
    made: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "PAGE", 3)
    world = made(ASKING)
    names = world.people(20)
    tell(world, *(one for number, name in enumerate(names) for one in orders(name, number + 1)))
    keep = kept.keep_standings

    def keep_and_stop(*told: Any) -> None:
        keep(*told)
        world.app.stop.set()

    monkeypatch.setattr(kept, "keep_standings", keep_and_stop)
    world.tick_at(NIGHT)
    assert len(rfm(world)) == 3
    monkeypatch.setattr(kept, "keep_standings", keep)
    world.app.stop.clear()
    world.tick(HOUR)
    assert len(rfm(world)) == 20


# --- who sees it -----------------------------------------------------------------------------------------------------


def test_a_wave_and_the_branches_behind_it_ask_for_them(made: Callable[..., World]) -> None:
    world = made(ASKING)
    names = world.people(10)
    tell(
        world,
        *(one for number, name in enumerate(names) for one in orders(name, number + 1, total=10)),
        *orders("p0000", 0.5, 0.6, total=500),
        *orders("p0001", 0.5, 0.6, total=0),
    )
    world.tick_at(datetime(2026, 11, 25, 11, tzinfo=UTC))
    assert {name for name, row in rfm(world).items() if row[3] == "champions"} == {"p0000", "p0001"}
    assert world.states() == {("p0000", "email"): "accepted", ("p0001", "sms"): "accepted"}


CROSSING = """
title: Among the best
owner: us
topic: orders
enter: {segment: best, crossing: in}
again: always
steps: [{send: note, via: [email]}]
"""


def test_who_rises_in_the_night_crosses_in_that_beat_and_at_that_instant(made: Callable[..., World]) -> None:
    world = made({"audience": AUDIENCE, "crossing": CROSSING})
    names = world.people(10)
    tell(world, *(one for number, name in enumerate(names) for one in orders(name, number + 1)))
    world.tick_at(NIGHT)
    world.tick_at(NIGHT + DAY - timedelta(minutes=20))
    assert world.rows("SELECT 1 FROM crossing") == []
    for number in range(3):
        shops.happen(world.app, f"fresh-{number}", "p0009", "Order Completed", {"order_id": number})
    world.tick(timedelta(minutes=1))
    assert world.rows("SELECT 1 FROM crossing") == []
    world.tick_at(NIGHT + DAY)
    with world.app.database.reading() as connection:
        rows = connection.execute(crossing.select()).all()
    assert [(row.direction, row.at) for row in rows] == [("in", NIGHT + DAY)]
    assert world.states() == {("p0009", "email"): "accepted"}


def test_a_simulation_works_them_out_as_the_daemon_does(tmp_path: Path) -> None:
    world = World(tmp_path / "shop", ASKING)
    names = world.people(30)
    chance = Dice(3)
    tell(world, *((name, "Order Completed", moment(chance, 300), {"total": 5}) for name in names for _ in range(3)))
    end = NIGHT + 3 * DAY
    responder = Responder(Answers.model_validate({"messages": {"clicked": "100%", "after": "1h"}}), 1)
    with copy_of(world.app, world.clock.now()) as copy:
        run(copy, end, responder)
        with copy.database.reading() as connection:
            simulated = kept.of_people(connection, range(1, 31))
    responder = Responder(Answers.model_validate({"messages": {"clicked": "100%", "after": "1h"}}), 1)
    run(world.app, end, responder)
    with world.app.database.reading() as connection:
        assert kept.of_people(connection, range(1, 31)) == simulated
    assert any("best_channel" in scores for scores in simulated.values())
    world.close()
