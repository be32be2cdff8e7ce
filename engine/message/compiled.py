"""A template from its source to what it writes: checked as a tree, compiled once, run for one person at a time."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from io import StringIO
from itertools import islice
from typing import Any, Final, NoReturn

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.lexer import Token as Word
from jinja2.lexer import TokenStream
from jinja2.nodes import Filter, Test
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from engine.errors import OutreachError
from engine.journey.problems import Position
from engine.message.filters import FILTERS, INNER_FILTERS, TESTS
from engine.message.limits import AT_ONCE, MOST_JOINED, TooMuch
from engine.message.links import BadLink
from engine.message.locale import BadValue, Formats
from engine.message.sandbox import Environment
from engine.message.values import Page


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


class NotAllowed(TemplateSyntaxError):
    """A template uses something that texts do not have."""


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


def _harden(found: Sequence[nodes.Node], tree: nodes.Template) -> None:
    """Count loops and measure what is set or joined. `found` are all nodes of the tree; inner ones go first."""
    for node in reversed([one for one in found if isinstance(one, _WEIGHED)]):
        match node:
            case nodes.Filter() if node.name in INNER_FILTERS and node.node is not None:
                node.lineno = node.node.lineno  # ours stand behind the value, which may have many lines
            case nodes.For():
                node.iter = _through("_counted", node.iter)
            case nodes.Assign():
                node.node = _through("_bounded", node.node)
            case nodes.AssignBlock():
                node.filter = _through("_bounded", node.filter, node.lineno)
            case nodes.With():
                node.values = [_through("_bounded", value) for value in node.values]
            case nodes.Operand() if node.op in _LOOKING and not isinstance(node.expr, nodes.Const):
                node.expr = _through("_looked_through", node.expr)
    if any(isinstance(node, nodes.Concat) for node in found):
        _Joined().visit(tree)


_WEIGHED: Final = (nodes.Filter, nodes.For, nodes.Assign, nodes.AssignBlock, nodes.With, nodes.Operand)
_LOOKING: Final = frozenset({"in", "notin", "eq", "ne"})


class _Joined(NodeTransformer):
    """Measures what is joined."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("_bounded", node)


def _through(name: str, node: Any, line: int | None = None) -> nodes.Filter:
    at = line if line is not None else node.lineno
    return nodes.Filter(node, name, [], [], None, None, lineno=at, environment=node and node.environment)


def check_nodes(found: Sequence[nodes.Node]) -> None:
    """Refuse what texts do not have. `NotAllowed` names the first such place."""
    for node in found:
        if isinstance(node, nodes.FilterBlock) and node.filter.name in INNER_FILTERS:
            continue
        if isinstance(node, nodes.Stmt | nodes.Template) and not isinstance(node, _ALLOWED_STATEMENTS):
            raise NotAllowed(f"`{_tag_name(node)}` is not a tag of texts", node.lineno)
        if isinstance(node, nodes.For) and node.recursive:
            raise NotAllowed("a loop cannot be recursive", node.lineno)
        if isinstance(node, nodes.Concat) and len(node.nodes) > MOST_JOINED:
            raise NotAllowed(f"more than {MOST_JOINED} values are joined with ~", node.lineno)


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
        super().__init__(environment, name, name, self.python, False, environment.optimized)
        self.undeclared: set[str] = set()

    def enter_frame(self, frame: Frame) -> None:
        super().enter_frame(frame)
        for action, name in frame.symbols.loads.values():
            if action == VAR_LOAD_RESOLVE and name is not None and name not in self.environment.globals:
                self.undeclared.add(name)

    def pull_dependencies(self, nodes: Iterable[nodes.Node]) -> None:
        """Short names for filters and tests. All of them are there: what is unknown has been told and taken out."""
        used = [inner for node in nodes for inner in _flat(node)]
        for kind, known, of_kind in (("filters", self.filters, Filter), ("tests", self.tests, Test)):
            for name in sorted({node.name for node in used if isinstance(node, of_kind)}):
                known[name] = self.temporary_identifier()
                self.writeline(f"{known[name]} = environment.{kind}[{name!r}]")


def parse(environment: Environment, words: Iterable[Word], name: str) -> Parsed:
    """Read a template. TemplateSyntaxError when it is none, or uses what texts do not have."""
    try:
        parser = Parser(environment, "", name, name)
        parser.stream = TokenStream(words, name, name)
        return _parsed(environment, parser.parse(), name)
    except RecursionError:
        raise NotAllowed(_TOO_DEEP, 1) from None


def _parsed(environment: Environment, tree: nodes.Template, name: str) -> Parsed:
    found = _flat(tree)
    check_nodes(found)
    strange = tuple(_strange(found))
    _harden(found, tree)
    generator = _Generator(environment, name)
    generator.visit(tree)
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

    def __post_init__(self) -> None:
        self._evaluation = nodes.EvalContext(self.environment, self.name)

    def render(self, values: dict[str, Any], formats: Formats, zone: tzinfo, now: datetime) -> str:
        """The text for these values. RenderError says where it cannot be written."""
        if self.fixed is not None:
            return self.fixed
        page = Page.of(self._evaluation, {**self.names, **values}, self.name)
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
        text = "".join(islice(pieces, AT_ONCE))
        while chunk := "".join(islice(pieces, AT_ONCE)):
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
