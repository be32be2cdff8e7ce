"""What every check is given: one journey, the installation it is held against, and the ways that lead through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from engine.journey.catalog import Names
from engine.journey.graph import Graph, StepPath
from engine.journey.problems import Problem, Severity
from engine.settings import Policy


@dataclass(frozen=True)
class Subject:
    """One journey, and what it is held against."""

    graph: Graph
    names: Names
    policy: Policy

    def error(self, path: StepPath, code: str, sentence: str, hint: str = "", key: bool = False) -> Problem:
        """Something that certainly cannot work, at a place of the file (`key`: at the key that leads to it)."""
        return Problem(code, sentence, self.graph.sourced.at(path, key), hint)

    def warning(self, path: StepPath, code: str, sentence: str, hint: str = "", key: bool = False) -> Problem:
        """Something a colleague would ask about."""
        return Problem(code, sentence, self.graph.sourced.at(path, key), hint, Severity.warning)

    @cached_property
    def before(self) -> Mapping[str, tuple[str, ...]]:
        """For every step: those one may come from, without going round. In plan order, which leads forward."""
        found: dict[str, list[str]] = {self.graph.start: []} if self.graph.start else {}
        for node in self.graph.nodes:
            if node in found:
                for following in self.graph.onward(node):
                    if following is not None:
                        found.setdefault(following, []).append(node)
        return {node: tuple(dict.fromkeys(found[node])) for node in self.graph.nodes if node in found}


Check = Callable[[Subject], Iterator[Problem]]
