"""Commands to begin with: init, demo."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.demo import run_demo
from engine.cli.starter import write_starter
from engine.cli.words import _
from engine.clock import SystemClock

FIRST_STEPS = (
    *("outreach check", "outreach test", "outreach import people people.csv", "outreach publish"),
    *("outreach import events events.csv --live", "outreach preview after_purchase"),
    "export OUTREACH_SECRET=$(python3 -c 'import secrets; print(secrets.token_hex(32))')",
    *("outreach daemon --once", "outreach messages", "outreach explain c3"),
)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=_("a folder that does not exist or is empty"))],
) -> int:
    out = CONTEXT.out
    written = write_starter(folder, SystemClock().now())
    for path in written:
        out.say(f"  {folder / path}")
    out.say(_("Try next:"), "bold")
    out.say(f"  cd {shlex.quote(str(folder))}")
    for command in FIRST_STEPS:
        out.say(f"  {command}")
    out.say(_("The mails are then files in outbox/. Do it today: orders older than half a day start nothing."))
    out.value({"folder": folder, "files": written})
    return 0


def demo(
    folder: Annotated[Path, typer.Option("--folder", help=_("where the demo lives; it is made anew"))] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help=_("another seed, another shop"))] = 1,
    people: Annotated[int, typer.Option("--people", min=10, max=100_000, help=_("how many people it has"))] = 2000,
) -> int:
    return run_demo(CONTEXT.out, folder, seed, people)
