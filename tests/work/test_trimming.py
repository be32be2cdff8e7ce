"""`keep`: what is over for so long is taken away in small steps, and nothing that anybody may still look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

import pytest
import shops
from stubs import CONFIG, Died, World, dying

from channels.contract import Answer, Outgoing, Sent
from channels.errors import Uncertain
from engine.journey import source
from engine.learn.explain import explain
from engine.learn.report import report
from engine.settings import Settings
from engine.store import messages
from engine.work import trimming
from engine.work.colleagues.closing import close
from engine.work.incoming.intake import NewEvent, record_events
from engine.work.trimming import Trimmed, trim, trim_beside

DAY = timedelta(days=1)
KEEP = 100 * DAY
KEPT = CONFIG + "keep: 100d\n"
NOTE = """
title: A note after each order
owner: us
topic: orders
enter: {{event: Order Completed}}
again: {again}
{more}
steps: [{{send: note, via: [email]}}]
"""
PER_PERSON = ("enrollment", "touch", "message", "body", "delivery", "trace", "event", "task", "batch")
MakeWorld = Callable[..., World]


def note(again: str = "always", more: str = "") -> dict[str, str]:
    return {"note": NOTE.format(again=again, more=more)}


def counts(world: World) -> dict[str, int]:
    return {table: world.rows(f"SELECT count(*) AS n FROM {table}")[0].n for table in PER_PERSON}


def pass_by(world: World, span: timedelta) -> Trimmed:
    """Time passes, then everything there is to trim goes."""
    world.tick(span)
    return trim(world.app, whole=True)


@pytest.fixture
def sold(make_world: MakeWorld) -> Callable[..., World]:
    """A shop in which three people ordered once, and got their note."""

    def make(journeys: Mapping[str, str] | None = None, config: str = KEPT, **more: str) -> World:
        world = make_world(journeys or note(), config=config, **more)
        world.order(*world.people(3))
        world.tick()
        return world

    return make


def test_unwritten_nothing_is_ever_trimmed(sold: Callable[..., World]) -> None:
    world = sold(config=CONFIG)
    before = counts(world)

    assert pass_by(world, 3_000 * DAY).rows == {}

    assert counts(world) == before


def test_what_ended_longer_ago_goes_with_all_that_belongs_to_it_and_the_rest_stays(sold: Callable[..., World]) -> None:
    world = sold()
    once = counts(world)
    assert (once["message"], once["body"], once["delivery"], once["touch"], once["trace"]) == (3, 3, 6, 3, 12)
    world.tick(60 * DAY)
    world.order("p0000", number="2")
    world.tick()

    pass_by(world, 45 * DAY)

    assert counts(world) == {name: n // 3 for name, n in once.items()} | {"batch": 1}
    assert [row.external_id for row in world.rows("SELECT external_id FROM event")] == ["o-p0000-2"]
    assert world.rows("SELECT count(*) AS n FROM consent")[0].n == 12
    assert world.states() == {("p0000", "email"): "accepted"}


def test_who_was_inside_is_known_as_long_as_again_asks_for_it(sold: Callable[..., World]) -> None:
    world = sold(note(again="{per: order_id}"))

    pass_by(world, 200 * DAY)

    slim = world.rows("SELECT trimmed, active, reason, key FROM enrollment ORDER BY id")
    assert [(bool(row.trimmed), row.key) for row in slim] == [(True, f"p000{n}-1") for n in range(3)]
    assert counts(world) | {"enrollment": 0} == dict.fromkeys(PER_PERSON, 0)
    world.order("p0000", number="1")  # the same order, told once more long after
    world.order("p0001", number="2")
    world.tick()
    assert [row.key for row in world.rows("SELECT key FROM enrollment WHERE id > 3 ORDER BY id")] == ["p0001-2"]


def test_a_slim_row_goes_when_again_would_let_in_whoever_it_is_about(sold: Callable[..., World]) -> None:
    world = sold(note(again="{after: 200d}"))
    pass_by(world, 150 * DAY)
    assert counts(world)["enrollment"] == 3
    world.order("p0000", number="2")
    world.tick()
    assert counts(world)["enrollment"] == 3

    pass_by(world, 60 * DAY)

    assert counts(world)["enrollment"] == 0
    world.order("p0000", number="3")
    world.tick()
    assert counts(world)["enrollment"] == 1


def test_D5_D20_what_waits_for_a_persons_word_stays_until_it_is_said(sold: Callable[..., World]) -> None:
    # With the look at `_OPEN` taken out of `not_over` the unknown message was gone after the first look.
    def says(outgoing: Outgoing) -> Answer:
        return Uncertain("no answer") if outgoing.content.to.startswith("p0001") else Sent("yes")

    world = make_unsure(sold, says)

    pass_by(world, 300 * DAY)

    assert world.states() == {("p0001", "email"): "unknown"}
    with world.app.database.reading() as connection:
        (number,) = [row["id"] for row in messages.listed(connection, None, None, "unknown", 10)]
    close(world.app, [number], accepted=False, by="mei", reason="asked")
    pass_by(world, DAY)
    assert counts(world)["message"] == 0


def make_unsure(sold: Callable[..., World], says: Callable[[Outgoing], Answer]) -> World:
    world = sold()
    world.email.says = says
    world.order("p0000", "p0001", number="2")
    world.tick()
    return world


def test_who_is_inside_loses_nothing_however_long_it_takes(sold: Callable[..., World]) -> None:
    steps = NOTE.format(again="always", more="").replace(
        "[email]}]", "[email]}, {wait: 300d}, {send: note, id: second, via: [sms]}]"
    )
    world = sold({"note": steps})
    before = counts(world)

    pass_by(world, 250 * DAY)

    kept = counts(world)
    assert {name: kept[name] for name in ("enrollment", "message", "body", "delivery", "touch")} == {
        name: before[name] for name in ("enrollment", "message", "body", "delivery", "touch")
    }
    pass_by(world, 51 * DAY)
    assert counts(world)["message"] == 6
    pass_by(world, 101 * DAY)
    assert counts(world)["message"] == 0


def test_messages_stay_as_long_as_a_cap_may_count_them(sold: Callable[..., World]) -> None:
    # With `keep` alone in the place of `max(keep, past.least)` the second message left.
    caps = "caps: [{at_most: 1, per: 150d, topic: orders, purpose: transactional}]"
    world = sold(config=KEPT.replace("caps: [{at_most: 1, per: day}, {at_most: 3, per: week}]", caps))

    pass_by(world, 140 * DAY)
    world.order("p0000", number="2")
    world.tick()

    assert world.states()["p0000", "email"] in ("suppressed", "accepted")
    assert sorted(row.state for row in world.rows("SELECT state FROM message WHERE customer_id = 1")) == [
        "queued",
        "suppressed",
    ]


# --- events ----------------------------------------------------------------------------------------------------------


def happened(world: World, name: str, *days_ago: int) -> None:
    now = world.clock.now()
    with world.app.database.reading() as connection:
        rules = world.app.rules(connection)
    told = [NewEvent(f"{name}-{days}", "p0000", name, now - days * DAY, {}) for days in days_ago]
    record_events(world.app, rules, world.app.needs(rules), told, live=False)


AUDIENCE = """
traits:
  visits_ever: {{count: Visited, where: {{page: {{known: true}}}}}}
  visits: {{count: Looked, within: 300d}}
  last_call: {{days_since_last: Called}}
segments:
  everyone: {{country: {{known: true}}}}
"""


def test_events_stay_as_long_as_anything_published_may_look_at_them(make_world: MakeWorld) -> None:
    # With the window of traits taken out of `past_of`, Looked-130 and Looked-250 were gone too.
    world = make_world(note(), config=KEPT)
    (world.app.journeys_folder / "audience.yaml").write_text(AUDIENCE.format())
    shops.publish_all(world.app)
    world.people(1)
    for name in ("Visited", "Looked", "Called", "Sneezed"):
        happened(world, name, 20, 130, 250, 330)

    trim(world.app, whole=True)

    kept = [row.external_id for row in world.rows("SELECT external_id FROM event ORDER BY name, at DESC")]
    assert kept == ["Called-20", "Looked-20", "Looked-130", "Looked-250", "Sneezed-20"] + [
        f"Visited-{n}" for n in (20, 130, 250, 330)
    ]
    assert trimming.asked_for_ever(world.app) == (["Visited"], ["Called"])
    pass_by(world, 120 * DAY)
    kept = [row.external_id for row in world.rows("SELECT external_id FROM event ORDER BY name, at DESC")]
    assert kept == ["Called-20", "Looked-20", "Looked-130"] + [f"Visited-{n}" for n in (20, 130, 250, 330)]


# --- what is told of it ----------------------------------------------------------------------------------------------


def test_the_report_counts_what_is_there_and_says_since_when(sold: Callable[..., World]) -> None:
    world = sold(note(again="{per: order_id}", more="goal: {event: Paid, within: 30d}"))
    assert report(world.app, "note").kept_since is None
    happened(world, "Paid", 0)
    pass_by(world, 150 * DAY)
    world.order("p0000", "p0001", number="2")
    world.tick()

    told = report(world.app, "note")

    assert (told.entered, told.sent, told.treated.people) == (2, {"email": 2}, 2)
    assert told.kept_since == world.clock.now() - KEEP
    assert told.goal_since is not None


def test_explain_says_that_it_was_trimmed_instead_of_nothing(sold: Callable[..., World]) -> None:
    world = sold(note(again="{per: order_id}"))
    pass_by(world, 150 * DAY)

    told = explain(world.app, "p0000", "note")

    (way,) = told.stories[0].ways
    assert (way.trimmed, way.lines, way.messages) == (True, (), ())
    assert told.kept_since == world.clock.now() - KEEP


# --- small steps -----------------------------------------------------------------------------------------------------


def test_a_process_that_dies_at_any_step_leaves_what_the_next_one_ends(
    sold: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "WAYS", 1)
    monkeypatch.setattr(trimming, "ROWS", 2)
    world = sold(note(again="{per: order_id}"))
    world.tick(150 * DAY)
    deaths = 0
    for call in range(1, 40):
        for where in ("set_fact",):
            real = getattr(trimming, where)
            monkeypatch.setattr(trimming, where, dying(real, call))
            with suppress(Died):
                trim(world.app)
                deaths -= 1
            deaths += 1
            monkeypatch.setattr(trimming, where, real)

    assert deaths > 5
    trim(world.app)
    assert counts(world) == dict.fromkeys(PER_PERSON, 0) | {"enrollment": 3}


def test_a_beat_takes_a_few_steps_and_the_next_one_goes_on(
    sold: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "WAYS", 1)
    world = sold()
    world.tick(150 * DAY)

    trim_beside(world.app, in_a_lull=False)
    assert counts(world)["message"] == 2
    trim_beside(world.app, in_a_lull=False)
    assert counts(world)["message"] == 1
    while trim_beside(world.app, in_a_lull=True).rows:
        pass

    assert counts(world) == dict.fromkeys(PER_PERSON, 0)
    assert trim_beside(world.app, in_a_lull=True).rows == {}  # nothing more is looked at on this day


def test_a_step_asks_the_same_number_of_questions_however_much_there_is(sold: Callable[..., World]) -> None:
    asked = []
    for more in (5, 100):
        world = sold()
        world.order(*world.people(more, first=10))
        world.tick()
        world.tick(150 * DAY)
        before = world.app.database.statements
        trim(world.app, 1)
        asked.append(world.app.database.statements - before)
        assert counts(world)["message"] == 0

    assert asked[0] == asked[1]


# --- config ----------------------------------------------------------------------------------------------------------


def test_a_time_too_short_for_links_to_work_is_refused() -> None:
    _, problems = source.validate(Settings, source.read(CONFIG + "keep: 30d\n", "config.yaml"))

    (problem,) = problems
    assert "links in messages have to work for 60 days" in problem.sentence
    assert problem.position.line == CONFIG.count("\n") + 1
