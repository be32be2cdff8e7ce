"""Several providers of one channel, as people see them: what `check` says of them, and commands about a single lane."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shops
from stubs import CONFIG, JOURNEY, Stub, World
from typed import typed

from channels.contract import FailureReason
from channels.errors import Misconfigured, Rejected
from engine.cli.findings import findings
from engine.store import lanes

TWO = "sms: {providers: {one: {provider: simulated}, two: {provider: simulated, order: 2, quota: 50}}}"


# --- check -----------------------------------------------------------------------------------------------------------


def told(folder: Path, sms: str) -> list[str]:
    """What `check` says of config.yaml with this for SMS: line:column code sentence; hint."""
    config = folder / "config.yaml"
    text = CONFIG.replace("  sms: {provider: simulated}\n", "  sms:\n" + sms)
    config.write_text(text, encoding="utf-8")
    first = text.splitlines().index("  sms:") + 1
    return [
        f"{one.position.line - first}:{one.position.column} {one.code} {one.sentence}; {one.hint}"
        for one in findings(config).problems
        if Path(one.position.file).name == "config.yaml"
    ]


MISTAKES: dict[str, tuple[str, list[str]]] = {
    "an unknown provider": (
        "    providers:\n      one: {provider: simulatd}\n",
        ["2:23 unknown-provider there is no provider simulatd; did you mean `simulated`?"],
    ),
    "a name that should have been a provider": (
        "    providers:\n      simulatd: {seed: 1}\n",
        [
            "2:7 unknown-provider there is no provider simulatd; "
            "did you mean `simulated`?; a name of your own needs `provider:` beside it"
        ],
    ),
    "an option of nobody": (
        "    providers:\n      one: {provider: simulated, sed: 1}\n",
        ["2:34 bad-provider-option its provider has no setting `sed`; did you mean `seed`?"],
    ),
    "both at once": (
        "    provider: simulated\n    providers:\n      one: {provider: simulated}\n",
        [
            "1:5 bad-combination `provider` and `providers` exclude each other; "
            "put the one among the several, or take `providers` away"
        ],
    ),
    "none": ("    price: 1 EUR\n", ["1:5 missing-key `provider` is missing; write `provider:`"]),
    "nobody": (
        "    providers: {}\n",
        ["1:5 missing-key `providers` names nobody; write one and its settings: `twilio: {...}`"],
    ),
    "what is of one, beside several": (
        "    quota: 5\n    seed: 1\n    providers:\n      one: {provider: simulated}\n",
        [
            "1:5 bad-combination `quota` is of one provider; write it below `providers`, with the one it is meant for",
            "2:5 bad-combination `seed` is of one provider; write it below `providers`, with the one it is meant for",
        ],
    ),
    "a warm-up that shrinks": (
        "    provider: simulated\n    warm_up:\n      from: 2026-12-01\n      per_day: [50, 100, 80]\n",
        ["4:26 bad-value a warm-up never shrinks: 80 after 100; write 100 or more"],
    ),
    "a day that is none": (
        "    provider: simulated\n    warm_up: {from: 2026-13-01, per_day: [5]}\n",
        ["2:21 bad-day '2026-13-01' is not a day; did you mean `2026-01-13`?"],
    ),
    "a weight of nothing": (
        "    providers:\n      one: {provider: simulated, weight: 0}\n",
        ["2:42 out-of-range 0 is not at least 1; write a number of at least 1"],
    ),
    "a rate that is none, among several": (
        "    provider: simulated\n    rate: [50/s, many]\n",
        ["2:18 bad-rate 'many' is not a rate; write how many in which time: 100/s, 600/m, 50000/d"],
    ),
    "a prefix that is none": (
        '    provider: simulated\n    prefixes: ["0049"]\n',
        ["2:16 bad-value '0049' is not how a number begins; write a plus and the first digits: \"+86\""],
    ),
    "one and its contrary": (
        "    provider: simulated\n    countries: [CN]\n    not_countries: [DE]\n",
        [
            "3:5 bad-combination `countries` and `not_countries` exclude each other; "
            "write those it serves in `countries`, or everybody but some in `not_countries`"
        ],
    ),
    "a name with a slash": (
        "    providers:\n      a/b: {provider: simulated}\n",
        ["2:7 bad-value 'a/b' is no name of a way out; write one of at most 24 letters (a-z), digits, _ and -"],
    ),
    "countries that are left out": (
        "    providers:\n      one: {provider: simulated, countries: [CN]}\n"
        "      two: {provider: simulated, not_countries: [CN, RU]}\n",
        [
            "0:3 unserved-countries nobody in RU could be written to by sms: no provider serves them; "
            "take `countries` away from one of the providers, or write `not_countries` where you mean it"
        ],
    ),
    "a price in a country that is none": (
        "    provider: simulated\n    price: {China: 0.05 EUR, other: 0.1 EUR}\n",
        ["2:13 bad-value 'China' is not a country; did you mean `CN`?"],
    ),
    "a price that is none, of one among several": (
        "    providers:\n      one: {provider: simulated, price: {CN: 5 cents, other: 0.1 EUR}}\n",
        ["2:46 bad-money '5 cents' is not an amount of money; write a number and a currency: 200 CNY"],
    ),
    "a price for some countries only": (
        "    provider: simulated\n    price: {CN: 0.05 EUR}\n",
        [
            "2:12 missing-key `other` is missing: what a message to another country costs; "
            "write `other:` with the price of all countries that are not named"
        ],
    ),
    "prices that cannot be added up": (
        "    price: 0.05 CNY\n    providers:\n      one: {provider: simulated, price: {CN: 0.05 USD, other: 1 EUR}}\n",
        [
            "1:12 no-rate there is no rate for CNY, in which this costs; "
            "write what one of it is worth in the shop's currency under `rates`, or a price in that currency",
            "3:46 no-rate there is no rate for USD, in which this costs; "
            "write what one of it is worth in the shop's currency under `rates`, or a price in that currency",
        ],
    ),
    "nothing": (
        "    retry_for: 2h\n    providers:\n      one: {provider: simulated, rate: [50 per 1s, 10/m], quota: 7}\n"
        "      simulated: {countries: [CN], warm_up: {from: 2026-12-01, per_day: [5, 5, 8]}}\n"
        "      two: {provider: simulated, prefixes: [+49], concurrency: 3, order: 2, weight: 9, price: 0 EUR}\n"
        "    price: {DE: 0.0079 EUR, other: 0.123456 EUR}\n",
        [],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_cure(name: str, tmp_path: Path) -> None:
    sms, expected = MISTAKES[name]
    assert told(tmp_path, sms) == expected


def test_where_most_of_the_world_is_left_out_the_countries_config_yaml_speaks_of_come_first(tmp_path: Path) -> None:
    (said,) = told(tmp_path, "    provider: simulated\n    countries: [CN]\n")
    assert re.match(
        r"0:3 unserved-countries nobody in DE, AC, AD, .* and \d{3} countries more could be written to", said
    )


def test_prefixes_are_of_telephones(tmp_path: Path) -> None:
    config = CONFIG.replace("folder: outbox,", 'folder: outbox, prefixes: ["+49"],')
    (tmp_path / "config.yaml").write_text(config)
    assert "for email write `countries`" in [one.hint for one in findings(tmp_path / "config.yaml").problems]


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("OUTREACH_SECRET", shops.SECRET)
    config = CONFIG.replace("sms: {provider: simulated}", TWO) + "test_clock: clock\n"
    config = config.replace('quiet_hours: {sms: "21:00-08:00"}', "quiet_hours: {sms: none}")
    made = World(tmp_path / "shop", {"note": JOURNEY.replace("[email, sms]", "[sms]")}, config)
    (made.app.home / "clock").write_text(shops.NOW.isoformat())
    made.app.providers |= {"sms/one": Stub("sms"), "sms/two": Stub("sms")}
    yield made
    made.close()


def known(world: World) -> dict[str, Any]:
    with world.app.database.reading() as connection:
        return lanes.lanes(connection)


def test_one_lane_is_paused_and_resumed_and_the_other_carries_its_messages(world: World) -> None:
    paused = typed(world.app.home, "pause", "sms/one", "--format", "json")
    assert (paused.code, paused.value) == (0, {"lanes": ["sms/one"], "in_flight": 0})
    assert str(known(world)["sms/one"].stopped).startswith("paused by ")
    world.order(*world.people(4))
    world.tick()
    assert len(world.app.providers["sms/two"].handed) == 4  # type: ignore[attr-defined]
    resumed = typed(world.app.home, "resume", "sms/one")
    assert (resumed.code, resumed.out) == (0, "the lane sms/one goes on\n")
    assert known(world)["sms/one"].stopped is None


def test_a_channel_is_all_of_its_lanes(world: World) -> None:
    assert typed(world.app.home, "pause", "--lane", "sms").code == 0
    assert {name for name, lane in known(world).items() if lane.stopped} == {"sms/one", "sms/two"}
    world.order(*world.people(4))
    world.tick()
    assert set(world.states().values()) == {"queued"}
    resumed = typed(world.app.home, "resume", "sms", "--format", "json")
    assert resumed.value == {"lanes": ["sms/one", "sms/two"]}
    world.tick()  # what waited is due
    assert set(world.states().values()) == {"accepted"}


def test_a_lane_that_does_not_exist_is_told_with_the_nearest_that_does(world: World) -> None:
    for command in ("pause", "resume"):
        typo = typed(world.app.home, command, "sms/onee")
        assert typo.code == 2
        assert "there is no lane sms/onee" in typo.err
        assert "sms/one" in typo.err
    assert "there is no channel smss" in typed(world.app.home, "pause", "--lane", "smss").err


def test_doctor_looks_at_each_lane(world: World) -> None:
    world.app.providers["sms/one"].says = lambda _: Misconfigured("a wrong key")  # type: ignore[attr-defined]
    world.order(*world.people(4))
    world.tick()
    out = typed(world.app.home, "doctor").out
    assert "lane sms/one is stopped: a wrong key; mend it, then: outreach resume --lane sms/one" in out
    assert "lane sms/two: 4 of 50 messages of today have left" in out
    assert "sms/one: simulated, answers by chance" in out
    assert "sms/two: simulated, answers by chance" in out


def test_messages_explain_and_report_say_who_took_it_and_why_the_first_did_not(world: World) -> None:
    refused = Rejected("no such signature", reason=FailureReason.sender)
    world.app.providers["sms/one"].says = lambda _: refused  # type: ignore[attr-defined]
    world.order(*world.people(2))
    world.tick()
    home = world.app.home
    why = "no such signature [sender]; sms/two is asked at once"
    rows = typed(home, "messages", "--format", "json").value
    assert {row["provider"] for row in rows} == {"two (stub)"}
    assert {row["reason"] for row in rows} == {f"the provider took it; not one (stub): {why}"}
    story = typed(home, "explain", "p0000").out
    assert "attempt 1 by one (stub)" in story
    assert why in story
    assert "attempt 2 by two (stub)" in story
    assert "sms went out by: two (stub) 2" in typed(home, "report", "note").out
