"""Scores that are worked out for everybody in one go, in the night, and kept until the next.

`rfm` is where somebody stands among all, `habit` where and when they answer. Here they are read as they are kept; how
they are worked out is in `engine.work.nightly`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Double, cast, literal, select

from engine.audience.compare import Kind, Single, Sql
from engine.audience.numbers import SCALE
from engine.audience.tables import customer, habit, rfm
from engine.audience.values import Person

#: by r, then by f from 1 to 5
SEGMENTS: Mapping[int, tuple[str, ...]] = {
    5: ("new", "potential_loyalist", "potential_loyalist", "champions", "champions"),
    4: ("promising", "potential_loyalist", "potential_loyalist", "loyal", "loyal"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    1: ("lost", "lost", "at_risk", "at_risk", "cannot_lose"),
}

_COLUMNS: Mapping[str, Sql] = {
    **{f"rfm.{name}": rfm.c[name] for name in ("r", "f", "m", "segment")},
    "best_channel": habit.c.channel,
    "best_hour": habit.c.hour,
}
_TEXTS = frozenset({"rfm.segment", "best_channel"})


def kind_of(name: str) -> Kind:
    """What the score is."""
    return Kind.text if name in _TEXTS else Kind.number


def values_of(name: str) -> tuple[str | int, ...] | None:
    """Every value it can have; None where that is up to the shop."""
    if name == "rfm.segment":
        return tuple(dict.fromkeys(segment for row in SEGMENTS.values() for segment in row))
    if name == "best_channel":
        return None
    return tuple(range(24)) if name == "best_hour" else (1, 2, 3, 4, 5)


def operand(name: str, person: Person) -> Single[str | float | None]:
    """What a condition compares when it names this score, in memory."""
    kept = person.scores.get(name)
    return Single(kind_of(name), kept * SCALE if isinstance(kept, int) else kept)


def sql_operand(name: str) -> Single[Sql]:
    """The same, over `tables.customer`."""
    column = _COLUMNS[name]
    found = select(column).where(column.table.c.customer_id == customer.c.id).correlate(customer).scalar_subquery()
    if kind_of(name) is Kind.number:
        return Single(Kind.number, cast(found, Double) * literal(SCALE, Double()))
    return Single(Kind.text, found)


def fifths(values: Sequence[float], by_name: Sequence[int]) -> bytearray:
    """For each place of `values` 1 to 5: they are put in a row, the smallest first, and the row is cut in five.

    Equal values stand in the order of `by_name`, which holds every place once. What is left over when the row is
    divided by five goes to the first fifths, one each.
    """
    found = bytearray(len(values))
    size, more = divmod(len(values), 5)
    fifth, until = 1, size + (more > 0)
    for number, place in enumerate(sorted(by_name, key=values.__getitem__)):
        if number == until:
            fifth, until = fifth + 1, until + size + (fifth < more)
        found[place] = fifth
    return found
