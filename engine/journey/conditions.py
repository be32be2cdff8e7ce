"""Conditions as values: a small tree, and how it is written. What a condition means is in `engine.audience`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Annotated, Literal, cast

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from engine.journey.meant import day_meant
from engine.journey.quantities import WEEKDAYS, Misread, parse_days, parse_duration, parse_money, parse_tag
from engine.journey.quantities import Money as Money
from engine.journey.source import MAX_PROBLEMS, THERE_ARE, Fault, faults, hint_for


class FieldKind(StrEnum):
    """What a name in a condition stands for."""

    attribute = "attribute"  # kept about the person (country, tier, locale, or any imported attribute)
    trait = "trait"  # computed from events: one of audience.yaml or built in (churn_stage, value_tier, churn_reason)
    segment = "segment"  # membership of a named segment; the value is the segment's name
    tag = "tag"  # a tag of the person; the value is the tag
    event = "event"  # a key of the payload of the event at hand
    message = "message"  # what became of a message of this journey: one of RESPONSES
    now = "now"  # weekday (mon..sun) and hour (0..23) on the person's own clock


@dataclass(frozen=True)
class Field:
    kind: FieldKind
    name: str  # of a segment test always "segment", of tags "tag": they are its values


class Word(StrEnum):
    """The comparing words. A comparison with something unknown is false; its `not` is true."""

    is_ = "is"
    is_not = "is_not"
    one_of = "one_of"
    none_of = "none_of"
    at_least = "at_least"
    at_most = "at_most"
    above = "above"
    below = "below"
    between = "between"
    contains = "contains"
    starts_with = "starts_with"
    known = "known"
    before = "before"
    after = "after"


@dataclass(frozen=True)
class Ago:
    """An instant told as a distance back from now."""

    distance: timedelta


Scalar = str | Decimal | Money | bool | datetime | Ago


@dataclass(frozen=True)
class Test:
    """One field held against one value.

    `one_of` and `none_of` hold a tuple, or the name of a list of audience.yaml as text; `between` a tuple of two (both
    ends count); `known` a bool; `before` and `after` a datetime or Ago; the others one scalar.
    """

    __test__ = False  # not a pytest class

    field: Field
    word: Word
    value: Scalar | tuple[Scalar, ...]
    path: tuple[str | int, ...] = dataclass_field(default=(), compare=False, repr=False)  # inside its condition


@dataclass(frozen=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Any:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    part: Condition


Condition = Test | All | Any | Not
EVERYONE = All(())

Scope = Literal["person", "event"]
#: what is kept about every person beside the attributes that were imported
ALWAYS_KEPT = ("country", "locale", "zone", "external_id", "created_at")
RESPONSES = ("sent", "delivered", "opened", "clicked", "replied", "bounced", "complained")


def tests_of(condition: Condition | None) -> Iterator[Test]:
    """Every single test inside a condition."""
    match condition:
        case Test():
            yield condition
        case All(parts) | Any(parts):
            for part in parts:
                yield from tests_of(part)
        case Not(part):
            yield from tests_of(part)


def ambiguous(name: str, what: str) -> str:
    """What is said of a bare name in the condition of an event that the person has too."""
    of = "" if what.startswith("kept") else " of the person"
    return f"`{name}` is {what}{of} and could be a key of the event as well"


def hint_ambiguous(name: str) -> str:
    return f"write `event.{name}` for the event's, `person.{name}` for the person's"


class ConditionError(ValueError):
    """A condition that cannot be read. `faults` holds every mistake with its path inside the condition."""

    def __init__(self, found: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(one.sentence for one in found))
        self.faults = found

    @property
    def path(self) -> tuple[str | int, ...]:
        """Where the first mistake is."""
        return self.faults[0].path


def parse_condition(value: object, scope: Scope, traits: frozenset[str]) -> Condition:
    """A mapping as written -> Condition. In scope `event` a bare name is a key of the payload, else the person's.

    Raises ConditionError with all mistakes at once.
    """
    reader = _Reader(scope, traits)
    condition = reader.mapping(value, ())
    if reader.faults:
        raise ConditionError(tuple(reader.faults))
    return condition


def parse_field(key: str, traits: frozenset[str]) -> Field:
    """What a name stands for: something about a person (`tier`, `orders_12m`), or a key of the event at hand."""
    try:
        return _Reader("person", traits)._field(key, ())
    except _Bad as bad:
        raise ConditionError((bad.fault,)) from None


def parse_scalar(text: str) -> str | Decimal | bool:
    """What stands in a file as people mean it: 5 is a number, `true` is true, 010010 and `20 CNY` are texts."""
    if text in ("true", "false"):
        return text == "true"
    return Decimal(text) if _NUMBER.fullmatch(text) else text


_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,10})?")  # 010010 and +86... are texts
_ALMOST_MONEY = re.compile(r"[0-9.]+\s?[A-Za-z¥€$£元]+|[¥€$£]\s?[0-9.]+")
_MONEY = re.compile(r"[0-9]+(\.[0-9]+)?\s?[A-Z]{3}")
_MEASURES = (Word.at_least, Word.at_most, Word.above, Word.below)
_WORDS = tuple(word.value for word in Word)
_MEANT = {  # as other tools and programs call them
    **dict.fromkeys(("min", "minimum", "gte", "ge", "from", "not_below", "no_less_than", ">="), "at_least"),
    **dict.fromkeys(("max", "maximum", "lte", "le", "to", "up_to", "not_above", "no_more_than", "<="), "at_most"),
    **dict.fromkeys(("gt", "more_than", "greater_than", "greater", "over", "larger_than", "exceeds", ">"), "above"),
    **dict.fromkeys(("lt", "less_than", "less", "under", "fewer_than", "smaller_than", "<"), "below"),
    **dict.fromkeys(("eq", "equal", "equals", "equal_to", "equals_to", "same_as", "=", "=="), "is"),
    **dict.fromkeys(("ne", "neq", "not", "not_equal", "not_equals", "isnt", "unequal", "!=", "<>"), "is_not"),
    **dict.fromkeys(("in", "any_of", "any", "either", "is_one_of", "is_in", "or"), "one_of"),
    **dict.fromkeys(("not_in", "nin", "none", "not_one_of", "except", "not_any_of"), "none_of"),
    **dict.fromkeys(("includes", "include", "has", "contain", "substring"), "contains"),
    **dict.fromkeys(("begins_with", "startswith", "begins", "prefix"), "starts_with"),
    **dict.fromkeys(("exists", "is_set", "set", "present", "defined", "is_known"), "known"),
    **dict.fromkeys(("since", "later_than", "newer_than", "is_after"), "after"),
    **dict.fromkeys(("until", "earlier_than", "older_than", "is_before"), "before"),
    **dict.fromkeys(("range", "in_range"), "between"),
}
_UNSAID = {  # what no one word says
    **dict.fromkeys(("not_contains", "does_not_contain", "excludes"), "write `not: {field: {contains: ...}}`"),
    **dict.fromkeys(("unknown", "missing", "empty", "is_null", "null", "not_set", "is_empty"), "write `known: false`"),
    **dict.fromkeys(
        ("ends_with", "endswith", "suffix", "regex", "matches", "like"), THERE_ARE + ", ".join(sorted(_WORDS))
    ),
}
_IN_SIGNS = re.compile(r"(>=|<=|==|!=|<>|>|<|=)\s*([^\s<>=].*)")
_SENTENCE = re.compile(r"([\w.]+)\s*(>=|<=|==|!=|<>|>|<|=)\s*([^\s<>=][^{}\[\]<>=]*)")
_JOINED = {"or": "any", "either": "any", "any_of": "any", "and": "all", "both": "all", "all_of": "all"}
_CALLED = {"segments": "segment", "in_segment": "segment", "tags": "tag", "weekday": "now.weekday", "hour": "now.hour"}
_SPAN_OF_TIME = re.compile(r"[0-9]{1,6}\s?[smhdw]")
Path = tuple[str | int, ...]


class _Bad(Exception):
    """One mistake, on its way to the list."""

    def __init__(self, code: str, sentence: str, hint: str = "", path: Path = (), key: bool = False) -> None:
        super().__init__(sentence)
        self.fault = Fault(code, sentence, hint, path, key)


class _Reader:
    """Reads one condition and gathers what is wrong in it."""

    def __init__(self, scope: Scope, traits: frozenset[str]) -> None:
        self.scope = scope
        self.traits = traits
        self.faults: list[Fault] = []

    def mapping(self, value: object, path: Path) -> Condition:
        """All lines of a mapping must hold."""
        if not isinstance(value, dict):
            hint = _in_signs(value) or "write `field: value` lines"
            self.faults.append(Fault("expected-mapping", "a condition should stand here", hint, path))
            return EVERYONE
        parts = tuple(part for key, inner in value.items() for part in self._line(str(key), inner, (*path, key)))
        return parts[0] if len(parts) == 1 else All(parts)

    def _line(self, key: str, value: object, path: Path) -> tuple[Condition, ...]:
        if len(self.faults) > MAX_PROBLEMS:
            return ()
        if key in ("any", "all"):
            parts = self._list(value, path, key)
            return (Any(parts) if key == "any" else All(parts),)
        if key == "not":
            return (Not(self.mapping(value, path)),)
        if (join := _JOINED.get(key)) and isinstance(value, list) and all(isinstance(item, dict) for item in value):
            sentence = f"`{key}` does not join conditions here"
            self.faults.append(Fault("unknown-field", sentence, f"did you mean `{join}`?", path, True))
            return ()
        try:
            return self._tests(self._field(key, path), value, path)
        except _Bad as bad:
            self.faults.append(bad.fault)
            return ()

    def _list(self, value: object, path: Path, key: str) -> tuple[Condition, ...]:
        if not isinstance(value, list) or not value:
            hint = f"write `{key}: [{{...}}, {{...}}]`"
            self.faults.append(Fault("expected-list", f"`{key}` takes a list of conditions", hint, path))
            return ()
        return tuple(self.mapping(item, (*path, index)) for index, item in enumerate(value))

    # fields

    def _field(self, key: str, path: Path) -> Field:
        if self.scope == "event" and (what := self._of_the_person(key)):
            raise _Bad("ambiguous-name", ambiguous(key, what), hint_ambiguous(key), path, True)
        if key in self.traits:
            return Field(FieldKind.trait, key)
        if key == "segment":
            return Field(FieldKind.segment, "segment")
        if key in ("tag", "person.tag"):
            return Field(FieldKind.tag, "tag")
        prefix, dot, rest = key.partition(".")
        if self.scope == "person" and (meant := _CALLED.get(key)):
            hint = f"did you mean `{meant}`? An attribute of that name is `person.{key}`"
            raise _Bad("unknown-field", f"`{key}` is no field of a condition", hint, path, True)
        if not dot:
            return Field(FieldKind.event if self.scope == "event" else FieldKind.attribute, _plain(key, path))
        return self._dotted(prefix, rest, key, path)

    def _of_the_person(self, key: str) -> str:
        """What a bare name stands for when it is the person's; empty where it is nothing that is known of."""
        if key in self.traits:
            return "a trait"
        return "a tag" if key == "tag" else "kept about every person" if key in ALWAYS_KEPT else ""

    def _dotted(self, prefix: str, rest: str, key: str, path: Path) -> Field:
        if prefix == "person":
            return Field(FieldKind.trait if rest in self.traits else FieldKind.attribute, _plain(rest, path))
        if prefix == "event":
            return Field(FieldKind.event, _plain(rest, path))
        if prefix == "message":
            return Field(FieldKind.message, _plain(rest, path))
        if prefix == "now":
            if rest not in ("weekday", "hour"):
                raise _Bad("unknown-field", f"`{key}` does not exist", "there are: now.hour, now.weekday", path, True)
            return Field(FieldKind.now, rest)
        known = [*self.traits, "now.weekday", "now.hour", f"event.{rest}", f"message.{rest}", f"person.{rest}"]
        raise _Bad("unknown-field", f"`{key}` is no field of a condition", hint_for(key, known), path, True)

    # values

    def _tests(self, field: Field, value: object, path: Path) -> tuple[Condition, ...]:
        if isinstance(value, list):
            return (_test(field, Word.one_of, value, path, path),)
        if not isinstance(value, dict):
            if value in ("null", "~"):
                hint = "write `{known: false}` for who has none; the word itself is `{is: " + f"{value}}}`"
                raise _Bad("empty-value", f"`{path[-1]}` is compared with nothing", hint, path)
            return (_test(field, Word.is_, value, path, path),)
        if not value:
            raise _Bad(
                "bad-word", f"nothing is said about `{path[-1]}`", "write a value, or a word such as at_least", path
            )
        tests: list[Condition] = []
        for word, inner in islice(value.items(), MAX_PROBLEMS):
            try:
                tests.append(_test(field, _word(str(word), (*path, word)), inner, (*path, word), path))
            except _Bad as bad:
                self.faults.append(bad.fault)
        return tuple(tests)


def _test(field: Field, word: Word, value: object, path: Path, line: Path) -> Test:
    """A test whose value stands at `path`, in the line of a condition at `line`."""
    if field.kind in (FieldKind.message, FieldKind.segment, FieldKind.tag) or field == Field(FieldKind.now, "weekday"):
        return Test(field, *_closed(field, word, value, path), line)
    found = _value(word, value, path)
    if field == Field(FieldKind.now, "hour") and word is not Word.known:
        for one in found if isinstance(found, tuple) else (found,):
            if not isinstance(one, Decimal) or one % 1 or not 0 <= one <= 23:
                shown = value if isinstance(value, str) else "this"
                raise _Bad("out-of-range", f"`{shown}` is no hour of the day", "write a number from 0 to 23: 20", path)
    return Test(field, word, found, line)


def _plain(name: str, path: Path) -> str:
    if not re.fullmatch(r"\w[\w.\- ]{0,99}", name):
        hint = _in_signs(name) or "use letters, digits and _"
        raise _Bad("bad-name", f"`{name}` is no name of a field", hint, path, True)
    return name


def _in_signs(text: object) -> str:
    """`orders_12m > 3` -> the cure; nothing where it is no such comparison."""
    found = _SENTENCE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return ""
    word, value = _MEANT[found[2]], found[3].strip("'\"")
    return f"did you mean `{{{found[1]}: {value if word == 'is' else f'{{{word}: {value}}}'}}}`?"


def _word(word: str, path: Path) -> Word:
    if word not in _WORDS:
        raise _Bad("bad-word", f"`{word}` is not a word of comparison", _word_meant(word), path, True)
    return Word(word)


def _word_meant(word: str) -> str:
    plain = re.sub(r"[\s-]+", "_", word.strip().lower())
    meant = _MEANT.get(plain)
    return f"did you mean `{meant}`?" if meant else _UNSAID.get(plain) or hint_for(plain, _WORDS)


def _value(word: Word, value: object, path: Path) -> Scalar | tuple[Scalar, ...]:
    """The value a word of comparison takes."""
    if word in (Word.one_of, Word.none_of):
        if isinstance(value, str) and value:  # a list of audience.yaml, by name
            return value
        return _many(value, path)
    if word is Word.known:
        if value not in ("true", "false"):
            raise _Bad("expected-yes-no", "`known` is true or false", "write `known: true`", path)
        return value == "true"
    if word is Word.between:
        return _between(value, path)
    if word in (Word.before, Word.after):
        return _instant(value, path)
    if word in _MEASURES:
        return _measure(_text(value, path), path)
    if word in (Word.contains, Word.starts_with):
        return _text(value, path)
    text = _text(value, path)
    if signs := _IN_SIGNS.fullmatch(text):
        hint = f"did you mean `{{{_MEANT[signs[1]]}: {signs[2]}}}`?"
        raise _Bad("bad-word", f"`{text}` compares with a sign, and words do that here", hint, path)
    return _scalar(text, path)


def _many(value: object, path: Path) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not value:
        raise _Bad("expected-list", "a list of values should stand here", "write `[one, another]`", path)
    return tuple(_scalar(_text(item, (*path, index)), (*path, index)) for index, item in enumerate(value))


def _between(value: object, path: Path) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or len(value) != 2:
        ends = re.findall(r"[0-9.]+(?:\s?[A-Z]{3})?", value) if isinstance(value, str) else []
        hint = f"did you mean `[{ends[0]}, {ends[1]}]`?" if len(ends) == 2 else "write `between: [2, 5]`"
        raise _Bad("bad-between", "`between` takes the two ends", hint, path)
    low, high = (_measure(_text(item, (*path, index)), (*path, index)) for index, item in enumerate(value))
    if type(low) is not type(high) or _amount(low) > _amount(high):
        raise _Bad("bad-between", "the first end is not below the second", "write the smaller one first", path)
    return (low, high)


def _amount(value: Decimal | Money) -> Decimal:
    return value.amount if isinstance(value, Money) else value


def _text(value: object, path: Path) -> str:
    if not isinstance(value, str):
        raise _Bad("expected-text", "a single value should stand here", "write one value", path)
    if value == "":
        raise _Bad("empty-value", f"`{path[-1]}` has no value", "write one, or leave the key out", path)
    return value


def _scalar(text: str, path: Path) -> Scalar:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if not _MONEY.fullmatch(text):
        return text
    try:
        return parse_money(text)
    except Misread as error:
        sentence, _, hint = str(error).partition("; ")
        if hint.startswith("did you mean"):
            raise _Bad(error.code, sentence, hint, path) from None
        return text  # `500 XLX` is a text like any other


def _measure(text: str, path: Path) -> Decimal | Money:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    try:
        return parse_money(text)
    except Misread as error:
        sentence, _, hint = str(error).partition("; ")
        if _ALMOST_MONEY.fullmatch(text) and not re.fullmatch(r"[0-9]+[smhdw]", text):
            raise _Bad(error.code, sentence, hint, path) from None
    raise _Bad("expected-number", f"`{text}` is not a number or an amount of money", "write 2 or 200 CNY", path)


def _instant(value: object, path: Path) -> datetime | Ago:
    if isinstance(value, dict):
        if set(value) != {"ago"}:
            raise _Bad("bad-instant", "an instant is a date or `{ago: 30d}`", "write `{ago: 30d}`", path)
        try:
            return Ago(parse_duration(value["ago"]))
        except Misread as error:
            sentence, _, hint = str(error).partition("; ")
            raise _Bad(error.code, sentence, hint, (*path, "ago")) from None
    try:
        instant = datetime.fromisoformat(_text(value, path))
        if len(str(value)) <= 10:  # a date: its first instant in UTC
            instant = instant.replace(tzinfo=UTC)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    meant = f"did you mean `{{ago: {value}}}`?" if _SPAN_OF_TIME.fullmatch(str(value)) else day_meant(str(value))
    hint = meant or "write 2026-11-22, 2026-11-22T10:00:00+08:00 or `{ago: 30d}`"
    raise _Bad("bad-instant", f"`{value}` is not an instant", hint, path)


# fields whose values are a closed set: they are asked for by name only


def _closed(field: Field, word: Word, value: object, path: Path) -> tuple[Word, Scalar | tuple[Scalar, ...]]:
    if word in (Word.is_, Word.is_not):
        names = _one_closed(field, _text(value, path), path)
        if len(names) == 1:
            return word, names[0]
        return (Word.one_of if word is Word.is_ else Word.none_of), names  # a span: mon-fri
    if word in (Word.one_of, Word.none_of):
        if not isinstance(value, list) or not value:
            raise _Bad("expected-list", "a list of values should stand here", "write `[one, another]`", path)
        texts = [(_text(item, (*path, index)), (*path, index)) for index, item in enumerate(value)]
        return word, tuple(dict.fromkeys(name for text, where in texts for name in _one_closed(field, text, where)))
    sentence = f"`{word.value}` cannot be asked of {field.kind.value}"
    raise _Bad("bad-word", sentence, "use is, is_not, one_of or none_of", path, True)


def _one_closed(field: Field, text: str, path: Path) -> tuple[str, ...]:
    if field.kind is FieldKind.segment:
        return (text,)
    if field.kind is FieldKind.message:
        if text not in RESPONSES:
            sentence = f"`{text}` is nothing that becomes of a message"
            raise _Bad("unknown-word", sentence, hint_for(text, RESPONSES), path)
        return (text,)
    try:
        if field.kind is FieldKind.tag:
            return (parse_tag(text),)
        return tuple(WEEKDAYS[day] for day in sorted(parse_days(text)))
    except Misread as error:
        sentence, _, hint = str(error).partition("; ")
        raise _Bad(error.code, sentence, hint, path) from None


# as fields of models: the names of traits come in the validation's context


def _validated(scope: Scope) -> PlainValidator:
    def read(value: object, info: ValidationInfo) -> Condition:
        if isinstance(value, Test | All | Any | Not):
            return value
        traits = cast("frozenset[str]", (info.context or {}).get("traits", frozenset()))
        try:
            return parse_condition(value, scope, traits)
        except ConditionError as error:
            raise faults(error.faults) from None

    return PlainValidator(read)


# pydantic does not know what a condition is; `schema` puts its definition where these words stand
PersonCondition = Annotated[Condition, _validated("person"), WithJsonSchema({"definition": "condition"})]
EventCondition = Annotated[Condition, _validated("event"), WithJsonSchema({"definition": "event_condition"})]
