"""A journey that is called otherwise (`was`) is the same journey: nobody is doubled, nobody lost, no lot drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shops
from sqlmodel import SQLModel
from stubs import World

from engine.app import App
from engine.errors import Refused, Renamed
from engine.journey.problems import Problem, Severity
from engine.learn.explain import explain
from engine.learn.report import report
from engine.store import journeys, names
from engine.store.tables import former_name, trace
from engine.work import advance as room
from engine.work.entering.waves import Entered, plan_waves
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.publishing.drafts import load_drafts, plan_publish, publish
from engine.work.publishing.retiring import plan_retirement, retire
from engine.work.publishing.rollback import plan_rollback, roll_back
from engine.work.tick import tick

MakeWorld = Callable[..., World]
DAY = timedelta(days=1)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 12:00 in Berlin
STEPS = """
topic: news
goal: {event: Order Completed, within: 7d}
holdout: 30%
enter: {event: Signed Up}
again: {after: 30d}
steps:
  - wait: 2d
  - split: tone
    measure: goal
    variants: {plain: 50%, warm: 50%}
  - {send: note, via: [email]}
"""
WAVE = """
topic: orders
enter: {every: week, on: tue, at: "12:00", zone: person, segment: everyone}
again: always
rollout: [30%, 100%]
steps: [{send: note, via: [email]}]
"""


def rename(world: World, old: str, new: str, text: str, was: str = "") -> None:
    """Give the file its new name and publish it."""
    (world.app.journeys_folder / f"{old}.yaml").unlink()
    write(world, new, f"was: {was or old}\n{text.lstrip()}")
    shops.publish_all(world.app)


def write(world: World, name: str, text: str) -> None:
    (world.app.journeys_folder / f"{name}.yaml").write_text(text)


def signs_up(world: World, people: list[str], number: str = "1") -> None:
    for person in people:
        shops.happen(world.app, f"s-{person}-{number}", person, "Signed Up")


def ways(world: World) -> list[Any]:
    return world.rows(
        "SELECT e.id, e.customer_id, e.holdout, e.active, e.reason, e.step, e.data, e.journey "
        "FROM enrollment e ORDER BY e.id"
    )


def told(world: World) -> list[tuple[int, str]]:
    """Who was written to, by which journey."""
    return [
        (row.customer_id, row.journey) for row in world.rows("SELECT customer_id, journey FROM message ORDER BY id")
    ]


def problems(app: App) -> list[Problem]:
    """What is said of journeys; the texts are not asked about."""
    return [one for one in load_drafts(app).problems if one.position.file.startswith("journeys/")]


def codes(app: App) -> list[tuple[str, Severity]]:
    return [(one.code, one.severity) for one in problems(app)]


# --- the people inside -----------------------------------------------------------------------------------------------


def test_who_is_inside_goes_on_under_the_new_name_and_is_written_to_once(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    people = world.people(20)
    signs_up(world, people)
    world.tick()
    before = [(row.id, row.customer_id, row.holdout) for row in ways(world)]
    assert 0 < sum(row.holdout for row in ways(world)) < 20

    rename(world, "old", "new", STEPS)
    world.tick(DAY)
    assert told(world) == []
    world.tick(DAY)

    assert [(row.id, row.customer_id, row.holdout) for row in ways(world)] == before
    assert {(row.journey, row.active, row.reason) for row in ways(world)} == {("new", False, "done")}
    assert sorted(told(world)) == sorted({(one, "new") for _, one, holdout in before if not holdout})
    assert len(world.email.handed) == len(told(world))


def test_everyone_falls_in_the_same_holdout_and_variant_as_under_the_oldest_name(make_world: MakeWorld) -> None:
    stayed, renamed = make_world({"old": STEPS}), make_world({"old": STEPS})
    rename(renamed, "old", "middle", STEPS)
    rename(renamed, "middle", "new", STEPS)
    for world in (stayed, renamed):
        signs_up(world, world.people(40))
        world.tick(2 * DAY)

    def lots(world: World) -> list[tuple[int, bool, Any]]:
        return [(row.customer_id, row.holdout, row.data) for row in ways(world)]

    assert lots(renamed) == lots(stayed)
    assert len({row.holdout for row in ways(stayed)}) == 2


def test_what_was_never_renamed_here_draws_the_lots_of_the_oldest_name_too(make_sqlite_world: MakeWorld) -> None:
    """A simulation in an empty database, a second installation: they know the names from the file alone."""
    stayed = make_sqlite_world({"old": STEPS})
    elsewhere = make_sqlite_world({"new": f"was: [old, middle]\n{STEPS.lstrip()}"})
    for world in (stayed, elsewhere):
        signs_up(world, world.people(40))
    assert [row.holdout for row in ways(elsewhere)] == [row.holdout for row in ways(stayed)]


def test_coming_back_is_refused_as_it_was_before(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    people = world.people(3)
    signs_up(world, people)
    world.tick(3 * DAY)
    rename(world, "old", "new", STEPS)

    signs_up(world, people, "2")
    assert len(ways(world)) == 3
    world.tick(30 * DAY)
    signs_up(world, people, "3")
    assert len(ways(world)) == 6


def test_the_live_head_holds_for_who_entered_under_the_old_name(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    signs_up(world, world.people(4))
    world.tick()
    rename(world, "old", "new", STEPS.replace("holdout", "leave: [{event: Order Completed}]\nholdout"))

    world.tick(timedelta(hours=1))
    world.order("p0001")
    world.tick()

    assert [row.reason for row in ways(world) if not row.active] == ["left: Order Completed"]
    (number,) = {row.number for row in world.rows("SELECT number FROM journey_version WHERE number > 1")}
    assert number == 2


def test_a_pause_holds_through_a_rename(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS.replace("holdout: 30%", "")})
    signs_up(world, world.people(2))
    world.tick()
    with world.app.database.writing() as connection:
        journeys.pause(connection, ["old"], "mei", world.clock.now())
    rename(world, "old", "new", STEPS.replace("holdout: 30%", ""))
    world.tick(3 * DAY)
    assert told(world) == []

    with world.app.database.writing() as connection:
        journeys.resume(connection, ["new"])
    world.tick(DAY)
    assert len(told(world)) == 2


# --- waves -----------------------------------------------------------------------------------------------------------


def test_an_instant_that_was_fired_under_the_old_name_is_not_fired_again(make_world: MakeWorld) -> None:
    world = make_world({"old": WAVE})
    world.people(40)
    world.tick_at(NOON)
    first = len(told(world))
    assert 0 < first < 40

    rename(world, "old", "new", WAVE)
    world.tick_at(NOON + timedelta(minutes=5))
    assert len(told(world)) == first

    world.tick_at(NOON + DAY)  # the second stage: the others, whoever they are
    assert len(told(world)) == 40
    assert len({customer for customer, _ in told(world)}) == 40
    assert len(world.rows("SELECT id FROM run")) == 1

    world.tick_at(NOON + 7 * DAY)
    assert len(world.rows("SELECT id FROM run WHERE journey = 'new'")) == 2


# --- other journeys --------------------------------------------------------------------------------------------------


def test_a_version_that_starts_or_stops_the_old_name_means_the_new_one(make_world: MakeWorld) -> None:
    other = """
topic: orders
enter: {event: Called}
again: always
steps: [{start: old}, {wait: 1d}, {stop: old}]
"""
    world = make_world({"old": STEPS.replace("holdout: 30%", ""), "other": other})
    world.people(1)
    shops.happen(world.app, "c-1", "p0000", "Called")
    rename_alone(world)
    world.tick()
    assert [row.journey for row in ways(world)] == ["other", "new"]

    world.tick(DAY)
    assert [row.reason for row in ways(world)][1] == "stopped: other/stop-old"


def rename_alone(world: World) -> None:
    """Rename `old`, and publish nothing else: what other files say of it is mended later."""
    (world.app.journeys_folder / "old.yaml").unlink()
    write(world, "new", f"was: old\n{STEPS.replace('holdout: 30%', '').lstrip()}")
    drafts = load_drafts(world.app)
    assert [(one.code, one.hint) for one in drafts.errors] == [("unknown-journey", "it is called `new` now")] * 2
    publish(world.app, drafts, ["new"], "mei")


# --- what is told ----------------------------------------------------------------------------------------------------


def test_the_report_and_the_story_tell_of_both_times(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    signs_up(world, world.people(10))
    world.tick()
    rename(world, "old", "new", STEPS)
    world.tick(2 * DAY)

    found = report(world.app, "new")
    assert found.entered == 10
    assert sum(found.ended.values()) == 10
    (story,) = explain(world.app, "p0000", "new").stories
    assert story.ways[0].lines[0].sentence.startswith("entered by Signed Up")
    assert "the end of the plan" in [line.sentence for line in story.ways[0].lines]
    with world.app.database.reading() as connection:
        deeds = [(row.deed, row.note) for row in journeys.journal_of(connection, "new")]
        assert names.since(connection, "old") == ("new", shops.NOW)
    assert deeds == [("published", ""), ("renamed", "was old")]  # the plan is the same: so is its version


def test_the_plan_of_publishing_tells_who_goes_on(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS})
    signs_up(world, world.people(3))
    (world.app.journeys_folder / "old.yaml").unlink()
    write(world, "new", f"was: old\n{STEPS.lstrip()}")

    (plan,) = plan_publish(world.app, load_drafts(world.app), ["new"])

    assert (plan.was, plan.is_new, plan.changed, plan.inside) == ("old", False, False, 3)


def test_what_was_looked_at_under_the_old_name_is_looked_at_again(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS})
    write(world, "old", STEPS.replace("wait: 2d", "wait: 5d"))
    shops.publish_all(world.app)
    back, end = plan_rollback(world.app, "old"), plan_retirement(world.app, "old", let_out=False)
    rename(world, "old", "new", STEPS)
    for act in (lambda: roll_back(world.app, back, "mei"), lambda: retire(world.app, end, "mei")):
        with pytest.raises(Refused, match="old was given another name meanwhile; look again"):
            act()


def test_an_older_version_can_be_live_again_under_the_new_name(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    signs_up(world, world.people(5))
    rename(world, "old", "new", STEPS.replace("wait: 2d", "wait: 5d"))
    plan = plan_rollback(world.app, "new")
    assert (plan.number, plan.live) == (1, 2)

    standing = roll_back(world.app, plan, "mei")
    world.people(40, first=5)
    signs_up(world, [f"p{number:04d}" for number in range(5, 45)])
    world.tick(2 * DAY)

    assert standing.file == "journeys/new.yaml"
    assert {row.journey for row in ways(world)} == {"new"}
    stayed = make_world({"old": STEPS})
    signs_up(stayed, stayed.people(45))
    assert [row.holdout for row in ways(world)] == [row.holdout for row in ways(stayed)]


def test_the_old_name_back_is_one_more_rename(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    people = world.people(20)
    signs_up(world, people)
    held = [row.holdout for row in ways(world)]
    rename(world, "old", "new", STEPS)
    rename(world, "new", "old", STEPS)
    signs_up(world, people, "2")

    assert [(row.journey, row.holdout) for row in ways(world)] == [("old", one) for one in held]
    with world.app.database.reading() as connection:
        assert names.former(connection) == {"new": "old"}
        assert journeys.live(connection)["old"].hashed_as == "old"


# --- deaths and races ------------------------------------------------------------------------------------------------


def test_a_publishing_that_dies_in_the_middle_has_renamed_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world({"old": STEPS})
    signs_up(world, world.people(5))
    (world.app.journeys_folder / "old.yaml").unlink()
    write(world, "new", f"was: old\n{STEPS.lstrip()}")
    with monkeypatch.context() as patch:
        patch.setattr(journeys, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            shops.publish_all(world.app)

    assert {row.journey for row in ways(world)} == {"old"}
    with world.app.database.reading() as connection:
        assert journeys.live(connection).keys() == {"audience", "old"}
        assert names.former(connection) == {}

    shops.publish_all(world.app)
    world.tick(2 * DAY)
    assert {(row.journey, row.reason) for row in ways(world)} == {("new", "done")}


def test_what_was_decided_before_a_rename_is_decided_again_by_the_new_name(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the rules and writing what follows from them, somebody publishes."""
    world = make_world({"old": STEPS.replace("holdout: 30%", "")})
    signs_up(world, world.people(5))
    world.tick()
    decide, turns = room.decided, [0]

    def slowly(*args: Any) -> Any:
        found = decide(*args)
        if not turns[0]:
            turns[0] += 1
            rename(world, "old", "new", STEPS.replace("holdout: 30%", ""))
        return found

    monkeypatch.setattr(room, "decided", slowly)
    world.tick(2 * DAY)

    assert turns == [1]
    assert sorted(told(world)) == [(number, "new") for number in sorted({row.customer_id for row in ways(world)})]
    assert {(row.journey, row.reason) for row in ways(world)} == {("new", "done")}


def test_an_event_that_meets_a_rename_lets_nobody_in_twice(make_world: MakeWorld) -> None:
    world = make_world({"old": STEPS})
    people = world.people(3)
    signs_up(world, people)
    with world.app.database.reading() as connection:
        stale = world.app.rules(connection)
    rename(world, "old", "new", STEPS)

    again = [NewEvent(f"late-{one}", one, "Signed Up", world.clock.now()) for one in people]
    taken = record_events(world.app, stale, world.app.needs(stale), again)

    assert (taken.recorded, taken.entered, len(ways(world))) == (3, 0, 3)


def test_a_beat_by_rules_of_before_writes_nothing_under_the_old_name(make_world: MakeWorld) -> None:
    world = make_world({"old": WAVE})
    world.people(4)
    with world.app.database.reading() as connection:
        stale = world.app.rules(connection)
    rename(world, "old", "new", WAVE)

    world.clock.move_to(NOON)
    with pytest.raises(Renamed):
        plan_waves(world.app, stale, NOON, Entered())
    tick(world.app)
    assert [row.journey for row in world.rows("SELECT journey FROM run")] == ["new"]


# --- what a colleague would say --------------------------------------------------------------------------------------


def test_was_has_to_name_one_journey_that_is_called_otherwise_now(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS, "second": WAVE})
    app, error, warning = world.app, Severity.error, Severity.warning

    write(world, "new", f"was: new\n{STEPS.lstrip()}")
    assert ("was-itself", error) in codes(app)
    write(world, "new", f"was: old\n{STEPS.lstrip()}")
    assert ("was-still-there", error) in codes(app)
    (app.journeys_folder / "old.yaml").unlink()
    assert codes(app) == []
    write(world, "newer", f"was: old\n{STEPS.lstrip()}")
    assert codes(app) == [("was-claimed-twice", error)] * 2
    (app.journeys_folder / "newer.yaml").unlink()
    write(world, "new", f"was: elsewhere\n{WAVE.lstrip()}")
    assert codes(app) == [("was-never-published", warning)]
    (app.journeys_folder / "second.yaml").unlink()
    write(world, "new", f"was: [old, second]\n{STEPS.lstrip()}")
    assert codes(app) == [("was-two-journeys", error)]


def test_a_name_of_before_belongs_to_the_journey_that_took_it_over(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS})
    rename(world, "old", "middle", STEPS)
    (world.app.journeys_folder / "middle.yaml").unlink()
    write(world, "new", f"was: old\n{STEPS.lstrip()}")
    (found,) = problems(world.app)
    assert (found.code, found.hint.split(";")[0]) == (
        "was-claimed-twice",
        "if this is what `middle` became, write `was: [old, middle]`",
    )
    write(world, "new", f"was: [old, middle]\n{STEPS.lstrip()}")
    assert codes(world.app) == []


def test_a_file_that_was_renamed_without_a_word_is_noticed(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS})
    (world.app.journeys_folder / "old.yaml").rename(world.app.journeys_folder / "new.yaml")
    (found,) = problems(world.app)
    assert (found.code, found.severity) == ("renamed-without-was", Severity.warning)
    assert "write `was: old`" in found.hint


def test_the_name_of_before_is_no_new_journey_while_the_file_of_today_is_gone(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS})
    rename(world, "old", "new", STEPS)
    (world.app.journeys_folder / "new.yaml").rename(world.app.journeys_folder / "old.yaml")
    write(world, "old", STEPS)
    (found,) = problems(world.app)
    assert (found.code, found.severity) == ("name-of-before", Severity.error)
    assert "write `was: new`" in found.hint


def test_a_journey_that_was_published_by_itself_cannot_take_another_over(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS, "new": STEPS})
    (world.app.journeys_folder / "old.yaml").unlink()
    write(world, "new", f"was: old\n{STEPS.lstrip()}")
    assert codes(world.app) == [("was-two-journeys", Severity.error)]


def test_nothing_is_called_by_a_name_that_is_unknown(make_sqlite_world: MakeWorld) -> None:
    world = make_sqlite_world({"old": STEPS})
    with pytest.raises(Refused):
        explain(world.app, "p0000", "nothing")


def test_every_table_with_the_name_of_a_journey_is_renamed() -> None:
    """But traces, which say what was told then, and names of before themselves."""
    found = {table for table in SQLModel.metadata.tables.values() if "journey" in table.columns}
    assert found - {trace, former_name} == set(names.NAMED)
