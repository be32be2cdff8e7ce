"""What is wrong in a template whoever reads it: names, filters, tests, links, phrases. And which names it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import nodes

from engine.journey.problems import Problem, Severity
from engine.journey.source import hint_for
from engine.message.catalogues import Catalogues
from engine.message.compiled import Lines, Parsed
from engine.message.filters import FILTERS, TESTS
from engine.message.forms import Reads
from engine.message.links import ANSWER, BadLink, checked_url

INNER: Final = frozenset({"gettext", "ngettext", "range"})  # names that Jinja itself uses
_LINKS: Final = frozenset({"unsubscribe", "preferences", "click", "answer", "confirm"})
_VOUCHER: Final = frozenset({"code", "value", "expires_at"})


@dataclass(frozen=True)
class Look:
    """Looks through one template for what can be known to be wrong without a person."""

    parsed: Parsed
    lines: Lines
    known: frozenset[str]
    brand: Mapping[str, Any]
    catalogues: Catalogues
    locale: str
    file: str

    def problems(self) -> Iterator[Problem]:
        yield from self._words()
        names = self._names()
        fields = self._fields()
        for node in self.parsed.nodes:
            if isinstance(node, nodes.Name):
                yield from names(node)
            elif isinstance(node, nodes.Call):
                yield from self._link(node)
                yield from self._phrase(node)
        yield from fields

    def _words(self) -> Iterator[Problem]:
        for word in self.parsed.strange:
            known = FILTERS if word.kind == "filter" else [one for one in TESTS if one.isalpha()]
            hint = _REFUSED_FILTERS.get(word.name) or hint_for(word.name, known)
            yield Problem(
                f"unknown-{word.kind}", f"there is no {word.kind} `{word.name}`", self.lines.at(word.line), hint
            )

    def _names(self) -> Callable[[nodes.Name], Iterator[Problem]]:
        strange = set(self.parsed.undeclared - self.known)

        def look(node: nodes.Name) -> Iterator[Problem]:
            if node.name in strange:
                strange.discard(node.name)  # the first place is enough
                sentence = f"`{node.name}` is not known in texts"
                yield Problem("undefined-name", sentence, self.lines.at(node.lineno), _name_hint(node.name, self.known))

        return look

    def _fields(self) -> Iterator[Problem]:
        closed = {"links": _LINKS, "voucher": _VOUCHER, "brand": frozenset(self.brand)}
        for owner, name, line, guarded in _field_uses(self.parsed.nodes):
            if owner in closed and name not in closed[owner] and not guarded:
                sentence = f"`{owner}.{name}` is not known in texts"
                hint = hint_for(name, closed[owner])
                if owner == "brand":
                    hint += "; values of the brand stand in config.yaml under `brand:`"
                yield Problem("undefined-name", sentence, self.lines.at(line), hint)

    def _link(self, call: nodes.Call) -> Iterator[Problem]:
        """Addresses and answers that are written out are checked now."""
        node = call.node
        if not (isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "links"):
            return
        if len(call.args) != 1 or not isinstance(call.args[0], nodes.Const):
            return
        word, at = call.args[0].value, self.lines.at(call.lineno)
        if node.attr == "click":
            try:
                checked_url(word)
            except BadLink as error:
                yield Problem("bad-link-scheme", str(error), at, "write it whole: https://shop.example.com/new")
        elif node.attr == "answer" and not (isinstance(word, str) and ANSWER.fullmatch(word)):
            hint = "use a-z, 0-9, - and _, such as too_expensive"
            yield Problem("bad-answer", f"`{word}` is not an answer of one word", at, hint)

    def _phrase(self, call: nodes.Call) -> Iterator[Problem]:
        """Phrases of layouts need a translation; those of a text itself are written in its own language."""
        if not (isinstance(call.node, nodes.Name) and call.node.name in ("gettext", "ngettext") and call.args):
            return
        first, at, locale = call.args[0], self.lines.at(call.lineno), self.locale
        if not isinstance(first, nodes.Const):
            return
        if at.file == self.file:
            if call.node.name == "ngettext" and not self.catalogues.counts(locale, first.value):
                sentence = f"{locale} counts in more than two forms, and `{_short(first.value)}` has two"
                hint = f"add the others to _locale/{locale}/messages.po"
                yield Problem("missing-plural", sentence, at, hint, Severity.warning)
            return
        if not self.catalogues.has(locale, first.value):
            sentence = f"there is no {locale} for the phrase `{_short(first.value)}`"
            hint = f"add it to _locale/{locale}/messages.po"
            yield Problem("missing-translation", sentence, at, hint, Severity.warning)


_REFUSED_FILTERS: Final = {
    "safe": "values are always escaped; write markup in the template itself",
    "tojson": "texts hold no scripts",
    "random": "the same values must always give the same text",
    "urlize": "write the link yourself: <a href=...>",
    "datetime": "write `date` and `time`",
    "currency": "write `money`",
}
_OTHER_NAMES: Final = {
    "user": "the person is `person`",
    "customer": "the person is `person`",
    "name": "write person.name",
    "first_name": "write person.first_name",
    "order": "the event's payload is `event`: event.total",
    "shop": "the shop is `brand`",
    "super": "super() stands inside a {% block %} of a layout",
    "unsubscribe": "write links.unsubscribe",
    "unsubscribe_url": "write links.unsubscribe",
    "today": "write now | date",
    "coupon": "the code is voucher.code",
}


def _name_hint(name: str, known: Iterable[str]) -> str:
    return _OTHER_NAMES.get(name) or hint_for(name, [one for one in known if one not in INNER])


def _short(text: str) -> str:
    return text if len(text) <= 50 else text[:47] + "..."


def _field_uses(found: Sequence[nodes.Node]) -> Iterator[tuple[str, str, int, bool]]:
    """Owner, name and line of every `owner.name`; whether it is only asked for, or has a default."""
    guarded = {
        id(node.node)
        for node in found
        if isinstance(node, nodes.Filter | nodes.Test) and node.name in ("default", "d", "defined", "undefined")
    }
    for node in found:
        if isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Name):
            name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            if isinstance(name, str):
                yield node.node.name, name, node.lineno, id(node) in guarded


def reads_of(found: Sequence[nodes.Node]) -> Reads:
    uses: dict[str, set[str]] = {}
    for owner, name, _, _ in _field_uses(found):
        uses.setdefault(owner, set()).add(name)
    return Reads(
        person=frozenset(uses.get("person", ())),
        event=frozenset(uses.get("event", ())),
        traits=frozenset(uses.get("traits", ())),
        extra=frozenset(uses.get("extra", ())),
        voucher="voucher" in uses,
        unsubscribe="unsubscribe" in uses.get("links", ()),
        preferences="preferences" in uses.get("links", ()),
    )
