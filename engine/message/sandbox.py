"""Where templates run: they read what they are handed, by names that are listed here, and can change nothing.

A value's own names go before anything its type may offer; of each type only the methods named below may be called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from jinja2 import Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS

from engine.journey.conditions import Money
from engine.message.filters import FILTERS, INNER_FILTERS, TESTS, Translated, limited_format, printable, weighed_tests
from engine.message.limits import LARGEST_VALUE, MOST_RANGE, TooMuch, bounded
from engine.message.links import MessageLinks
from engine.message.markup import words
from engine.message.values import Missing, Page

_READABLE: Final[tuple[tuple[type, frozenset[str]], ...]] = (
    (
        str,
        words(
            "upper lower title capitalize strip lstrip rstrip startswith endswith split splitlines isdigit isalpha "
            "find count removeprefix removesuffix"
        ),
    ),
    (datetime, words("year month day hour minute second weekday isoweekday isoformat date")),
    (date, words("year month day weekday isoweekday isoformat")),
    (timedelta, frozenset({"days", "seconds"})),
    (Money, frozenset({"amount", "currency"})),
    (MessageLinks, frozenset({"unsubscribe", "preferences", "click", "answer", "confirm"})),
    (
        LoopContext,
        words("index index0 revindex revindex0 first last length previtem nextitem cycle changed"),
    ),
    (Mapping, frozenset({"get", "items", "keys", "values"})),
)
_NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a template may do with values of one type."""

    readable: frozenset[str]
    is_mapping: bool
    is_missing: bool


_KINDS: dict[type, _Kind] = {}


def _kind_of(kind: type) -> _Kind:
    known = _KINDS.get(kind)
    if known is None:
        readable = next((names for base, names in _READABLE if issubclass(kind, base)), _NOTHING)
        known = _KINDS[kind] = _Kind(readable, issubclass(kind, Mapping), issubclass(kind, Undefined))
    return known


class Environment(ImmutableSandboxedEnvironment):
    """Jinja with everything taken out that a message does not need."""

    intercepted_binops = frozenset({"+", "*", "**", "%", "//"})
    context_class = Page

    def __init__(self) -> None:
        super().__init__(
            undefined=Missing,
            autoescape=lambda name: bool(name and name.endswith(".html")),
            extensions=["jinja2.ext.i18n"],
            finalize=printable,
            cache_size=0,
            optimized=False,  # constants are rare here, and folding them takes longer than they do
        )
        self.newstyle_gettext = True
        self.globals.clear()
        self.globals["range"] = _short_range
        self.filters.clear()
        self.filters.update(FILTERS)
        self.filters.update(INNER_FILTERS)
        self.tests.clear()
        kept: dict[str, Any] = {name: DEFAULT_TESTS[name] for name in TESTS}
        self.tests.update(weighed_tests(kept))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: what data says under that name goes before anything a type may offer."""
        kind = _kind_of(type(obj))
        if kind.is_mapping:
            value = _look_up(obj, attribute)
            if value is not None:
                return value
        if attribute in kind.readable or kind.is_missing:
            return getattr(obj, attribute)  # something missing complains
        return self._missing(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        if isinstance(obj, str | list | tuple | Mapping):
            value = _look_up(obj, argument)
            if value is not None:
                return value
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        return self._missing(obj, argument)

    def _missing(self, obj: Any, name: object) -> Undefined:
        if isinstance(obj, Mapping):
            label = getattr(obj, "label", None)  # of values with a name of their own: person, event, traits
            whole = f"{label}.{name}" if label else str(name)
            return self.undefined(f"{whole} is not known here", obj=obj, name=str(name))
        return self.undefined(f"{_told(obj)} has no {name}", obj=obj, name=str(name))

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(obj, MethodType | BuiltinMethodType) and obj.__self__ is not None:
            return obj.__name__ in _kind_of(type(obj.__self__)).readable
        return obj in _CALLABLE

    def call(__self, __context: Context, __obj: Any, *arguments: Any, **named: Any) -> Any:
        """Call what may be called; nothing of ours wants the context but translations."""
        if not __self.is_safe_callable(__obj):
            raise SecurityError("not callable from a text")
        named.pop("_loop_vars", None)
        named.pop("_block_vars", None)
        if type(getattr(__obj, "__self__", None)) is Translated:
            return __obj(__context.eval_ctx, *arguments, **named)
        if isinstance(value := getattr(__obj, "__self__", None), str) and isinstance(__context, Page):
            __context.works_on(value)
        return __obj(*arguments, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _check_operands(operator, left, right)
        if operator == "%" and isinstance(left, str):
            return limited_format(left, right)
        result = bounded(super().call_binop(context, operator, left, right))
        if isinstance(context, Page) and isinstance(result, str | list | tuple):
            context.works_on(result)
        return result


def _look_up(obj: Any, argument: Any) -> Any:
    try:
        return obj[argument]
    except (LookupError, TypeError):
        return None


def _told(value: Any) -> str:
    names = {str: "a text", list: "a list", tuple: "a list", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), f"a {type(value).__name__}")


def _check_operands(operator: str, left: Any, right: Any) -> None:
    if operator == "**" and not (isinstance(right, int | float) and abs(right) <= 64 and _small(left)):
        raise TooMuch("a power this large is not computed in a text")
    if operator == "*":
        for one, other in ((left, right), (right, left)):
            if isinstance(one, str | list | tuple) and isinstance(other, int) and len(one) * other > LARGEST_VALUE:
                raise TooMuch("a value grows too large")


def _small(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= 10**9


def _short_range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MOST_RANGE:
        raise TooMuch(f"range() gives {MOST_RANGE:,} numbers at most")
    return numbers


_CALLABLE: Final[tuple[Callable[..., Any], ...]] = (_short_range,)


_KINDS[Translated] = _Kind(frozenset({"gettext", "ngettext"}), is_mapping=False, is_missing=False)
