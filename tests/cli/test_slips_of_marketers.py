"""Slips of somebody who knows the language: each is told once, where it is, with what was meant; nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import shops

from engine.cli.findings import findings

CONFIG = "config.yaml"
AUDIENCE = "journeys/audience.yaml"
GOLDEN = "journeys/golden_72_hours.yaml"
WAVE = "journeys/silent_wave.yaml"
CONCIERGE = "journeys/vip_concierge.yaml"


class Slip(NamedTuple):
    """In the shop that ships, `old` became `new` in a file: what is told, where, how it begins, and the cure."""

    file: str
    old: str
    new: str
    code: str
    place: str  # line:column
    sentence: str
    cure: str


SLIPS = [
    Slip(
        *(AUDIENCE, "pools:  ", "pools  "),
        *("not-yaml", "6:1", "a colon is missing after this key", "write `key: value`"),
    ),
    Slip(
        *(AUDIENCE, "segments:\n", "segmnts:\n"),
        *("unknown-key", "23:1", "`segmnts` is no section", "did you mean `segments`?"),
    ),
    Slip(
        *(AUDIENCE, "value: 20 CNY", "value: 20 RMB"),
        *("unknown-currency", "7:55", "`RMB` is not a currency", "did you mean `CNY`?"),
    ),
    Slip(
        *(AUDIENCE, "silent: {churn_stage: lost}", "silent: {overdue_days: {min: 3}}"),
        *("bad-word", "24:27", "`min` is not a word of comparison", "did you mean `at_least`?"),
    ),
    Slip(
        *(AUDIENCE, "lists:\n  rivals: [", "lists:\n  - rivals: ["),
        *("expected-mapping", "4:3", "`lists` holds names with what they mean", "write `name: ...`"),
    ),
    Slip(
        *(AUDIENCE, "complaints_180d: {count:", "complaints_180d: {number:"),
        *("unknown-trait-kind", "16:21", "`number` is nothing a trait can compute", "there are: average, count,"),
    ),
    Slip(
        *(CONFIG, "zone: Asia/Shanghai", "zone: Asia/Shangai"),
        *("bad-value", "12:9", "'Asia/Shangai' is not a time zone", "did you mean `Asia/Shanghai`?"),
    ),
    Slip(
        *(CONFIG, "country: CN", "country: China"),
        *("bad-value", "11:12", "'China' is not a country", "did you mean `CN`?"),
    ),
    Slip(
        *(CONFIG, "Rival Sale: {expected: []}", "Rival Sale: {expcted: []}"),
        *("unknown-key", "146:16", "`expcted` is not a key of `Rival Sale`", "did you mean `expected`?"),
    ),
    Slip(
        *(CONCIERGE, "assign: owner", "assign: ownr"),
        *("unknown-colleague", "17:13", "there is no `ownr` among the people", "did you mean `owner`?"),
    ),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop that ships, in its own language only, which is read three times as fast."""
    folder = shops.shipped(tmp_path_factory.mktemp("slips") / "shop")
    for text in (folder / "templates").glob("[!_]*/*.*.*"):
        if ".zh-CN." not in text.name:
            text.unlink()
    assert findings(folder / CONFIG).problems == ()
    return folder


@pytest.mark.parametrize("slip", SLIPS, ids=[f"{one.file}: {one.new.strip()}" for one in SLIPS])
def test_a_slip_is_told_once_where_it_is_with_what_was_meant(shop: Path, slip: Slip) -> None:
    path = shop / slip.file
    right = path.read_text(encoding="utf-8")
    assert slip.old in right
    try:
        path.write_text(right.replace(slip.old, slip.new, 1), encoding="utf-8")
        told = findings(shop / CONFIG).problems
    finally:
        path.write_text(right, encoding="utf-8")

    assert [one.code for one in told] == [slip.code], told
    assert told[0].position.file.endswith(slip.file)
    assert f"{told[0].position.line}:{told[0].position.column}" == slip.place
    assert told[0].sentence.startswith(slip.sentence)
    assert told[0].hint.startswith(slip.cure)
