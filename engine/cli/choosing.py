"""What commands that close something have in common: which of it is meant, who says so, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import agreed
from engine.cli.words import _
from engine.errors import Refused

LONGEST = 1_000  # characters of a reason

Numbers = Annotated[list[int], typer.Argument(metavar="NUMBER", help=_("numbers, as the list shows them"))]
Some = Annotated[list[int] | None, typer.Argument(metavar="NUMBER", help=_("numbers, as the list shows them"))]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("how you know; it is kept"))]
Maybe = Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why; it is kept"))]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))]
Yes = Annotated[bool, typer.Option("--yes", help=_("do not ask"))]
OfJourney = Annotated[str | None, typer.Option("--journey", metavar="NAME", help=_("of one journey"))]
OfChannel = Annotated[str | None, typer.Option("--channel", metavar="NAME", help=_("of one channel"))]
OfProvider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help=_("that this provider was asked to take"))
]
Older = Annotated[str | None, typer.Option("--older", metavar="SPAN", help=_("for so long at least: 6h, 2d"))]
All = Annotated[bool, typer.Option("--all", help=_("all of them"))]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help=_("no more than so many"))]


def meant(question: str, yes: bool) -> bool:
    """Did a person say that it is? Told when nothing is done."""
    if agreed(question, yes):
        return True
    CONTEXT.out.say(_("nothing was changed"), "yellow")
    return False


def given(reason: str) -> str:
    text = short(reason)
    if not text:
        raise Refused(_("--reason is empty; write how you know, for whoever looks at it later"))
    return text


def short(reason: str) -> str:
    text = " ".join(reason.split())
    if len(text) > LONGEST:
        raise Refused(_("--reason is longer than {most} characters").format(most=LONGEST))
    return text
