"""A folder of journeys: each file alone, all findings in one run."""

from __future__ import annotations

import os
from pathlib import Path

from engine.journey.catalog import Names, load_catalog, read_journey
from engine.journey.lint import lint
from engine.settings import Policy

SOUND = "topic: care\nenter: {event: Order Completed}\nsteps: [{wait: 6h}]\n"


def write(folder: Path, **texts: str) -> Path:
    journeys = folder / "journeys"
    journeys.mkdir()
    for name, text in texts.items():
        (journeys / f"{name}.yaml").write_text(text, encoding="utf-8")
    return journeys


def test_one_mistake_does_not_silence_the_other_files(tmp_path: Path) -> None:
    folder = write(tmp_path, a="topic: [", b=SOUND, c="topic: care\n", d="- x\n")
    catalog = load_catalog(folder, frozenset())
    assert list(catalog.graphs) == ["b"]
    assert {problem.position.file for problem in catalog.problems} == {f"journeys/{name}.yaml" for name in "acd"}
    assert catalog.texts["b"] == SOUND
    assert sorted(catalog.texts) == ["a", "b", "c", "d"]


def test_the_audience_is_no_journey_and_hidden_files_are_left_alone(tmp_path: Path) -> None:
    folder = write(tmp_path, a=SOUND, audience="lists: {}\n")
    (folder / ".a.yaml").write_text("[")
    (folder / "codes").mkdir()
    (folder / "journey.schema.json").write_text("{}")
    catalog = load_catalog(folder, frozenset())
    assert (list(catalog.graphs), catalog.problems) == (["a"], ())


def test_a_journey_with_another_ending_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "thanks.yml").write_text(SOUND)
    (problem,) = load_catalog(folder, frozenset()).problems
    assert (problem.code, problem.hint) == ("wrong-ending", "name it thanks.yaml")


def test_a_folder_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    catalog = load_catalog(tmp_path / "journeys", frozenset())
    assert [problem.code for problem in catalog.problems] == ["unreadable-file"]


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (tmp_path / "secret.yaml").write_text(SOUND)
    (folder / "a.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "b.yaml").symlink_to("/dev/zero")
    os.mkfifo(folder / "c.yaml")
    catalog = load_catalog(folder, frozenset())
    assert catalog.graphs == {}
    assert [problem.code for problem in catalog.problems] == ["unreadable-file"] * 3


def test_a_stored_text_is_read_like_a_file() -> None:
    graph, problems = read_journey(SOUND, "journeys/thanks.yaml", "thanks", frozenset())
    assert problems == []
    assert graph is not None
    assert (graph.journey, graph.file, graph.whole) == ("thanks", "journeys/thanks.yaml", True)


def test_the_names_of_a_journey_with_mistakes_are_checked_in_the_same_run(
    tmp_path: Path, names: Names, policy: Policy
) -> None:
    text = (
        "topic: care\nenter: {event: Order Completed, wher: {total: 1}}\nleave: [{segment: gone}]\n"
        "steps:\n"
        "  - branch:\n"
        "      - if: {orders_12m: {at_leest: 2}}\n"
        "        then: [{give: no_such_pool}, {wait: soon}]\n"
        "  - task: call\n    queue: nowhere\n    due: 1d\n"
        "    outcomes: {done: [{sned: x}, {send: nothing, via: fax}]}\n"
    )
    catalog = load_catalog(write(tmp_path, a=text), names.traits)
    assert catalog.graphs == {}
    assert catalog.drafts["a"].whole is False
    told = [*catalog.problems, *lint(catalog.drafts["a"], names, policy)]
    assert sorted((problem.position.line, problem.code) for problem in told) == [
        (2, "unknown-key"),
        (3, "unknown-segment"),
        (6, "bad-word"),
        (7, "bad-duration"),
        (7, "unknown-pool"),
        (9, "unknown-queue"),
        (11, "unknown-channel"),
        (11, "unknown-message"),
        (11, "unknown-message"),
        (11, "unknown-verb"),
    ]


def test_a_misspelt_otherwise_is_one_mistake_and_its_steps_are_read(
    tmp_path: Path, names: Names, policy: Policy
) -> None:
    text = SOUND.replace(
        "steps: [{wait: 6h}]",
        "steps:\n"
        "  - branch:\n"
        "      - {if: {orders_12m: 1}, then: [{wait: 6h}]}\n"
        "      - {otherwize: [{send: nothing, via: email}]}\n",
    )
    catalog = load_catalog(write(tmp_path, a=text), names.traits)
    told = [*catalog.problems, *lint(catalog.drafts["a"], names, policy)]
    assert [problem.code for problem in told] == ["unknown-key", "unknown-message"]
    assert told[0].hint == "did you mean `otherwise`?"


def test_a_hundred_mistakes_are_told_and_the_rest_is_mentioned(tmp_path: Path) -> None:
    text = SOUND.replace("steps: [{wait: 6h}]", "steps:\n" + "  - wait: soon\n" * 150)
    problems = load_catalog(write(tmp_path, a=text), frozenset()).problems
    assert len(problems) == 101
    assert problems[-1].code == "too-many-problems"
