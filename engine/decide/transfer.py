"""From one version of a plan to another: where a person who stands here would stand there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.decide.draft import changed
from engine.decide.rounds import visit_of
from engine.decide.state import Enrolled, Round
from engine.journey.graph import Graph
from engine.journey.steps import RepeatStep


def place_in(graph: Graph, step: str | None, steps: Mapping[str, str]) -> str | None:
    """The step of the other version that `step` becomes: the one it is mapped to, or the one of its id."""
    there = step if step is None else steps.get(step, step)
    return there if there is None or there in graph.nodes else None


def transferred(way: Enrolled, graph: Graph, version_id: int, steps: Mapping[str, str], now: datetime) -> Enrolled:
    """The same way in another version, at the step that its own is mapped to. It is looked at next at once.

    When it arrived is kept, so what waits there counts from then. Rounds of a repeat are kept where the repeat is
    there too; who comes to stand inside of another one is in its first round.
    """
    step = place_in(graph, way.step, steps)
    known = {steps.get(name, name): one for name, one in way.rounds.items()}
    node = graph.nodes[step] if step is not None else None
    loops = node.loops if node is not None else ()
    rounds = {loop: known.get(loop) or Round(1, way.arrived_at) for loop in loops}
    if node is not None and isinstance(node.step, RepeatStep) and node.id in known:
        rounds[node.id] = known[node.id]
    return changed(
        way,
        version_id=version_id,
        step=step,
        visit=visit_of(loops, rounds),
        rounds=rounds,
        due_at=max(now, way.arrived_at),
    )
