"""The command line: `outreach COMMAND`. Each command is a short function in a file beside this one.

Exit codes: 0 done, 1 finished with problems to look at, 2 bad input, 3 the surroundings are unfit.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
import typer

from channels.errors import ChannelError
from engine.cli import author, care, look, run
from engine.cli.context import CONTEXT, GLOBAL_OPTIONS
from engine.cli.show import Output
from engine.cli.words import _
from engine.errors import OutreachError

cli = typer.Typer(
    name="outreach",
    help=_("Journeys that keep a shop's customers from leaving: write, preview, publish, run, explain."),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (author, run, look, care):
    room.register(cli)


@cli.callback()
def options(
    config: Path = typer.Option(Path("config.yaml"), "--config", help=_("the shop's config.yaml; may stand anywhere")),
    format_: str = typer.Option("text", "--format", help=_("text for people, json for programs; may stand anywhere")),
) -> None:
    """Global options, understood before and after the command's name."""
    if format_ not in ("text", "json"):
        raise click.UsageError(_("--format is text or json"))
    CONTEXT.config, CONTEXT.out = config, Output(json=format_ == "json")


def hoist(arguments: Sequence[str]) -> list[str]:
    """Move the global options to the front, so that they may be typed anywhere."""
    front: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            rest += [word, *waiting]
            break
        if word in GLOBAL_OPTIONS and waiting:
            front += [word, waiting.pop(0)]
        elif word.split("=")[0] in GLOBAL_OPTIONS and "=" in word:
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code. A person never sees a traceback."""
    sys.exit(run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Run a command; its exit code."""
    try:
        result = cli(hoist(arguments), standalone_mode=False, prog_name="outreach")
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.Abort:
        CONTEXT.out.errors.print(_("stopped; nothing more was done"))
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except OutreachError as error:
        CONTEXT.out.failure(error, CONTEXT.config.resolve().parent)
        return error.exit_code
    except ChannelError as error:
        CONTEXT.out.errors.print(str(error), style="red", markup=False)
        return 3
    except BrokenPipeError:
        return 0
    except OSError as error:
        CONTEXT.out.errors.print(f"{_('error')}: {error}", style="red", markup=False)
        return 3
    except Exception as error:  # our own mistake: say so in a sentence, keep the details for whoever mends it
        log = Path("outreach-error.log")
        log.write_text(traceback.format_exc(), encoding="utf-8")
        told = _("something in outreach itself went wrong ({kind}); the details are in {file}, please report it")
        CONTEXT.out.errors.print(told.format(kind=type(error).__name__, file=log), style="red", markup=False)
        return 3


if __name__ == "__main__":
    main()
