"""`outreach enter`: people named by somebody are let into a journey, once their number is confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import agreed, called_today, myself, opened
from engine.cli.words import _, counted
from engine.errors import BadInput, Refused
from engine.imports.entrants import EntrantRow, read_entrants
from engine.imports.mapping import typed
from engine.journey.problems import Position, Problem
from engine.work.entering.requests import Asked, Who, release, take_back, take_in


def enter_command(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help=_("a journey with `enter: {api: true}`"))],
    segment: Annotated[
        str | None, typer.Option("--segment", metavar="SEGMENT", help=_("everyone who is in it now"))
    ] = None,
    person: Annotated[list[str] | None, typer.Option("--person", metavar="ID", help=_("the shop's id; repeat"))] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help=_("CSV or JSON lines with a column `person`"))
    ] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", metavar="KEY=VALUE", help=_("texts and conditions see it as `event`"))
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help=_("names the request: the same key lets in once"))
    ] = None,
    expect: Annotated[int | None, typer.Option("--expect", min=0, help=_("refuse unless they are so many"))] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
) -> int:
    who = _who(segment, person, file, _values(with_ or ()))
    with opened() as app:
        journey = called_today(app, journey)
        asked = take_in(app, journey, who, key or f"{app.clock.now():%Y-%m-%dT%H:%M:%S.%f}", by or myself())
        if asked.repeated_at is not None:
            _tell_repeated(asked)
            return 0
        try:
            _show(asked)
            _as_expected(asked, expect, yes)
            going = asked.people > 0 and agreed(_("Let them in?"), yes)
            if going:
                release(app, asked)
        except BaseException:
            take_back(app, asked)
            raise
        if not going:
            take_back(app, asked)
    _tell(asked, going)
    return 0 if asked.is_whole and asked.people else 1


def _who(segment: str | None, person: Sequence[str] | None, file: Path | None, told: dict[str, Any]) -> Who:
    ways = [name for name, given in (("--segment", segment), ("--person", person), ("--file", file)) if given]
    if len(ways) != 1:
        raise Refused(_("say whom to let in, in one way: --segment SEGMENT, --person ID or --file FILE"))
    if file is not None:
        if not file.exists():
            raise BadInput(_("{file} cannot be read").format(file=file), [_no_file(file)])
        return Who(rows=lambda: read_entrants(file), told=told)
    if person:
        return Who(rows=lambda: _named(person), told=told)
    return Who(segment=segment, told=told)


def _no_file(file: Path) -> Problem:
    return Problem("no-file", f"there is no file {file}", Position(str(file)), "name a CSV or JSON-lines file")


def _named(people: Sequence[str]) -> Iterator[EntrantRow]:
    yield from (EntrantRow(name, {}, Position("--person")) for name in people)


def _values(written: Sequence[str]) -> dict[str, Any]:
    """`total=200` -> a number, as a cell of a table would be."""
    values: dict[str, Any] = {}
    for one in written:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise Refused(_("{text!r} says nothing; write --with key=value").format(text=one))
        values[name.strip()] = typed(name.strip(), value.strip())
    return values


def _show(asked: Asked) -> None:
    out = CONTEXT.out
    out.problems(asked.problems, CONTEXT.home)
    if asked.unknown:
        told = counted("{count} person is not known", "{count} people are not known", asked.unknown)
        out.say(f"{told}: {', '.join(asked.unknown_shown)}", "yellow")
    if asked.named_twice:
        told = counted("{count} row names somebody again", "{count} rows name somebody again", asked.named_twice)
        out.say(f"{told}; {_('the first row of each counts')}", "yellow")
    told = counted("{count} person is before the door", "{count} people are before the door", asked.people)
    if asked.at_most is not None and asked.at_most < asked.people:
        told += ", " + _("at most {count} of them enter").format(count=f"{asked.at_most:,}")
    out.say(f"{asked.journey}: {told}", "bold")


def _as_expected(asked: Asked, expect: int | None, yes: bool) -> None:
    if expect is not None and expect != asked.people:
        raise Refused(
            _("nobody was let in: {expected} were expected, and they are {found}").format(
                expected=expect, found=asked.people
            )
        )
    if yes and expect is None:
        told = _("nobody was let in; say how many you expect: --yes --expect {found}")
        raise Refused(told.format(found=asked.people))


def _tell(asked: Asked, going: bool) -> None:
    told = _("they enter at the next beat of the daemon; the request is called {key}").format(key=asked.key)
    CONTEXT.out.say(told if going else _("nobody was let in"), "green" if going else "yellow")
    CONTEXT.out.value({**_value(asked), "unknown": asked.unknown, "released": going})


def _value(asked: Asked) -> dict[str, Any]:
    return {"journey": asked.journey, "key": asked.key, "people": asked.people}


def _tell_repeated(asked: Asked) -> None:
    told = _("the request {key} was made at {at} UTC: {people} people, of whom {entered} have entered")
    at = f"{asked.repeated_at:%Y-%m-%d %H:%M}"
    CONTEXT.out.say(told.format(key=asked.key, at=at, people=asked.people, entered=asked.entered), "yellow")
    CONTEXT.out.value({**_value(asked), "entered": asked.entered, "repeated": True, "released": True})
