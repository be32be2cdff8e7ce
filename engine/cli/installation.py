"""Ways for a command to open an installation, and to read what a person typed about it."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from engine.app import App, build_app
from engine.cli.context import CONTEXT
from engine.cli.words import _
from engine.errors import Refused, Unfit
from engine.journey.catalog import Names
from engine.journey.source import hint_for
from engine.message.links import BadLink
from engine.store.names import since

IN_MEMORY = "sqlite://"


@contextmanager
def opened(inert: bool = True) -> Iterator[App]:
    """The installation for the time of a command. `inert`: it sends nothing, so it needs no secret."""
    yield from _open(inert=inert)


@contextmanager
def with_mistakes() -> Iterator[App]:
    """The installation for a command that has to work, or to tell of it, while there are mistakes in the texts."""
    yield from _open(inert=True, strict=False)


@contextmanager
def without_texts() -> Iterator[App]:
    """The installation for a command that writes and judges no message: its texts are left unread, which is faster."""
    yield from _open(inert=True, texts=False)


@contextmanager
def files_only(config: Path | None = None) -> Iterator[App]:
    """The files of an installation with a database that is empty and forgotten: for checking."""
    yield from _open(config, inert=True, database=IN_MEMORY, strict=False)


def _open(config: Path | None = None, *, inert: bool, **more: Any) -> Iterator[App]:
    try:
        app = build_app(config or CONTEXT.config, inert=inert, **more)
        try:
            yield app
        finally:
            app.close()
    except DBAPIError as error:
        raise Unfit(_sentence(error)) from error
    except BadLink as error:
        raise Refused(_("config.yaml, web.url: {why}").format(why=error)) from error


def _sentence(error: DBAPIError) -> str:
    """What the database said, and what to do about it."""
    said = str(error.orig)
    cures = {
        "locked": _("another process is writing to it; wait for it, or stop it"),
        "full": _("the disk is full; make room and run the same command again"),
        "readonly": _("it cannot be written to; look at the rights of the file and its folder"),
        "unable to open": _("it cannot be opened; look at the rights of the file and its folder"),
        "not a database": _("the file is no database; name another under `database:` in config.yaml"),
        "malformed": _("the file is damaged; bring back a copy of it"),
        "no such": _("it was made by another version of outreach"),
        "has no column": _("it was made by another version of outreach"),
    }
    cure = next((cure for sign, cure in cures.items() if sign in said), _("see: outreach doctor"))
    return _("the database says: {said}; {cure}").format(said=said, cure=cure)


def instant(text: str | None, now: datetime) -> datetime:
    """An instant as it is typed: ISO 8601, in UTC where no zone is given. None is now."""
    if text is None:
        return now
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        told = _("{text!r} is no instant; write 2026-12-01, 2026-12-01T10:00 or 2026-12-01T10:00+08:00")
        raise Refused(told.format(text=text)) from None


def unknown(sentence: str, name: str, known: Iterable[str]) -> Refused:
    """A name that is not there, with the nearest one that is."""
    names = sorted(known)
    hint = hint_for(name, names) if names else ""
    return Refused(f"{sentence}; {hint}" if hint else sentence)


def called_today(app: App, journey: str) -> str:
    """What the journey of this name is called today. Whoever typed a name of before is told."""
    with app.database.reading() as connection:
        found = since(connection, journey)
    if found is None:
        return journey
    name, until = found
    told = _("{old} has been called {name} since {instant} UTC")
    CONTEXT.out.tell(told.format(old=journey, name=name, instant=f"{until:%Y-%m-%d %H:%M}"), "yellow")
    return name


def drafts_called(names: Names, asked: Iterable[str]) -> list[str]:
    """The files of these journeys. Whoever typed a name of before is told."""
    found = []
    for name in asked:
        now = next(iter(names.claims.get(name, ())), None) or names.former.get(name)
        if name in names.files or now not in names.files:
            found.append(name)
            continue
        CONTEXT.out.tell(_("{old} is called {name} in journeys/").format(old=name, name=now), "yellow")
        found.append(str(now))
    return list(dict.fromkeys(found))


def myself() -> str:
    """Who types: what is written down beside a pause, an approval, a task."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a bare container
        raise Refused(_("this system does not say who you are; write --by NAME")) from None


def agreed(question: str, yes: bool) -> bool:
    """Did a person say yes? Refused where nobody can be asked."""
    if yes:
        return True
    CONTEXT.out.ask(f"{question} {_('[y/N]')} ")
    try:
        answer = input()
    except EOFError:
        CONTEXT.out.ask("\n")
        raise Refused(_("nobody is there to be asked, and nothing was done; write --yes")) from None
    return answer.strip().casefold() in {"y", "yes", "j", "ja", "是", "好"}
