"""The most that a plan can say to one person, and what that costs: what is told before somebody agrees."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Connection

from engine.app import App
from engine.decide.state import Rules
from engine.journey.graph import Graph
from engine.journey.steps import ROUND, RepeatStep, SendStep
from engine.work.publishing.trial import most_parts


def longest_way(app: App, connection: Connection, rules: Rules, graph: Graph) -> tuple[int, Decimal]:
    """(most messages one person can get on any way through the plan, the most they can cost in the shop's currency).

    An SMS costs the parts in which the longest of its texts is sent.
    """
    known: dict[str, tuple[int, Decimal]] = {}
    parts = most_parts(app, rules.audience, graph, connection)

    def price(step: SendStep, name: str) -> Decimal:
        asked = app.settings.channels[name].price if name in app.settings.channels else None
        times = parts.get(step.send, 1) if name == "sms" else 1
        return asked.amount * times if asked else Decimal(0)

    def most(node_id: str | None, came_from: tuple[str, ...] = ()) -> tuple[int, Decimal]:
        if node_id is None or node_id in came_from:  # the end of the plan, or of a round
            return 0, Decimal(0)
        if node_id not in known:
            node = graph.nodes[node_id]
            targets = {*node.outcomes.values(), node.next}
            count, cost = 0, Decimal(0)
            match node.step:
                case SendStep() as step:
                    count, cost = 1, max(price(step, name) for name in step.via)
                case RepeatStep() as step:
                    first = graph.follow(node_id, ROUND)
                    messages, one_round = most(first, (*node.loops, node_id))
                    count, cost = messages * step.repeat.times, one_round * step.repeat.times
                    targets -= {first}
            onward = [most(target, node.loops) for target in targets]
            known[node_id] = count + max(one[0] for one in onward), cost + max(one[1] for one in onward)
        return known[node_id]

    return most(graph.start)
