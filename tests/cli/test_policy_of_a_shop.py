"""What `outreach check` says of the policy in config.yaml: caps, days and blackouts that cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from stubs import CONFIG, shop
from typed import typed

AFTER = 'quiet_hours: {sms: "21:00-08:00"}'


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ("sundays: {fax: all_day}", "no-such-channel", "`fax` is no channel"),
        ("on_holidays: {sms: always}", "bad-window", "'always' is not a span of the day"),
        ("holidays: {DE: [2026-02-30]}", "bad-day", "'2026-02-30' is not a day"),
        ("holidays: {Germany: [12-25]}", None, "'Germany' is not a country"),
        ("countries: {DE: {sundays: {sms: 9-17}}}", "bad-window", "'9-17' is not a span of the day"),
        ("blackout: [{from: 2026-11-11, to: 2026-11-10, reason: sale}]", None, "ends after it begins"),
        ("blackout: [{from: 2026-11-11, to: 2026-11-12}]", "missing-key", "`reason` is missing"),
        ("blackout: [{from: soon, to: 2026-11-12, reason: sale}]", "bad-day", "'soon' is not a day or a time"),
        (
            "blackout: [{from: 2026-11-11, to: 2036-11-12, reason: sale}]",
            "never-open",
            "nobody in DE could be written to by email for a year",
        ),
        ("gap_by_channel: {fax: 1h}", "no-such-channel", "`fax` is no channel"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_told(tmp_path: Path, lines: str, code: str | None, words: str) -> None:
    home = shop(tmp_path / "shop", config=CONFIG.replace(AFTER, f"{AFTER}\n  {lines}"))
    told = typed(home, "check", "--format", "json").value["problems"]
    (problem, *_) = [one for one in told if words in one["sentence"]]
    assert code in (None, problem["code"])
    assert problem["position"]["line"] > 1


@pytest.mark.parametrize(
    ("cap", "code"),
    [
        ("{at_most: 1, per: day, topic: nosuch}", "unknown-topic"),
        ("{at_most: 1, per: day, topic: orders}", "cap-counts-nothing"),
        ("{at_most: 1, per: day, channel: fax}", "no-such-channel"),
        ("{at_most: 1, per: day, tag: sael}", "cap-without-journey"),
        ("{at_most: 0, per: day}", "out-of-range"),
        ("{at_most: 1, per: day, purpose: both}", "unknown-word"),
    ],
)
def test_a_cap_that_cannot_be_meant_is_told(tmp_path: Path, cap: str, code: str) -> None:
    home = shop(tmp_path / "shop", config=CONFIG.replace("{at_most: 3, per: week}", cap))
    told = typed(home, "check", "--format", "json").value["problems"]
    assert [one["code"] for one in told if one["position"]["file"] == "config.yaml"] == [code]


def test_D24_marketing_may_not_ask_to_be_delivered_at_least_once(tmp_path: Path) -> None:
    news = "news:\n    title: News\n    purpose: marketing\n    delivery: at_least_once"
    home = shop(tmp_path / "shop", config=CONFIG.replace("news: {title: News, purpose: marketing}", news))
    (problem,) = typed(home, "check", "--format", "json").value["problems"]
    assert "marketing is sent at most once" in problem["sentence"]
    assert "purpose: transactional" in problem["hint"]
    assert (problem["position"]["line"], problem["position"]["column"]) == (8, 5)
    assert typed(home, "check").code == 2
