"""Every journey in the documentation is read by the real reader, in the shop that ships."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import whole

from engine.app import build_app
from engine.journey.catalog import Names, read_journey
from engine.journey.lint import lint
from engine.journey.silence import hear, in_journey
from engine.settings import Policy
from engine.values import replace
from engine.work.publishing.drafts import load_drafts, names_of

HERE = Path(__file__).parents[2]
PAGES = sorted([*HERE.glob("README*.md"), *(HERE / "docs").rglob("*.md")])
Known = tuple[frozenset[str], Names, Policy]
BLOCK = re.compile(r"^```yaml (journey|head|steps)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> Iterator[tuple[str, str]]:
    """(where, a whole journey) of every marked block."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{page.relative_to(HERE)}:{line}", whole(found[1], found[2])


@pytest.fixture(scope="module")
def shop() -> Iterator[Known]:
    """Trait names, names and policy of the shop that ships."""
    app = build_app(HERE / "config.yaml", database="sqlite://", inert=True)
    drafts = load_drafts(app)
    names = replace(names_of(app, drafts.audience), webhooks=frozenset({"crm"}))  # in config.yaml it stands behind #
    yield drafts.audience.trait_names, names, app.policy
    app.close()


@pytest.mark.parametrize(("where", "text"), list(examples()), ids=lambda value: value if ".md:" in value[:60] else "")
def test_an_example_is_a_journey_without_mistakes(where: str, text: str, shop: Known) -> None:
    traits, names, policy = shop
    graph, problems = read_journey(text, where, "example", traits)
    assert graph is not None, [f"{one.position}: {one.sentence}" for one in problems]
    found = hear([*problems, *lint(graph, names, policy)], list(in_journey(graph)))
    assert [f"{one.position}: {one.sentence}" for one in found.problems] == []


def test_the_readme_shows_a_whole_journey_in_both_languages() -> None:
    shown = {where.partition(":")[0] for where, _ in examples()}
    assert {"README.md", "README.zh-CN.md", "docs/journeys.md"} <= shown
