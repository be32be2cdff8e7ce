"""Quiet hours by country, Sundays, holidays, blackouts: what is closed when, how it is told, what never opens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.decide.customer import decide
from engine.decide.decision import Decision, Rule
from engine.decide.outcome import MessageState
from engine.decide.quiet import closings, never_open
from engine.decide.timing import first_open
from engine.settings import Policy
from tests.decide.world import SHANGHAI, at, journey, person, policy, rules_for, shown, state, way

RULES = {
    "quiet_hours": {"sms": "21:00-08:00", "push": "22:00-07:00"},
    "sundays": {"push": "18:00-12:00"},
    "holidays": {"CN": ["2026-10-01", "2026-10-02"], "DE": ["10-03", "12-25"], "FR": ["07-14"]},
    "on_holidays": {"sms": "all_day", "push": "00:00-12:00"},
    "countries": {
        "DE": {"quiet_hours": {"sms": "20:00-09:00"}, "sundays": {"sms": "all_day"}},
        "US": {"quiet_hours": {"sms": "none"}},
        "FR": {"on_holidays": {"sms": "none"}},
    },
    "blackout": [
        {"from": "2026-11-11", "to": "2026-11-12", "channels": ["sms"], "countries": ["CN"], "reason": "the sale"},
        {"from": "2026-12-31 12:00", "to": "2027-01-01 06:00", "reason": "New Year"},
    ],
}
POLICY = policy(Policy.model_validate(RULES), home="CN")


@pytest.mark.parametrize(
    ("channel", "country", "now", "opens"),
    [
        ("sms", "CN", "09-30 20:00", "09-30 20:00"),
        ("sms", "CN", "09-30 21:00", "10-03 08:00"),  # the night, two holidays, and their nights
        ("sms", None, "10-01 10:00", "10-03 08:00"),  # no country: the shop's
        ("sms", "HK", "10-01 10:00", "10-01 10:00"),
        ("push", "CN", "10-01 10:00", "10-01 12:00"),
        ("push", "CN", "10-04 17:59", "10-04 17:59"),  # a Sunday
        ("push", "CN", "10-04 18:00", "10-05 07:00"),
        ("push", "CN", "10-04 07:00", "10-04 12:00"),
        ("sms", "DE", "10-05 08:30", "10-05 09:00"),  # a Monday
        ("sms", "DE", "10-02 20:30", "10-05 09:00"),  # a holiday of every year, then a Sunday
        ("sms", "DE", "2028-10-03 12:00", "2028-10-04 09:00"),
        ("sms", "US", "10-05 03:00", "10-05 03:00"),
        ("sms", "FR", "2027-07-14 10:00", "2027-07-14 10:00"),
        ("email", "CN", "10-01 03:00", "10-01 03:00"),
        ("sms", "CN", "11-11 09:00", "11-13 08:00"),
        ("email", "CN", "11-11 09:00", "11-11 09:00"),
        ("sms", "HK", "11-11 09:00", "11-11 09:00"),
        ("email", "HK", "12-31 11:59", "12-31 11:59"),
        ("email", "HK", "12-31 12:00", "2027-01-01 06:00"),
    ],
)
def test_a_channel_is_closed_by_what_holds_where_the_person_is(
    channel: str, country: str | None, now: str, opens: str
) -> None:
    assert first_open(at(now), SHANGHAI, *closings(POLICY, channel, country)) == at(opens)


def test_a_blackout_is_on_each_persons_own_clock() -> None:
    new_york, dark = ZoneInfo("America/New_York"), closings(POLICY, "email", "US")
    assert first_open(at("12-31 12:00", new_york), new_york, *dark) == at("2027-01-01 06:00", new_york)


def at_a_send(now: str, patience: str = "24h", **about: Any) -> Decision:
    graph = journey(f"steps: [{{send: hello, via: sms, give_up_after: {patience}}}, {{wait: 90d, id: after}}]")
    entered = way(graph, entered_at=at(now), arrived_at=at(now))
    return decide(state(entered, person=person(**about)), rules_for(graph, policy=POLICY), at(now))


def test_what_a_blackout_holds_back_tells_its_reason_and_goes_if_it_is_in_time() -> None:
    decision = at_a_send("11-11 22:00", "48h")
    assert shown(decision.moves[0].due_at) == "11-13 08:00"
    assert decision.traces[-1].sentence == (
        "held until 2026-11-13 08:00 Asia/Shanghai: blackout: the sale, then quiet hours of sms"
    )


def test_what_a_blackout_holds_back_for_too_long_is_late_for_its_reason() -> None:
    (row,) = at_a_send("11-11 22:00").unsent
    assert (row.state, row.rule) == (MessageState.expired, Rule.late)
    assert "blackout: the sale" in row.sentence


def test_a_holiday_is_no_lateness() -> None:
    entered, now = at("09-30 22:00"), at("10-03 08:00")
    graph = journey("steps: [{send: hello, via: sms, give_up_after: 4d}]")
    known = state(way(graph, entered_at=entered, arrived_at=entered))
    rules = rules_for(graph, policy=POLICY.model_copy(update={"max_lateness": timedelta(hours=1)}))
    (want,) = decide(known, rules, now).wants
    assert want.due_at == now


def test_a_transactional_message_knows_no_blackout() -> None:
    graph = journey("topic: orders\nsteps: [{send: hello, via: sms}]")
    now = at("11-11 03:00")
    assert decide(state(way(graph, entered_at=now, arrived_at=now)), rules_for(graph, policy=POLICY), now).wants


@pytest.mark.parametrize(
    ("rules", "shut"),
    [
        ({}, []),
        ({"blackout": [{"from": "2026-01-01", "to": "2026-12-31", "reason": "a year"}]}, []),
        ({"blackout": [{"from": "2026-01-01", "to": "2029-01-01", "reason": "for ever"}]}, ["CN", "DE"]),
        (
            {
                "blackout": [
                    {"from": "2026-01-01", "to": "2026-10-01", "reason": "a", "countries": ["DE"]},
                    {"from": "2026-10-01 12:00", "to": "2027-09-01", "reason": "b"},
                ]
            },
            ["DE"],
        ),
        (
            {
                "holidays": {
                    "DE": [f"{m:02}-{d:02}" for m in range(1, 13) for d in range(1, 32) if d < 29 or m != 2][:1]
                }
            },
            [],
        ),
        ({"countries": {"DE": {"sundays": {"sms": "all_day"}, "quiet_hours": {"sms": "00:00-23:59"}}}}, []),
    ],
)
def test_Q3_a_policy_under_which_somebody_could_never_be_written_to_is_found(
    rules: dict[str, Any], shut: list[str]
) -> None:
    about = Policy.model_validate({"holidays": {"DE": ["10-03"]}, **rules}).model_copy(update={"home": "CN"})
    assert [country for _, country in never_open(about, ["sms"])] == shut


def test_every_day_a_holiday_is_for_ever() -> None:
    days = [at("2024-01-01") + timedelta(days=n) for n in range(366)]
    about = Policy.model_validate({"holidays": {"DE": [day.astimezone(SHANGHAI).strftime("%m-%d") for day in days]}})
    assert list(never_open(about, ["sms", "email"])) == [("sms", "DE")]
