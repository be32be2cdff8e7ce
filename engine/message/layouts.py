"""Texts put into the layouts they extend, and includes into their places: at load, so that one flat text is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.journey.problems import Position, Problem
from engine.journey.source import hint_for
from engine.message.pieces import Kind, Piece, Pieces, Unreadable

MOST_LAYOUTS = 8  # extends and includes inside each other

Load = Callable[[str, Position], Pieces]  # a layout by the name written; raises Unreadable

_NAMED = re.compile(r"""\s*(?:extends|include)\s+(['"])([^'"]+)\1\s*""")
_BLOCK = re.compile(r"\s*block\s+([A-Za-z_]\w*)\s*(?:scoped|required)?\s*")


@dataclass(frozen=True)
class Assembled:
    """A text with its layouts put together. `first` are its own settings, to be run before everything else."""

    pieces: Pieces
    first: Pieces
    problems: tuple[Problem, ...] = ()


def assemble(pieces: Pieces, load: Load) -> Assembled:
    """Put a text into the layout it extends, and its includes into their places."""
    problems: list[Problem] = []
    first: list[Piece] = []
    body = _assemble(pieces, _Blocks(), load, first, problems, 0)
    return Assembled(body, tuple(first), tuple(problems))


@dataclass(frozen=True)
class _Blocks:
    """What texts put into the blocks of their layout, and where they say so."""

    bodies: Mapping[str, Pieces] = field(default_factory=dict)
    places: Mapping[str, Position] = field(default_factory=dict)

    def over(self, below: _Blocks) -> _Blocks:
        """These before those of a layout that is itself extended."""
        bodies = {name: _super(body, below.bodies.get(name)) for name, body in self.bodies.items()}
        return _Blocks({**below.bodies, **bodies}, {**below.places, **self.places})


def _assemble(
    pieces: Pieces, overrides: _Blocks, load: Load, first: list[Piece], problems: list[Problem], depth: int
) -> Pieces:
    pieces = _included(pieces, load, depth)
    parent = next((piece for piece in pieces if piece.word == "extends"), None)
    if parent is None:
        used: set[str] = set()
        body = _filled(pieces, overrides.bodies, used)
        problems += _strange_blocks(overrides, used, _block_names(pieces))
        return body
    _check_depth(depth, parent.at)
    own, beside = _blocks(pieces)
    problems += _beside(beside, first)
    return _assemble(load(_name_in(parent), parent.at), overrides.over(own), load, first, problems, depth + 1)


def _included(pieces: Pieces, load: Load, depth: int) -> Pieces:
    result: list[Piece] = []
    for piece in pieces:
        if piece.word == "include":
            _check_depth(depth, piece.at)
            result += _included(load(_name_in(piece), piece.at), load, depth + 1)
        else:
            result.append(piece)
    return tuple(result)


def _name_in(piece: Piece) -> str:
    found = _NAMED.fullmatch(piece.text)
    if not found:
        sentence = f"`{piece.word}` wants the written name of a layout and nothing else"
        raise Unreadable(Problem("template-syntax", sentence, piece.at, '{% extends "_layout/mail.mjml" %}'))
    return found[2]


def _check_depth(depth: int, at: Position) -> None:
    if depth >= MOST_LAYOUTS:
        sentence = f"layouts lead into each other more than {MOST_LAYOUTS} deep"
        raise Unreadable(Problem("layout-loop", sentence, at, "a layout may not extend or include itself"))


def _block_name(piece: Piece) -> str:
    found = _BLOCK.fullmatch(piece.text)
    if not found:
        raise Unreadable(Problem("template-syntax", "a block needs one name", piece.at, "{% block body %}"))
    return found[1]


def _end_of(pieces: Pieces, start: int) -> int:
    """Index of the endblock that closes the block at `start`."""
    depth = 0
    for index in range(start, len(pieces)):
        depth += {"block": 1, "endblock": -1}.get(pieces[index].word, 0)
        if depth == 0:
            return index
    name = _block_name(pieces[start])
    sentence = f"the block `{name}` is opened and never closed"
    raise Unreadable(Problem("template-syntax", sentence, pieces[start].at, "write {% endblock %} where it ends"))


def _blocks(pieces: Pieces) -> tuple[_Blocks, Pieces]:
    """The outermost blocks of a text that extends a layout, and what stands beside them."""
    bodies: dict[str, Pieces] = {}
    places: dict[str, Position] = {}
    beside: list[Piece] = []
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        if piece.word == "block":
            end = _end_of(pieces, index)
            name = _block_name(piece)
            bodies[name], places[name] = pieces[index + 1 : end], piece.at
            index = end
        elif piece.word != "extends":
            beside.append(piece)
        index += 1
    return _Blocks(bodies, places), tuple(beside)


def _filled(
    pieces: Pieces, overrides: Mapping[str, Pieces], used: set[str], active: frozenset[str] = frozenset()
) -> Pieces:
    """A layout with its blocks replaced, those inside blocks too. A block may stand in several places."""
    result: list[Piece] = []
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        if piece.word == "block":
            name, end = _block_name(piece), _end_of(pieces, index)
            default = pieces[index + 1 : end]
            chosen = _super(overrides[name], default) if name in overrides and name not in active else default
            used.add(name)
            result += _filled(chosen, overrides, used, active | {name})
            index = end
        elif piece.word == "endblock":
            sentence = "`endblock` ends something that was not begun here"
            raise Unreadable(Problem("template-syntax", sentence, piece.at, "take it out"))
        else:
            result.append(piece)
        index += 1
    return tuple(result)


def _super(pieces: Pieces, parent: Pieces | None) -> Pieces:
    """`{{ super() }}` is what the layout itself says there."""
    result: list[Piece] = []
    for piece in pieces:
        if piece.kind is Kind.value and piece.text.strip() == "super()" and parent is not None:
            result += parent
        else:
            result.append(piece)
    return tuple(result)


def _block_names(pieces: Pieces) -> set[str]:
    return {_block_name(piece) for piece in pieces if piece.word == "block"}


def _strange_blocks(overrides: _Blocks, used: set[str], known: set[str]) -> list[Problem]:
    problems = []
    for name, place in overrides.places.items():
        if name not in used:
            hint = hint_for(name, known)
            problems.append(Problem("unknown-block", f"the layout has no block `{name}`", place, hint))
    return problems


def _beside(pieces: Pieces, first: list[Piece]) -> list[Problem]:
    """Settings beside the blocks are kept; anything else would never be shown."""
    problems: list[Problem] = []
    inside = False
    for piece in pieces:
        if piece.word in ("set", "endset") or inside:
            first.append(piece)
            inside = (piece.word == "set" and "=" not in piece.text) or (inside and piece.word != "endset")
        elif piece.kind is not Kind.data or piece.text.strip():
            space = len(piece.text) - len(piece.text.lstrip()) if piece.kind is Kind.data else 0
            sentence = "this stands outside of every block and would never be shown"
            hint = "put it between {% block body %} and {% endblock %}"
            problems.append(Problem("lost-text", sentence, piece.place(space) if space else piece.at, hint))
    return problems[:1]
