"""What is left of a file with mistakes when they are cut out: enough to check the names it speaks of in the same run.

Cutting keeps every index, so that positions stay right. What is salvaged is linted, never published or run.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.journey.source import Sourced

HOLE = "unreadable"  # stands where a name could not be read; nobody complains about it

_ROUNDS = 12
_STEP_LISTS = ("steps", "then", "otherwise")
_LAST_RESORT: dict[str, Any] = {"topic": HOLE, "enter": {"event": HOLE}, "steps": [{"exit": HOLE}]}

M = TypeVar("M", bound=BaseModel)
Keys = tuple[str | int, ...]


def salvage(model: type[M], sourced: Sourced, context: Mapping[str, Any]) -> M | None:
    """The model of what can be understood, None when that is nothing."""
    if not isinstance(sourced.value, dict):
        return None
    tree = copy.deepcopy(sourced.value)
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(tree, context=dict(context))
        except ValidationError as error:
            for one in reversed(error.errors(include_url=False, include_input=False)):
                _cut(tree, one["loc"], one["type"])
    return None


def _cut(tree: dict[str, Any], loc: Sequence[str | int], kind: str) -> None:
    """Take away the smallest piece that the mistake is in."""
    path = _real(tree, loc)
    if kind == "missing" and len(path) == 0:
        tree.setdefault(str(loc[-1]), _LAST_RESORT.get(str(loc[-1]), HOLE))
    elif not path:
        _cut_head(tree)
    elif kind == "extra_forbidden" or (kind != "missing" and not _is_step(path)):
        _remove(tree, path)
    else:
        _hollow(tree, path)


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
    if not isinstance(path[-1], int) or len(path) < 2:
        return False
    return path[-2] in _STEP_LISTS or (len(path) > 2 and path[-3] == "outcomes")


def _remove(tree: Any, path: Keys) -> None:
    owner = _at(tree, path[:-1])
    if path[-1] == "if":
        owner["if"] = {}
    else:
        owner.pop(path[-1])
        if isinstance(owner, list) and not owner and len(path) > 1:
            _remove(tree, path[:-1])


def _hollow(tree: Any, path: Keys) -> None:
    """Put an empty step in place of the nearest one that holds the mistake; without one, drop the key of the head."""
    for length in range(len(path), 1, -1):
        if _is_step(path[:length]):
            _at(tree, path[: length - 1])[path[length - 1]] = {"id": _hole_id(path[:length]), "wait": "0s"}
            return
    tree.pop(path[0], None)


def _cut_head(tree: dict[str, Any]) -> None:
    """A mistake of the head as a whole: leave the keys that only make sense together."""
    for key in ("approve", "rollout", "again", "leave"):
        tree.pop(key, None)


def _hole_id(path: Keys) -> str:
    return "-".join([HOLE, *(str(element) for element in path if isinstance(element, int))])


def _at(tree: Any, path: Keys) -> Any:
    for element in path:
        tree = tree[element]
    return tree
