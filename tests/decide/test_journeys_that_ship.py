"""The three journeys that ship, walked by one person each: what they notice, when, on their own clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.audience.book import read_audience
from engine.audience.values import Happening
from engine.decide.decision import Rule
from engine.decide.outcome import MessageState
from engine.decide.split import in_holdout, variant_of
from engine.decide.state import CustomerState, Rules, Said
from engine.journey.catalog import read_journey
from engine.settings import load_settings
from engine.values import replace
from tests.decide.world import CHANNELS, World, at, cap, codes, consent, person

HOME = Path(__file__).parents[2]
NAMES = ("golden_72_hours", "silent_wave", "vip_concierge")


@pytest.fixture(scope="module")
def rules() -> Rules:
    """The shop as it ships: config.yaml, audience.yaml, the three journeys; every text is written for every channel."""
    settings, problems = load_settings(HOME / "config.yaml")
    assert settings is not None, problems
    audience, _ = read_audience(
        (HOME / "journeys/audience.yaml").read_text(encoding="utf-8"), "audience.yaml", settings
    )
    graphs = {}
    for number, name in enumerate(NAMES, start=1):
        file = HOME / f"journeys/{name}.yaml"
        graph, problems = read_journey(file.read_text(encoding="utf-8"), file.name, name, audience.trait_names)
        assert graph is not None, problems
        graphs[number] = graph
    messages = {name for graph in graphs.values() for name in graph.names.messages}
    return Rules(
        audience=audience,
        graphs=graphs,
        live={name: number for number, name in enumerate(NAMES, start=1)},
        policy=settings.policy.model_copy(update={"topics": settings.topics, "channels": tuple(settings.channels)}),
        texts=dict.fromkeys(messages, frozenset(CHANNELS)),
        default_zone=settings.shop.zone,
        queues=settings.queues,
    )


def not_held_out(rules: Rules, journey: str, wanted: Callable[[str], bool] = lambda one: True) -> str:
    """The first outside id that is not held out of a journey and is as wanted."""
    share = rules.graphs[rules.live[journey]].head.holdout
    people = (f"c-{number}" for number in range(1000))
    return next(one for one in people if not in_holdout(journey, one, share) and wanted(one))


def someone(external_id: str, *past: tuple[str, str, dict[str, Any]], **about: Any) -> CustomerState:
    """A person who agreed to everything, with a history of (event, when, payload)."""
    happened = [
        Happening(number, name, at(when), payload, at(when))
        for number, (name, when, payload) in enumerate(past, start=-99)
    ]
    return CustomerState(
        person=person(external_id=external_id, **about),
        happenings=tuple(happened),
        consents=consent(*CHANNELS, at=at("01-01 00:00")),
        codes={
            **codes("second_order", "SO-1", expires_at=at("12-31 00:00")),
            **codes("come_back", "CB-1"),
            **codes("vip_pack", "VP-1"),
        },
    )


def lived(rules: Rules, known: CustomerState, begins: str, until: str, live: Callable[[World], None]) -> list[str]:
    """The ledger of a person from one instant to another."""
    world = World(known, rules, at(begins))
    live(world)
    world.run(at(until))
    return world.ledger


ORDER = {"order_id": "o-1", "total": 120, "currency": "CNY", "category": "lamps"}


# --- the golden 72 hours ---------------------------------------------------------------------------------------------


def test_golden_a_new_buyer_is_told_waits_for_the_parcel_and_gets_a_voucher_at_eight_in_the_evening(
    rules: Rules,
) -> None:
    def voucher(one: str) -> bool:
        shares = {"plain": Decimal("0.5"), "voucher": Decimal("0.5")}
        return variant_of("golden_72_hours", "second_order_voucher", one, shares) == "voucher"

    def live(world: World) -> None:
        world.later(at("11-18 10:00"), "Order Completed", **ORDER)
        world.later(at("11-19 15:30"), "Parcel Delivered", order_id="o-1")

    known = someone(not_held_out(rules, "golden_72_hours", voucher))
    assert lived(rules, known, "11-18 09:00", "11-25 00:00", live) == [
        "11-18 10:00 Order Completed",
        "11-18 10:00 enters golden_72_hours",
        "11-18 16:00 order_on_its_way by wechat",
        "11-19 15:30 Parcel Delivered",
        "11-20 10:00 how_to_use by email",
        "11-20 20:00 code SO-1",
        "11-20 20:00 voucher by wechat",
        "11-20 20:00 end: done",
    ]


def test_golden_an_order_in_the_evening_falls_through_closed_windows_to_mail(rules: Rules) -> None:
    def live(world: World) -> None:
        world.later(at("11-18 17:00"), "Order Completed", **ORDER)

    known = someone(not_held_out(rules, "golden_72_hours"))
    ledger = lived(rules, known, "11-18 09:00", "11-19 09:00", live)
    assert ledger[2:] == [
        "11-18 23:00 order_on_its_way by email"
    ]  # wechat, push and sms open after five in the morning


def test_golden_without_a_parcel_one_is_told_and_nothing_is_sold(rules: Rules) -> None:
    def live(world: World) -> None:
        world.later(at("11-18 10:00"), "Order Completed", **ORDER)

    known = someone(not_held_out(rules, "golden_72_hours"), addresses={"push": "p", "email": "e"})
    assert lived(rules, known, "11-18 09:00", "11-25 00:00", live)[2:] == [
        "11-18 16:00 order_on_its_way by push",
        "11-20 16:00 parcel_is_coming by push",
        "11-20 16:00 end: not_delivered_yet",
    ]


def test_golden_who_complained_gets_a_call_and_an_apology_instead(rules: Rules) -> None:
    def live(world: World) -> None:
        world.later(at("11-18 10:00"), "Order Completed", **ORDER)
        world.later(at("11-19 08:00"), "Parcel Delivered", order_id="o-1")
        world.later(at("11-19 12:00"), "Complaint Filed", about="scratch")
        world.answers.append(("task-care_call", timedelta(hours=14), "unhappy"))

    known = someone(not_held_out(rules, "golden_72_hours"))
    assert lived(rules, known, "11-18 09:00", "11-25 00:00", live)[3:] == [
        "11-19 08:00 Parcel Delivered",
        "11-19 10:00 how_to_use by email",
        "11-19 12:00 Complaint Filed",
        "11-19 20:00 task care_call for care, due 11-23 15:00",  # Friday, Saturday, and six hours of Monday
        "11-20 10:00 task answered: unhappy",
        "11-20 10:00 apology by sms",
        "11-20 10:00 end: done",
    ]


def test_golden_the_plan_ends_72_hours_after_the_order_whatever_is_left_of_it(rules: Rules) -> None:
    def live(world: World) -> None:
        world.later(at("11-18 10:00"), "Order Completed", **ORDER)
        world.later(at("11-20 15:00"), "Parcel Delivered", order_id="o-1")

    known = someone(not_held_out(rules, "golden_72_hours"))
    assert lived(rules, known, "11-18 09:00", "11-25 00:00", live)[3:] == [
        "11-20 15:00 Parcel Delivered",
        "11-21 10:00 how_to_use by email",  # at the last instant; the wait until 20:00 ends later than the plan
        "11-21 10:00 end: ends_after",
    ]


@pytest.mark.parametrize(("orders", "message"), [(1, "goes_well_with"), (4, "core_thanks")])
def test_golden_known_buyers_are_thanked_by_their_worth(rules: Rules, orders: int, message: str) -> None:
    def live(world: World) -> None:
        world.later(at("11-18 10:00"), "Order Completed", **ORDER)
        world.later(at("11-19 09:00"), "Parcel Delivered", order_id="o-1")

    past = [
        ("Order Completed", f"0{month}-01 10:00", {**ORDER, "order_id": f"p-{month}"}) for month in range(1, 1 + orders)
    ]
    known = someone(not_held_out(rules, "golden_72_hours"), *past)
    ledger = lived(rules, known, "11-18 09:00", "11-25 00:00", live)
    assert ledger[-2:] == [f"11-19 20:00 {message} by wechat", "11-19 20:00 end: done"]


def test_golden_who_is_held_out_walks_the_same_plan_and_hears_nothing(rules: Rules) -> None:
    share = rules.graphs[1].head.holdout
    held = next(f"c-{n}" for n in range(1000) if in_holdout("golden_72_hours", f"c-{n}", share))
    world = World(someone(held), rules, at("11-18 09:00"))
    world.later(at("11-18 10:00"), "Order Completed", **ORDER)
    world.later(at("11-19 15:30"), "Parcel Delivered", order_id="o-1")
    world.run(at("11-25 00:00"))
    assert world.ledger == [
        "11-18 10:00 Order Completed",
        "11-18 10:00 enters golden_72_hours held out",
        "11-19 15:30 Parcel Delivered",
        "11-20 20:00 end: done",
    ]
    assert world.state.said == ()


def test_golden_an_outage_of_six_hours_shifts_no_later_step(rules: Rules) -> None:
    world = World(someone(not_held_out(rules, "golden_72_hours")), rules, at("11-18 09:00"))
    world.later(at("11-18 10:00"), "Order Completed", **ORDER)
    world.later(at("11-18 19:00"), "Parcel Delivered", order_id="o-1")
    world.run(at("11-18 15:00"))
    world.now = at("11-18 21:00")  # nobody looked for six hours; the parcel came meanwhile
    world.run(at("11-19 11:00"))
    assert world.ledger[2:] == [
        "11-18 21:00 Parcel Delivered",
        "11-18 21:00 order_on_its_way by wechat",
        "11-19 10:00 how_to_use by email",
    ]


def test_golden_a_cancelled_order_ends_its_own_way_and_not_anothers(rules: Rules) -> None:
    def live(world: World) -> None:
        world.later(at("11-18 10:00"), "Order Completed", **ORDER)
        world.later(at("11-18 13:00"), "Order Completed", **{**ORDER, "order_id": "o-2"})
        world.later(at("11-18 15:00"), "Order Cancelled", order_id="o-1")

    known = someone(not_held_out(rules, "golden_72_hours"))
    assert lived(rules, known, "11-18 09:00", "11-19 23:00", live) == [
        "11-18 10:00 Order Completed",
        "11-18 10:00 enters golden_72_hours",
        "11-18 13:00 Order Completed",
        "11-18 13:00 enters golden_72_hours",
        "11-18 15:00 Order Cancelled",
        "11-18 15:00 end: left: Order Cancelled",
        "11-18 19:00 order_on_its_way by wechat",
    ]


# --- the silent wave -------------------------------------------------------------------------------------------------


def silent(rules: Rules, *past: tuple[str, str, dict[str, Any]], **about: Any) -> CustomerState:
    return someone(not_held_out(rules, "silent_wave"), *past, **about)


def wave(
    rules: Rules, known: CustomerState, begins: str, until: str, *coming: tuple[str, str, dict[str, Any]]
) -> list[str]:
    def live(world: World) -> None:
        world.begin("silent_wave")
        for name, when, payload in coming:
            world.later(at(when), name, **payload)

    return lived(rules, known, begins, until, live)


def test_wave_three_calls_to_one_who_stays_silent(rules: Rules) -> None:
    assert wave(rules, silent(rules), "12-01 10:00", "12-31 00:00") == [
        "12-01 10:00 enters silent_wave",
        "12-01 10:00 miss_you by sms",  # a Tuesday
        "12-06 10:00 what_you_missed by email",
        "12-13 10:00 why_did_you_leave by email",
        "12-13 10:00 end: done",
    ]


def test_wave_at_the_weekend_it_is_push(rules: Rules) -> None:
    assert wave(rules, silent(rules), "11-01 10:00", "11-02 00:00")[1] == "11-01 10:00 miss_you by push"


@pytest.mark.parametrize(
    ("name", "payload"),
    [("Page Viewed", {}), ("Message Clicked", {"message": "miss_you", "journey": "silent_wave"})],
)
def test_wave_who_comes_back_is_asked_whether_they_still_think_about_it(
    rules: Rules, name: str, payload: dict[str, Any]
) -> None:
    assert wave(rules, silent(rules), "12-01 10:00", "12-31 00:00", (name, "12-03 15:00", payload))[2:] == [
        f"12-03 15:00 {name}",
        "12-03 15:00 still_thinking by push",
        "12-03 15:00 end: came_back",
    ]


def test_wave_who_comes_back_at_night_is_written_to_in_the_morning(rules: Rules) -> None:
    assert wave(rules, silent(rules), "12-01 10:00", "12-05 00:00", ("Page Viewed", "12-03 23:00", {}))[3:] == [
        "12-04 08:00 still_thinking by push",
        "12-04 08:00 end: came_back",
    ]


def test_wave_whoever_left_because_of_the_price_gets_a_voucher(rules: Rules) -> None:
    past = ("Cart Updated", "09-20 10:00", {"total": 300})
    assert wave(rules, silent(rules, past), "12-01 10:00", "12-07 00:00")[2:] == [
        "12-06 10:00 code CB-1",
        "12-06 10:00 come_back_half_price by sms",
    ]


def test_wave_whoever_left_because_of_the_service_is_called(rules: Rules) -> None:
    past = [("Complaint Filed", f"09-{day} 10:00", {"about": "late"}) for day in (10, 12)]
    assert wave(rules, silent(rules, *past), "12-01 10:00", "12-31 00:00")[2:] == [
        "12-06 10:00 we_fixed_it by email",
        "12-06 10:00 task care_call for care, due 12-12 12:00",  # a Sunday; five days of nine hours, and three
        "12-12 12:00 task closed: overdue",
        "12-19 12:00 why_did_you_leave by email",
        "12-19 12:00 end: done",
    ]


def test_wave_whoever_searched_for_a_rival_hears_what_is_new(rules: Rules) -> None:
    past = ("Products Searched", "09-20 10:00", {"query": "othershop shoes"})
    assert wave(rules, silent(rules, past), "12-01 10:00", "12-07 00:00")[2:] == ["12-06 10:00 whats_new by wechat"]


def test_wave_an_order_ends_it_at_once(rules: Rules) -> None:
    held = in_holdout("golden_72_hours", silent(rules).person.external_id, rules.graphs[1].head.holdout)
    ledger = wave(rules, silent(rules), "12-01 10:00", "12-31 00:00", ("Order Completed", "12-04 09:00", ORDER))
    assert ledger[2:5] == [
        "12-04 09:00 Order Completed",
        "12-04 09:00 enters golden_72_hours" + (" held out" if held else ""),
        "12-04 09:00 end: left: Order Completed",
    ]


def test_wave_who_cannot_be_reached_is_waited_for_all_the_same(rules: Rules) -> None:
    unreachable = replace(silent(rules), consents=())
    assert wave(rules, unreachable, "12-01 10:00", "12-31 00:00", ("Page Viewed", "12-03 15:00", {}))[1:] == [
        "12-01 10:00 call-1-weekday: no_consent",
        "12-03 15:00 Page Viewed",
        "12-03 15:00 send-still_thinking: no_consent",
        "12-03 15:00 end: came_back",
    ]


def test_wave_in_berlin_it_is_ten_in_berlin(rules: Rules) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    world = World(silent(rules, zone=berlin), rules, at("12-01 10:00", berlin))
    world.begin("silent_wave")
    world.run(at("12-07 00:00", berlin))
    assert world.ledger[1:] == ["12-01 10:00 miss_you by sms", "12-06 10:00 what_you_missed by email"]


# --- the VIP concierge -----------------------------------------------------------------------------------------------


def vip(rules: Rules, until: str, *answers: tuple[str, float, str], provider: Any = None) -> list[str]:
    def live(world: World) -> None:
        world.begin("vip_concierge")
        world.answers += [(step, timedelta(hours=hours), outcome) for step, hours, outcome in answers]
        if provider is not None:
            world.provider = provider

    return lived(rules, someone(not_held_out(rules, "vip_concierge")), "11-23 09:30", until, live)


def test_vip_a_letter_a_call_a_gift_and_a_last_look(rules: Rules) -> None:
    assert vip(rules, "2027-01-31 00:00", ("task-personal_call", 4, "reached")) == [
        "11-23 09:30 enters vip_concierge",
        "11-23 09:30 vip_letter by wechat",
        "11-24 09:30 task personal_call for concierge, due 11-26 16:00",  # nine hours a day, from ten
        "11-24 13:30 task answered: reached",
        "11-24 13:30 code VP-1",
        "11-24 13:30 vip_pack by wechat",
        "12-08 13:30 task close_case for concierge, due 01-04 10:30",  # 168 hours of nine a day, Monday to Friday
        "01-04 10:30 task closed: overdue",
        "01-04 10:30 end: done",
    ]


def test_vip_a_second_call_before_giving_up(rules: Rules) -> None:
    calls = ("task-personal_call", 4, "no_answer"), ("second-call", 2, "no_answer")
    assert vip(rules, "2027-01-31 00:00", *calls)[3:] == [
        "11-24 13:30 task answered: no_answer",
        "11-26 13:30 task personal_call for concierge, due 12-01 10:30",
        "11-26 15:30 task answered: no_answer",
        "11-26 15:30 end: unreachable",
    ]


def test_vip_nobody_called(rules: Rules) -> None:
    assert vip(rules, "2027-01-31 00:00")[3:] == [
        "11-26 16:00 task closed: overdue",
        "11-26 16:00 end: nobody_called",
    ]


def test_vip_a_letter_refused_on_one_channel_goes_on_the_next(rules: Rules) -> None:
    def refuses_wechat(said: Said) -> MessageState:
        return MessageState.rejected if said.channel == "wechat" else MessageState.accepted

    assert vip(rules, "11-23 12:00", provider=refuses_wechat)[1:] == [
        "11-23 09:30 vip_letter by wechat: rejected",
        "11-23 09:30 vip_letter by email",
    ]


# --- together --------------------------------------------------------------------------------------------------------


def test_when_two_journeys_want_the_last_place_of_a_day_the_vip_letter_goes_and_the_other_row_names_it(
    rules: Rules,
) -> None:
    both = not_held_out(rules, "vip_concierge", lambda one: not in_holdout("silent_wave", one, Decimal("0.1")))
    limited = replace(rules, policy=rules.policy.model_copy(update={"caps": (cap(1, "day"),)}))
    world = World(someone(both), limited, at("12-01 10:00"))
    world.begin("silent_wave")
    world.begin("vip_concierge")
    world.settle()
    assert sorted(world.ledger) == [
        "12-01 10:00 call-1-weekday: capped",
        "12-01 10:00 enters silent_wave",
        "12-01 10:00 enters vip_concierge",
        "12-01 10:00 vip_letter by wechat",
    ]
    (trace,) = [one for one in world.traces if one.rule is Rule.capped]
    assert trace.detail["cap"] == "1 per day"
    assert [one["message"] for one in trace.detail["winners"]] == ["vip_letter"]
    assert (trace.file, trace.line) == ("silent_wave.yaml", 17)
