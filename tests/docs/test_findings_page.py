"""The page of findings: each example that is wrong brings up exactly the code it stands under, and each code exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import whole

from engine.app import build_app
from engine.cli.error_page import PARTS, page
from engine.cli.explained import codes, explanation, sections
from engine.journey.catalog import Names, read_journey
from engine.journey.lint import lint
from engine.settings import Policy
from engine.work.publishing.drafts import load_drafts

HERE = Path(__file__).parents[2]
WRONG = re.compile(r"^```yaml wrong (journey|head|steps)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Known = tuple[frozenset[str], Names, Policy]
TEXT = (HERE / "docs" / "findings.md").read_text(encoding="utf-8")


def examples() -> Iterator[tuple[str, str]]:
    """(code, a whole journey) of every example that is wrong."""
    for code, text in sections().items():
        for found in WRONG.finditer(text):
            yield code, whole(found[1], found[2])


@pytest.fixture(scope="module")
def shop() -> Iterator[Known]:
    """Trait names, names and policy of the shop that ships."""
    app = build_app(HERE / "config.yaml", database="sqlite://", inert=True)
    drafts = load_drafts(app)
    yield drafts.audience.trait_names, drafts.names, app.policy
    app.close()


@pytest.mark.parametrize(("code", "text"), list(examples()), ids=[code for code, _ in examples()])
def test_an_example_brings_up_what_it_stands_under_and_nothing_else(code: str, text: str, shop: Known) -> None:
    traits, names, policy = shop
    graph, problems = read_journey(text, "example.yaml", "example", traits)
    assert graph is not None, [one.sentence for one in problems]
    assert {one.code for one in lint(graph, names, policy)} == {code}


def test_every_part_of_the_page_is_about_a_code_and_no_code_has_two() -> None:
    written = re.findall(r"^### (.*)$", TEXT, re.MULTILINE)

    assert written == [f"`{code}`" for code in sections()]
    assert set(sections()) <= set(codes())
    assert len(sections()) > 15


def test_every_part_says_whether_it_is_an_error_or_a_warning() -> None:
    assert [code for code, text in sections().items() if not text.startswith(("An error", "A warning"))] == []


def test_the_list_of_mistakes_leads_to_the_page() -> None:
    assert all(f"(findings.md#{code})" in page() for code in sections())


def test_every_code_can_be_explained() -> None:
    every = [code for _, listed in PARTS for code in listed]

    assert all(str(explanation(code)).startswith(code) for code in every)
    assert explanation("unreachable-stp") is None


def test_every_warning_about_what_authors_write_has_a_part_of_its_own() -> None:
    written = (listed for title, listed in PARTS if title != "Files to import")
    warnings = {code for listed in written for code, sentence in listed.items() if "a warning" in sentence.lower()}

    assert sorted(warnings - set(sections())) == [], "write a part about each in docs/findings.md"
