"""What docs/audience.md says is what the engine does: its examples are read and its worked example is worked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.audience import traits
from engine.audience.book import BUILT_IN, TraitKind, read_audience
from engine.audience.codes import CODES
from engine.audience.conditions import holds
from engine.audience.scores import scores_of
from engine.audience.terms import NIGHTLY
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Field, FieldKind, Money, Test, Word
from engine.settings import Scores, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "audience.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
NOW = datetime.fromisoformat("2026-11-22T12:00:00+00:00")
SETTINGS = Settings.model_validate(
    {
        "shop": {
            "name": "Lumen",
            "url": "https://shop.example.com",
            "zone": "Asia/Shanghai",
            "country": "CN",
            "locale": "zh-CN",
            "currency": "CNY",
        },
        "topics": {},
        "channels": {},
        "rates": {"USD": "7.10"},
    }
)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_can_be_read(text: str) -> None:
    assert read_audience(text, "audience.yaml", SETTINGS)[1] == []


def test_every_word_trait_score_setting_and_code_is_on_the_page() -> None:
    values = {value for score in scores_of(Scores()).values() for value in score.values}
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    named = " ".join(re.findall(r"`([^`\n]+)`", prose))
    expected = {*Word, *TraitKind, *BUILT_IN, *CODES, *Scores.model_fields, *Scores().money, *values}
    assert {word for word in expected if not re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", named)} == set()


def rows(header: str) -> Iterator[list[str]]:
    """The cells of the table with this header."""
    lines = PAGE[PAGE.index(header) :].splitlines()[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_worked_example_works() -> None:
    audience, _ = read_audience(EXAMPLES[0], "audience.yaml", SETTINGS)
    known_since = datetime.fromisoformat("2026-01-10T09:00:00+00:00")
    who = Person(1, "mei", ZoneInfo("Asia/Shanghai"), "zh-CN", "CN", known_since, {}, {"tier": "gold"})
    history = [
        Happening(number, name, datetime.fromisoformat(at), json.loads(payload), NOW)
        for number, (at, name, payload) in enumerate(rows("| at | event | payload |"))
    ]
    view = View(who, history, audience)
    told = {asked: answer for asked, answer, _ in rows("| asked | answer | because |")}
    assert len(history) == 7
    assert {asked: _answer(asked, view) for asked in told} == told
    assert {*audience.traits, *BUILT_IN - NIGHTLY} - {"last_order"} <= told.keys()


def _answer(asked: str, view: View) -> str:
    if asked.startswith("segment "):
        test = Test(Field(FieldKind.segment, "segment"), Word.is_, asked.removeprefix("segment ").strip("`"))
        return "yes" if holds(test, view, NOW) else "no"
    return _shown(traits.value(asked, view, NOW))


def _shown(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case Money(amount, currency):
            return f"{amount} {currency}"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)
