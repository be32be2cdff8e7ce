"""Reading YAML: every text stays as written, every place is known, and no text does any harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from engine.journey.catalog import Names, read_journey
from engine.journey.problems import Position
from engine.journey.source import MAX_DEPTH, MAX_NODES, Sourced, read, read_file, validate

SHIPPED = Path(__file__).parents[2] / "journeys"


def place(sourced: Sourced, *path: str | int, key: bool = False) -> tuple[int, int]:
    at = sourced.at(path, key=key)
    return at.line, at.column


def test_every_scalar_stays_the_text_that_was_written() -> None:
    text = "a: 22:00\nb: NO\nc: 010010\nd: +8613800138000\ne: 1e3\nf: ~\ng: 2026-11-22\nh: 'yes'\ni: 0x1F\nj:\n"
    assert read(text, "f").value == {
        **{"a": "22:00", "b": "NO", "c": "010010", "d": "+8613800138000", "e": "1e3"},
        **{"f": "~", "g": "2026-11-22", "h": "yes", "i": "0x1F", "j": ""},
    }


def test_keys_and_values_know_their_place() -> None:
    sourced = read("title: 'a'\nsteps:\n  - wait: 6h\n  - {send: thanks, via: [sms, email]}\n", "f")
    assert place(sourced, "title") == (1, 8)
    assert place(sourced, "title", key=True) == (1, 1)
    assert place(sourced, "steps", 0) == (3, 5)
    assert place(sourced, "steps", 0, "wait") == (3, 11)
    assert place(sourced, "steps", 1, "via", key=True) == (4, 20)
    assert place(sourced, "steps", 1, "via", 1) == (4, 31)


def test_what_is_not_there_is_found_at_its_nearest_ancestor() -> None:
    sourced = read("steps:\n  - wait: 6h\n", "f")
    assert place(sourced, "steps", 0, "within") == (2, 5)
    assert place(sourced, "steps", 7) == (2, 3)
    assert place(sourced) == (1, 1)


def test_tags_in_a_path_of_pydantic_are_stepped_over() -> None:
    sourced = read("steps:\n  - send: thanks\n    via: [sms]\n", "f")
    assert place(sourced, "steps", 0, "<send>", "via", 0) == (3, 11)


def test_a_byte_order_mark_and_windows_line_ends_do_not_shift_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbftitle: a\r\nowner: b\r\n")
    sourced = read_file(path)
    assert sourced.value == {"title": "a", "owner": "b"}
    assert place(sourced, "owner") == (2, 8)


def test_bytes_that_are_no_utf8_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"title: a\nowner: " + "größe".encode("latin-1"))
    (problem,) = read_file(path, "journeys/a.yaml").problems
    assert problem.code == "not-utf8"
    assert problem.position == Position("journeys/a.yaml", 2, 10)
    assert "0xf6" in problem.sentence


def test_a_file_that_cannot_be_opened_is_a_finding(tmp_path: Path) -> None:
    (problem,) = read_file(tmp_path / "gone.yaml", "gone.yaml").problems
    assert (problem.code, problem.sentence) == (
        "unreadable-file",
        "gone.yaml cannot be read: no such file or directory",
    )


def test_a_file_above_one_megabyte_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: " + b"x" * 1_000_000)
    assert [problem.code for problem in read_file(path).problems] == ["too-large"]
    assert [problem.code for problem in read("a: " + "中" * 400_000, "f").problems] == ["too-large"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 100, "too-deep"),
        ("- " * 100 + "a", "too-deep"),
        ("".join(" " * level + "a:\n" for level in range(MAX_DEPTH + 5)), "too-deep"),
        ("- a\n" * (MAX_NODES + 5), "too-many-nodes"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "alias-refused"),
        ("%YAML 1.1\n---\na: 1\n", "not-yaml"),
        ("a: \x07\n", "control-character"),
        ("a: \ud800\n", "control-character"),
        ("", "empty-file"),
        ("---\n", "empty-file"),
    ],
)
def test_what_might_do_harm_is_refused(text: str, code: str) -> None:
    assert {problem.code for problem in read(text, "f").problems} == {code}


@pytest.mark.parametrize(
    ("steps", "line", "column", "sentence"),
    [
        ("  -wait: 6h\n  - exit: a\n", 2, 3, "a space is missing after this dash"),
        ("  - wait: 6h\n  -exit: a\n", 3, 3, "a space is missing after this dash"),
        ("    wait: 6h\n\n  # then\n  - exit: a\n", 2, 5, "a dash is missing here"),
        ("  wait: 6h\n- exit: a\n", 2, 3, "a dash is missing here"),
        ("  - wait: 6h\n   - exit: a\n", 3, 4, "this line does not fit the indent of the lines above it"),
    ],
)
def test_a_dash_that_is_forgotten_or_too_tight_is_told_at_its_line(
    steps: str, line: int, column: int, sentence: str
) -> None:
    (problem,) = read(f"steps:\n{steps}", "f").problems
    assert (problem.position.line, problem.position.column, problem.sentence) == (line, column, sentence)


def test_an_anchor_is_refused_once_by_itself_or_by_its_alias() -> None:
    assert [problem.position.column for problem in read("a: &x 6h\n", "f").problems] == [4]
    assert [problem.position.line for problem in read("a: &x 6h\nb: *x\n", "f").problems] == [2]


def test_the_deepest_and_largest_that_is_allowed_is_read() -> None:
    assert read("[" * (MAX_DEPTH - 1) + "a" + "]" * (MAX_DEPTH - 1), "f").problems == ()
    assert len(read("- a\n" * (MAX_NODES - 1), "f").value or ()) == MAX_NODES - 1


_HEAD = "topic: care\nenter: {event: A}\nsteps:\n"
_HUGE = {
    "one long word": "a: " + "x" * 999_000,
    "many words": "a: " + "x " * 499_000,
    "many lines of one text": "a: |\n" + "  x\n" * 240_000,
    "many escapes": 'a: "' + "\\n" * 499_000 + '"',
    "only blank lines": "\n" * 999_000,
    "only comments": "# x\n" * 240_000,
    "open brackets": "[" * 999_000,
    "open quotes": "'" * 999_000,
    "aliases": "[" + "*a," * 300_000,
    "verbs that do not exist": _HEAD + "".join(f"  - wiat{i}: 6h\n" for i in range(6_600)),
    "keys that do not exist": _HEAD + "  - wait: 6h\n" + "".join(f"    key{i}: x\n" for i in range(9_900)),
    "words that do not compare": _HEAD
    + "  - branch: [{then: [], if: {"
    + ", ".join(f"a{i}: {{at_lest{i}: 3}}" for i in range(4_900))
    + "}}]\n",
    "ids that are equal": _HEAD + "  - wait: 6h\n" * 6_600,
    "wishes": _HEAD + "  - send: a\n    via: [" + ", ".join(f"c{i}" for i in range(19_000)) + "]\n",
}


@pytest.mark.parametrize("text", _HUGE.values(), ids=_HUGE)
def test_no_text_keeps_anyone_waiting(text: str) -> None:
    start = time.process_time()
    read_journey(text, "f", "f", frozenset())
    assert time.process_time() - start < 3


_PIECES = [
    *(
        "[",
        "]",
        "{",
        "}",
        ":",
        ": ",
        "- ",
        "\n",
        "  ",
        "\t",
        "'",
        '"',
        "|",
        ">",
        "&a ",
        "*a",
        "!!x ",
        "#",
        "? ",
        "%",
        ",",
    ),
    *(
        "steps:",
        "enter: ",
        "event: A",
        "topic: care",
        "wait: 6h",
        "send: thanks",
        "via: [sms]",
        "branch:",
        "if: ",
        "then: ",
    ),
    *(
        "otherwise: ",
        "any: ",
        "not: ",
        "between: ",
        "{ago: 30d}",
        "999999w",
        "1e999",
        "null",
        "\x00",
        "\ud800",
        "\u2028",
    ),
    *("within: 2d", "outcomes: ", "variants: ", "split: a", "50%", "2026-13-45", "0001-01-01T00:00:00+14:00", "中文"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join) | st.text(max_size=80))
def test_no_text_is_answered_with_a_traceback(text: str) -> None:
    graph, problems = read_journey(text, "f", "f", frozenset())
    assert (graph is None) == bool(problems)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_shipped_journey_damaged_anywhere_is_still_answered(data: st.DataObject, names: Names) -> None:
    text = data.draw(st.sampled_from([path.read_text("utf-8") for path in sorted(SHIPPED.glob("*.yaml"))]))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 15)))
        text = text[:start] + data.draw(st.sampled_from(["", *_PIECES])) + text[end:]
    graph, problems = read_journey(text, "f", "f", names.traits)
    assert (graph is None) == bool(problems)
    assert all(1 <= problem.position.line <= text.count("\n") + 2 for problem in problems)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str = "red"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: dict[str, Inner | None] = {}
    count: int = 0


def test_any_model_gets_its_mistakes_at_their_line_with_the_nearest_word() -> None:
    sourced = read("count: many\ninner:\n  a: {color: blue}\n  b: {colour: [x]}\nzzz: 3\n", "config.yaml")
    model, problems = validate(Outer, sourced)
    assert model is None
    assert [(p.code, p.position.line, p.position.column, p.hint) for p in problems] == [
        ("expected-number", 1, 8, "write `count: 50`"),
        ("unknown-key", 3, 7, "did you mean `colour`?"),
        ("expected-text", 4, 15, "write `colour: text`"),
        ("unknown-key", 5, 1, "there are: count, inner"),
    ]


def test_a_sound_text_becomes_its_model() -> None:
    model, problems = validate(Outer, read("count: 3\ninner: {a: {colour: blue}}\n", "config.yaml"))
    assert problems == []
    assert model == Outer(count=3, inner={"a": Inner(colour="blue")})
