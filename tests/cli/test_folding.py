"""Long lines on a terminal are folded; where no person watches they stay whole."""

from __future__ import annotations

import io

import pytest

from engine.cli.show import Output, display_width, folded

SENTENCE = (
    "    2026-11-30 10:00  send-note  note is not sent: email: opted out of care by email  (journeys/note.yaml:5)"
)


class Terminal(io.StringIO):
    """A standard output that a person watches."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> str:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout", stream)
    out = Output()
    out.tell(SENTENCE)
    out.table(("number", "reason"), [(1, "the server was silent for longer than anybody would wait for it")])
    return stream.getvalue()


def test_on_a_terminal_a_long_line_is_folded_under_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert shown(monkeypatch, Terminal()).splitlines() == [
        "    2026-11-30 10:00  send-note  note is not sent: email:",
        "      opted out of care by email  (journeys/note.yaml:5)",
        "number  reason",
        "1       the server was silent for longer than anybody would",
        "        wait for it",
    ]


def test_a_table_wider_than_the_terminal_is_broken_before_the_same_column_in_every_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    Output().table(
        ("person", "journey", "reason"), [("p1", "after_purchase_of_a_gift", "no consent"), ("p2", "b", None)]
    )

    assert terminal.getvalue().splitlines() == [
        "person  journey",
        "    reason",
        "p1      after_purchase_of_a_gift",
        "    no consent",
        "p2      b",
    ]


def test_elsewhere_every_line_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO()).splitlines()[0] == SENTENCE


def test_chinese_is_folded_by_the_columns_it_takes_and_no_line_begins_with_what_closes() -> None:
    lines = folded("  消息没有发出：此人已退订，之后不再收到这一类消息。", 20, 4).split("\n")

    assert all(display_width(line) <= 22 for line in lines)
    assert all(line.startswith("    ") and line.strip()[0] not in "，。：" for line in lines[1:])
    assert "".join(line.strip() for line in lines) == "消息没有发出：此人已退订，之后不再收到这一类消息。"


def test_a_word_longer_than_the_terminal_is_left_whole() -> None:
    assert folded("see " + "x" * 50 + " there", 30, 2) == "see\n  " + "x" * 50 + "\n  there"
