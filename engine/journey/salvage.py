"""What is left of a file with mistakes when they are cut out: enough to check the names it speaks of in the same run.

Cutting keeps every index, so that positions stay right. What is salvaged is linted, never published or run.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.journey.mistakes import ABOUT_WORDS, meant_instead, problems_of
from engine.journey.problems import Problem
from engine.journey.source import MAX_PROBLEMS, Sourced

HOLE = "unreadable"  # stands where a name could not be read; nobody complains about it

_ROUNDS = 20
_STEP_LISTS = ("steps", "then", "otherwise")
_LAST_RESORT: dict[str, Any] = {"topic": HOLE, "enter": {"event": HOLE}, "steps": [{"exit": HOLE}]}
_SPANS = ("within", "due")

M = TypeVar("M", bound=BaseModel)
Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Salvaged(Generic[M]):
    """What can be understood of a file, and the mistakes that others hid."""

    model: M | None = None  # None when that is nothing
    sourced: Sourced | None = None  # the file with misspelt keys as they were meant, for the places of names
    problems: tuple[Problem, ...] = ()


def salvage(
    model: type[M], sourced: Sourced, context: Mapping[str, Any], told: Collection[Problem] = ()
) -> Salvaged[M]:
    """Cut out what is wrong until the rest is sound. `told` are the mistakes that are known already."""
    if not isinstance(sourced.value, dict):
        return Salvaged()
    wreck = _Wreck(model, sourced, copy.deepcopy(sourced.value))
    known = {problem.position for problem in told}
    hidden: list[Problem] = []
    for number in range(_ROUNDS):
        try:
            found = model.model_validate(wreck.tree, context=dict(context))
            return Salvaged(found, wreck.sourced, tuple(hidden))
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if number:
                own = [one for one in errors if wreck.is_own(one)]
                fresh = [one for one in problems_of(model, wreck.sourced, own) if one.position not in known]
                known.update(problem.position for problem in fresh)
                hidden += fresh
            for one in reversed(errors):
                wreck.cut(one)
    return Salvaged(problems=tuple(hidden))


class _Wreck:
    """The tree of a file while it is cut, and where it was."""

    def __init__(self, model: type[BaseModel], sourced: Sourced, tree: dict[str, Any]) -> None:
        self.model = model
        self.sourced = sourced
        self.tree = tree
        self.touched: set[Keys] = set()
        self.filled: set[Keys] = set()
        self.renamed: set[Keys] = set()
        self.doubtful: set[Keys] = set()  # what a cut further down may be the reason for
        self.misspelt = 0
        self.numbers = count()

    def is_own(self, error: ErrorDetails) -> bool:
        """Is this a mistake of the author's, and not of the cutting?"""
        path = _real(self.tree, error["loc"])
        if error["type"] == "missing" or path in self.renamed:
            return False
        place = path[:-1] if error["type"] == "extra_forbidden" else path
        return place not in self.doubtful and not any(place[:length] in self.touched for length in range(len(place)))

    def _touch(self, path: Keys) -> None:
        """A cut may be the reason for what is wrong around it, as far as the step it is in."""
        self.touched.add(path)
        for length in range(len(path), -1, -1):
            self.doubtful.add(path[:length])
            if _is_step(path[:length]):
                break

    def cut(self, error: ErrorDetails) -> None:
        """Take away the smallest piece that the mistake is in."""
        loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
        if kind == "missing":
            self._fill(_real(self.tree, loc[:-1]), str(loc[-1]))
            return
        for inner in [fault.path for fault in context.get("faults", ())] or [context.get("path", ())]:
            path = _real(self.tree, (*loc, *inner))
            if not self._as_meant(path, error):
                self._cut_at(path if kind != "unknown-verb" else path[:-1], kind)

    def _as_meant(self, path: Keys, error: ErrorDetails) -> bool:
        """A misspelt key is read as the one it was meant to be, of as many as are told."""
        if not path or self.misspelt >= MAX_PROBLEMS:
            return False
        meant = meant_instead(self.model, error)
        self.misspelt += error["type"] in ABOUT_WORDS
        owner = _at(self.tree, path[:-1])
        if meant is None or meant in owner or not isinstance(owner, dict):
            return False
        items = [(meant if key == path[-1] else key, value) for key, value in owner.items()]
        owner.clear()
        owner.update(items)
        self.sourced = self.sourced.renamed(path, meant)
        self.renamed.add((*path[:-1], meant))
        return True

    def _cut_at(self, path: Keys, kind: str) -> None:
        if not path:
            self._cut_head()
        elif _is_step(path) and kind != "extra_forbidden":
            self._hollow(path)
        else:
            self._remove(path)

    def _fill(self, owner: Keys, key: str) -> None:
        """Put something harmless where a key is missing; where that does not help either, give up the step."""
        path = (*owner, key)
        if path in self.filled or not isinstance(_at(self.tree, owner), dict):
            self._hollow(owner)
            return
        self._touch(path)
        self.filled.add(path)
        _at(self.tree, owner).setdefault(key, self._filling(path))

    def _filling(self, path: Keys) -> Any:
        key = str(path[-1])
        if len(path) == 1:
            return copy.deepcopy(_LAST_RESORT.get(key, HOLE))
        if key in _STEP_LISTS:
            return [{"id": self._name(), "wait": "0s"}]
        if key == "outcomes":
            return {HOLE: [{"id": self._name(), "wait": "0s"}]}
        return "1d" if key in _SPANS else self._name()

    def _name(self) -> str:
        """A name that stands nowhere else: the ids of steps are made of names."""
        return f"{HOLE}-{next(self.numbers)}"

    def _remove(self, path: Keys) -> None:
        owner, last = _at(self.tree, path[:-1]), path[-1]
        again = path in self.touched
        self._touch(path)
        if last == "if":
            owner["if"] = {}
        elif (last == "id" or isinstance(owner, list)) and not again:
            owner[last] = self._name()
        else:
            owner.pop(last)
            if isinstance(owner, list) and not owner and len(path) > 1:
                self._remove(path[:-1])

    def _hollow(self, path: Keys) -> None:
        """Put an empty step in place of the nearest one that holds the mistake; else drop the key of the head."""
        for length in range(len(path), 1, -1):
            step = path[:length]
            if _is_step(step):
                _at(self.tree, step[:-1])[step[-1]] = {"id": self._name(), "wait": "0s"}
                self._touch(step)
                return
        if path:
            self._touch(path[:1])
            self.tree.pop(str(path[0]), None)

    def _cut_head(self) -> None:
        """A mistake of the head as a whole: leave the keys that only make sense together."""
        for key in ("approve", "rollout", "again", "leave"):
            self._touch((key,))
            self.tree.pop(key, None)


def _real(tree: Any, loc: Sequence[str | int]) -> Keys:
    """The part of a path that leads somewhere in the tree."""
    path: list[str | int] = []
    for element in loc:
        if _leads(tree, element):
            tree = tree[element]
            path.append(element)
    return tuple(path)


def _leads(tree: Any, element: str | int) -> bool:
    if isinstance(tree, list):
        return isinstance(element, int) and element < len(tree)
    return isinstance(tree, dict) and element in tree


def _is_step(path: Keys) -> bool:
    """Does the path lead to an item of a list of steps?"""
    if len(path) < 2 or not isinstance(path[-1], int):
        return False
    return path[-2] in _STEP_LISTS or (len(path) > 2 and path[-3] == "outcomes")


def _at(tree: Any, path: Keys) -> Any:
    for element in path:
        tree = tree[element]
    return tree
