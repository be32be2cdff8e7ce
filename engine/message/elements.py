"""The HTML of a mail: names that HTML does not know, and elements that are not closed where they were opened.

Mail is written for readers from Outlook to a phone, so nothing is said about what one of them may know: names with a
colon (`o:p`, `v:roundrect`), names with a dash, everything a `<svg>` holds, attributes that are merely unknown. What
is told is what certainly does nothing: an element that no HTML ever had, an attribute one slip away from a real one,
a tag without its other half.

After https://html.spec.whatwg.org, with what it calls obsolete and mail still uses (seen November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from engine.journey.nearest import hint_for, nearest
from engine.journey.problems import Problem, Severity
from engine.message.markup import VOID, Token, TokenKind, words
from engine.message.pieces import MARK, Marked

ELEMENTS: Final = VOID | words(
    "html head title style body article section nav aside h1 h2 h3 h4 h5 h6 hgroup header footer address main search "
    "p pre blockquote ol ul menu li dl dt dd figure figcaption div a em strong small s cite q dfn abbr ruby rt rp data "
    "time code var samp kbd sub sup i b u mark bdi bdo span ins del picture iframe object video audio map table "
    "caption colgroup tbody thead tfoot tr td th form label button select datalist optgroup option textarea output "
    "progress meter fieldset legend selectedcontent details summary dialog script noscript template slot canvas svg "
    "math acronym applet basefont bgsound big blink center dir font frame frameset noframes isindex keygen listing "
    "marquee multicol nextid nobr noembed param plaintext rb rtc spacer strike tt xmp menuitem xml image"
)
ATTRIBUTES: Final = words(
    "abbr accept action allow allowfullscreen alpha alt as async autocapitalize autocomplete autocorrect autofocus "
    "autoplay blocking charset checked cite class closedby color cols colspan command commandfor content "
    "contenteditable controls coords crossorigin data datetime decoding default defer dir dirname disabled download "
    "draggable enctype enterkeyhint fetchpriority for form formaction formenctype formmethod formnovalidate formtarget "
    "headers headingoffset headingreset height hidden high href hreflang id imagesizes imagesrcset inert inputmode "
    "integrity is ismap itemid itemprop itemref itemscope itemtype kind label lang list loading loop low max maxlength "
    "media method min minlength multiple muted name nomodule nonce novalidate open optimum part pattern ping "
    "placeholder playsinline popover popovertarget popovertargetaction poster preload readonly referrerpolicy rel "
    "required reversed role rows rowspan sandbox scope selected shape size sizes slot span spellcheck src srcdoc "
    "srclang srcset start step style summary tabindex target title translate type usemap value width wrap "
    # obsolete, and usual in mail
    "align alink archive axis background behavior bgcolor bgproperties border bordercolor bordercolordark "
    "bordercolorlight bottommargin cellpadding cellspacing char charoff classid clear code codebase codetype compact "
    "declare direction dynsrc event face frame frameborder hspace language leftmargin link longdesc lowsrc "
    "marginheight marginwidth manifest methods noresize noshade nowrap object profile prompt rev rightmargin rules "
    "scheme scrolling standby text topmargin urn valign valuetype version vlink vspace unselectable "
    # of metadata, and of those who send
    "about alias clicktracking conversion datatype editable inlist prefix property resource typeof universal vocab "
    "xmlns"
)
_TURNED: Final = {"".join(sorted(name)): name for name in sorted(ATTRIBUTES)}  # by their letters alone
_TO_MJML: Final = "let the name of its file end in .mjml"
DEEPEST: Final = 200  # elements inside each other
#: HTML closes them where the next one begins or what holds them ends; MJML does not
_CLOSE_THEMSELVES: Final = words(
    "p li dt dd tr td th tbody thead tfoot colgroup caption option optgroup rt rp html head body"
)
_SURE = 0.75  # how alike an unknown attribute is to a known one that was certainly meant


def problems_of(source: Marked, is_mjml: bool) -> list[Problem]:
    """What is wrong with the elements of HTML in a mail. Inside what only Outlook reads, names alone are looked at."""
    reader = _Reader(source, is_mjml)
    in_condition, foreign = False, ""
    for token in source.tokens:
        if foreign:  # a <svg> has names of its own
            foreign = "" if token.kind is TokenKind.close and token.name == foreign else foreign
            continue
        match token.kind:
            case TokenKind.condition:
                in_condition = not source.text.endswith("-->", token.start, token.end)
            case TokenKind.text:
                reader.take_blocks(token)
            case TokenKind.open:
                reader.check_names(token)
                foreign = token.name if token.name in ("svg", "math") and not token.closed else ""
                if not in_condition and not foreign:
                    reader.take_open(token)
            case TokenKind.close if not in_condition:
                reader.take_close(token)
            case TokenKind.broken if not is_mjml and re.match(r"</?[a-z]", source.text[token.start :], re.IGNORECASE):
                sentence = "a tag begins here and is not closed with >"
                hint = "look for a quote that is missing, or write &lt; for the sign itself"
                reader.note("html-broken", sentence, token.start, hint)
                reader.is_lost = True
    return reader.found()


@dataclass
class _Way:
    """One way through the text, and what is open on it: the whole, a case of an `if`, the body of a `for`."""

    number: int
    open: list[Token] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)  # told as still open when something around it was closed


@dataclass(frozen=True)
class _Half:
    """A tag without its other half."""

    token: Token
    way: int
    problem: Problem | None  # None: HTML closes it by itself


@dataclass
class _Reader:
    source: Marked
    is_mjml: bool
    problems: list[Problem] = field(default_factory=list)
    ways: list[_Way] = field(default_factory=lambda: [_Way(0)])  # those inside each other here
    begun: int = 0
    halves: list[_Half] = field(default_factory=list)
    is_lost: bool = False  # in tags that do not end, or too deep: nothing is said about halves then

    def note(self, code: str, sentence: str, offset: int, hint: str) -> None:
        self.problems.append(Problem(code, sentence, self.source.at(offset), hint))

    # --- names

    def check_names(self, token: Token) -> None:
        name = token.name
        if MARK.search(name) or (self.is_mjml and _of_mjml(name)):
            return
        if _of_mjml(name):
            self.note("html-unknown-tag", f"<{name}> is of MJML, and this mail is HTML", token.start, _TO_MJML)
        elif not _is_known(name):
            self.note("html-unknown-tag", f"<{name}> is not an element of HTML", token.start, hint_for(name, ELEMENTS))
        elif name in ELEMENTS:
            for attribute in token.attributes:
                meant = _meant(attribute.name)
                if meant is not None:
                    sentence = f"<{name}> has no attribute `{attribute.name}`"
                    hint = f"did you mean `{meant}`?"
                    self.note("html-unknown-attribute", sentence, attribute.name_start, hint)

    # --- halves

    def take_blocks(self, token: Token) -> None:
        """What is open when a case of an `if` ends may be closed in a case of a later one."""
        for found in MARK.finditer(self.source.text, token.start, token.end):
            word = self.source.pieces[int(found[1])].word
            if word in ("elif", "else", "endif", "endfor") and len(self.ways) > 1:
                self._end_way()
            if word in ("if", "for", "elif", "else"):
                self.begun += 1
                self.ways.append(_Way(self.begun))

    def take_open(self, token: Token) -> None:
        if token.name in VOID or MARK.search(token.name):
            return
        if not token.closed:
            self.ways[-1].open.append(token)
            self.is_lost = self.is_lost or len(self.ways[-1].open) > DEEPEST
        elif not self.is_mjml:
            self._half(token, f"<{token.name}/> does not close itself in HTML", f"write <{token.name}></{token.name}>")

    def take_close(self, token: Token) -> None:
        way, name = self.ways[-1], token.name
        if self.is_lost or name in VOID or MARK.search(name):
            return
        names = [one.name for one in way.open]
        if name not in names and not _is_known(name):  # a slip of the pen, of which the tags after it are not wrong
            self.note("html-unknown-tag", f"</{name}> closes no element of HTML", token.start, hint_for(name, ELEMENTS))
            name = nearest(name, names) or name
        elif name not in names and names and not _is_known(names[-1]):
            name = names[-1]
        if name in names:
            while way.open[-1].name != name:
                inner = way.open.pop()
                way.crossed.append(inner.name)
                self._unclosed(inner, f"is still open where <{name}> is closed")
            way.open.pop()
        elif name in way.crossed:
            way.crossed.remove(name)
        elif _is_known(name):
            hint = f"the one open here is <{names[-1]}>" if names else "take it out"
            self._half(token, f"</{name}> closes something that is not open", hint)

    def _end_way(self) -> None:
        for token in self.ways[-1].open:
            self._unclosed(token, "is opened and never closed")
        self.ways.pop()

    def _unclosed(self, token: Token, what: str) -> None:
        if _is_known(token.name):
            self._half(token, f"<{token.name}> {what}", f"write </{token.name}>")

    def _half(self, token: Token, sentence: str, hint: str) -> None:
        if token.name in ELEMENTS:
            severity = Severity.error if self.is_mjml else Severity.warning
            problem = Problem("html-unclosed", sentence, self.source.at(token.start), hint, severity)
            is_fine = token.kind is TokenKind.open and token.name in _CLOSE_THEMSELVES and not self.is_mjml
            self.halves.append(_Half(token, self.ways[-1].number, None if is_fine else problem))

    def found(self) -> list[Problem]:
        """Names, and halves for which no other case of an `if` or loop could hold the other half."""
        while self.ways:
            self._end_way()
        if self.is_lost:
            return self.problems
        ways: dict[tuple[str, TokenKind], set[int]] = {}
        for half in self.halves:
            ways.setdefault((half.token.name, half.token.kind), set()).add(half.way)
        return self.problems + [half.problem for half in self.halves if half.problem and not _may_meet(half, ways)]


def _may_meet(half: _Half, ways: Mapping[tuple[str, TokenKind], set[int]]) -> bool:
    other = TokenKind.close if half.token.kind is TokenKind.open else TokenKind.open
    others = ways.get((half.token.name, other), set())
    return bool(others) and (others != {0} or half.way != 0)


def _of_mjml(name: str) -> bool:
    return name == "mjml" or name.startswith("mj-")


def _is_known(name: str) -> bool:
    return name in ELEMENTS or ":" in name or "-" in name or name == "mjml"


@lru_cache(maxsize=4096)
def _meant(name: str) -> str | None:
    """The attribute that was certainly meant by this one, which is none."""
    if name in ATTRIBUTES or not re.fullmatch(r"[a-z]{3,}", name) or MARK.search(name) or re.match("on[a-z]", name):
        return None
    return _TURNED.get("".join(sorted(name))) or nearest(name, ATTRIBUTES, _SURE)
