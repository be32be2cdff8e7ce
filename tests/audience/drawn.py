"""What people and questions the proof of one meaning is made of: whatever somebody sent, and whatever may be asked.

Who adds a kind of trait, a score or a field to the language adds it here: `KEYS_OF`, `SCORES`, `person_fields`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any as Anything
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from engine.audience import traits
from engine.audience.book import Audience, Trait, TraitKind
from engine.audience.instants import instant_of
from engine.audience.terms import BUILT_IN
from engine.audience.values import Happening, Person
from engine.audience.view import View
from engine.journey.conditions import Ago, All, Any, Condition, Field, FieldKind, Money, Not, Scalar, Test, Word
from engine.settings import Scores

NOW = datetime(2026, 11, 22, 9, 30, 15, 123456, tzinfo=UTC)
EVENTS = ("Order Completed", "Page Viewed", "Cart Updated", "Products Searched", "Complaint Filed")
KEYS = ("total", "items", "category", "currency", "voucher", "类别", "query")
CURRENCIES = ("CNY", "USD", "EUR", "XXX", "cny")
TAGS = ("vip", "early bird", "é.x", "礼品 😀", "a%_'b")
ATTRIBUTES = ("tier", "stars", "until", "note", "é.x")


def mostly(common: st.SearchStrategy[Anything], rare: st.SearchStrategy[Anything]) -> st.SearchStrategy[Anything]:
    """One time in six the rare one. (Naming a strategy twice in one_of does not make it likelier.)"""
    return st.sampled_from([common] * 5 + [rare]).flatmap(lambda chosen: chosen)


# --- people


@dataclass(frozen=True)
class Case:
    """A whole small world and questions about it."""

    people: tuple[View, ...]
    questions: tuple[Condition, ...]


texts = st.sampled_from(
    ["", "gold", "black", "CNY", "Gold", "otherSHOP", "3", "true", "礼品", "a%b_c", "'\"\\", "😀 x"]
)
instants_written = st.sampled_from(
    [
        "2026-11-21",
        "2026-11-22T09:30",
        "2026-11-22T09:30:15Z",
        "2026-11-22 09:30:15.999999",
        "2026-11-22T17:30:15.1+08:00",
        "2026-11-22T04:30:16-05:00",
        "2024-02-29",
        "2025-02-29",
        "2026-02-30",
        "2026-11-22T24:00:00",
        "2026-11-22T23:59:60",
        "2026-13-01",
        "1899-12-31",
        "2200-01-01",
        "now",
        "2451545",
        "2026-11-22T09:30:15+15:00",
        "2026-11-22T09:30:15.",
        "2026-11-22x",
        "2026-11-22Z",
        "２０２６-11-22",
    ]
)
numbers = st.one_of(
    st.integers(-3, 6),
    st.sampled_from([0.1, 0.3, 19.99, 1.00005, 1.00015, 2.5, 0.00004999, -0.00005, 99.99995, 141.98, 1e-300, 5e-324]),
    st.sampled_from(
        [10**15, 10**15 + 1, -(10**16), 10**30, 1e300, 2**53 + 1, -(2**63), 8613800138000, 450359962737.0497]
    ),
    st.floats(allow_nan=False, allow_infinity=False, width=32, min_value=-1e6, max_value=1e6),
    st.decimals(-1000, 1000, places=2).map(float),
)
json_values = st.one_of(
    texts, texts, instants_written, numbers, numbers, st.booleans(), st.none(), st.just([1, "a"]), st.just({"a": 1})
)
small_amounts = st.one_of(st.integers(-5, 500), st.decimals(-5, 500, places=2).map(float))
currencies = st.sampled_from([*CURRENCIES, "CNY", "USD", "EUR"])
payloads = st.fixed_dictionaries(
    {
        "total": mostly(small_amounts, json_values),
        "category": mostly(st.sampled_from(["candles", "kitchen", "茶"]), json_values),
        "类别": mostly(st.one_of(small_amounts, instants_written), json_values),
    },
    optional={
        "items": mostly(st.integers(0, 4), json_values),
        "currency": mostly(currencies, json_values),
        "voucher": st.one_of(st.just("WELCOME"), st.none()),
        "query": st.sampled_from(["othershop lamp", "lamp", "OTHERSHOP"]),
    },
)
WINDOWS = [timedelta(0), timedelta(hours=1)] + [timedelta(days=days) for days in (1, 3, 30, 365)]
#: on the very edges of windows and whole days, a hair to either side, and anywhere
moments = st.one_of(
    st.builds(
        lambda window, hair: NOW - window + timedelta(microseconds=hair),
        st.sampled_from(WINDOWS),
        st.sampled_from([0, 0, -1, 1]),
    ),
    st.timedeltas(timedelta(days=-9), timedelta(days=540)).map(lambda distance: NOW - distance),
    st.integers(0, 40).map(lambda days: NOW - timedelta(days=days, hours=days % 5)),
)


@st.composite
def people(draw: st.DrawFn, audience: Audience) -> tuple[View, ...]:
    count = draw(st.integers(1, 3))
    return tuple(draw(person(number, audience)) for number in range(1, count + 1))


standings = st.fixed_dictionaries(
    {
        **{name: st.integers(1, 5) for name in ("rfm.r", "rfm.f", "rfm.m")},
        "rfm.segment": st.sampled_from(["champions", "lost", "new"]),
    }
)
habits = st.fixed_dictionaries(
    {}, optional={"best_channel": st.sampled_from(["email", "sms"]), "best_hour": st.integers(0, 23)}
)


@st.composite
def person(draw: st.DrawFn, number: int, audience: Audience) -> View:
    who = Person(
        id=number,
        external_id=f"c{number}",
        zone=ZoneInfo(draw(st.sampled_from(["Asia/Shanghai", "Europe/Berlin"]))),
        locale=draw(st.sampled_from(["zh-CN", "en"])),
        country=draw(st.sampled_from(["CN", "DE", None])),
        created_at=draw(moments),
        attributes=draw(st.dictionaries(st.sampled_from(ATTRIBUTES), json_values, max_size=3)),
        tags=draw(st.frozensets(st.sampled_from(TAGS), max_size=2)),
        scores={**draw(st.one_of(standings, st.just({}))), **draw(habits)},
    )
    least = draw(st.sampled_from([0, 3]))
    names = st.sampled_from([*EVENTS, *EVENTS[:3], *EVENTS[:3]])
    happened = draw(st.lists(st.tuples(names, moments, payloads), min_size=least, max_size=6))
    happenings = tuple(
        Happening(number * 100 + place, name, at, payload, at) for place, (name, at, payload) in enumerate(happened)
    )
    return View(who, happenings, audience)


# --- questions

wanted_numbers = st.one_of(
    st.integers(-1, 6).map(Decimal),
    st.sampled_from(["0.1", "19.99", "1.0001", "2.5", "200", "1000000000000000", "9007199254740993"]).map(Decimal),
)
wanted_money = st.builds(
    Money,
    st.sampled_from(["0", "1", "19.99", "141.98", "200"]).map(Decimal),
    st.sampled_from(["CNY", "CNY", "USD", "XXX"]),
)
wanted_instants = st.one_of(
    st.sampled_from(WINDOWS).map(Ago),
    st.just(Ago(timedelta(days=3650))),
    moments,
    st.just(datetime(2024, 2, 29, tzinfo=UTC)),
)
wanted_texts = st.one_of(texts, st.sampled_from(["candles", "茶", "CN", "zh-CN", "core", "base", "lost", "silent"]))
scalars: st.SearchStrategy[Scalar] = st.one_of(
    wanted_texts, wanted_texts, wanted_numbers, wanted_money, wanted_instants, st.booleans()
)


@st.composite
def questions(draw: st.DrawFn, fields: st.SearchStrategy[Field]) -> Test:
    field, word = draw(fields), draw(st.sampled_from(list(Word)))
    match word:
        case Word.one_of | Word.none_of:
            some = st.lists(scalars, min_size=1, max_size=3).map(tuple)
            return Test(field, word, draw(st.one_of(some, some, st.sampled_from(["rivals", "colours"]))))
        case Word.between:
            ends = st.one_of(
                st.tuples(wanted_numbers, wanted_numbers),
                st.tuples(wanted_money, wanted_money),
                st.tuples(scalars, scalars),
            )
            return Test(field, word, draw(ends))
        case Word.known:
            return Test(field, word, draw(st.booleans()))
        case Word.contains | Word.starts_with:
            return Test(field, word, draw(wanted_texts))
        case Word.before | Word.after:
            return Test(field, word, draw(wanted_instants))
        case Word.at_least | Word.at_most | Word.above | Word.below:
            return Test(field, word, draw(st.one_of(wanted_numbers, wanted_numbers, wanted_money, wanted_instants)))
        case _:
            return Test(field, word, draw(scalars))


@st.composite
def trees(draw: st.DrawFn, leaves: st.SearchStrategy[Test], depth: int = 2) -> Condition:
    shape = draw(st.sampled_from(["leaf", "leaf", "leaf", "not", "all", "any"])) if depth else "leaf"
    if shape == "leaf":
        return draw(leaves)
    if shape == "not":
        return Not(draw(trees(leaves, depth - 1)))
    parts = tuple(draw(trees(leaves, depth - 1)) for _ in range(draw(st.integers(0, 3))))
    return All(parts) if shape == "all" else Any(parts)


event_fields = st.sampled_from(KEYS).map(lambda key: Field(FieldKind.event, key))
wheres: st.SearchStrategy[Condition | None] = mostly(st.none(), trees(questions(event_fields)))
some_events = st.lists(st.sampled_from(EVENTS), min_size=1, max_size=2).map(tuple)
NUMBERS, TEXTS, ANYTHING = ("total", "items", "类别"), ("category", "类别", "voucher"), (None, *KEYS)
KEYS_OF = {
    TraitKind.distinct: KEYS,
    TraitKind.sum: NUMBERS,
    TraitKind.average: NUMBERS,
    TraitKind.largest: NUMBERS,
    TraitKind.smallest: NUMBERS,
    TraitKind.most_common: TEXTS,
    TraitKind.first: ANYTHING,
    TraitKind.last: ANYTHING,
}


@st.composite
def written_traits(draw: st.DrawFn) -> Trait:
    kind = draw(st.sampled_from(list(TraitKind)))
    return Trait(
        kind,
        draw(mostly(st.just("Order Completed"), st.sampled_from(EVENTS))),
        draw(st.sampled_from(KEYS_OF.get(kind, (None,)))),
        draw(st.one_of(st.none(), st.sampled_from([window for window in WINDOWS if window >= timedelta(days=3)]))),
        draw(wheres),
        draw(mostly(st.just(()), some_events)),
        draw(mostly(st.just(()), some_events)),
    )


SCORES = tuple(sorted(BUILT_IN))
ANY = Trait(TraitKind.how_many, "Page Viewed")


def audience_of(one: Trait, other: Trait, core_spend: bool) -> Audience:
    money = Money(Decimal(100), "USD") if core_spend else None
    return Audience(
        traits={"one": one, "other": other},
        segments={
            "silent": Test(Field(FieldKind.trait, "churn_stage"), Word.is_, "lost"),
            "big": Test(Field(FieldKind.trait, "one"), Word.at_least, Decimal(1)),
        },
        lists={"rivals": ("othershop", "lamp"), "colours": ("gold", "candles", "茶")},
        scores=Scores(core_spend=money, core_orders=3, hesitating_visits=2, service_complaints=1, voucher_orders=1),
        rates={"USD": Decimal("7.1"), "EUR": Decimal("8.2")},
        currency="CNY",
    )


person_fields = st.one_of(
    st.sampled_from([*ATTRIBUTES, "country", "locale", "zone", "created_at"]).map(
        lambda n: Field(FieldKind.attribute, n)
    ),
    st.sampled_from(["one", "other", *SCORES]).map(lambda name: Field(FieldKind.trait, name)),
    st.sampled_from(["one", "other"]).map(lambda name: Field(FieldKind.trait, name)),
)
segment_tests = st.builds(
    Test,
    st.just(Field(FieldKind.segment, "segment")),
    st.sampled_from([Word.is_, Word.is_not]),
    st.sampled_from(["silent", "big"]),
) | st.builds(
    Test,
    st.just(Field(FieldKind.segment, "segment")),
    st.sampled_from([Word.one_of, Word.none_of]),
    st.just(("silent", "big")),
)


tag_tests = st.builds(
    lambda word, tags: Test(
        Field(FieldKind.tag, "tag"), word, tags if word in (Word.one_of, Word.none_of) else tags[0]
    ),
    st.sampled_from([Word.is_, Word.is_not, Word.one_of, Word.none_of]),
    st.lists(st.sampled_from(TAGS), min_size=1, max_size=2).map(tuple),
)
plain_leaves: st.SearchStrategy[Test] = st.one_of(
    questions(person_fields), questions(person_fields), questions(person_fields), segment_tests, tag_tests
)
audiences = st.builds(audience_of, written_traits(), written_traits(), st.booleans())
score_tests = st.builds(
    Test,
    st.sampled_from(SCORES).map(lambda name: Field(FieldKind.trait, name)),
    st.sampled_from([Word.is_, Word.is_not]),
    st.sampled_from(
        ["core", "growth", "lost", "hesitating", "service", "rival", "price", "revived", "declining", "mature", "new"]
    ),
)


@st.composite
def near(draw: st.DrawFn, views: tuple[View, ...]) -> Test:
    """A question whose answer lies at or beside the very value somebody has."""
    field, view = draw(person_fields), draw(st.sampled_from(views))
    value = draw(beside(_scalar_of(field, view)))
    words: dict[type, tuple[Word, ...]] = {
        str: (Word.is_, Word.is_not, Word.one_of, Word.none_of, Word.contains, Word.starts_with),
        datetime: (Word.is_, Word.is_not, Word.before, Word.after, Word.at_least, Word.at_most),
        bool: (Word.is_, Word.is_not, Word.none_of),
        Ago: (Word.before, Word.after, Word.is_),
    }
    order = (Word.at_least, Word.at_most, Word.above, Word.below)
    word = draw(st.sampled_from(words.get(type(value), (*order, Word.is_, Word.is_not, Word.one_of, Word.between))))
    if word in (Word.one_of, Word.none_of):
        return Test(field, word, (value, draw(scalars)))
    if word is Word.between:
        return Test(field, word, draw(st.permutations([value, draw(beside(value))]).map(tuple)))
    return Test(field, word, value)


def _scalar_of(field: Field, view: View) -> Scalar | None:
    if field.kind is FieldKind.trait:
        found: Anything = traits.value(field.name, view, NOW)
    elif field.name == "created_at":
        found = view.person.created_at
    else:
        found = view.person.attributes.get(field.name, getattr(view.person, field.name, None))
    if isinstance(found, str):
        return instant_of(found) or found
    if isinstance(found, int | float) and not isinstance(found, bool):
        return Decimal(repr(found))
    return found if isinstance(found, Decimal | Money | datetime | bool) else None


def beside(value: Scalar | None) -> st.SearchStrategy[Scalar]:
    steps = st.sampled_from([Decimal(step) for step in ("0", "0", "0.0001", "-0.0001", "0.00005", "1", "-1")])
    match value:
        case None:
            return scalars
        case Decimal():
            return steps.map(lambda step: value + step)
        case Money(amount, currency):
            return steps.map(lambda step: Money(amount + step, currency))
        case datetime():
            hairs = st.integers(-1, 1).map(lambda hair: value + timedelta(microseconds=hair))
            return (
                st.one_of(hairs, hairs.filter(lambda at: at <= NOW).map(lambda at: Ago(NOW - at)))
                if value < NOW
                else hairs
            )
        case _:
            return st.one_of(st.just(value), scalars)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    views = draw(people(draw(audiences)))
    leaves = st.one_of(plain_leaves, near(views))
    return Case(views, (draw(trees(leaves)), draw(trees(leaves))))


@st.composite
def scored_cases(draw: st.DrawFn) -> Case:
    return Case(draw(people(audience_of(ANY, ANY, draw(st.booleans())))), (draw(score_tests),))
