"""Silencing: of the findings about a file, which are allowed by it, and what is wrong with what it allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.journey.allow import KEY
from engine.journey.codes import ASKED_OF_THE_DATABASE, CODES
from engine.journey.graph import Graph
from engine.journey.nearest import hint_for
from engine.journey.problems import Position, Problem, Severity
from engine.journey.yaml_text import Place, Sourced


@dataclass(frozen=True)
class Silence:
    """A code that is allowed, why, and where."""

    code: str
    reason: str
    position: Position  # of the code, where it is allowed
    everywhere: bool = False  # in all files, not only in this one
    places: frozenset[Place] | None = None  # in the file: only what stands at one of these

    def covers(self, problem: Problem) -> bool:
        """Is this finding meant by it?"""
        if problem.code != self.code:
            return False
        at = problem.position
        inside = self.places is None or (at.line, at.column) in self.places
        return self.everywhere or (at.file == self.position.file and inside)


@dataclass(frozen=True)
class Silenced:
    """A finding that is not told, and the reason an author gave."""

    problem: Problem
    reason: str


@dataclass(frozen=True)
class Heard:
    """What is left to tell, with what is wrong about the silences themselves; and what they keep from being told."""

    problems: tuple[Problem, ...]
    silenced: tuple[Silenced, ...] = ()


def in_file(sourced: Sourced, everywhere: bool = False) -> Iterator[Silence]:
    """What is allowed at the top of a file."""
    top = sourced.value.get(KEY) if isinstance(sourced.value, dict) else None
    if isinstance(top, dict):
        for code, reason in top.items():
            if isinstance(reason, str) and reason.strip():
                yield Silence(code, reason, sourced.at((KEY, code), key=True), everywhere)


def in_journey(graph: Graph) -> Iterator[Silence]:
    """What is allowed in a journey: in its head, and in single steps."""
    yield from in_file(graph.sourced)
    for node in graph.nodes.values():
        for code, reason in node.step.allow.items():
            at = graph.sourced.at((*node.path, KEY, code), key=True)
            yield Silence(code, reason, at, places=graph.sourced.places(node.path))


def hear(
    problems: Collection[Problem],
    silences: Sequence[Silence],
    known: Collection[str] = CODES,
    database: bool = False,
) -> Heard:
    """Take out what is allowed. `known` are all codes; `database`: those that need to look into it were looked for."""
    left: list[Problem] = []
    silenced: list[Silenced] = []
    used: dict[Silence, set[Severity]] = {one: set() for one in silences}
    for problem in problems:
        allowing = [one for one in silences if one.covers(problem)]
        for one in allowing:
            used[one].add(problem.severity)
        if allowing and problem.severity is Severity.warning:
            silenced.append(Silenced(problem, allowing[-1].reason))
        else:
            left.append(problem)
    for one, met in used.items():
        left += _about(one, met, known, database)
    return Heard(tuple(left), tuple(silenced))


def _about(one: Silence, met: Collection[Severity], known: Collection[str], database: bool) -> Iterator[Problem]:
    """What is wrong with a silence: no such code, nothing to silence, or an error."""
    told = Problem("", "", one.position, severity=Severity.warning)
    if one.code not in known:
        yield replace(
            told, code="unknown-code", sentence=f"there is no code `{one.code}`", hint=hint_for(one.code, known)
        )
    elif Severity.error in met:
        sentence = f"`{one.code}` is an error here, and errors cannot be allowed"
        hint = "mend what it is about, and take this out"
        yield replace(told, code="error-allowed", sentence=sentence, hint=hint, severity=Severity.error)
    elif not met and (database or one.code not in ASKED_OF_THE_DATABASE):
        sentence = f"nothing here brings up `{one.code}`, so there is nothing to allow"
        yield replace(told, code="unused-silence", sentence=sentence, hint="take it out")
