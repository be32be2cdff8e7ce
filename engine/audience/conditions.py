"""What a condition means, once over a person in memory and once as SQL for all: `holds` and `as_sql` say the same.

A comparison with something unknown is false and its `not` is true; counts of nothing are 0.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from sqlalchemy import String, case, false, literal, not_, or_

from engine.audience import nightly, reckon
from engine.audience.audience import Audience, names_of
from engine.audience.compare import (
    Kind,
    Operand,
    Single,
    Sql,
    SqlOperand,
    Written,
    WrittenSql,
    fold,
    meets,
    sql_fold,
    sql_meets,
)
from engine.audience.numbers import SCALE
from engine.audience.scores import Score
from engine.audience.tables import JsonKnown, customer
from engine.audience.terms import ALWAYS_KEPT, NIGHTLY
from engine.audience.view import View
from engine.errors import BadInput
from engine.journey.conditions import Condition, FieldKind, Test, Word
from engine.journey.quantities import WEEKDAYS

__all__ = ["View", "as_sql", "holds", "operand_of", "sql_operand_of"]


def holds(condition: Condition, view: View, now: datetime) -> bool:
    """Does the condition hold for this person, as of `now`?"""
    return fold(condition, lambda test: _test_holds(test, view, now))


def as_sql(condition: Condition, audience: Audience, now: datetime) -> Sql:
    """The condition over `tables.customer`, as of `now`: true or false for every row, never NULL.

    BadInput when it asks for the event at hand, a message or the clock: those exist for one person at one moment only.
    """
    return sql_fold(condition, lambda test: _sql_test(test, audience, now))


# --- in memory


def _test_holds(test: Test, view: View, now: datetime) -> bool:
    match test.field.kind:
        case FieldKind.segment:
            inside = any(holds(view.audience.segment(name), view, now) for name in names_of(test))
            return inside is not _is_denied(test)
        case FieldKind.tag:
            return any(name in view.person.tags for name in names_of(test)) is not _is_denied(test)
        case FieldKind.message:
            return _message_meets(test, view)
        case FieldKind.attribute | FieldKind.trait | FieldKind.event | FieldKind.now:
            return meets(operand_of(test, view, now), test, view.audience, now)
        case _:
            assert_never(test.field.kind)


def operand_of(test: Test, view: View, now: datetime) -> Operand:
    """What the field of a test stands for."""
    name = test.field.name
    match test.field.kind:
        case FieldKind.trait:
            score = view.audience.score(name)
            if score is not None:
                return Single(Kind.text, _scored(score, view, now))
            if name in NIGHTLY:
                return nightly.operand(name, view.person)
            return reckon.operand(view.audience.trait(name), view, now)
        case FieldKind.event:
            return Written(view.event or {}, name, view.audience, is_payload=True)
        case FieldKind.now:
            return _clock(name, view, now)
        case _:
            return _kept(name, view)


def _kept(name: str, view: View) -> Operand:
    person = view.person
    match name:
        case "country":
            return Single(Kind.text, person.country)
        case "locale":
            return Single(Kind.text, person.locale)
        case "zone":
            return Single(Kind.text, person.zone.key)
        case "external_id":
            return Single(Kind.text, person.external_id)
        case "created_at":
            return Single(Kind.instant, person.created_at)
        case _:
            return Written(person.attributes, name, view.audience, is_payload=False)


def _scored(score: Score, view: View, now: datetime) -> str | None:
    return next((value for value, rule in score.cases if holds(rule, view, now)), score.otherwise)


def _clock(name: str, view: View, now: datetime) -> Operand:
    """The person's own clock."""
    local = now.astimezone(view.person.zone)
    if name == "weekday":
        return Single(Kind.text, WEEKDAYS[local.weekday()])
    return Single(Kind.number, local.hour * SCALE)


def _message_meets(test: Test, view: View) -> bool:
    """What became of a message; one that was never sent is unknown."""
    became = (view.messages or {}).get(test.field.name)
    if became is None:
        return test.word is Word.known and test.value is False
    if test.word is Word.known:
        return test.value is True
    return any(word in became for word in names_of(test)) is not _is_denied(test)


def _is_denied(test: Test) -> bool:
    return test.word in (Word.is_not, Word.none_of)


# --- as SQL


def _sql_test(test: Test, audience: Audience, now: datetime) -> Sql:
    match test.field.kind:
        case FieldKind.segment:
            inside = or_(false(), *(as_sql(audience.segment(name), audience, now) for name in names_of(test)))
            return not_(inside) if _is_denied(test) else inside
        case FieldKind.tag:
            tagged = or_(false(), *(JsonKnown(customer.c.tags, name) for name in names_of(test)))
            return not_(tagged) if _is_denied(test) else tagged
        case FieldKind.attribute | FieldKind.trait:
            return sql_meets(sql_operand_of(test, audience, now), test, audience, now)
        case FieldKind.event | FieldKind.message | FieldKind.now:
            raise BadInput(
                f"`{test.field.kind.value}.{test.field.name}` is known for one person at one moment only;"
                " a segment or a wave cannot ask for it"
            )
        case _:
            assert_never(test.field.kind)


def sql_operand_of(test: Test, audience: Audience, now: datetime) -> SqlOperand:
    """What the field of a test stands for, as SQL."""
    name = test.field.name
    if test.field.kind is FieldKind.trait:
        score = audience.score(name)
        if score is not None:
            return Single(Kind.text, sql_scored(score, audience, now))
        if name in NIGHTLY:
            return nightly.sql_operand(name)
        return reckon.sql_operand(audience.trait(name), audience, now)
    if name == "created_at":
        return Single(Kind.instant, customer.c.created_at)
    if name in ALWAYS_KEPT:
        return Single(Kind.text, customer.c[name])
    return WrittenSql(customer.c.attributes, name, audience, is_payload=False)


def sql_scored(score: Score, audience: Audience, now: datetime) -> Sql:
    """The value of a built-in score."""
    cases = [(as_sql(rule, audience, now), literal(value, String())) for value, rule in score.cases]
    return case(*cases, else_=literal(score.otherwise, String()))
