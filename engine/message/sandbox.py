"""Where templates run: a small language that reads only what it is handed, changes nothing and cannot grow for ever.

Everything is allowed by name and nothing else: tags, filters, tests, attributes per type, methods, callables. What a
template may consume is counted: loop steps per rendering, the size of every value it sets or joins, the size of the
output.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from io import StringIO
from itertools import islice
from types import BuiltinMethodType, MethodType
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, TemplateRuntimeError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS
from jinja2.visitor import NodeTransformer
from markupsafe import Markup, escape

from engine.errors import OutreachError
from engine.journey.conditions import Money
from engine.journey.problems import Position
from engine.message.links import BadLink, MessageLinks, SafeUrl, safe_link
from engine.message.locale import BadValue, Formats, ListStyle
from engine.message.markup import words

MOST_STEPS: Final = 5_000  # of all loops of one rendering
MOST_RANGE: Final = 1_000
LARGEST_VALUE: Final = 65_536  # characters of a value, elements of a list with all it holds
LARGEST_HTML: Final = 512 * 1024
LARGEST_TEXT: Final = 10 * 1024
LARGEST_EMAIL_TEXT: Final = 256 * 1024
_LARGEST_NUMBER: Final = 10**30
_MOST_JOINED: Final = 50
_AT_ONCE: Final = 200  # pieces of output joined before they are measured


class RenderError(OutreachError):
    """One message cannot be written. Says where in its template and why; never what the data was."""

    exit_code = 1

    def __init__(self, position: Position, sentence: str, code: str = "bad-value", hint: str = "") -> None:
        super().__init__(f"{position.file}:{position.line}: {sentence}")
        self.position = position
        self.file = position.file
        self.line = position.line
        self.sentence = sentence
        self.code = code
        self.hint = hint


class TooMuch(TemplateRuntimeError):
    """A template loops too long or a value grows too large."""


class NotAllowed(TemplateSyntaxError):
    """A template uses something that texts do not have."""


class Fields(dict[str, Any]):
    """Named values under one name (`person`, `event`): a template reads them as `person.name`."""

    __slots__ = ("label",)

    def __init__(self, label: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.label = label


class Missing(StrictUndefined):
    """A value that is not there: printing, comparing or counting it is an error, `is defined` and `default` are not."""

    __slots__ = ()


class Page(Context):
    """The names of one rendering, and with what they are written."""

    formats: Formats
    zone: tzinfo
    now: datetime
    steps_left: int = MOST_STEPS


# --- what may be read and called

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
    (MessageLinks, frozenset({"unsubscribe", "preferences", "click", "answer"})),
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
            finalize=_printable,
            cache_size=0,
        )
        self.newstyle_gettext = True
        self.globals.clear()
        self.globals["range"] = _short_range
        self.filters.clear()
        self.filters.update(FILTERS)
        self.filters.update(INNER_FILTERS)
        self.tests.clear()
        self.tests.update({name: DEFAULT_TESTS[name] for name in TESTS})

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
        if isinstance(obj, Fields):
            return self.undefined(f"{obj.label}.{name} is not known here", obj=obj, name=str(name))
        if isinstance(obj, Mapping):
            return self.undefined(f"{name} is not known here", obj=obj, name=str(name))
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
        return __obj(*arguments, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _check_operands(operator, left, right)
        if operator == "%" and isinstance(left, str):
            return _format(left, right)
        result = super().call_binop(context, operator, left, right)
        return bounded(result)


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


def bounded(value: Any) -> Any:
    """The value, if it is no larger than a value may be with everything it holds."""
    if isinstance(value, str):
        if len(value) > LARGEST_VALUE:
            raise TooMuch("a value grows too large")
    elif isinstance(value, list | tuple | dict):
        _measure(value)
    elif isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        raise TooMuch("a number grows too large")
    return value


def _measure(value: Any) -> None:
    left, stack = LARGEST_VALUE, [value]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            stack.extend(part.values())
        elif isinstance(part, list | tuple):
            stack.extend(part)
        left -= len(part) if isinstance(part, str | list | tuple | Mapping) else 1
        if left < 0 or len(stack) > LARGEST_VALUE:
            raise TooMuch("a value grows too large")


@pass_context
def _counted(context: Page, value: Any) -> Any:
    """What a loop goes over, its steps taken from those of the whole rendering."""
    items = value if isinstance(value, str | list | tuple | Mapping | range) else list(islice(value, MOST_STEPS + 1))
    context.steps_left -= len(items) + 1
    if context.steps_left < 0:
        raise TooMuch(f"its loops take more than {MOST_STEPS:,} steps")
    if not isinstance(items, str | range):
        _measure(items)
    return items


_PRINTED: Final = frozenset({str, Markup, SafeUrl, int, float, Decimal, bool, Missing})


def _printable(value: Any) -> Any:
    """What stands between the braces at last. A list or a mapping would be printed as Python writes it."""
    if type(value) in _PRINTED:
        return value
    if isinstance(value, list | tuple | Mapping | MethodType | BuiltinMethodType) or value is None:
        raise BadValue("this is a list or a mapping, not a text; name one of its values, or use `list` or a loop")
    return value


# --- filters


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
    return context.formats.list(_there(value), style)


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


def _format(value: Any, *arguments: Any, **named: Any) -> str:
    if _WIDE.search(str(value)):
        raise TooMuch("`format` goes up to a width of 99")
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
    "format": _format,
}
INNER_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "_counted": _counted,
    "_bounded": bounded,
    "_css": _css,
    "_css_url": _css_url,
    "_link": _link,
    "_as_text": _as_text,
}
TESTS: Final = words(
    "defined undefined none boolean number string sequence mapping even odd divisibleby "
    "== eq equalto != ne > gt greaterthan >= ge < lt lessthan <= le in lower upper true false"
)


# --- translations


class Translated:
    """`{% trans %}` in one locale: looks a phrase up and fills its places in."""

    __slots__ = ("_known", "_many", "_one")

    def __init__(self, one: Callable[[str], str], many: Callable[[str, str, int], str]) -> None:
        self._one = one
        self._many = many
        self._known: dict[str, str] = {}

    def gettext(self, context: EvalContext, phrase: str, /, **values: Any) -> str:
        text = self._known.get(phrase)
        if text is None:
            text = self._known[phrase] = self._one(phrase)
        return _filled(text, values, context.autoescape)

    def ngettext(self, context: EvalContext, one: str, many: str, num: Any, /, **values: Any) -> str:
        values.setdefault("num", num)
        return _filled(self._many(one, many, int(num)), values, context.autoescape)


_PLACE = re.compile(r"%(?:\((\w+)\)s|%)")


def _filled(text: str, values: Mapping[str, Any], autoescape: bool) -> str:
    def fill(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        value = _printable(values[found[1]])
        return str(escape(value)) if autoescape else str(value)

    whole = _PLACE.sub(fill, text) if "%" in text else text
    return Markup(whole) if autoescape else whole


_KINDS[Translated] = _Kind(frozenset({"gettext", "ngettext"}), is_mapping=False, is_missing=False)


# --- the language as a tree

_ALLOWED_STATEMENTS: Final = (
    nodes.Template,
    nodes.Output,
    nodes.For,
    nodes.If,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.With,
    nodes.Scope,
)


class _Harden(NodeTransformer):
    """Counts loops and measures what is set or joined."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _through("_counted", node.iter)
        return node

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:
        self.generic_visit(node)
        node.node = _through("_bounded", node.node)
        return node

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:
        self.generic_visit(node)
        node.filter = _through("_bounded", node.filter, node.lineno)
        return node

    def visit_With(self, node: nodes.With) -> nodes.Node:
        self.generic_visit(node)
        node.values = [_through("_bounded", value) for value in node.values]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("_bounded", node)


def _through(name: str, node: Any, line: int | None = None) -> nodes.Filter:
    made = nodes.Filter(node, name, [], [], None, None)
    made.set_lineno(line if line is not None else node.lineno)
    made.environment = node.environment if node is not None else None
    return made


def check_nodes(found: Sequence[nodes.Node]) -> None:
    """Refuse what texts do not have. `NotAllowed` names the first such place."""
    for node in found:
        if isinstance(node, nodes.FilterBlock) and node.filter.name in INNER_FILTERS:
            continue
        if isinstance(node, nodes.Stmt | nodes.Template) and not isinstance(node, _ALLOWED_STATEMENTS):
            raise NotAllowed(f"`{_tag_name(node)}` is not a tag of texts", node.lineno)
        if isinstance(node, nodes.For) and node.recursive:
            raise NotAllowed("a loop cannot be recursive", node.lineno)
        if isinstance(node, nodes.Concat) and len(node.nodes) > _MOST_JOINED:
            raise NotAllowed(f"more than {_MOST_JOINED} values are joined with ~", node.lineno)


def _tag_name(node: nodes.Node) -> str:
    names = {
        "CallBlock": "call",
        "FilterBlock": "filter",
        "FromImport": "from",
        "ExprStmt": "do",
        "ScopedEvalContextModifier": "autoescape",
    }
    return names.get(type(node).__name__, type(node).__name__.lower())


def _flat(root: nodes.Node) -> list[nodes.Node]:
    """All nodes of a tree, in the order they are written."""
    found: list[nodes.Node] = []
    stack: list[nodes.Node] = [root]
    while stack:
        node = stack.pop()
        found.append(node)
        children: list[nodes.Node] = []
        for name in node.fields:
            value = getattr(node, name)
            if isinstance(value, nodes.Node):
                children.append(value)
            elif isinstance(value, list):
                children += [one for one in value if isinstance(one, nodes.Node)]
        stack += reversed(children)
    return found


# --- compiled parts


@dataclass(frozen=True)
class Lines:
    """Which place of which file each line of a compiled template came from."""

    starts: Sequence[int]  # ascending line numbers of the compiled template
    places: Sequence[Position]

    def at(self, line: int) -> Position:
        index = max(bisect_right(self.starts, line) - 1, 0)
        place, beyond = self.places[index], max(line - self.starts[index], 0)
        return Position(place.file, place.line + beyond, place.column if not beyond else 1)


@dataclass(frozen=True)
class Strange:
    """A filter or test that does not exist."""

    kind: str  # filter, test
    name: str
    line: int


@dataclass(frozen=True)
class Parsed:
    """A template that has been read: all its nodes for those who check, its Python for when it is first written."""

    nodes: Sequence[nodes.Node]
    undeclared: frozenset[str]  # names it takes from outside
    strange: tuple[Strange, ...]
    python: str
    lines: Sequence[tuple[int, int]]  # line of the template, line of the Python


class _Generator(CodeGenerator):
    """Writes the Python of a template and notes the names it takes from outside."""

    def __init__(self, environment: Environment, name: str) -> None:
        self.python = StringIO()
        super().__init__(environment, name, name, self.python, False, True)
        self.undeclared: set[str] = set()

    def enter_frame(self, frame: Frame) -> None:
        super().enter_frame(frame)
        for action, name in frame.symbols.loads.values():
            if action == VAR_LOAD_RESOLVE and name is not None and name not in self.environment.globals:
                self.undeclared.add(name)


def parse(environment: Environment, source: str, name: str) -> Parsed:
    """Read a template. TemplateSyntaxError when it is none, or uses what texts do not have."""
    try:
        return _parsed(environment, environment.parse(source, name, name), name)
    except RecursionError:
        raise NotAllowed(_TOO_DEEP, 1) from None


def _parsed(environment: Environment, tree: nodes.Template, name: str) -> Parsed:
    found = _flat(tree)
    check_nodes(found)
    strange = tuple(_strange(found))
    generator = _Generator(environment, name)
    generator.visit(_Harden().visit(tree))
    python = generator.python.getvalue()
    undeclared = generator.undeclared | {
        node.name for node in found if isinstance(node, nodes.Name) and node.name == "self"
    }
    return Parsed(found, frozenset(undeclared), strange, python, tuple(generator.debug_info))


def _strange(found: Sequence[nodes.Node]) -> Iterator[Strange]:
    """Filters and tests that do not exist, taken out so that the rest of the template can be looked at."""
    for node in found:
        if isinstance(node, nodes.Filter) and node.name not in FILTERS and node.name not in INNER_FILTERS:
            yield Strange("filter", node.name, node.lineno)
            node.name = "string"
        elif isinstance(node, nodes.Test) and node.name not in TESTS:
            yield Strange("test", node.name, node.lineno)
            node.name = "defined"


@dataclass
class Part:
    """One template ready to be written: a subject, a body. `fixed` is its whole text when it has no tags."""

    name: str
    lines: Lines
    limit: int
    fixed: str | None
    environment: Environment
    names: Mapping[str, Any]  # those of its locale: gettext, brand
    python: str = ""
    debug: Sequence[tuple[int, int]] = ()
    _root: Callable[[Context], Iterator[str]] | None = None

    def render(self, values: dict[str, Any], formats: Formats, zone: tzinfo, now: datetime) -> str:
        """The text for these values. RenderError says where it cannot be written."""
        if self.fixed is not None:
            return self.fixed
        page = Page(self.environment, {**self.names, **values}, self.name, {})
        page.formats, page.zone, page.now = formats, zone, now
        try:
            root = self._root or self._made()
            return self._joined(root(page))
        except Exception as error:  # whatever data does to a template costs this one message
            self._fail(error)

    def _made(self) -> Callable[[Context], Iterator[str]]:
        """The template's Python, made runnable at first use and kept."""
        names: dict[str, Any] = {"environment": self.environment, "__file__": self.name}
        exec(compile(self.python, self.name, "exec"), names)  # Jinja's own way, of Jinja's own Python
        root: Callable[[Context], Iterator[str]] = names["root"]
        self._root = root
        return root

    def _joined(self, pieces: Iterator[str]) -> str:
        text = "".join(islice(pieces, _AT_ONCE))
        while chunk := "".join(islice(pieces, _AT_ONCE)):
            text += chunk
            if len(text) > self.limit:
                break
        if len(text) > self.limit or (len(text) * 4 > self.limit and len(text.encode()) > self.limit):
            raise TooMuch(f"it is larger than {self.limit // 1024} KB")
        return text

    def _fail(self, error: Exception) -> NoReturn:
        code, sentence, hint = explain(error)
        raise RenderError(self.lines.at(self._line(error)), sentence, code, hint) from None

    def _line(self, error: BaseException) -> int:
        """The line of the template in which it happened: the innermost frame of its own code."""
        line, trace = 1, error.__traceback__
        first = self.debug[0][0] if self.debug else 1
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.name:
                line = next((one for one, code in reversed(self.debug) if code <= trace.tb_lineno), first)
            trace = trace.tb_next
        return line


_TOO_DEEP: Final = "values, brackets or blocks stand too deep inside each other"


def explain(error: Exception) -> tuple[str, str, str]:
    """Code, sentence and hint for what went wrong inside a template. Sentences of ours never repeat data."""
    match error:
        case UndefinedError():
            hint = "write `| default(...)` behind it or ask `is defined` before"
            return "undefined-name", str(error), hint
        case TooMuch():
            return "too-much", str(error), "say it with less"
        case BadLink():
            return "bad-link-scheme", str(error), "links begin with https:, http:, mailto: or tel:"
        case BadValue():
            return "bad-value", str(error), ""
        case SecurityError():
            return "not-allowed", "this cannot be called from a text", ""
        case ZeroDivisionError():
            return "bad-value", "something is divided by zero", "ask before whether the number is 0"
        case TypeError():
            return "bad-value", f"values do not fit each other ({_plain_type_error(error)})", ""
        case SyntaxError():  # Python's own limits: too many loops or brackets inside each other
            return "too-deep-inside", _TOO_DEEP, "say it with fewer, or with `set`"
        case RecursionError() | MemoryError() | OverflowError():
            return "too-much", "a value grows too large", "say it with less"
        case _:
            return "bad-value", f"this cannot be written ({type(error).__name__})", ""


def _plain_type_error(error: TypeError) -> str:
    text = str(error)
    return (
        text if re.fullmatch(r"'[^']{1,3}' not supported between instances of '\w+' and '\w+'", text) else "TypeError"
    )


def part_of(
    environment: Environment, parsed: Parsed, lines: Lines, name: str, limit: int, names: Mapping[str, Any]
) -> Part:
    """The part that a template is."""
    return Part(name, lines, limit, None, environment, names, parsed.python, parsed.lines)


def fixed_part(environment: Environment, text: str, lines: Lines, name: str, limit: int) -> Part:
    """A part that is the same for everyone."""
    return Part(name, lines, limit, text, environment, {})
