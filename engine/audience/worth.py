"""Who goes first where not all may: all people in an order as SQL, the most of something first, else by a hash."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, case, func, literal, null

from engine.audience.audience import Audience
from engine.audience.compare import Kind, Sql, WrittenSql
from engine.audience.conditions import sql_operand_of
from engine.audience.tables import Chance, Micros, customer
from engine.journey.conditions import Field, Test, Word


def order_of(first: Field | None, audience: Audience, now: datetime, *names: str) -> tuple[Sql, ...]:
    """What to order by. Of whom it is not known, or is no number, they come last; equals by the hash of `names`."""
    chance = Chance(_told(*names))
    if first is None:
        return (chance,)
    worth = _worth(first, audience, now)
    return worth.is_(None), worth.desc(), chance


def _worth(field: Field, audience: Audience, now: datetime) -> Sql:
    """More is a larger number: an amount, a later instant, true."""
    operand = sql_operand_of(Test(field, Word.known, True), audience, now)
    if isinstance(operand, WrittenSql):
        return operand.view(Kind.number)
    match operand.kind:
        case Kind.number | Kind.money:
            return operand.value
        case Kind.instant:
            return Micros(operand.value)
        case Kind.truth:
            return case((operand.value, 1), else_=0)
        case Kind.text:
            return null()


def _told(*names: str) -> Sql:
    """The text whose hash is `engine.decide.split.chance` of these names and the shop's id of the person."""
    before = "".join(f"{len(name)}:{name}" for name in names)
    length = func.cast(func.length(customer.c.external_id), String())
    return literal(before, String()) + length + literal(":", String()) + customer.c.external_id
