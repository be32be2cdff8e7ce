"""A trait computed from events, with its two executions: over one person in memory, and as SQL for everyone.

Events after `now` do not exist. A window is (end - within, end]: what happened exactly `within` ago is outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, assert_never

from sqlalchemy import BigInteger, Double, FromClause, Integer, and_, cast, exists, func, literal, not_, select
from sqlmodel import UTCDateTime

from engine.audience.audience import Audience
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
    money_at,
    number_at,
    sql_fold,
    sql_meets,
    text_at,
)
from engine.audience.instants import earlier
from engine.audience.numbers import SCALE, units, whole
from engine.audience.tables import Micros, SecondsBefore, Whole, customer, event
from engine.audience.terms import Trait, TraitKind
from engine.audience.values import Happening
from engine.audience.view import View
from engine.journey.conditions import Test

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_DAY_MICROS = _DAY // _MICRO


def kind_of(trait: Trait, audience: Audience) -> Kind | None:
    """What a trait's value is; None where that is up to what the payload holds."""
    match trait.kind:
        case TraitKind.days_since_last | TraitKind.days_since_first | TraitKind.how_many | TraitKind.distinct:
            return Kind.number
        case TraitKind.median_gap | TraitKind.days_overdue:
            return Kind.number
        case TraitKind.sum | TraitKind.average | TraitKind.largest | TraitKind.smallest:
            return Kind.money if trait.key in audience.scores.money else Kind.number
        case TraitKind.first | TraitKind.last:
            if trait.key is None:
                return Kind.instant
            return Kind.money if trait.key in audience.scores.money else None
        case TraitKind.most_common:
            return Kind.text
        case _:
            assert_never(trait.kind)


# --- in memory


def operand(trait: Trait, view: View, now: datetime) -> Operand:
    """What a condition compares when it names this trait."""
    return _IN_MEMORY[trait.kind](trait, _counted(trait, view, now), view.audience, now)


def _counted(trait: Trait, view: View, now: datetime) -> Sequence[Happening]:
    """The events a trait looks at, oldest first."""
    end = view.latest(trait.until_last, now) if trait.until_last else now
    if end is None:
        return ()
    start = earlier(end, trait.within) if trait.within is not None else None
    after = view.latest(trait.unless_after, now) if trait.unless_after else None
    named = view.named(trait.event)
    plain = trait.where is None and after is None
    if plain and named and named[-1].at <= end and (start is None or named[0].at > start):
        return named  # all of them, most of the time
    return [
        one
        for one in named
        if one.at <= end
        and (start is None or one.at > start)
        and (after is None or one.at > after)
        and (trait.where is None or _payload_meets(trait, one.payload, view.audience, now))
    ]


def _payload_meets(trait: Trait, payload: Mapping[str, Any], audience: Audience, now: datetime) -> bool:
    assert trait.where is not None

    def leaf(test: Test) -> bool:
        return meets(Written(payload, test.field.name, audience, is_payload=True), test, audience, now)

    return fold(trait.where, leaf)


def _days(at: datetime, now: datetime) -> float:
    return ((now - at) // _DAY) * SCALE


def _measure(trait: Trait, audience: Audience) -> Kind:
    return Kind.money if trait.key in audience.scores.money else Kind.number


def _measured(trait: Trait, value: float | None, audience: Audience) -> Operand:
    return Single(_measure(trait, audience), value)


def _numbers(trait: Trait, found: Sequence[Happening], audience: Audience) -> list[float]:
    """The numbers at the key, in ten-thousandths. What is unknown does not count."""
    key = trait.key or ""
    read = money_at if key in audience.scores.money else number_at
    numbers = [read(one.payload, key, audience) for one in found]
    return [number for number in numbers if number is not None]


def _since(trait: Trait, found: Sequence[Happening], _: Audience, now: datetime) -> Operand:
    """Whole days since the first or the last of them."""
    place = 0 if trait.kind is TraitKind.days_since_first else -1
    return Single(Kind.number, _days(found[place].at, now) if found else None)


def _how_many(trait: Trait, found: Sequence[Happening], _: Audience, now: datetime) -> Operand:
    return Single(Kind.number, len(found) * SCALE)


def _different(trait: Trait, found: Sequence[Happening], audience: Audience, now: datetime) -> Operand:
    """How many different texts and numbers stand at the key; a text is never equal to a number."""
    values = [Written(one.payload, trait.key or "", audience, is_payload=True) for one in found]
    count = sum(len({one.view(kind) for one in values} - {None}) for kind in (Kind.text, Kind.number))
    return Single(Kind.number, count * SCALE)


def _sum(trait: Trait, found: Sequence[Happening], audience: Audience, now: datetime) -> Operand:
    return _measured(trait, sum(_numbers(trait, found, audience)), audience)


def _average(trait: Trait, found: Sequence[Happening], audience: Audience, now: datetime) -> Operand:
    numbers = _numbers(trait, found, audience)
    return _measured(trait, whole(sum(numbers) / len(numbers)) if numbers else None, audience)


def _largest(trait: Trait, found: Sequence[Happening], audience: Audience, now: datetime) -> Operand:
    return _measured(trait, max(_numbers(trait, found, audience), default=None), audience)


def _smallest(trait: Trait, found: Sequence[Happening], audience: Audience, now: datetime) -> Operand:
    return _measured(trait, min(_numbers(trait, found, audience), default=None), audience)


def _at_one(trait: Trait, found: Sequence[Happening], audience: Audience, now: datetime) -> Operand:
    """What the first or the last of them holds at the key, or without a key when it was."""
    one = (found[0] if trait.kind is TraitKind.first else found[-1]) if found else None
    if trait.key is None:
        return Single(Kind.instant, one.at if one else None)
    return Written(one.payload if one else {}, trait.key, audience, is_payload=True)


def _most_common(trait: Trait, found: Sequence[Happening], _: Audience, now: datetime) -> Operand:
    """Most often; among equals the one used last, and at the very same instant the one recorded last."""
    ranks: dict[str, tuple[int, datetime, int]] = {}
    for one in found:
        text = text_at(one.payload, trait.key or "")
        if text is not None:
            times, _at, number = ranks.get(text, (0, one.at, one.id))
            ranks[text] = (times + 1, one.at, max(number, one.id))  # the oldest come first
    return Single(Kind.text, max(ranks, key=ranks.__getitem__, default=None))


def _gap(trait: Trait, found: Sequence[Happening], _: Audience, now: datetime) -> Operand:
    return Single(Kind.number, _median_gap([one.at for one in found]))


def _overdue(trait: Trait, found: Sequence[Happening], _: Audience, now: datetime) -> Operand:
    gap = _median_gap([one.at for one in found])
    return Single(Kind.number, None if gap is None else _days(found[-1].at, now) - gap)


def _median_gap(instants: Sequence[datetime]) -> float | None:
    gaps = sorted((later - sooner) // _MICRO for sooner, later in pairwise(instants))
    if not gaps:
        return None
    middle = gaps[(len(gaps) - 1) // 2], gaps[len(gaps) // 2]
    return units(sum(middle) / 2 / _DAY_MICROS)


_IN_MEMORY: Mapping[TraitKind, Callable[[Trait, Sequence[Happening], Audience, datetime], Operand]] = {
    TraitKind.days_since_last: _since,
    TraitKind.days_since_first: _since,
    TraitKind.how_many: _how_many,
    TraitKind.distinct: _different,
    TraitKind.sum: _sum,
    TraitKind.average: _average,
    TraitKind.largest: _largest,
    TraitKind.smallest: _smallest,
    TraitKind.first: _at_one,
    TraitKind.last: _at_one,
    TraitKind.most_common: _most_common,
    TraitKind.median_gap: _gap,
    TraitKind.days_overdue: _overdue,
}


# --- as SQL


def sql_operand(trait: Trait, audience: Audience, now: datetime) -> SqlOperand:
    """The same, as expressions over `tables.customer`."""
    rows = _Rows(trait, audience, now)
    match trait.kind:
        case TraitKind.days_since_last:
            return Single(Kind.number, _sql_days(rows.one(func.max(rows.at)), now))
        case TraitKind.days_since_first:
            return Single(Kind.number, _sql_days(rows.one(func.min(rows.at)), now))
        case TraitKind.how_many:
            return Single(Kind.number, _sql_count(rows.one(func.count())))
        case TraitKind.distinct:
            different = func.count(rows.text.distinct()) + func.count(rows.number.distinct())
            return Single(Kind.number, _sql_count(rows.one(different)))
        case TraitKind.sum:
            total = func.coalesce(func.sum(rows.number), literal(0.0, Double()))
            return Single(_measure(trait, audience), rows.one(total))
        case TraitKind.average:
            mean = func.sum(rows.number) / func.nullif(cast(func.count(rows.number), Double), literal(0.0, Double()))
            return Single(_measure(trait, audience), rows.one(Whole(mean)))
        case TraitKind.largest:
            return Single(_measure(trait, audience), rows.one(func.max(rows.number)))
        case TraitKind.smallest:
            return Single(_measure(trait, audience), rows.one(func.min(rows.number)))
        case TraitKind.first if trait.key is None:
            return Single(Kind.instant, rows.one(func.min(rows.at)))
        case TraitKind.last if trait.key is None:
            return Single(Kind.instant, rows.one(func.max(rows.at)))
        case TraitKind.first:
            return rows.written(lambda view: rows.one(view, rows.at, rows.id))
        case TraitKind.last:
            return rows.written(lambda view: rows.one(view, rows.at.desc(), rows.id.desc()))
        case TraitKind.most_common:
            return Single(Kind.text, _sql_most_common(rows))
        case TraitKind.median_gap:
            return Single(Kind.number, _sql_median_gap(rows))
        case TraitKind.days_overdue:
            return Single(Kind.number, _sql_days(rows.one(func.max(rows.at)), now) - _sql_median_gap(rows))
        case _:
            assert_never(trait.kind)


class _Rows:
    """The events a trait looks at, for the customer of the surrounding query."""

    def __init__(self, trait: Trait, audience: Audience, now: datetime) -> None:
        self.trait, self.audience, self.now = trait, audience, now
        self.table: FromClause = event.alias()
        self.at: Sql = self.table.c.at
        self.id: Sql = self.table.c.id

    @property
    def number(self) -> Sql:
        return self.written(lambda view: view).row(Kind.number)

    @property
    def text(self) -> Sql:
        return self.written(lambda view: view).row(Kind.text)

    def written(self, lift: Callable[[Sql], Sql]) -> WrittenSql:
        """What the payload holds at the trait's key."""
        return WrittenSql(self.table.c.payload, self.trait.key or "", self.audience, is_payload=True, lift=lift)

    def one(self, value: Sql, *order: Sql) -> Sql:
        """A value over these events, or with an order the one at the first of them."""
        query = select(value).select_from(self.table).where(self.condition).correlate(customer)
        return (query.order_by(*order).limit(1) if order else query).scalar_subquery()

    @property
    def condition(self) -> Sql:
        trait, now = self.trait, _instant(self.now)
        end = _latest(trait.until_last, self.now) if trait.until_last else now
        parts = [*_of_customer(self.table, (trait.event,)), self.at <= end]
        if trait.within is not None:
            parts.append(self.at > self._start(trait.within))
        if trait.unless_after:
            voiding = event.alias()
            since = (*_of_customer(voiding, trait.unless_after), voiding.c.at >= self.at, voiding.c.at <= now)
            parts.append(not_(exists().where(*since).correlate(customer, self.table)))
        if trait.where is not None:
            parts.append(sql_fold(trait.where, self._leaf))
        return and_(*parts)

    def _start(self, within: timedelta) -> Sql:
        if not self.trait.until_last:
            return _instant(earlier(self.now, within))
        return SecondsBefore(_latest(self.trait.until_last, self.now), literal(int(within.total_seconds()), Integer()))

    def _leaf(self, test: Test) -> Sql:
        payload = WrittenSql(self.table.c.payload, test.field.name, self.audience, is_payload=True)
        return sql_meets(payload, test, self.audience, self.now)


def _of_customer(table: FromClause, names: Sequence[str]) -> tuple[Sql, ...]:
    name = table.c.name
    return table.c.customer_id == customer.c.id, name == names[0] if len(names) == 1 else name.in_(names)


def _instant(at: datetime) -> Sql:
    return literal(at, UTCDateTime())


def _latest(names: Sequence[str], now: datetime) -> Sql:
    table = event.alias()
    query = select(func.max(table.c.at)).where(*_of_customer(table, names), table.c.at <= _instant(now))
    return query.correlate(customer).scalar_subquery()


def _sql_count(number: Sql) -> Sql:
    return cast(number, Double) * literal(SCALE, Double())


def _sql_days(at: Sql, now: datetime) -> Sql:
    micros = literal((now - _EPOCH) // _MICRO, BigInteger()) - Micros(at)
    return cast(micros // literal(_DAY_MICROS, BigInteger()), Double) * literal(SCALE, Double())


def _sql_most_common(rows: _Rows) -> Sql:
    texts = (
        select(rows.text.label("text"), rows.at.label("at"), rows.id.label("id"))
        .select_from(rows.table)
        .where(rows.condition)
        .correlate(customer)
        .subquery()
    )
    rank = (func.count().desc(), func.max(texts.c.at).desc(), func.max(texts.c.id).desc())
    query = select(texts.c.text).where(texts.c.text.is_not(None)).group_by(texts.c.text).order_by(*rank).limit(1)
    return query.scalar_subquery()


def _sql_median_gap(rows: _Rows) -> Sql:
    """Number the gaps by length; the middle one, or the mean of the middle two."""
    before = func.lag(Micros(rows.at)).over(order_by=(rows.at, rows.id))
    steps = (
        select((Micros(rows.at) - before).label("gap"))
        .select_from(rows.table)
        .where(rows.condition)
        .correlate(customer)
        .subquery()
    )
    gap = steps.c.gap
    ranked = (
        select(
            gap.label("gap"),
            func.row_number().over(order_by=gap).label("place"),
            func.count().over().label("all"),
        )
        .where(gap.is_not(None))
        .subquery()
    )
    place, number = cast(ranked.c.place, Integer), cast(ranked.c.all, Integer)
    middle = place.in_(((number + 1) // literal(2, Integer()), (number + 2) // literal(2, Integer())))
    mean = cast(func.sum(ranked.c.gap), Double) / func.nullif(cast(func.count(), Double), literal(0.0, Double()))
    days = mean / literal(float(_DAY_MICROS), Double())
    return select(Whole(days * literal(SCALE, Double()))).select_from(ranked).where(middle).scalar_subquery()
