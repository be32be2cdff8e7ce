"""The command line: `outreach COMMAND`. Each command is a short function in a file beside this one.

Exit codes: 0 done, 1 finished with problems to look at, 2 bad input, 3 the surroundings are unfit; 130 by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from typer.exceptions import TyperException

from channels.errors import ChannelError
from engine.cli.commands import FORMATS, MORE_FORMATS, cli, usage_of, wrong_usage
from engine.cli.context import CONTEXT
from engine.cli.show import Output
from engine.cli.words import _
from engine.errors import OutreachError, Refused, Unfit

GLOBAL_OPTIONS = ("--config", "--format")
STOPPED = 130
ERROR_LOG = "outreach-error.log"
#: Python looks for dead circles after each 700 new objects; a chunk of people makes tens of thousands, all alive
FEWER_COLLECTIONS = (50_000, 10, 10)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code. A person never sees a traceback."""
    gc.set_threshold(*FEWER_COLLECTIONS)
    sys.exit(run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Run a command; its exit code."""
    out = CONTEXT.out = Output(_format(arguments))
    try:
        with _only_one_value(out):
            code = _run(arguments, out)
        out.value({"done": code == 0})
        out.close()
        return code
    except KeyboardInterrupt:
        return _stopped(out)
    except (BrokenPipeError, SystemExit):  # typer leaves in this way when a pipe is closed
        return _nobody_listens()
    except OSError as error:  # standard output is a file on a full disk
        out.warn(f"{_('error')}: {_system(error)}", "red")
        return _nobody_listens(Unfit.exit_code)


def _run(arguments: Sequence[str], out: Output) -> int:
    """Run it; whatever goes wrong becomes a sentence."""
    try:
        result = cli()(hoist(arguments) or ["--help"], standalone_mode=False, prog_name="outreach")
        return _stopped(out) if result == STOPPED else result if isinstance(result, int) else 0
    except TyperException as error:
        if not out.json:
            out.warn(usage_of(error))
        return _failed(out, Refused(wrong_usage(error)))
    except OutreachError as error:
        return _failed(out, error)
    except BrokenPipeError:
        raise
    except ChannelError as error:
        return _failed(out, Unfit(str(error)))
    except OSError as error:
        return _failed(out, Unfit(_system(error)))
    except MemoryError:
        return _failed(out, Unfit(_("there is not enough memory for this")))
    except Exception as error:
        return _failed(out, _our_mistake(error))


def _failed(out: Output, error: OutreachError) -> int:
    out.failure(error, CONTEXT.home)
    return error.exit_code


def _stopped(out: Output) -> int:
    out.value({"error": _("stopped; what was done until now stays"), "problems": []})
    if not out.json:
        out.warn(f"\n{_('stopped; what was done until now stays')}", "yellow")
    return STOPPED


def _system(error: OSError) -> str:
    """What the system refused, and about which file."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _our_mistake(error: Exception) -> Unfit:
    """Our own mistake: a sentence for the person, the details for whoever mends it."""
    kind = type(error).__name__
    try:
        Path(ERROR_LOG).write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return Unfit(_("something in outreach itself went wrong ({kind}); please report it").format(kind=kind))
    told = _("something in outreach itself went wrong ({kind}); the details are in {file}, please report it")
    return Unfit(told.format(kind=kind, file=ERROR_LOG))


def _nobody_listens(code: int = 0) -> int:
    """The reader of our output has gone, as `| head` does. What Python would still write goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


@contextlib.contextmanager
def _only_one_value(out: Output) -> Iterator[None]:
    """Where a program reads, whatever else is printed, help for one, goes to standard error."""
    if out.quiet:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    else:
        yield


# --- global options, wherever they stand -----------------------------------------------------------------------------


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
        if word in GLOBAL_OPTIONS:
            if not waiting:
                raise Refused(_("{name} needs a value").format(name=word))
            front += [word, waiting.pop(0)]
        elif word.startswith(tuple(f"{option}=" for option in GLOBAL_OPTIONS)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def _format(words: Sequence[str]) -> str:
    """Known before anything else is, so that a wrong word is told in JSON too."""
    written = [after for word, after in pairwise(words) if word == "--format"]
    written += [word.removeprefix("--format=") for word in words if word.startswith("--format=")]
    return next((one for one in written if one in (*FORMATS, *MORE_FORMATS)), "text")


if __name__ == "__main__":
    main()
