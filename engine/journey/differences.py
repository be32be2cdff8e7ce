"""What one version of a plan says otherwise than another: keys of the head, and steps by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Literal

from engine.journey.graph import Graph, Node, StepPath, canonical
from engine.journey.source import Tree
from engine.journey.steps import Step

INNER = "..."  # stands for a list of steps inside of a step: each of them is told by itself

Kind = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise. `before` and `after` as they are written; None: not there, or not written."""

    kind: Kind
    step: str | None  # None: of the head
    key: str | None  # of the head or the step; None: the step itself
    before: str | None = None
    after: str | None = None


def differences(old: Graph, new: Graph) -> list[Difference]:
    """Everything that means something else in the new version, in the order in which it is written there."""
    return [*_of_the_head(old, new), *_of_the_steps(old, new)]


def _of_the_head(old: Graph, new: Graph) -> Iterator[Difference]:
    before, after = _mapping(old.sourced.value), _mapping(new.sourced.value)
    for name in type(new.head).model_fields:
        if name != "steps" and canonical(getattr(old.head, name)) != canonical(getattr(new.head, name)):
            yield _otherwise(None, name, before.get(name), after.get(name))


def _of_the_steps(old: Graph, new: Graph) -> Iterator[Difference]:
    moved = _moved(old, new)
    for name, node in new.nodes.items():
        before = old.nodes.get(name)
        if before is None:
            yield Difference("added", name, None, after=_told(new, node))
            continue
        if name in moved:
            yield Difference("moved", name, None, before=_place(old, before), after=_place(new, node))
        if _meaning(before.step) != _meaning(node.step):
            yield from _of_a_step(old, before, new, node)
    for name, node in old.nodes.items():
        if name not in new.nodes:
            yield Difference("removed", name, None, before=_told(old, node))


def _of_a_step(old: Graph, before: Node, new: Graph, after: Node) -> Iterator[Difference]:
    one, other = _own(old, before), _own(new, after)
    meant, means = _by_key(before.step), _by_key(after.step)
    for key in dict.fromkeys([*other, *one]):
        if one.get(key) != other.get(key) and (key not in means or meant.get(key) != means[key]):
            yield _otherwise(after.id, key, one.get(key), other.get(key))


def _otherwise(step: str | None, key: str, before: Tree | None, after: Tree | None) -> Difference:
    kind: Kind = "added" if before is None else "removed" if after is None else "changed"
    return Difference(kind, step, key, *(None if one is None else written(one) for one in (before, after)))


# --- a step without the steps inside of it ---------------------------------------------------------------------------


def _meaning(step: Step) -> Any:
    """What a step means by itself: the same when only steps inside of it are others."""

    def cut(value: Any) -> Any:
        match value:
            case dict():
                return {name: cut(part) for name, part in value.items()}
            case list():
                return INNER if any(isinstance(one, dict) and one.get("") in _STEPS for one in value) else value
        return value

    return cut(canonical(step))


def _by_key(step: Step) -> Mapping[str, Any]:
    """What each key of a step means, by the name under which it is written."""
    kinds = type(step).model_fields
    return {kinds[name].alias or name: canonical(value) for name, value in step}


_STEPS = frozenset(kind.__name__ for kind in Step.__subclasses__())


def _own(graph: Graph, node: Node) -> Mapping[str, Tree]:
    """What is written in a step, without the steps inside of it."""
    lists = {one.path[:-1] for one in graph.nodes.values()}
    return _mapping(_cut(_at(graph, node.path), node.path, lists))


def _cut(value: Tree, path: StepPath, lists: set[StepPath]) -> Tree:
    if path in lists:
        return INNER
    if isinstance(value, dict):
        return {key: _cut(one, (*path, key), lists) for key, one in value.items()}
    if isinstance(value, list):
        return [_cut(one, (*path, index), lists) for index, one in enumerate(value)]
    return value


def _at(graph: Graph, path: StepPath) -> Tree:
    value: Any = graph.sourced.value
    for element in path:
        value = value[element]
    found: Tree = value
    return found


def _told(graph: Graph, node: Node) -> str:
    """A step in one line."""
    own = {key: one for key, one in _own(graph, node).items() if key != "id" and one != INNER}
    return written(own)[1:-1]


# --- where a step stands ---------------------------------------------------------------------------------------------


def _container(graph: Graph, node: Node) -> tuple[str | None, StepPath]:
    """(the step it stands in, under which of its keys); at the top it stands in none."""
    inside = [one for one in graph.nodes.values() if len(one.path) < len(node.path) and _begins(node.path, one.path)]
    parent = max(inside, key=lambda one: len(one.path), default=None)
    if parent is None:
        return None, ()
    return parent.id, node.path[len(parent.path) : -1]


def _begins(path: StepPath, start: StepPath) -> bool:
    return path[: len(start)] == start


def _place(graph: Graph, node: Node) -> str:
    """Where it stands, in words: `after wait-6h`, `first in branch, case-1`."""
    index = int(node.path[-1])
    if index:
        before = next(one.id for one in graph.nodes.values() if one.path == (*node.path[:-1], index - 1))
        return f"after {before}"
    parent, keys = _container(graph, node)
    if parent is None:
        return "first"
    outcome = next((name for name, _, path in graph.nodes[parent].step.ways if path == keys), keys[-1])
    return f"first in {parent}, {outcome}"


def _moved(old: Graph, new: Graph) -> set[str]:
    """Steps of both versions that stand in another place among those of both."""
    here = {name: _container(new, node) for name, node in new.nodes.items() if name in old.nodes}
    there = {name: _container(old, old.nodes[name]) for name in here}
    moved = {name for name in here if here[name] != there[name]}
    stayed = [name for name in here if name not in moved]
    for _, names in groupby(sorted(stayed, key=lambda name: repr(here[name])), key=lambda name: repr(here[name])):
        group = set(names)
        one, other = ([name for name in graph.nodes if name in group] for graph in (old, new))
        blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
        moved |= group - {name for block in blocks for name in other[block.b : block.b + block.size]}
    return moved


# --- as it is written ------------------------------------------------------------------------------------------------


def written(value: Tree) -> str:
    """A value in one line of YAML, near enough to be read."""
    match value:
        case str():
            return value
        case dict():
            return "{" + ", ".join(f"{key}: {written(one)}" for key, one in value.items()) + "}"
        case _:
            return "[" + ", ".join(map(written, value)) + "]"


def _mapping(value: Tree | None) -> Mapping[str, Tree]:
    return value if isinstance(value, dict) else {}


def of_two_levels(before: Tree | None, after: Tree | None) -> list[Difference]:
    """What is otherwise in a file of named things by kind, such as audience.yaml."""
    one, other = _mapping(before), _mapping(after)
    found = []
    for kind in dict.fromkeys([*other, *one]):
        here, there = _mapping(other.get(kind)), _mapping(one.get(kind))
        found += [
            _otherwise(None, f"{kind}.{name}", there.get(name), here.get(name))
            for name in dict.fromkeys([*here, *there])
            if there.get(name) != here.get(name)
        ]
    return found
