"""The list of commands: their names, what they are for, and where they are written. A command's file is read when it is
called and not before, so that `outreach check` does not wait for a web server to load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from engine.cli.context import CONTEXT
from engine.cli.words import _
from engine.errors import Refused

ABOUT = _("Journeys that keep a shop's customers from leaving: write, preview, publish, run, explain.")
EXIT_CODES = _("Exit codes: 0 done, 1 finished with problems to look at, 2 bad input, 3 the surroundings are unfit.")
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


FORMATS = ("text", "json")
OF_FINDINGS = ("github", "sarif", "junit")
MORE_FORMATS = (*OF_FINDINGS, "html")  # that some commands know


@dataclass(frozen=True)
class Entry:
    """One command, or with `inner` a group of them: `import people`, `import events`."""

    help: str
    place: str = ""  # module:function
    formats: tuple[str, ...] = ()  # beside text and json
    inner: dict[str, Entry] | None = None


COMMANDS: dict[str, Entry] = {
    "init": Entry(_("make a new shop's folder"), "start:init"),
    "demo": Entry(_("a made-up shop, four journeys, 14 days in about a minute"), "start:demo"),
    "check": Entry(_("show every mistake in config, journeys and texts, at its place"), "check:check", OF_FINDINGS),
    "schema": Entry(
        _("write the schemas with which editors complete and check journeys, audience and tests"), "schemas:schema"
    ),
    "preview": Entry(_("show what each person would get through a whole journey"), "rehearse:preview_command"),
    "simulate": Entry(_("run the drafts on a copy, under a clock that jumps"), "rehearse:simulate"),
    "test": Entry(_("play the tests of journeys/tests/ and tell what is not as they say"), "testing:run_tests"),
    "publish": Entry(_("make drafts the versions that run"), "publishing:publish_command"),
    "versions": Entry(_("every version of a journey, what changed, and who is inside"), "versions:versions_command"),
    "rollback": Entry(_("let people enter an older version again"), "rollback:rollback_command"),
    "move": Entry(_("move people inside one version of a journey to another"), "moving:move_command"),
    "import": Entry(
        _("take in people or events from a file"),
        inner={
            "people": Entry(_("take in people from CSV or JSON lines"), "imports:people"),
            "events": Entry(_("take in events from CSV or JSON lines"), "imports:events"),
        },
    ),
    "enter": Entry(_("let people into a journey by name, by file, by segment"), "letting_in:enter_command"),
    "calendar": Entry(_("what is planned in the days ahead"), "calendar:calendar_command", formats=("html",)),
    "happen": Entry(_("tell that something happens, so that people enter"), "happening:happen"),
    "daemon": Entry(_("run the published journeys"), "running:daemon"),
    "worker": Entry(_("one of many that run the journeys of one PostgreSQL"), "running:worker"),
    "workers": Entry(_("who works, what they hold, and what waits"), "crew:workers_command"),
    "approve": Entry(_("let a waiting wave, or people who wait at a step, go on"), "care:approve"),
    "pause": Entry(_("stop new attempts of a journey"), "care:pause"),
    "resume": Entry(_("let a paused journey or a stopped lane go on"), "care:resume"),
    "retire": Entry(_("end a journey for good"), "retiring:retire_command"),
    "segments": Entry(_("who is in a segment, and why"), "segments:segments_command"),
    "explain": Entry(_("why a person got a message, and why not"), "explaining:explain_command"),
    "people": Entry(_("who is in a segment, and what is computed about them"), "people:people_command"),
    "consent": Entry(_("what a person agreed to, now or at any instant"), "consents:consent_command"),
    "suppress": Entry(_("never write to these addresses again"), "consents:suppress_command"),
    "messages": Entry(_("the last messages and what became of them"), "look:messages_command"),
    "unknown": Entry(
        _("messages that may or may not have been sent"),
        inner={
            "list": Entry(_("which they are, since when, and whom to ask"), "closing:list_unknown"),
            "close": Entry(_("tell what became of them"), "closing:close_unknown"),
        },
    ),
    "dead": Entry(
        _("messages that were given up"),
        inner={
            "list": Entry(_("which they are, why, and the last answer"), "closing:list_dead"),
            "retry": Entry(_("try them once more, by all the rules"), "closing:retry_dead"),
            "drop": Entry(_("let them be: they need not go out any more"), "closing:drop_dead"),
        },
    ),
    "set-aside": Entry(
        _("people set aside in a journey after three failures"),
        inner={
            "list": Entry(_("who is set aside, where and why"), "aside:list_aside"),
            "retry": Entry(_("take them up again, each alone"), "aside:retry_aside"),
            "drop": Entry(_("end their way where they stand"), "aside:drop_aside"),
        },
    ),
    "held": Entry(
        _("people and waves held since the database was brought back from a copy"),
        inner={
            "list": Entry(_("how many of which journey, and since when"), "held:list_held"),
            "release": Entry(_("let them go on from where they stood"), "held:release_held"),
            "drop": Entry(_("end them where they stood: what was due counts as done"), "held:drop_held"),
        },
    ),
    "report": Entry(_("what came of a journey, against its holdout"), "look:report_command"),
    "codes": Entry(
        _("voucher codes"),
        inner={
            "list": Entry(_("how many codes each pool has, and which runs low"), "codes_of_pools:list_codes"),
            "import": Entry(_("take in new lines of the pools' files"), "codes_of_pools:import_codes"),
        },
    ),
    "tasks": Entry(
        _("work for humans"),
        inner={
            "list": Entry(_("open tasks, the most urgent first"), "tasks:list_tasks"),
            "show": Entry(_("one task with its brief"), "tasks:show_task"),
            "take": Entry(_("do this task oneself"), "tasks:take_task"),
            "done": Entry(_("tell the outcome of a task"), "tasks:finish_task"),
        },
    ),
    "copy": Entry(_("move the shop to another database, compared row for row"), "copying:copy"),
    "channels": Entry(
        _("which providers are installed, which are configured, and how they are"), "channels:channels_command"
    ),
    "bounces": Entry(_("read the mails that came back, by mailbox or by pipe"), "bounces:bounces"),
    "send": Entry(_("send one real test message to yourself"), "channels:send_command"),
    "trim": Entry(_("take away what is over for longer than `keep`"), "trimming:trim_command"),
    "doctor": Entry(_("look at everything that could keep messages from leaving"), "doctor:doctor"),
}


class _Command(TyperCommand):
    """One command, whose help speaks the person's language in its frame too."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        _write_usage(self, ctx, formatter)

    def get_help_option(self, ctx: Any) -> Any:
        return _in_words(super().get_help_option(ctx))


def _write_usage(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.write_usage(ctx.command_path, " ".join(command.collect_usage_pieces(ctx)), prefix=_("Usage: "))


def _in_words(option: Any) -> Any:
    if option is not None:
        option.help = _("show this and end")
    return option


class _Group(TyperGroup):
    """Commands that are read when they are called."""

    entries: dict[str, Entry]

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        _write_usage(self, ctx, formatter)

    def get_help_option(self, ctx: Any) -> Any:
        return _in_words(super().get_help_option(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: Any, name: str) -> Any:
        entry = self.entries.get(name)
        if entry is None:
            near = get_close_matches(name, self.entries, n=1)
            hint = _("did you mean {name}?").format(name=near[0]) if near else _("see: outreach --help")
            raise Refused(_("there is no command {name}; {hint}").format(name=name, hint=hint))
        return _group(name, entry) if entry.inner is not None else _command(name, entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])


def cli() -> Any:
    """The whole command line."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
    app.callback(cls=_Group, help=ABOUT, epilog=EXIT_CODES)(options)
    return _filled(typer.main.get_command(app), COMMANDS)


def _group(name: str, entry: Entry) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
    app.callback(cls=_Group, help=entry.help, no_args_is_help=True)(lambda: None)
    return _filled(typer.main.get_command(app), entry.inner or {}, name)


def _filled(group: Any, entries: dict[str, Entry], name: str = "outreach") -> Any:
    group.name, group.entries = name, entries
    return group


def _command(name: str, entry: Entry) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, cls=_Command, help=entry.help, context_settings=SETTINGS)(_found(entry))
    return typer.main.get_command(app)


def _found(entry: Entry) -> Callable[..., Any]:
    """The function of a command, read now."""
    module, function = entry.place.split(":")
    found: Callable[..., Any] = getattr(import_module(f"engine.cli.{module}"), function)
    return found


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # read when it is asked for: every command would wait for it

        _fitting(CONTEXT.out.format, FORMATS)
        CONTEXT.out.say(f"outreach {version('outreach')}")
        CONTEXT.out.value({"version": version("outreach")})
        raise typer.Exit


def options(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help=_("the shop's config.yaml; may stand anywhere"))
    ] = Path("config.yaml"),
    format_: Annotated[
        str,
        typer.Option("--format", metavar="text|json", help=_("text for people, json for programs; may stand anywhere")),
    ] = "text",
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help=_("show which version this is and end")),
    ] = False,
) -> None:
    """Global options; the first two are understood before and after the command's name."""
    entry = COMMANDS.get(context.invoked_subcommand or "")
    _fitting(format_, (*FORMATS, *(entry.formats if entry is not None else ())))
    CONTEXT.config = config


def _fitting(word: str, known: Sequence[str]) -> None:
    """Refuse a format that is not known here."""
    if word not in known:
        either = _("{some} or {last}").format(some=", ".join(known[:-1]), last=known[-1])
        raise Refused(_("--format is {formats}, not {word}").format(formats=either, word=word))


# --- what was typed wrongly ------------------------------------------------------------------------------------------


def usage_of(error: TyperException) -> str:
    """The line that shows how the command is written."""
    context = getattr(error, "ctx", None)
    return str(context.get_usage()) if context is not None else ""


def wrong_usage(error: TyperException) -> str:
    """What was typed wrongly, in a sentence."""
    context = getattr(error, "ctx", None)
    see = _("see: {command} --help").format(command=context.command_path if context is not None else "outreach")
    return f"{_typed(error)}; {see}"


def _typed(error: TyperException) -> str:
    """Typer's kinds of complaint; those it keeps to itself are told apart by their names."""
    name = _name_of(error)
    match type(error).__name__:
        case "MissingParameter":
            return _("{name} is missing").format(name=name)
        case "NoSuchOption":
            return _no_such_option(error)
        case "NoArgsIsHelpError":
            return _("name a command")
        case "BadParameter" if name:
            return f"{name}: {getattr(error, 'message', error)}".rstrip(".")
    return error.format_message().rstrip(".")


def _name_of(error: TyperException) -> str:
    """The option or argument it is about, as it is written in the help."""
    param = getattr(error, "param", None)
    if param is None:
        return ""
    return str(param.opts[0]) if param.param_type_name == "option" else str(param.metavar or param.name)


def _no_such_option(error: TyperException) -> str:
    name, near = getattr(error, "option_name", ""), getattr(error, "possibilities", None) or ()
    told = _("there is no option {name}").format(name=name)
    return f"{told}; {_('did you mean {name}?').format(name=_nearest(name, near))}" if near else told


def _nearest(name: str, near: Sequence[str]) -> str:
    return next(iter(get_close_matches(name, near, n=1, cutoff=0.0)))
