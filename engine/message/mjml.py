"""MJML: which components there are and what they may hold. mrml accepts anything, so names are checked here.

After https://documentation.mjml.io (MJML 4.15, seen November 2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from engine.journey.problems import Problem
from engine.journey.source import hint_for
from engine.message.markup import Token, TokenKind, words
from engine.message.pieces import MARK, Marked, Piece

_PADDING = "padding padding-top padding-right padding-bottom padding-left"
_BORDER = "border border-top border-right border-bottom border-left border-radius"
_FONT = "color font-family font-size font-style font-weight letter-spacing line-height text-decoration text-transform"
_BACKGROUND = (
    "background-color background-url background-repeat background-size "
    "background-position background-position-x background-position-y"
)
_SECTION = f"{_BACKGROUND} {_BORDER} {_PADDING} direction full-width text-align text-padding"
_ICONS = (
    "icon-align icon-height icon-position icon-width icon-unwrapped-alt icon-unwrapped-url "
    "icon-wrapped-alt icon-wrapped-url"
)
_LINK = "href name rel target title"

#: attributes per component; css-class and mj-class go with all of the body
ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    name: words(attributes)
    for name, attributes in {
        "mjml": "lang dir owa",
        "mj-head": "",
        "mj-attributes": "",
        "mj-breakpoint": "width",
        "mj-font": "name href",
        "mj-html-attributes": "",
        "mj-selector": "path",
        "mj-html-attribute": "name",
        "mj-preview": "",
        "mj-style": "inline",
        "mj-title": "",
        "mj-body": "background-color width id",
        "mj-raw": "position",
        "mj-wrapper": f"{_SECTION} gap",
        "mj-section": _SECTION,
        "mj-group": "background-color direction vertical-align width",
        "mj-column": (
            f"background-color {_BORDER} {_PADDING} direction vertical-align width inner-background-color inner-border "
            "inner-border-top inner-border-right inner-border-bottom inner-border-left inner-border-radius"
        ),
        "mj-hero": (
            "background-color background-height background-position background-url background-width border-radius "
            f"height mode {_PADDING} vertical-align width inner-background-color inner-padding inner-padding-top "
            "inner-padding-right inner-padding-bottom inner-padding-left container-background-color"
        ),
        "mj-text": f"{_FONT} {_PADDING} align container-background-color height vertical-align",
        "mj-button": (
            f"{_FONT} {_PADDING} {_BORDER} {_LINK} align background-color container-background-color height "
            "inner-padding text-align vertical-align width"
        ),
        "mj-image": (
            f"{_PADDING} {_BORDER} {_LINK} align alt container-background-color fluid-on-mobile font-size height "
            "max-height sizes src srcset usemap width"
        ),
        "mj-divider": f"{_PADDING} align border-color border-style border-width container-background-color width",
        "mj-spacer": f"{_PADDING} container-background-color height width",
        "mj-table": (
            f"{_FONT} {_PADDING} align border cellpadding cellspacing container-background-color role table-layout "
            "vertical-align width"
        ),
        "mj-social": (
            f"{_FONT} {_PADDING} align border-radius container-background-color icon-height icon-padding icon-size "
            "inner-padding mode table-layout text-padding"
        ),
        "mj-social-element": (
            f"{_FONT} {_PADDING} {_LINK} align alt background-color border-radius icon-height icon-padding "
            "icon-position icon-size sizes src srcset text-padding vertical-align"
        ),
        "mj-navbar": (
            f"{_PADDING} align base-url hamburger ico-align ico-close ico-color ico-font-family ico-font-size "
            "ico-line-height ico-open ico-padding ico-padding-top ico-padding-right ico-padding-bottom "
            "ico-padding-left ico-text-decoration ico-text-transform"
        ),
        "mj-navbar-link": f"{_FONT} {_PADDING} {_LINK}",
        "mj-accordion": f"{_PADDING} {_ICONS} border container-background-color font-family",
        "mj-accordion-element": f"{_ICONS} background-color border font-family",
        "mj-accordion-title": f"{_FONT} {_PADDING} background-color",
        "mj-accordion-text": f"{_FONT} {_PADDING} background-color",
        "mj-carousel": (
            "align border-radius container-background-color icon-width left-icon right-icon tb-border tb-border-radius "
            "tb-hover-border-color tb-selected-border-color tb-width thumbnails"
        ),
        "mj-carousel-image": f"{_LINK} alt border-radius src tb-border tb-border-radius thumbnails-src",
    }.items()
}
_DEEPEST = 50  # components inside each other; whoever has more has forgotten to close them
_FOR_ALL = frozenset({"css-class", "mj-class"})
_IN_COLUMN = words(
    "mj-text mj-button mj-image mj-divider mj-spacer mj-table mj-social mj-navbar mj-accordion mj-carousel mj-raw"
)
_HEAD = words("mj-attributes mj-breakpoint mj-font mj-html-attributes mj-preview mj-style mj-title mj-raw")
#: which components stand directly in which
CHILDREN: Final[dict[str, frozenset[str]]] = {
    "": frozenset({"mjml"}),
    "mjml": frozenset({"mj-head", "mj-body", "mj-raw"}),
    "mj-head": _HEAD,
    "mj-html-attributes": frozenset({"mj-selector"}),
    "mj-selector": frozenset({"mj-html-attribute"}),
    "mj-body": frozenset({"mj-wrapper", "mj-section", "mj-hero", "mj-raw"}),
    "mj-wrapper": frozenset({"mj-section", "mj-hero", "mj-raw"}),
    "mj-section": frozenset({"mj-column", "mj-group", "mj-raw"}),
    "mj-group": frozenset({"mj-column", "mj-raw"}),
    "mj-column": _IN_COLUMN,
    "mj-hero": _IN_COLUMN,
    "mj-social": frozenset({"mj-social-element", "mj-raw"}),
    "mj-navbar": frozenset({"mj-navbar-link", "mj-raw"}),
    "mj-accordion": frozenset({"mj-accordion-element", "mj-raw"}),
    "mj-accordion-element": frozenset({"mj-accordion-title", "mj-accordion-text", "mj-raw"}),
    "mj-carousel": frozenset({"mj-carousel-image"}),
}
#: components between whose children a block may stand; it travels in an mj-raw
HOLDS_BLOCKS: Final = frozenset({"mj-body", "mj-wrapper", "mj-section", "mj-group", "mj-column", "mj-hero"})
_OF_HTML = words(
    "mj-text mj-button mj-table mj-raw mj-navbar-link mj-social-element mj-accordion-title mj-accordion-text "
    "mj-html-attribute"
)


@dataclass
class _Reader:
    """Walks the tokens once, with the components open at each of them."""

    marked: Marked
    problems: list[Problem] = field(default_factory=list)
    open: list[Token] = field(default_factory=list)
    blocks: list[tuple[Piece, int]] = field(default_factory=list)  # open if and for, and in which component they began

    @property
    def parent(self) -> str:
        return self.open[-1].name if self.open else ""

    @property
    def holds_html(self) -> bool:
        """True where HTML may stand; inside an unknown component nothing more is said."""
        return self.parent in _OF_HTML or (self.parent != "" and self.parent not in ATTRIBUTES)

    def note(self, code: str, sentence: str, offset: int, hint: str = "") -> None:
        self.problems.append(Problem(code, sentence, self.marked.at(offset), hint))


def problems_of(marked: Marked) -> list[Problem]:
    """What is wrong with the components of a text."""
    reader = _Reader(marked)
    seen_root = False
    for token in marked.tokens:
        is_component = token.name == "mjml" or token.name.startswith("mj-")
        if token.kind is not TokenKind.comment:
            _check_blocks(reader, token)
        match token.kind:
            case TokenKind.open if is_component:
                seen_root = seen_root or token.name == "mjml"
                _check_open(reader, token)
                if not token.closed and len(reader.open) < _DEEPEST:
                    reader.open.append(token)
            case TokenKind.close if is_component:
                _check_close(reader, token)
            case TokenKind.open if not reader.holds_html and "mj-attributes" not in _names(reader):
                hint = "put it into an mj-text, mj-table or mj-raw"
                reader.note(
                    "mjml-misplaced",
                    f"<{token.name}> stands directly in <{reader.parent or 'nothing'}>",
                    token.start,
                    hint,
                )
            case TokenKind.text if not reader.holds_html:
                _check_text(reader, token)
            case TokenKind.broken:
                reader.note("mjml-broken", "a < here begins no tag", token.start, "write &lt; for the sign itself")
    for token in reversed(reader.open):
        reader.note(
            "mjml-unclosed", f"<{token.name}> is opened and never closed", token.start, f"write </{token.name}>"
        )
    if not seen_root:
        hint = 'begin with <mjml>, or with {% extends "_layout/..." %}'
        reader.note("mjml-no-root", "there is no <mjml> in this text", 0, hint)
    return _first_of_each_place(reader.problems)


def _names(reader: _Reader) -> set[str]:
    return {token.name for token in reader.open}


def _check_open(reader: _Reader, token: Token) -> None:
    inside_attributes = "mj-attributes" in _names(reader)
    if token.name == "mj-include":
        reader.note(
            "tag-not-allowed", "<mj-include> is not used here", token.start, '{% include "_layout/..." %} does it'
        )
        return
    if token.name not in ATTRIBUTES and not (inside_attributes and token.name in ("mj-all", "mj-class")):
        hint = hint_for(token.name, ATTRIBUTES)
        reader.note("mjml-unknown-tag", f"<{token.name}> is not a component of MJML", token.start, hint)
        return
    if inside_attributes:
        return
    allowed = CHILDREN.get(reader.parent, frozenset())
    if token.name not in allowed:
        parents = sorted(name for name, children in CHILDREN.items() if token.name in children and name)
        where = f"inside <{reader.parent}>" if reader.parent else "outside of everything"
        hint = f"it belongs into <{'> or <'.join(parents)}>" if parents else "it is the outermost one"
        reader.note("mjml-misplaced", f"<{token.name}> stands {where}", token.start, hint)
    known = ATTRIBUTES[token.name] | _FOR_ALL
    for attribute in token.attributes:
        if attribute.name not in known and attribute.name != "/" and not MARK.search(attribute.name):
            sentence = f"<{token.name}> has no attribute `{attribute.name}`"
            reader.note("mjml-unknown-attribute", sentence, attribute.name_start, hint_for(attribute.name, known))


def _check_blocks(reader: _Reader, token: Token) -> None:
    """`if` and `for` end in the component in which they began: half a component is no component."""
    here = reader.open[-1].start if reader.open else -1
    for found in MARK.finditer(reader.marked.text, token.start, token.end):
        piece = reader.marked.pieces[int(found[1])]
        if piece.word in ("if", "for", "with"):
            reader.blocks.append((piece, here))
        elif piece.word in ("endif", "endfor", "endwith") and reader.blocks:
            begun, where = reader.blocks.pop()
            if where != here:
                sentence = f"`{begun.word}` begins here and ends in another component of MJML"
                hint = f"put `{begun.word}` and `end{begun.word}` around whole components, or both into one"
                reader.problems.append(Problem("crossing-block", sentence, begun.at, hint))


def _check_close(reader: _Reader, token: Token) -> None:
    if reader.parent == token.name:
        reader.open.pop()
        return
    if token.name in _names(reader):
        while reader.parent != token.name:
            lost = reader.open.pop()
            reader.note(
                "mjml-unclosed", f"<{lost.name}> is opened and never closed", lost.start, f"write </{lost.name}>"
            )
        reader.open.pop()
        return
    hint = f"the one open here is <{reader.parent}>" if reader.parent else "take it out"
    reader.note("mjml-unclosed", f"</{token.name}> closes something that is not open", token.start, hint)
    if token.name not in ATTRIBUTES and reader.open:
        reader.open.pop()  # a slip of the pen: the next tags are not wrong for it


def _check_text(reader: _Reader, token: Token) -> None:
    text = reader.marked.text[token.start : token.end]
    lone = MARK.sub("", text)
    if lone.strip():
        offset = token.start + len(text) - len(text.lstrip())
        where = f"directly in <{reader.parent}>" if reader.parent else "outside of <mjml>"
        reader.note("mjml-misplaced", f"text stands {where} and would be lost", offset, "put it into an mj-text")
    elif reader.parent not in HOLDS_BLOCKS and (found := MARK.search(text)):
        where = f"directly in <{reader.parent}>" if reader.parent else "outside of <mjml>"
        reader.note("mjml-misplaced", f"a tag stands {where}", token.start + found.start(), "put it into the component")


def _first_of_each_place(problems: list[Problem]) -> list[Problem]:
    return list({problem.position: problem for problem in reversed(problems)}.values())[::-1]


def components(marked: Marked) -> Iterator[tuple[Token, str]]:
    """Every token with the innermost component it stands in."""
    stack: list[str] = []
    for token in marked.tokens:
        is_component = token.name == "mjml" or token.name.startswith("mj-")
        if token.kind is TokenKind.close and is_component and token.name in stack:
            while stack.pop() != token.name:
                pass
        yield token, stack[-1] if stack else ""
        if token.kind is TokenKind.open and is_component and not token.closed:
            stack.append(token.name)
