"""Translations of {% trans %}: gettext catalogues, one per locale, with what is wrong in them.

A catalogue may say in its head how its plurals are numbered, as gettext has it. One that says nothing has them in the
order of CLDR: zero, one, two, few, many, other, those of its language only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, PoFileParser
from babel.support import Translations

from engine.journey.problems import Position, Problem
from engine.message.filters import Translated
from engine.message.locale import BadValue, chain, direction, parse_locale

SOURCE_LANGUAGE = "en"  # what phrases are written in; it needs no catalogue
_FORMS: Final = ("zero", "one", "two", "few", "many", "other")
_TRIED: Final = range(200)  # a form that none of these numbers takes is one of fractions or of millions
_PLACE = re.compile(r"%\((\w+)\)s")


@dataclass
class Catalogues:
    """The catalogues of `_locale/`, read once."""

    folder: Path
    shown: str
    problems: list[Problem] = field(default_factory=list)
    _found: dict[str, tuple[Translations, frozenset[str]]] = field(default_factory=dict)
    _functions: dict[str, dict[str, Callable[..., str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*/messages.po")):
            self._load(path, path.parent.name)

    def functions(self, locale: str) -> dict[str, Callable[..., str]]:
        """`gettext` and `ngettext` as texts of this locale call them."""
        if locale not in self._functions:
            translations = self._of(locale)
            translated = Translated(
                translations.gettext, _plural(translations, parse_locale(locale)), direction(locale) == "rtl"
            )
            self._functions[locale] = {"gettext": translated.gettext, "ngettext": translated.ngettext}
        return self._functions[locale]

    def has(self, locale: str, phrase: str) -> bool:
        """True when a reader of this locale is given the phrase in their language."""
        if parse_locale(locale).language == SOURCE_LANGUAGE:
            return True
        return any(phrase in self._found[name][1] for name in chain(locale) if name in self._found)

    def counts(self, locale: str, phrase: str) -> bool:
        """True when the plurals of a phrase, written in the language of this locale, come out right."""
        return len(plural_forms(parse_locale(locale))) <= 2 or self.has(locale, phrase)

    def _of(self, locale: str) -> Translations:
        """The catalogue of a locale; what it lacks is looked for in the more general ones."""
        found = [self._found[name][0] for name in chain(locale) if name in self._found]
        whole = Translations()
        for translations in found:
            whole.add_fallback(copy(translations))  # falling back is a matter of this locale alone
        whole.add_fallback(_AsWritten(parse_locale(locale)))
        return whole

    def _load(self, path: Path, locale: str) -> None:
        shown = f"{self.shown}/{locale}/messages.po"
        try:
            parse_locale(locale)
        except ValueError:
            hint = "name the folder like zh-CN or de"
            self.problems.append(Problem("bad-locale-name", f"`{locale}` is not a locale", Position(shown), hint))
            return
        if not path.resolve().is_relative_to(self.folder.resolve()):
            hint = "copy the file here"
            self.problems.append(
                Problem("outside-folder", "this leads out of the folder of texts", Position(shown), hint)
            )
            return
        read = self._read(path, locale, shown)
        if read is None:
            return
        catalog, translations = read
        self.problems += _misplaced(catalog, shown)
        self.problems += _too_few(catalog, shown)
        self._found[locale] = (translations, frozenset(_translated(catalog)))

    def _read(self, path: Path, locale: str, shown: str) -> tuple[Catalog, Translations] | None:
        try:
            raw = path.read_bytes()
            own = plural_forms(parse_locale(locale)) if b"Plural-Forms:" not in raw else None
            catalog = Catalog(locale.replace("-", "_"))
            if own is not None:
                catalog.mime_headers = [("Plural-Forms", f"nplurals={len(own)}; plural=0")]  # which one, is said below
            PoFileParser(catalog, abort_invalid=True).parse(BytesIO(raw))
            packed = BytesIO()
            write_mo(packed, catalog)
            packed.seek(0)
            translations = Translations(packed, domain="messages")
            if own is not None:
                translations.plural = _rule(parse_locale(locale), own)
            return catalog, translations
        except PoFileError as error:
            position = Position(shown, max(error.lineno or 0, 0) + 1)
            sentence, hint = (
                "this line is not understood as a gettext catalogue",
                'write msgid "..." and msgstr "..." in pairs',
            )
            if "num_plurals" in str(error):
                wanted = len(plural_forms(parse_locale(locale)))
                sentence = "this phrase has more forms of plural than the language"
                hint = (
                    f"this language has {wanted}; write `Plural-Forms:` into the head where a tool of yours has others"
                )
            self.problems.append(Problem("bad-catalogue", sentence, position, hint))
        except (OSError, UnicodeDecodeError, ValueError, LookupError, KeyError) as error:
            sentence = f"the catalogue cannot be read ({type(error).__name__})"
            self.problems.append(
                Problem("bad-catalogue", sentence, Position(shown), "save it as UTF-8 and look at its head")
            )
        return None


@lru_cache(maxsize=256)
def plural_forms(locale: Locale) -> tuple[str, ...]:
    """The forms that counting takes in a language, in the order of CLDR: one, few, many for Russian."""
    taken = {locale.plural_form(number) for number in _TRIED}
    return tuple(form for form in _FORMS if form in taken)


def _rule(locale: Locale, forms: tuple[str, ...]) -> Callable[[float | Decimal], int]:
    """Which of the forms a number takes, the last when it is none of them: gettext's own kind of function."""

    def index(number: float | Decimal) -> int:
        form = locale.plural_form(number)
        return forms.index(form) if form in forms else len(forms) - 1

    return index


class _AsWritten(NullTranslations):
    """For phrases that no catalogue has: what stands in the text, counted as a language of two forms counts."""

    def __init__(self, locale: Locale) -> None:
        super().__init__()
        self._locale = locale if plural_forms(locale) == ("one", "other") else Locale(SOURCE_LANGUAGE)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return msgid1 if self._locale.plural_form(n) == "one" else msgid2


def _plural(translations: Translations, locale: Locale) -> Callable[[str, str, Any], str]:
    """`ngettext` for all numbers: gettext knows whole ones only."""

    def many(one: str, more: str, number: Any) -> str:
        return translations.ngettext(one, more, _whole(locale, number))

    return many


def _whole(locale: Locale, number: Any) -> int:
    """The number itself, or for a fraction a whole one of the same form: 1.5 is `things` in English, `chose` in French.

    Where fractions have a form that no whole number has, it reads as that of 2 does: 1,5 вещи.
    """
    try:
        value = abs(Decimal(str(number)))
        if value == value.to_integral_value():
            return int(value)
    except (InvalidOperation, OverflowError, ValueError):
        raise BadValue("a plural needs a number to count by") from None
    form = locale.plural_form(value)
    return next((whole for whole in range(20) if locale.plural_form(whole) == form), 2)


def _messages(catalog: Catalog) -> Iterable[Message]:
    return (message for message in catalog if message.id)


def _translated(catalog: Catalog) -> Iterable[str]:
    for message in _messages(catalog):
        forms = message.string if isinstance(message.string, list | tuple) else [message.string]
        if all(forms) and not message.fuzzy:
            yield message.id if isinstance(message.id, str) else message.id[0]


def _too_few(catalog: Catalog, shown: str) -> Iterable[Problem]:
    """Plurals with fewer or more forms than the language has."""
    wanted = catalog.num_plurals
    for message in _messages(catalog):
        forms = message.string
        if isinstance(message.id, list | tuple) and isinstance(forms, list | tuple) and any(forms):
            given = sum(1 for form in forms if form)
            if given != wanted or len(forms) != wanted:
                sentence = f"`{message.id[0]}` has {given} forms of plural, and this language {wanted}"
                hint = f"write msgstr[0] to msgstr[{wanted - 1}]" if wanted > 1 else "write msgstr[0] alone"
                yield Problem("bad-catalogue", sentence, Position(shown, message.lineno or 1), hint)


def _misplaced(catalog: Catalog, shown: str) -> Iterable[Problem]:
    """Translations that name a value the phrase does not have."""
    for message in _messages(catalog):
        ids = message.id if isinstance(message.id, list | tuple) else [message.id]
        texts: Any = message.string if isinstance(message.string, list | tuple) else [message.string]
        known = {name for one in ids for name in _PLACE.findall(one)}
        if len(ids) > 1:
            known.add("num")
        strange = sorted({name for text in texts if text for name in _PLACE.findall(text)} - known)
        if strange:
            sentence = f"the translation speaks of `{strange[0]}`, which the phrase does not have"
            yield Problem(
                "bad-catalogue",
                sentence,
                Position(shown, message.lineno or 1),
                f"the phrase has: {', '.join(sorted(known)) or 'none'}",
            )
