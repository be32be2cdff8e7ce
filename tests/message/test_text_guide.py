"""The template guide says what is true: its examples load and can be written, and it lists every code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.journey.problems import Problem, Severity
from engine.message.codes import CODES
from engine.message.filters import FILTERS
from engine.message.render import Values
from engine.message.templates import Texts

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]

HERE = Path(__file__).parents[2]
GUIDE = (HERE / "docs" / "templates.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^`templates/([^`]+)`\n\n```\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))


def test_every_example_loads_and_can_be_written(load: Load, values: Callable[..., Values]) -> None:
    texts, problems = load(EXAMPLES)

    assert len(EXAMPLES) >= 8
    assert [problem for problem in problems if problem.severity is Severity.error] == []
    for (message, channel), forms in texts.forms.items():
        for locale in forms:
            assert texts.check(message, channel, locale, {"somebody": values(locale, marketing=False)}) == [], (
                message,
                channel,
                locale,
            )


def test_the_first_example_gives_what_the_guide_says(write_sms: Callable[..., Any]) -> None:
    said = re.search(r"^> (Hi Ann.*)$", GUIDE, re.MULTILINE)

    assert said is not None
    assert write_sms(EXAMPLES["thanks/sms.en.txt"]) == said[1]


def test_each_row_of_the_table_of_filters_is_true(write_sms: Callable[..., Any]) -> None:
    rows = re.findall(r"^\| `([^`]*\\\|[^`]*)` \| ([^|]+) \|", GUIDE, re.MULTILINE)

    assert len(rows) >= 9
    for expression, shown in rows:
        written = write_sms("{{ " + expression.replace("\\|", "|").replace("event.currency", "'EUR'") + " }}")
        expected = shown.strip().replace("€199.00", "€1,234.50")
        assert written.replace("\u202f", " ") == expected, expression


def test_the_guide_lists_every_code_and_every_code_is_one() -> None:
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| ", GUIDE.partition("## What check finds")[2], re.MULTILINE)

    assert listed == list(CODES)


def test_every_code_that_the_room_can_give_is_listed() -> None:
    room = HERE / "engine" / "message"
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(room.glob("*.py")) if path.name != "codes.py")
    given = set(
        re.findall(
            r"(?:Problem|note|RenderError)\(\s*(?:[\w.()]+, [\w.()]+, )?\"([a-z][a-z0-9]*(?:-[a-z0-9]+)+)\"", text
        )
    )

    assert given <= set(CODES)
    assert len(given) >= 30


def test_the_filters_that_the_guide_names_exist() -> None:
    named = set(re.findall(r"`(\w+)`", GUIDE.partition("Beside them: ")[2].partition("and a few more")[0]))

    assert named
    assert named <= set(FILTERS)
