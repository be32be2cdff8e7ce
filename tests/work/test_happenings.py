"""What happens to the shop is told once; who is in the segment at that instant enters once for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shops
from servers import Fresh
from servers import postgres as postgres
from stubs import AUDIENCE, CONFIG, Died, World, dying

from engine.errors import Refused
from engine.learn.explain import explain
from engine.simulate.preview import preview
from engine.store import waves
from engine.work.entering import happenings
from engine.work.entering.happenings import Telling, plan_telling, tell
from engine.work.entering.waves import settle_approval
from engine.work.publishing import retiring
from engine.work.publishing.retiring import plan_retirement
from engine.work.tick import next_due

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WITH_SALES = CONFIG + 'happenings: {Rival Sale: {expected: ["2026-11-27", "2026-12-12 20:00"]}, Warehouse Down: {}}\n'
CHEAP = AUDIENCE + "  cheap: {tier: cheap}\n"
PLAN = """
topic: orders
enter: {happening: Rival Sale, segment: cheap}
steps:
  - branch:
      - if: {event.rival: othershop}
        then: [{send: note, via: [email]}]
"""

Make = Callable[..., World]


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A shop with one journey, five people who look at prices and two who do not, on each kind of database."""
    made: list[World] = []

    def one(plan: str = PLAN) -> World:
        more: dict[str, Any] = {"durable": False}
        if request.param == "postgresql":
            fresh: Fresh = request.getfixturevalue("postgres")
            more["database"] = fresh(tables=True)
        folder = tmp_path / "shop"
        world = World(folder, None, WITH_SALES, **more)
        made.append(world)
        (folder / "journeys" / "audience.yaml").write_text(CHEAP)
        (folder / "journeys" / "plan.yaml").write_text(plan)
        shops.publish_all(world.app)
        world.people(5, attributes={"tier": "cheap"})
        world.people(2, first=5, attributes={"tier": "gold"})
        return world

    yield one
    for world in made:
        world.close()


def say(world: World, at: datetime | None = None, key: str | None = None, **payload: str) -> Telling:
    plan = plan_telling(world.app, "Rival Sale", key, at, payload)
    tell(world.app, plan, "mei")
    return plan


def entered(world: World) -> list[tuple[str, str]]:
    rows = world.rows(
        "SELECT c.external_id, e.key FROM enrollment e JOIN customer c ON c.id = e.customer_id "
        "WHERE e.journey = 'plan' ORDER BY e.id"
    )
    return [(row.external_id, row.key) for row in rows]


def test_who_is_in_the_segment_enters_once_and_knows_what_was_told(make: Make) -> None:
    world = make()

    plan = say(world, rival="othershop", discount="30")

    assert [(one.journey, one.people, one.messages) for one in plan.reached] == [("plan", 5, 5)]
    for _ in range(3):
        world.tick()
    assert entered(world) == [(f"p000{number}", "2026-11-24") for number in range(5)]
    assert len(world.email.handed) == 5
    (run,) = world.rows("SELECT planned, zone, state, entered FROM run")
    assert tuple(run) == ("2026-11-24", "", "done", 5)


def test_telling_the_same_again_changes_nothing_and_other_words_are_refused(make: Make) -> None:
    world = make()
    say(world, rival="othershop")
    world.tick(HOUR)

    again = plan_telling(world.app, "Rival Sale", None, None, {"rival": "othershop"})

    assert again.before == "2026-11-24 09:00 UTC, mei"
    assert not tell(world.app, again, "lin")
    with pytest.raises(Refused, match="with other words; for another one write --key"):
        plan_telling(world.app, "Rival Sale", None, None, {"rival": "bargainhut"})
    world.tick()
    assert len(entered(world)) == 5


def test_each_time_it_happens_they_enter_again_unless_the_journey_says_otherwise(make: Make) -> None:
    world = make()
    say(world, key="first", rival="othershop")
    world.tick()
    say(world, key="second", rival="othershop")
    world.tick()
    assert {key for _, key in entered(world)} == {"first", "second"}
    assert len(entered(world)) == 10

    (world.app.journeys_folder / "plan.yaml").write_text(PLAN.replace("steps:", "again: {after: 7d}\nsteps:"))
    shops.publish_all(world.app)
    say(world, key="third", rival="othershop")
    world.tick()
    assert len(entered(world)) == 10


def test_what_is_told_for_later_happens_then_to_those_who_are_in_the_segment_then(make: Make) -> None:
    world = make()
    say(world, at=shops.NOW + DAY, rival="othershop")
    world.tick()
    assert entered(world) == []
    assert next_due(world.app, world.clock.now()) == shops.NOW + DAY
    world.people(1, first=9, attributes={"tier": "cheap"})

    world.tick(DAY)

    assert len(entered(world)) == 6
    assert {key for _, key in entered(world)} == {"2026-11-25"}


def test_what_was_kept_happens_after_a_crash_too_and_too_late_it_is_recorded_as_late(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    say(world, key="one", rival="othershop")

    with monkeypatch.context() as patch:
        patch.setattr(happenings.happenings, "set_planned", dying(happenings.happenings.set_planned, 1))
        with pytest.raises(Died):
            world.tick()
    assert world.rows("SELECT id FROM run") == []
    world.tick(HOUR)
    assert len(entered(world)) == 5

    say(world, key="two", rival="othershop")
    world.tick(13 * HOUR)
    assert [row.state for row in world.rows("SELECT state FROM run ORDER BY id")] == ["done", "late"]
    assert len(entered(world)) == 5


def test_it_waits_for_approval_and_goes_in_stages_like_a_wave(make: Make) -> None:
    world = make(PLAN.replace("steps:", "approve: {by: lead, within: 24h}\nrollout: [40%, 100%]\nsteps:"))
    assert say(world, rival="othershop").reached[0].approve
    world.tick()
    for stage in (1, 2):
        with world.app.database.reading() as connection:
            (asked,) = waves.approvals(connection, open_only=True)
        assert (asked.planned, asked.stage) == ("2026-11-24", stage)
        assert len(entered(world)) < 5
        settle_approval(world.app, asked, "approved", "lead", world.clock.now())
        world.tick()

    assert len(entered(world)) == 5


def test_no_more_than_at_most_enter_for_a_happening_and_no_more_are_told_of(make: Make) -> None:
    world = make(PLAN.replace("steps:", "at_most: 2\nsteps:"))
    (reached,) = say(world, rival="othershop").reached
    assert (reached.people, reached.messages) == (2, 2)
    world.tick()
    world.tick(HOUR)
    assert len(entered(world)) == 2

    say(world, key="again", rival="othershop")
    world.tick(HOUR)
    assert sorted(key for _, key in entered(world)) == ["2026-11-24"] * 2 + ["again"] * 2


def test_a_journey_published_later_or_retired_is_not_opened(make: Make) -> None:
    world = make()
    say(world, at=shops.NOW - HOUR, key="before", rival="othershop")
    world.clock.move_to(shops.NOW + HOUR)
    (world.app.journeys_folder / "late.yaml").write_text(PLAN)
    shops.publish_all(world.app)
    world.tick()
    assert {row.journey for row in world.rows("SELECT journey FROM run")} == {"plan"}

    retiring.retire(world.app, plan_retirement(world.app, "plan", False), "mei")
    assert [one.journey for one in say(world, key="after", rival="othershop").reached] == ["late"]
    world.tick()
    assert {row.journey for row in world.rows("SELECT journey FROM run WHERE planned = 'after'")} == {"late"}


@pytest.mark.parametrize(
    ("name", "at", "sentence"),
    [
        ("Rival Sael", None, "config.yaml knows no happening Rival Sael; did you mean `Rival Sale`"),
        ("Rival Sale", datetime(2026, 11, 20, tzinfo=UTC), "is longer ago than max_lateness; nobody would enter"),
    ],
)
def test_what_cannot_happen_is_refused(make: Make, name: str, at: datetime | None, sentence: str) -> None:
    world = make()

    with pytest.raises(Refused, match=sentence):
        plan_telling(world.app, name, None, at, {})


def test_preview_and_explain_know_of_it(make: Make) -> None:
    world = make()
    (told,) = explain(world.app, "p0006", "plan").stories
    assert told.sentence == "It is entered by people in cheap when Rival Sale happens."
    assert [one.holds for one in told.entry][:1] == [False]
    say(world, rival="othershop")
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
        graph = rules.graphs[rules.live["plan"]]

    walks = preview(world.app, graph, rules, rules.live["plan"], None, 2, world.clock.now())

    assert [(one.person, one.enters) for one in walks] == [("p0000", True), ("p0001", True)]
    assert walks[0].entry.startswith("entered by Rival Sale at")
    (walk,) = preview(world.app, graph, rules, rules.live["plan"], ["p0006"], 1, world.clock.now())
    assert (walk.enters, walk.entry) == (False, "would not enter now: is not in cheap; shown as if they did")
    assert walk.stops


def test_what_is_expected_happens_in_a_simulation_and_nowhere_else(make: Make) -> None:
    world = make()
    start, end = shops.NOW, shops.NOW + 10 * DAY
    assert happenings.expected(world.app, start, end) == [(datetime(2026, 11, 27, 9, tzinfo=UTC), "Rival Sale", False)]
    world.tick_at(shops.NOW + 4 * DAY)
    assert entered(world) == []

    happenings.tell_expected(world.app, start + 4 * DAY, start + 30 * DAY)
    world.tick_at(datetime(2026, 12, 12, 19, tzinfo=UTC))

    assert {key for _, key in entered(world)} == {"2026-12-12"}
