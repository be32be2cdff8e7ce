"""The parts of one text compiled, with every check that needs no person: names, filters, links, phrases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import TemplateSyntaxError

from engine.journey.problems import Position, Problem, Severity
from engine.message.catalogues import Catalogues
from engine.message.compiled import Part, fixed_part, parse, part_of
from engine.message.forms import Form, Reads
from engine.message.limits import LARGEST_TEXT
from engine.message.look import INNER, Look, reads_of
from engine.message.markup import words
from engine.message.pieces import (
    MOST_BLOCKS,
    Kind,
    Piece,
    Unreadable,
    build,
    cut,
    deepest,
    kept_apart,
    never_closed,
    syntax_problem,
)
from engine.message.sandbox import Environment

NAMES: Final = words("person event traits voucher journey step links brand now extra locale dir")
OF_MAIL: Final = frozenset({"subject", "preheader"})


@dataclass(frozen=True)
class Shared:
    """What all texts are compiled with, and where what is wrong in them is gathered."""

    environment: Environment
    catalogues: Catalogues
    brand: Mapping[str, Any]
    problems: list[Problem]


@dataclass
class Compiler:
    """Compiles the parts of one text."""

    shared: Shared
    locale: str
    file: str
    more_names: frozenset[str] = frozenset()
    reads: Reads = field(default_factory=Reads)
    begun: int = 0  # how many problems there were before this text

    def __post_init__(self) -> None:
        self.begun = len(self.shared.problems)

    def line(self, text: str, at: Position, name: str, is_words: bool = False) -> Part:
        """A part from the front matter. `is_words`: values stand among words, and do not move them."""
        try:
            pieces: Iterable[Piece] = cut(self.shared.environment, text.strip("\n"), at)
        except Unreadable as error:
            self.shared.problems.append(error.problem)
            pieces = ()
        pieces = kept_apart(pieces) if is_words else pieces
        return self.part(pieces, name, LARGEST_TEXT, in_mail=False)

    def part(self, pieces: Iterable[Piece], name: str, limit: int, in_mail: bool = True) -> Part:
        """A part from pieces. With mistakes in it, a part that writes nothing."""
        pieces, full_name, environment = tuple(pieces), f"{self.file}#{name}", self.shared.environment
        built = build(environment, pieces)
        if all(piece.kind is Kind.data for piece in pieces):
            text = "".join(piece.text for piece in pieces)
            return fixed_part(environment, text, built.lines, full_name, limit)
        if (deep := deepest(pieces)) is not None:
            sentence = f"blocks stand more than {MOST_BLOCKS} deep inside each other"
            self.shared.problems.append(
                Problem("too-deep-inside", sentence, deep.at, "say it with fewer, or with `set`")
            )
            return fixed_part(environment, "", built.lines, full_name, limit)
        try:
            parsed = parse(environment, built.words, full_name)
        except TemplateSyntaxError as error:
            at = built.lines.at(error.lineno)
            if "end of template" in (error.message or "") and (opened := never_closed(pieces)):
                at = opened.at
            self.shared.problems.append(syntax_problem(error, at))
            return fixed_part(environment, "", built.lines, full_name, limit)
        known = NAMES | INNER | (self.more_names if in_mail else frozenset())
        shared = self.shared
        look = Look(parsed, built.lines, known, shared.brand, shared.catalogues, self.locale, self.file)
        shared.problems.extend(look.problems())
        self.reads |= reads_of(parsed.nodes)
        names = {**environment.globals, **self.shared.catalogues.functions(self.locale), "brand": self.shared.brand}
        return part_of(environment, parsed, built.lines, full_name, limit, names)

    @property
    def is_readable(self) -> bool:
        """Could all parts be read until now? What they speak of is known only then."""
        unread = {"template-syntax", "tag-not-allowed", "too-deep-inside"}
        return not any(problem.code in unread for problem in self.shared.problems[self.begun :])

    def done(self, form: Form) -> Form | None:
        """The form, unless something in it is wrong."""
        found = self.shared.problems[self.begun :]
        return None if any(problem.severity is Severity.error for problem in found) else form
