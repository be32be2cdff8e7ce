"""Rounds of a repeat as numbers: which time the plan stands on a step.

The number of a visit is made of the rounds of all repeats around the step, three digits each, the outermost first: 2 is
the second round, 2001 the first round of an inner repeat in the second round of the outer one. It depends on nothing
but the plan, and no two visits of one step are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.decide.state import Round

_DIGITS = 1_000  # more than a repeat may have rounds


def visit_of(loops: Sequence[str], rounds: Mapping[str, Round]) -> int:
    """The number of the visit of a step inside these repeats, in these rounds; 1 outside of any."""
    number = 0
    for loop in loops:
        number = number * _DIGITS + (rounds[loop].number if loop in rounds else 1)
    return number or 1


def rounds_of(visit: int, depth: int) -> tuple[int, ...]:
    """The rounds a visit of a step inside so many repeats is made of, the outermost first."""
    found: list[int] = []
    for _ in range(depth):
        visit, number = divmod(visit, _DIGITS)
        found.append(number)
    return tuple(reversed(found))
