"""Translations of {% trans %}: gettext catalogues, one per locale, with what is wrong in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations

from engine.journey.problems import Position, Problem
from engine.message.filters import Translated
from engine.message.locale import chain, parse_locale

SOURCE_LANGUAGE = "en"  # what phrases are written in; it needs no catalogue
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
            translated = Translated(translations.gettext, translations.ngettext)
            self._functions[locale] = {"gettext": translated.gettext, "ngettext": translated.ngettext}
        return self._functions[locale]

    def has(self, locale: str, phrase: str) -> bool:
        """True when a reader of this locale is given the phrase in their language."""
        if parse_locale(locale).language == SOURCE_LANGUAGE:
            return True
        return any(phrase in self._found[name][1] for name in chain(locale) if name in self._found)

    def _of(self, locale: str) -> Translations:
        """The catalogue of a locale; what it lacks is looked for in the more general ones."""
        found = [self._found[name][0] for name in chain(locale) if name in self._found]
        whole = Translations()
        for translations in found:
            whole.add_fallback(translations)
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
        catalog = self._read(path, locale, shown)
        if catalog is None:
            return
        self.problems += _misplaced(catalog, shown)
        packed = BytesIO()
        write_mo(packed, catalog)
        packed.seek(0)
        self._found[locale] = (Translations(packed, domain="messages"), frozenset(_translated(catalog)))

    def _read(self, path: Path, locale: str, shown: str) -> Catalog | None:
        try:
            with path.open("rb") as handle:
                return read_po(handle, locale=locale.replace("-", "_"), abort_invalid=True)
        except PoFileError as error:
            position = Position(shown, max(error.lineno or 0, 0) + 1)
            sentence = "this line is not understood as a gettext catalogue"
            self.problems.append(
                Problem("bad-catalogue", sentence, position, 'write msgid "..." and msgstr "..." in pairs')
            )
        except (OSError, UnicodeDecodeError, ValueError, LookupError, KeyError) as error:
            sentence = f"the catalogue cannot be read ({type(error).__name__})"
            self.problems.append(
                Problem("bad-catalogue", sentence, Position(shown), "save it as UTF-8 and look at its head")
            )
        return None


def _messages(catalog: Catalog) -> Iterable[Message]:
    return (message for message in catalog if message.id)


def _translated(catalog: Catalog) -> Iterable[str]:
    for message in _messages(catalog):
        forms = message.string if isinstance(message.string, list | tuple) else [message.string]
        if all(forms) and not message.fuzzy:
            yield message.id if isinstance(message.id, str) else message.id[0]


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
