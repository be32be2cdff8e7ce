"""A channel with several providers: each is a lane of its own. A message goes on where it is proved not taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random  # noqa: TID251  of the tests' own, from a seed that Hypothesis draws
from typing import Any

import pytest
import shops
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from stubs import CONFIG, JOURNEY, Died, Stub, World

from channels.contract import Answer, FailureReason, Outgoing, Sent
from channels.errors import Misconfigured, Rejected, Unavailable, Uncertain
from engine.app import App
from engine.decide.state import Rules
from engine.share import Kind, Unit
from engine.store import lanes
from engine.work import cluster
from engine.work.line import hurry
from engine.work.sending.dispatch import dispatch
from engine.work.sending.lane import BREAKER, BREAKER_PAUSE

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BY_SMS = {"note": JOURNEY.replace("[email, sms]", "[sms]").replace("give_up_after: 6h", "give_up_after: 3d")}
MakeWorld = Callable[..., World]


def several(make: MakeWorld, **providers: str) -> tuple[World, dict[str, Stub]]:
    """A shop whose SMS leave by these: a name, and what config.yaml says of it."""
    written = ", ".join(f"{name}: {{provider: simulated{more and ', ' + more}}}" for name, more in providers.items())
    config = CONFIG.replace("sms: {provider: simulated}", f"sms: {{retry_for: 2d, providers: {{{written}}}}}")
    config = config.replace('quiet_hours: {sms: "21:00-08:00"}', "quiet_hours: {sms: none}")
    world = make(BY_SMS, config=config)
    stubs = {name: Stub("sms", in_flight=8) for name in providers}
    world.app.providers |= {f"sms/{name}": stub for name, stub in stubs.items()}
    return world, stubs


def beside(world: World) -> App:
    """Another process on the same database, with the same providers."""
    other = shops.opened(world.app.home, world.clock, **world.more)
    other.providers |= world.app.providers
    other.worker_id = 7
    return other


def rules_of(app: App) -> Rules:
    with app.database.reading() as connection:
        return app.rules(connection)


def change(world: World, lane: str, **values: Any) -> None:
    with world.app.database.writing() as connection:
        lanes.change(connection, lane, **values)


def lane(world: World, name: str) -> Any:
    with world.app.database.reading() as connection:
        return lanes.of(connection, name)


def story(world: World) -> list[tuple[str, str | None, str | None]]:
    """(kind, rule, who was asked) of everything that happened, in order."""
    rows = world.rows("SELECT kind, rule, provider FROM delivery ORDER BY attempt, weight")
    return [(row.kind, row.rule, row.provider and row.provider.partition(" ")[0]) for row in rows]


def busy(_: Outgoing) -> Answer:
    return Unavailable("not now")


# --- which one -------------------------------------------------------------------------------------------------------


def test_each_gets_its_share_and_whom_it_serves(make_world: MakeWorld) -> None:
    world, stubs = several(
        make_world, china="countries: [CN]", big="weight: 3", small="weight: 1", spare="order: 2, not_countries: [CN]"
    )
    world.order(*world.people(400))
    people = [{"external_id": f"c{n}", "addresses": {"sms": f"+8613800000{n:03d}"}} for n in range(20)]
    shops.add_people(world.app, people)
    world.order(*(one["external_id"] for one in people))
    world.tick()
    handed = {name: len(stub.handed) for name, stub in stubs.items()}
    assert sum(handed.values()) == 420
    assert handed["spare"] == 0
    assert 270 <= handed["big"] <= 330
    assert all(one.content.to.startswith("+86") for one in stubs["china"].handed)
    again = Counter(row.lane for row in world.rows("SELECT b.lane FROM message m JOIN batch b ON b.id = m.batch_id"))
    assert again == Counter({f"sms/{name}": count for name, count in handed.items() if count})


def test_whom_no_provider_of_a_channel_serves_is_reached_by_the_next_channel(make_sqlite_world: MakeWorld) -> None:
    config = CONFIG.replace("sms: {provider: simulated}", "sms: {provider: simulated, countries: [CN]}")
    journeys = {"note": JOURNEY.replace("[email, sms]", "[sms, email]"), "only": BY_SMS["note"]}
    world = make_sqlite_world(journeys, config=config)
    world.order(*world.people(1))
    world.tick()
    rows = world.rows("SELECT journey, channel, state, rule, reason FROM message ORDER BY journey")
    assert rows == [
        ("note", "email", "queued", None, None),
        ("only", "sms", "suppressed", "unreachable", "sms: no provider of sms serves DE"),
    ]


def test_what_was_decided_for_a_lane_that_serves_others_by_now_leaves_by_another(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="", two="order: 2")
    change(world, "sms/one", stopped="a person looks at it")
    change(world, "sms/two", stopped="a person looks at it")
    world.order(*world.people(3))
    world.tick()
    path = world.app.home / "config.yaml"
    path.write_text(path.read_text().replace("one: {provider: simulated", "one: {provider: simulated, countries: [CN]"))
    world.restart()
    change(world, "sms/one", stopped=None)
    change(world, "sms/two", stopped=None)
    world.tick(10 * MINUTE)
    assert (len(stubs["one"].handed), len(stubs["two"].handed)) == (0, 3)


# --- what one proved not to have taken -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (Unavailable("not now"), "passed_on"),
        (Unavailable("not now", retry_after=3600), "passed_on"),
        (Misconfigured("a wrong key"), "passed_on"),
        (Rejected("no such signature", reason=FailureReason.sender), "turned_away"),
        (Rejected("not from here", reason=FailureReason.policy), "turned_away"),
    ],
)
def test_D17_after_proof_the_next_one_is_asked_at_once_and_the_story_says_so(
    make_world: MakeWorld, answer: Answer, rule: str
) -> None:
    """Broken by hand: with a retry that waits, nothing was handed to the second before half a minute had passed."""
    world, stubs = several(make_world, one="", two="order: 2")
    stubs["one"].says = lambda _: answer
    world.order(*world.people(3))
    world.tick()
    assert set(world.states().values()) == {"accepted"}
    assert story(world)[::3] == [
        ("begun", None, "one"),
        ("retry", rule, "one"),
        ("begun", None, "two"),
        ("accepted", None, "two"),
    ]
    assert {one.key for one in stubs["two"].handed} == {one.key for one in stubs["one"].handed}
    (reason,) = {row.reason for row in world.rows("SELECT reason FROM delivery WHERE kind = 'retry'")}
    assert reason.startswith(str(answer))
    assert reason.endswith("; sms/two is asked at once")
    assert bool(world.rows("SELECT name FROM lane WHERE stopped IS NOT NULL")) is isinstance(answer, Misconfigured)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Uncertain("no answer"), "unknown"),
        (Rejected("too long", reason=FailureReason.content), "rejected"),
        (Rejected("nobody there", reason=FailureReason.address_unknown), "rejected"),
    ],
)
def test_D17_what_may_be_out_or_is_refused_for_itself_goes_to_nobody_else(
    make_world: MakeWorld, answer: Answer, state: str
) -> None:
    world, stubs = several(make_world, one="", two="order: 2")
    stubs["one"].says = lambda _: answer
    world.order(*world.people(3))
    for _ in range(5):
        world.tick(HOUR)
    assert set(world.states().values()) == {state}
    assert len(stubs["one"].handed) == 3
    assert stubs["two"].handed == []


def test_when_all_were_asked_it_waits_and_the_next_round_begins_with_the_first(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="", two="order: 2", three="order: 3")
    for stub in stubs.values():
        stub.says = busy
    world.order(*world.people(1))
    world.tick()
    world.tick(timedelta(seconds=20))
    assert [len(stub.handed) for stub in stubs.values()] == [1, 1, 1]
    assert [one[:2] for one in story(world)][1::2] == [
        ("retry", "passed_on"),
        ("retry", "passed_on"),
        ("retry", "failed"),
    ]
    world.tick(timedelta(seconds=20))  # the first delay, although three were asked
    assert [len(stub.handed) for stub in stubs.values()] == [2, 2, 2]
    stubs["one"].says = lambda _: Sent("yes")
    world.tick(2 * MINUTE)
    assert [len(stub.handed) for stub in stubs.values()] == [3, 2, 2]
    assert set(world.states().values()) == {"accepted"}


def test_a_sibling_that_is_busy_for_a_moment_is_waited_for_instead_of_the_delay(make_world: MakeWorld) -> None:
    """Broken by hand: with only those asked that have room at once, the rest waited for half a minute."""
    world, stubs = several(make_world, one="", two="order: 2, rate: 2/s")
    stubs["one"].says = busy
    world.order(*world.people(4))
    world.tick()
    assert len(stubs["two"].handed) == 2
    world.tick(timedelta(seconds=1))
    assert len(stubs["two"].handed) == 4
    assert len(stubs["one"].handed) == 4


def test_who_refused_it_for_good_is_not_asked_again_and_when_all_did_it_is_rejected(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="", two="order: 2")
    stubs["one"].says = lambda _: Rejected("no such signature", reason=FailureReason.sender)
    stubs["two"].says = busy
    world.order(*world.people(1))
    world.tick()
    world.tick(MINUTE)
    assert [len(stub.handed) for stub in stubs.values()] == [1, 2]
    stubs["two"].says = stubs["one"].says
    world.tick(10 * MINUTE)
    assert [len(stub.handed) for stub in stubs.values()] == [1, 3]
    assert set(world.states().values()) == {"rejected"}


def test_what_died_on_its_way_is_asked_again_by_its_own_lane_alone_and_waits_for_it(make_world: MakeWorld) -> None:
    """Broken by hand: with rows of a closed lane that move whatever happened to them, they ended as unknown with the
    second, which does not recognise them."""
    world, stubs = several(make_world, one="", two="order: 2")
    stubs["one"].features = type(stubs["one"].features)(dedupe_by="key", in_flight=8)

    def ends(_: Sequence[Outgoing]) -> None:
        raise Died

    stubs["one"].during = ends
    world.order(*world.people(3))
    with suppress(Died):
        world.tick()
    stubs["one"].during = None
    change(world, "sms/one", stopped="a wrong key")
    world.restart()
    world._died = True
    world.tick()
    world.tick(HOUR)
    assert set(world.states().values()) == {"repeat"}
    assert stubs["two"].handed == []
    change(world, "sms/one", stopped=None)
    stubs["one"].says = busy  # which says nothing of the first time
    world.tick(HOUR)
    assert stubs["two"].handed == []
    stubs["one"].says = lambda _: Sent("yes")
    world.tick(HOUR)
    assert set(world.states().values()) == {"accepted"}
    assert len({one.key for one in stubs["one"].handed}) == 3


ANSWERS: Mapping[str, Callable[[], Answer]] = {
    "sent": lambda: Sent("x"),
    "busy": lambda: Unavailable("not now"),
    "busy for long": lambda: Unavailable("not now", retry_after=90),
    "wrong key": lambda: Misconfigured("a wrong key"),
    "no answer": lambda: Uncertain("no answer"),
    "signature": lambda: Rejected("no such signature", reason=FailureReason.sender),
    "dies": lambda: Sent("nobody hears of it"),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), dedupes=st.booleans())
def test_D17_whatever_they_answer_nobody_is_asked_about_what_another_may_have_taken(
    make_sqlite_world: MakeWorld, seed: int, dedupes: bool
) -> None:
    """Broken by hand: three stand in the way (whom what may be out is asked of, who is asked after a refusal, and the
    door). With all of them open, what a death had left with the first was sent by the third."""
    chance = Random(seed)
    world, stubs = several(make_sqlite_world, one="", two="", three="order: 2, rate: 20/m")
    asked: dict[str, list[tuple[str, str]]] = {}
    for name, stub in stubs.items():
        stub.features = type(stub.features)(dedupe_by="key" if dedupes else "none", in_flight=3)

        def says(one: Outgoing, name: str = name) -> Answer:
            word = chance.choice(list(ANSWERS))
            asked.setdefault(one.key, []).append((name, word))
            if word == "dies":
                raise Died
            return ANSWERS[word]()

        stub.says = says
    world.order(*world.people(12))
    for _ in range(25):
        with suppress(Died):
            world.tick(chance.choice([timedelta(0), timedelta(seconds=40), 3 * MINUTE]))
        if chance.random() < 0.3:
            with world.app.database.writing() as connection:
                for name in stubs:
                    lanes.change(connection, f"sms/{name}", stopped=None, failures=0, paused_until=None)
                hurry(world.app, connection, "sms", world.clock.now())
        if chance.random() < 0.2:
            world.restart()
    for tries in asked.values():
        doubt: str | None = None
        for name, word in tries:
            assert doubt in (None, name), f"{tries}"
            assert dedupes or doubt is None, f"{tries}"
            doubt = name if word in ("no answer", "dies") else doubt
            if word == "sent":
                break
    world.close()


# --- a lane that is closed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["stopped", "paused", "breaker", "cannot be made"])
def test_nothing_waits_for_a_closed_lane_that_another_takes_at_once(make_world: MakeWorld, why: str) -> None:
    world, stubs = several(make_world, one="", two="order: 2")
    now = world.clock.now()
    match why:
        case "stopped":
            change(world, "sms/one", stopped="a person looks at it")
        case "paused":
            change(world, "sms/one", paused_until=now + HOUR)
        case "breaker":
            change(world, "sms/one", failures=BREAKER, paused_until=now + BREAKER_PAUSE)
        case _:
            del world.app.providers["sms/one"]
            world.app.settings.lanes["sms/one"].way.model_extra["seeds"] = 1  # type: ignore[index]
    world.order(*world.people(30))
    world.tick()
    assert len(stubs["two"].handed) == 30
    assert set(world.states().values()) == {"accepted"}
    batches = world.rows("SELECT lane FROM batch ORDER BY id")
    assert [row.lane for row in batches] == ["sms/two"], "a batch that goes as a whole stays one"


def test_when_all_are_closed_it_goes_by_the_one_that_opens_first(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="", two="order: 2")
    change(world, "sms/one", paused_until=world.clock.now() + 2 * HOUR)
    change(world, "sms/two", paused_until=world.clock.now() + HOUR)
    world.order(*world.people(3))
    world.tick()
    world.tick(59 * MINUTE)
    assert [len(stub.handed) for stub in stubs.values()] == [0, 0]
    world.tick(MINUTE)
    assert [len(stub.handed) for stub in stubs.values()] == [0, 3]


def test_failures_in_a_row_close_one_lane_and_not_its_siblings_and_a_probe_opens_it(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="", two="order: 2")
    stubs["one"].features = type(stubs["one"].features)(in_flight=1)
    stubs["one"].says = busy
    world.order(*world.people(20))
    world.tick()
    assert [len(stub.handed) for stub in stubs.values()] == [BREAKER, 20]
    assert (lane(world, "sms/one").failures, lane(world, "sms/two")) == (BREAKER, None)
    stubs["one"].says = lambda _: Sent("yes")
    world.clock.move_to(world.clock.now() + BREAKER_PAUSE)
    world.order(*world.people(20, first=20))
    world.tick()
    assert [len(stub.handed) for stub in stubs.values()] == [BREAKER + 20, 20]
    assert lane(world, "sms/one").failures == 0


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_quota_goes_over_to_the_next_and_begins_anew_at_midnight_also_after_a_restart(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="quota: 10", two="order: 2, quota: 5")
    for part in range(4):
        world.order(*world.people(6, first=6 * part))
        world.restart()
        world.tick(MINUTE)
    assert [len(stub.handed) for stub in stubs.values()] == [10, 5]
    assert (lane(world, "sms/one").day, lane(world, "sms/one").begun) == ("2026-11-24", 10)
    world.tick_at(shops.NOW.replace(hour=22, minute=59))  # 23:59 in Berlin
    assert [len(stub.handed) for stub in stubs.values()] == [10, 5]
    world.tick_at(shops.NOW.replace(hour=23))
    assert [len(stub.handed) for stub in stubs.values()] == [19, 5]
    assert (lane(world, "sms/one").day, lane(world, "sms/one").begun) == ("2026-11-25", 9)


def test_a_warm_up_grows_day_by_day(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="'warm_up': {from: 2026-11-25, per_day: [2, 3, 5]}")
    world.order(*world.people(14))
    sent = []
    for _ in range(6):
        world.tick()
        sent.append(len(stubs["one"].handed))
        world.clock.move_to(world.clock.now() + DAY)
    assert sent[:4] == [0, 2, 5, 10]


def test_a_lane_at_its_rate_is_waited_for_a_moment_and_no_longer(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="rate: [3/s, 6/m]", two="order: 2")
    world.order(*world.people(10))
    world.tick()
    assert [len(stub.handed) for stub in stubs.values()] == [3, 0], "in a second it goes on"
    world.tick(timedelta(seconds=1))
    assert [len(stub.handed) for stub in stubs.values()] == [6, 4], "it would have to wait for a minute"


def test_so_many_are_on_their_way_at_a_time_by_all_workers_together(make_world: MakeWorld) -> None:
    """Broken by hand: with grants that are not asked for by concurrency, the second worker began eight."""
    world, stubs = several(make_world, one="concurrency: 5")
    world.order(*world.people(4))
    world.order(*world.people(8, first=4))
    app, handed = beside(world), []

    def while_they_are_under_way(batch: Sequence[Outgoing]) -> None:
        handed.append(len(batch))
        if len(handed) == 1 and not world.app.database.is_sqlite:
            dispatch(app, rules_of(app))

    stubs["one"].during = while_they_are_under_way
    world.tick()
    for _ in range(5):
        world.tick(timedelta(seconds=2))
    assert max(handed) == 5
    assert set(world.states().values()) == {"accepted"}
    app.close()


def test_the_places_of_a_worker_that_died_are_free_again_by_themselves(make_world: MakeWorld) -> None:
    world, stubs = several(make_world, one="concurrency: 3")

    def ends(_: Sequence[Outgoing]) -> None:
        raise Died

    stubs["one"].during = ends
    world.order(*world.people(6))
    with suppress(Died):
        world.tick()
    stubs["one"].during = None
    world.restart()
    world._died = True
    world.tick(timedelta(seconds=10))
    assert len(stubs["one"].handed) == 3, "nobody knows whether they are still on their way"
    world.tick(timedelta(seconds=66))
    assert len(stubs["one"].handed) == 6


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_D15_whatever_several_workers_do_no_window_no_day_and_no_moment_holds_more(
    make_sqlite_world: MakeWorld, seed: int
) -> None:
    chance = Random(seed)
    world, stubs = several(
        make_sqlite_world, one="rate: [7/m, 20/h], quota: 30", two="concurrency: 2, quota: 25, order: 2"
    )
    left: dict[str, list[Any]] = {name: [] for name in stubs}
    under_way = {name: 0 for name in stubs}
    workers = [world.app, beside(world), beside(world)]
    for name, stub in stubs.items():

        def during(batch: Sequence[Outgoing], name: str = name) -> None:
            left[name] += [world.clock.now()] * len(batch)
            under_way[name] += len(batch)
            assert name != "two" or under_way[name] <= 2
            under_way[name] -= len(batch)

        stub.during = during
        stub.says = lambda _: chance.choice([Sent("x"), Sent("x"), Unavailable("not now"), Uncertain("no answer")])
    for wave in range(12):
        world.order(*world.people(8, first=8 * wave))
        world.tick()
        for _ in range(3):
            app = chance.choice(workers)
            while dispatch(app, rules_of(app)).any:
                pass
        world.clock.move_to(world.clock.now() + timedelta(seconds=chance.choice([1, 20, 70, 2000, 20_000])))
    for one in left["one"]:
        assert sum(one <= other < one + MINUTE for other in left["one"]) <= 7
        assert sum(one <= other < one + HOUR for other in left["one"]) <= 20
    for name, most in (("one", 30), ("two", 25)):
        days = Counter((at + HOUR).date() for at in left[name])  # Berlin, in winter
        assert max(days.values(), default=0) <= most
    for app in workers[1:]:
        app.close()
    world.close()


# --- what config.yaml said before ------------------------------------------------------------------------------------


def test_what_waits_for_a_lane_that_is_configured_no_more_leaves_by_those_there_are(make_world: MakeWorld) -> None:
    config = CONFIG.replace('quiet_hours: {sms: "21:00-08:00"}', "quiet_hours: {sms: none}")
    world = make_world(BY_SMS, config=config)
    change(world, "sms", paused_until=world.clock.now() + HOUR)
    world.order(*world.people(3))
    world.tick()
    path = world.app.home / "config.yaml"
    path.write_text(
        config.replace(
            "sms: {provider: simulated}", "sms: {providers: {simulated: {}, spare: {provider: simulated, order: 2}}}"
        )
    )
    world.restart()
    stub = world.app.providers["sms/simulated"] = Stub("sms")
    with world.app.database.writing() as connection:
        hurry(world.app, connection, "sms", world.clock.now())
    world.tick()
    assert len(stub.handed) == 3
    assert set(world.states().values()) == {"accepted"}
    assert lane(world, "sms").stopped is None


def test_each_lane_has_a_queue_and_that_of_one_that_is_gone_is_anothers(make_sqlite_world: MakeWorld) -> None:
    world, _ = several(make_sqlite_world, one="", two="order: 2")
    assert cluster.queues_of(world.app) == ["send_email", "send_sms/one", "send_sms/two"]
    told = [
        cluster._job(world.app, Unit(Kind.batch, 1, name), world.clock.now()) for name in ("sms/two", "sms", "push")
    ]
    assert [one.queue for one in told] == ["send_sms/two", "send_sms/one", "send_email"]
    assert told[1].task_kwargs == {"number": 1, "lane": "sms"}


def test_a_slice_of_a_channel_with_one_lane_asks_nothing_about_lanes(make_world: MakeWorld) -> None:
    """Whatever its answers: the number of statements is what it was before a channel could have several."""
    world = make_world({"note": JOURNEY.replace("[email, sms]", "[email]")})
    heard: list[str] = []
    event.listen(world.app.database.engine, "before_cursor_execute", lambda *args: heard.append(args[2]))
    for first, answer, asked in ((0, "sent", 0), (8, "signature", 0), (16, "busy", 3)):  # failures are counted, as ever
        world.email.says = lambda _, answer=answer: ANSWERS[answer]()
        world.order(*world.people(8, first=first))
        heard.clear()
        world.tick()
        assert len([one for one in heard if "FROM lane" in one and "batch" not in one]) == asked
