"""Commands of those who write: check shows every mistake at its place, schema helps editors to avoid them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.explained import codes, explanation, sections
from engine.cli.findings import Findings, findings, folders_of
from engine.cli.formats import WRITERS, shown
from engine.cli.installation import unknown
from engine.cli.watch import saved
from engine.cli.words import _, counted
from engine.errors import OutreachError, Refused
from engine.work.publishing.trial import Length

MOST_LONG = 12  # SMS of several parts that are named


def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help=_("only what concerns these files or folders"))
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=_("show what is allowed, too, with the reason"))] = False,
    watch: Annotated[bool, typer.Option("--watch", help=_("check again after each save, until Ctrl-C"))] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help=_("print what a code means, and check nothing"))
    ] = None,
) -> int:
    if explain is not None:
        return _explain(explain)
    for path in paths or ():
        if not path.exists():
            raise Refused(_("there is no file {file}").format(file=path))
    if watch:
        return _again_and_again(paths or (), every)
    return _once(paths or (), every)


def _once(paths: Sequence[Path], every: bool) -> int:
    found = findings(CONTEXT.config)
    if paths:
        found = found.inside(CONTEXT.home, paths)
    _show(found, every)
    return 2 if found.errors else 1 if found.warnings else 0


def _show(found: Findings, every: bool) -> None:
    out = CONTEXT.out
    if out.format in WRITERS:
        out.document(WRITERS[out.format](found, CONTEXT.home))
        return
    out.problems(found.problems, CONTEXT.home, frozenset(sections()))
    if every:
        out.silenced(found.silenced)
    _show_sum(found)
    out.value(
        {
            "journeys": found.journeys,
            "errors": found.errors,
            "warnings": found.warnings,
            "sms": [{"message": one.message, "locale": one.locale, **asdict(one.parts)} for one in found.sms],
            "problems": found.problems,
            "silenced": found.silenced,
        }
    )


def _again_and_again(paths: Sequence[Path], every: bool) -> int:
    """Check now and after each save, until Ctrl-C, which is how this ends."""
    out = CONTEXT.out
    if out.quiet:
        raise Refused(_("--watch is for people: leave --format out"))
    with contextlib.suppress(KeyboardInterrupt):
        for changed in saved(folders_of(CONTEXT.config), threading.Event().wait):
            if changed:
                out.say("\n" + _("saved: {files}").format(files=", ".join(sorted(map(shown, changed)))), "bold")
            try:
                _once(paths, every)
            except OutreachError as error:
                out.failure(error, CONTEXT.home)
            out.say(_("waiting for the next save; stop with Ctrl-C"), "dim")
            out.close()
    out.say("\n" + _("stopped"))
    return 0


def _explain(code: str) -> int:
    text = explanation(code)
    if text is None:
        raise unknown(_("there is no code {code}").format(code=code), code, codes())
    CONTEXT.out.say(text)
    CONTEXT.out.value({"code": code, "text": text})
    return 0


def _show_sum(found: Findings) -> None:
    there = counted("{count} journey", "{count} journeys", len(found.journeys))
    there += ", " + _("{messages} in {texts}, one for each channel and language").format(
        messages=counted("{count} message", "{count} messages", found.messages),
        texts=counted("{count} text", "{count} texts", found.texts),
    )
    wrong = counted("{count} error", "{count} errors", found.errors)
    wrong += ", " + counted("{count} warning", "{count} warnings", found.warnings)
    if found.silenced:
        wrong += ", " + counted("{count} allowed", "{count} allowed", len(found.silenced))
    CONTEXT.out.say(f"{there}: {wrong}", "red" if found.errors else "yellow" if found.warnings else "green")
    _show_long_sms(found.sms)


def _show_long_sms(lengths: Sequence[Length]) -> None:
    """What is paid more than once."""
    long = [one for one in lengths if one.parts.count > 1]
    if long:
        told = ", ".join(f"{one.message} {one.locale} {one.parts.count}" for one in long[:MOST_LONG])
        more = ", ..." if len(long) > MOST_LONG else ""
        CONTEXT.out.tell(_("SMS in several parts, each paid for: {told}").format(told=told + more))
