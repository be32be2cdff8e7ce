"""What templates write with: filters, tests, translated phrases. What is not named here does not exist for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from types import BuiltinMethodType, MethodType
from typing import Any, Final

from jinja2 import Undefined, pass_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from engine.message.bidi import apart, goes_right_to_left, stands_alone
from engine.message.limits import LARGEST_VALUE, MOST_LISTED, MOST_STEPS, TooMuch, bounded, measure
from engine.message.links import BadLink, SafeUrl, safe_link
from engine.message.locale import BadValue, ListStyle
from engine.message.markup import words
from engine.message.values import Missing, Page


@pass_context
def _counted(context: Page, value: Any) -> Any:
    """What a loop goes over, its steps taken from those of the whole rendering."""
    items = value if isinstance(value, str | list | tuple | Mapping | range) else list(islice(value, MOST_STEPS + 1))
    context.steps_left -= len(items) + 1
    if context.steps_left < 0:
        raise TooMuch(f"its loops take more than {MOST_STEPS:,} steps")
    if not isinstance(items, str | range):
        measure(items)
    return items


@pass_context
def _bounded(context: Page, value: Any) -> Any:
    """What is set or joined."""
    context.works_on(value)
    return bounded(value)


@pass_context
def _looked_through(context: Page, value: Any) -> Any:
    """What something is looked for in, or compared with."""
    context.works_on(value)
    return value


PRINTED: Final = frozenset({str, Markup, SafeUrl, int, float, Decimal, bool, Missing})


def printable(value: Any) -> Any:
    """What stands between the braces at last. A list or a mapping would be printed as Python writes it."""
    if type(value) in PRINTED:
        return value
    if isinstance(value, list | tuple | Mapping | MethodType | BuiltinMethodType) or value is None:
        raise BadValue("this is a list or a mapping, not a text; name one of its values, or use `list` or a loop")
    return value


@pass_context
def _money(context: Page, value: Any, currency: str | None = None, digits: int | None = None) -> str:
    return context.formats.money(_there(value), currency, digits)


@pass_context
def _number(context: Page, value: Any, digits: int | None = None) -> str:
    return context.formats.number(_there(value), digits)


@pass_context
def _percent(context: Page, value: Any, digits: int | None = None) -> str:
    return context.formats.percent(_there(value), digits)


@pass_context
def _date(context: Page, value: Any, style: str = "long") -> str:
    return context.formats.date(_there(value), context.zone, style)


@pass_context
def _time(context: Page, value: Any, style: str = "short") -> str:
    return context.formats.time(_there(value), context.zone, style)


@pass_context
def _relative(context: Page, value: Any) -> str:
    return context.formats.relative(_there(value), context.now)


@pass_context
def _list(context: Page, value: Any, style: ListStyle = "standard") -> str:
    values = _there(value)
    values = list(islice(values, MOST_LISTED + 1)) if isinstance(values, Iterator) else values
    if isinstance(values, list | tuple) and len(values) > MOST_LISTED:
        raise TooMuch(f"more than {MOST_LISTED} things are no list that somebody reads")
    return context.formats.list(values, style)


@pass_context
def _apart(context: Page, value: Any) -> Any:
    """A value that is a word of its own, so that it moves nothing beside it where it is read the other way."""
    if not isinstance(value, str) or type(value) is SafeUrl or (value.isascii() and not context.formats.is_rtl):
        return value
    text = apart(str(value), context.formats.is_rtl)
    return Markup(text) if isinstance(value, Markup) else text


def _there(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # complains
    return value


def _center(value: Any, width: int = 40) -> str:
    if not 0 <= width <= 200:
        raise TooMuch("`center` goes up to a width of 200")
    return str(value).center(width)


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text, old, new = str(value), str(old), str(new)
    if len(text) + (text.count(old) if count < 0 else count) * len(new) > LARGEST_VALUE:
        raise TooMuch("a value grows too large")
    return text.replace(old, new, count)


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    if not 0 <= precision <= 10:
        raise TooMuch("`round` goes up to 10 digits")
    return DEFAULT_FILTERS["round"](value, precision, method)


_WIDE = re.compile(r"%[^a-zA-Z%]*(\*|\d{3})")


def limited_format(value: Any, *arguments: Any, **named: Any) -> str:
    text = str(value)
    if _WIDE.search(text):
        raise TooMuch("`format` goes up to a width of 99")
    longest = max((len(str(one)) for one in (*arguments, *named.values())), default=0)
    if len(text) + text.count("%") * longest > LARGEST_VALUE:
        raise TooMuch("a value grows too large")
    result: str = DEFAULT_FILTERS["format"](value, *arguments, **named)
    bounded(result)
    return result


_HEX = r"#[0-9a-fA-F]{3,8}"
_CSS = re.compile(rf"(?:{_HEX}|(?:rgb|rgba|hsl|hsla)\([\d\s.,%/deg]*\)|[\w\s#%.,+\-'\"])*", re.ASCII)


def _css(value: Any) -> str:
    """A value inside a style: a colour, a size, a name; nothing that could end the declaration or load a thing."""
    text = str(value)
    if not _CSS.fullmatch(text):
        raise BadValue("a value inside a style may be a colour, a size or a name only")
    return text


def _css_url(value: Any) -> str:
    """An address inside `url(...)` of a style."""
    url = safe_link(_there(value))
    if re.search(r"[\s'\"()\\<>]", url):
        raise BadLink("an address inside a style may hold no quotes, brackets or spaces")
    return url


def _link(value: Any) -> str:
    """An address at the head of an attribute that leads somewhere."""
    return value if type(value) is SafeUrl else safe_link(_there(value))


_TAG = re.compile(r"<[^<>]*>")
_ENTITY: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&nbsp;": " ", "&#39;": "'"}


def _as_text(value: Any) -> str:
    """A translated phrase of a mail without its tags, for the text part."""
    text = _TAG.sub("", str(value))
    return re.sub("|".join(_ENTITY), lambda found: _ENTITY[found[0]], text)


_KEPT_FILTERS: Final = words(
    "abs capitalize d default dictsort e escape first float groupby int items join last length count lower map max min "
    "reject rejectattr reverse select selectattr sort string striptags sum title trim truncate unique upper urlencode "
    "wordcount"
)
_TIMES: Final = {"striptags": 20, "sort": 5, "list": 5, "urlencode": 3}  # how often they look at each character


def _weighed(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is charged for what it looks at and what it makes, whatever it is handed."""
    wants = getattr(getattr(inner, "jinja_pass_arg", None), "name", "")
    times = _TIMES.get(name, 1)

    @pass_context
    def run(context: Page, value: Any, *arguments: Any, **named: Any) -> Any:
        context.works_on(value, times)
        for one in arguments:
            context.works_on(one)
        first = {
            "context": (context,),
            "eval_context": (context.eval_ctx,),
            "environment": (context.environment,),
        }.get(wants, ())
        made = inner(*first, value, *arguments, **named)
        if isinstance(made, Iterator):
            return _weighing(context, made)
        context.works_on(made)
        return bounded(made)

    return run


def _weighing(context: Page, made: Iterator[Any]) -> Iterator[Any]:
    for one in made:
        context.works_on(one)
        yield one


def _weighed_test(inner: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison that is charged for what it looks through."""

    @pass_context
    def run(context: Page, value: Any, *arguments: Any) -> Any:
        for one in arguments:
            context.works_on(one)
        return inner(value, *arguments)

    return run


_OF_ONE_VALUE: Final = words("default d money number percent date time relative abs int float")
FILTERS: Final[dict[str, Callable[..., Any]]] = {
    **{name: DEFAULT_FILTERS[name] for name in sorted(_KEPT_FILTERS)},
    "money": _money,
    "number": _number,
    "percent": _percent,
    "date": _date,
    "time": _time,
    "relative": _relative,
    "list": _list,
    "center": _center,
    "replace": _replace,
    "round": _round,
    "format": limited_format,
}
FILTERS.update({name: _weighed(name, inner) for name, inner in FILTERS.items() if name not in _OF_ONE_VALUE})
INNER_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "_counted": _counted,
    "_bounded": _bounded,
    "_looked_through": _looked_through,
    "_css": _css,
    "_css_url": _css_url,
    "_link": _link,
    "_as_text": _as_text,
    "_apart": _apart,
}
TESTS: Final = words(
    "defined undefined none boolean number string sequence mapping even odd divisibleby "
    "== eq equalto != ne > gt greaterthan >= ge < lt lessthan <= le in lower upper true false"
)


COSTLY_TESTS: Final = frozenset({"in", "==", "eq", "equalto", "!=", "ne"})


def weighed_tests(tests: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Tests, those charged that may have much to look through."""
    return {name: _weighed_test(test) if name in COSTLY_TESTS else test for name, test in tests.items()}


class Translated:
    """`{% trans %}` in one locale: looks a phrase up and fills its places in."""

    __slots__ = ("_is_rtl", "_known", "_many", "_one")

    def __init__(self, one: Callable[[str], str], many: Callable[[str, str, Any], str], is_rtl: bool = False) -> None:
        self._is_rtl = is_rtl
        self._one = one
        self._many = many
        self._known: dict[str, str] = {}

    def gettext(self, context: EvalContext, phrase: str, /, **values: Any) -> str:
        text = self._known.get(phrase)
        if text is None:
            text = self._known[phrase] = self._one(phrase)
        return _filled(text, values, context.autoescape, self._is_rtl)

    def ngettext(self, context: EvalContext, one: str, many: str, num: Any, /, **values: Any) -> str:
        values.setdefault("num", num)
        return _filled(self._many(one, many, _there(num)), values, context.autoescape, self._is_rtl)


_PLACE = re.compile(r"%(?:\((\w+)\)s|%)")


def _filled(text: str, values: Mapping[str, Any], autoescape: bool, is_rtl: bool) -> str:
    is_rtl = is_rtl and goes_right_to_left(text)  # nobody translated it: it is read as it was written

    def fill(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        value = printable(values[found[1]])
        if type(value) in (str, Markup) and (is_rtl or not value.isascii()):
            before, after = text[: found.start()], text[found.end() : found.end() + 1]
            value = type(value)(apart(value, is_rtl)) if stands_alone(before, after) else value
        return str(escape(value)) if autoescape else str(value)

    whole = _PLACE.sub(fill, text) if "%" in text else text
    return Markup(whole) if autoescape else whole
