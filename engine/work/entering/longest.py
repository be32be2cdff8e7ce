"""The most that a plan can say to one person, and what that costs: what is told before somebody agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from sqlalchemy import Connection

from engine.app import App
from engine.decide.price import dearest
from engine.decide.state import Rules
from engine.journey.graph import Graph
from engine.journey.parts import SMS
from engine.journey.steps import ROUND, RepeatStep, SendStep
from engine.work.publishing.trial import most_parts


@dataclass(frozen=True)
class Longest:
    """The most that a plan can say to one person."""

    messages: int
    _cost_in: Callable[[str], Decimal]

    def cost(self, countries: Mapping[str, int], people: int) -> Decimal:
        """The most that so many people can cost who are spread over countries as these are, in the shop's currency."""
        counted = sum(countries.values())
        total = sum((self._cost_in(country) * count for country, count in countries.items()), Decimal(0))
        return (total * people / counted).quantize(Decimal("0.01")) if counted else Decimal("0.00")


def longest_way(app: App, connection: Connection, rules: Rules, graph: Graph) -> Longest:
    """Of any way through the plan. An SMS costs the parts in which the longest of its texts is sent; each message what
    the dearest lane that serves the country takes."""
    parts = most_parts(app, rules.audience, graph, connection)

    @cache
    def cost_in(country: str) -> Decimal:
        def price(step: SendStep) -> Decimal:
            times = parts.get(step.send, 1)
            return max(dearest(app.settings, one, country) * (times if one == SMS else 1) for one in step.via)

        return _most(graph, price)

    return Longest(int(_most(graph, lambda _: Decimal(1))), cost_in)


def _most(graph: Graph, worth: Callable[[SendStep], Decimal]) -> Decimal:
    """The greatest sum of what the messages on one way are worth."""
    known: dict[str, Decimal] = {}

    def most(node_id: str | None, came_from: tuple[str, ...] = ()) -> Decimal:
        if node_id is None or node_id in came_from:  # the end of the plan, or of a round
            return Decimal(0)
        if node_id not in known:
            node, here = graph.nodes[node_id], Decimal(0)
            targets = {*node.outcomes.values(), node.next}
            match node.step:
                case SendStep() as step:
                    here = worth(step)
                case RepeatStep() as step:
                    first = graph.follow(node_id, ROUND)
                    here = most(first, (*node.loops, node_id)) * step.repeat.times
                    targets -= {first}
            known[node_id] = here + max(most(target, node.loops) for target in targets)
        return known[node_id]

    return most(graph.start)
