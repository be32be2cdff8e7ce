"""Keeps the translations of the command line: `python -m engine.cli.translations` after a sentence has changed.

It reads the sentences out of the code, brings `locale/*/LC_MESSAGES/outreach.po` up to date with them (what is new
stands there untranslated) and makes the .mo beside it, which is what gettext reads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from engine.cli.words import DOMAIN, LOCALES

ROOM = Path(__file__).parent
FUNCTIONS = ("_", "ngettext", "counted")
UNCHANGING = datetime(2026, 1, 1, tzinfo=UTC)  # the same sentences give the same bytes
FRAME = ("Options", "Arguments", "required", "default: {default}")  # what typer says around our help

Sentence = str | tuple[str, ...]


def sentences() -> list[Sentence]:
    """Everything the command line says, in the order of the files; a tuple is one with a plural."""
    found: dict[Sentence, None] = dict.fromkeys(FRAME)
    for path in sorted(ROOM.rglob("*.py")):
        found |= dict.fromkeys(_said_in(ast.parse(path.read_text(encoding="utf-8"))))
    return list(found)


def _said_in(tree: ast.AST) -> Iterator[Sentence]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if texts:
                yield texts[0] if len(texts) == 1 else tuple(texts)


def catalogues() -> Iterator[tuple[Path, Catalog]]:
    """Every translation there is: its file and what it says."""
    for path in sorted(LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        yield path, read(path)


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], domain=DOMAIN)


def fresh(catalogue: Catalog) -> Catalog:
    """The same translations for the sentences of today."""
    made = Catalog(
        locale=catalogue.locale,
        domain=DOMAIN,
        header_comment=f"# What the command line says, in {catalogue.locale}.",
        project=DOMAIN,
        version="1",
        msgid_bugs_address=DOMAIN,
        last_translator=DOMAIN,
        language_team=DOMAIN,
        creation_date=UNCHANGING,
        revision_date=UNCHANGING,
        fuzzy=False,
    )
    for sentence in sentences():
        known = catalogue.get(sentence if isinstance(sentence, str) else sentence[0])
        made.add(sentence, known.string if known is not None else None)
    return made


def compiled(catalogue: Catalog) -> bytes:
    """What gettext reads."""
    buffer = BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def main() -> None:
    for path, old in list(catalogues()):
        made = fresh(old)
        with path.open("wb") as file:
            write_po(file, made, width=120, no_location=True, omit_header=False, ignore_obsolete=True)
        path.with_suffix(".mo").write_bytes(compiled(made))


if __name__ == "__main__":
    main()
