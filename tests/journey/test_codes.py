"""The list of codes is the truth: each is used, each that is used is listed, each has a sentence."""

from __future__ import annotations

import ast
from pathlib import Path

from engine.journey.codes import CODES
from engine.journey.lint import KINDS

ROOM = Path(__file__).parents[2] / "engine" / "journey"
RAISING = {"Problem", "fault", "Fault", "_Bad", "Misread", "error", "warning", "_problem", "_note", "_stop", "_refused"}
INTERNAL = {"several-faults"}  # never shown: it carries others


def written() -> set[str]:
    """Every text in this room that has the form of a code, but those of the list itself."""
    found = set()
    for path in ROOM.rglob("*.py"):
        if path.name != "codes.py":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def test_every_listed_code_is_used() -> None:
    assert set(CODES) - written() - {f"unknown-{kind}" for kind in KINDS} == set()


def test_every_code_that_is_used_is_listed() -> None:
    used = set()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in RAISING:
                used |= {value for value in map(_text, node.args[:4]) if value and _is_code(value)}
    assert used - INTERNAL <= set(CODES)
    assert len(used) > 50


def test_every_code_has_a_sentence_of_its_own() -> None:
    assert all(sentence.endswith(".") for sentence in CODES.values())
    assert len(set(CODES.values())) == len(CODES)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(argument: ast.expr) -> str | None:
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def _is_code(text: str) -> bool:
    return "-" in text and text.replace("-", "").isalnum() and text == text.lower() and " " not in text
