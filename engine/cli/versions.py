"""`outreach versions`: every version of a journey, what changed, who is inside; and which file says what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import called_today, without_texts
from engine.cli.show import plain
from engine.cli.words import _, ngettext
from engine.errors import Refused
from engine.journey.differences import Difference
from engine.store import journeys
from engine.work.publishing.standing import File, Standing, standings
from engine.work.publishing.versions import History, Past, history, version_numbered

SHORT = 100  # columns of what was written, beyond which it is cut


def versions_command(
    journey: Annotated[
        str | None, typer.Argument(metavar="JOURNEY", help=_("the journey's name; all journeys when it is missing"))
    ] = None,
    show: Annotated[
        int | None, typer.Option("--show", metavar="NUMBER", min=1, help=_("print the text of one version"))
    ] = None,
) -> int:
    if show is not None and journey is None:
        raise Refused(_("name the journey whose version is to be shown"))
    with without_texts() as app:
        if journey is None:
            return _overview(app)
        journey = called_today(app, journey)
        return _text(app, journey, show) if show is not None else _history(app, journey)


# --- all journeys ----------------------------------------------------------------------------------------------------


def _overview(app: App) -> int:
    with app.database.reading() as connection:
        found = standings(app, connection)
        state = journeys.live(connection)
        inside = journeys.inside(connection)
        versions = journeys.versions(connection)
    rows, told = [], []
    for name, one in found.items():
        kept = one.retired_at
        people = {each.number: inside.get(each.id, 0) for each in versions if each.journey == name}
        older = {number: count for number, count in people.items() if count and number != one.number}
        since = state[name].published_at
        state_told = file_told(one) if kept is None else _("retired {instant}").format(instant=f"{kept:%Y-%m-%d %H:%M}")
        here = people.get(one.number, 0)
        rows.append((name, one.number, f"{since:%Y-%m-%d %H:%M}", f"{here:,}", _on(older), state_told))
        value = {"journey": name, "version": one.number, "since": since, "inside": people}
        told.append({**value, "file": one.state, "retired_at": kept})
    if rows:
        columns = (_("journey"), _("version"), _("since (UTC)"), _("inside"), _("on other versions"), _("file"))
        CONTEXT.out.table(columns, rows)
    else:
        CONTEXT.out.say(_("no journey is published"), "yellow")
    CONTEXT.out.value(told)
    return 0


def _on(people: Mapping[int, int]) -> str:
    return ", ".join(
        _("{count} on {number}").format(count=f"{count:,}", number=number) for number, count in people.items()
    )


def file_told(one: Standing) -> str:
    """How the file of a journey stands to what runs, in words."""
    match one.state:
        case File.same:
            return _("says what runs")
        case File.edited:
            return _("says something else; publish makes it run")
        case File.wrong:
            return mistakes_told(one.mistakes)
        case File.gone:
            return _("is gone")


def tell_of_the_file(one: Standing) -> None:
    """The file of a journey beside what runs, in a line with what to do about it."""
    CONTEXT.out.tell(standing_told(one), "dim" if one.state is File.same else "yellow")


def standing_told(one: Standing) -> str:
    """`journeys/x.yaml has 2 mistakes; version 3 runs on`."""
    if one.retired_at is not None:
        since = f"{one.retired_at:%Y-%m-%d %H:%M} UTC"
        return _("retired since {instant}: nobody enters any more").format(instant=since)
    told = f"{one.file} {file_told(one)}"
    runs = _("version {number} runs on").format(number=one.number)
    match one.state:
        case File.same:
            return told
        case File.edited:
            return f"{told}; {runs}"
        case File.wrong:
            return f"{told}; {runs}; {_('see: outreach check')}"
        case File.gone:
            return f"{told}; {runs}; {_gone_told(one)}"


def _gone_told(one: Standing) -> str:
    """What to do about a file that is gone."""
    if one.now is not None:
        return _("{now} says that it was this: outreach publish {now}").format(now=one.now)
    stop = _("to end it for good: outreach retire {journey}").format(journey=one.journey)
    goes_on = _("if it was renamed, write `was: {journey}` in its new file").format(journey=one.journey)
    return f"{goes_on}; {stop}"


def mistakes_told(count: int) -> str:
    """So many mistakes; none where the file cannot be read as a journey for other reasons."""
    return ngettext("has {count} mistake", "has {count} mistakes", count).format(count=count)


# --- one journey -----------------------------------------------------------------------------------------------------


def _history(app: App, journey: str) -> int:
    found = history(app, journey)
    with app.database.reading() as connection:
        standing = standings(app, connection).get(journey)  # None for the audience
    out = CONTEXT.out
    columns = (_("version"), _("published (UTC)"), _("by"), _("inside"), "")
    out.table(columns, [_row(one) for one in found.versions])
    _journal(found)
    for one in found.versions:
        _changes(one)
    if standing is not None:
        out.say()
        tell_of_the_file(standing)
    out.value({**plain(found), "standing": standing})
    return 0


def _row(one: Past) -> Sequence[str]:
    live = _("live") if one.live else ""
    return str(one.number), f"{one.published_at:%Y-%m-%d %H:%M}", one.by, f"{one.inside:,}", live


def _journal(found: History) -> None:
    """What was done beside publishing."""
    rest = [one for one in found.journal if one.deed != journeys.PUBLISHED]
    if rest:
        CONTEXT.out.say()
    for one in rest:
        note = f": {one.note}" if one.note else ""
        CONTEXT.out.tell(f"{one.at:%Y-%m-%d %H:%M}  {one.by}  {_deeds()[one.deed].format(number=one.number)}{note}")


def _deeds() -> Mapping[str, str]:
    return {
        journeys.PUBLISHED: _("published version {number}"),
        journeys.ROLLED_BACK: _("rolled back to version {number}"),
        journeys.MOVED: _("moved people to version {number}"),
        journeys.RETIRED: _("retired it"),
        journeys.RENAMED: _("renamed it, in version {number}"),
    }


def _changes(one: Past) -> None:
    out = CONTEXT.out
    if one.number == 1:
        return
    out.say()
    out.say(_("version {number}, against {before}").format(number=one.number, before=one.number - 1), "bold")
    if one.changes is None:
        out.say("  " + _("one of the two can no longer be read"), "yellow")
    show_changes(one.changes or ())


def show_changes(changes: Sequence[Difference]) -> None:
    """One line for each of them."""
    for change in changes:
        sign, colour = _SIGNS[change.kind]
        CONTEXT.out.tell(f"  {sign} {_told(change)}", colour)


_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "moved": (">", "cyan")}


def _told(change: Difference) -> str:
    """One change in one line: `step send-thanks, via: [sms] → [sms, email]`."""
    name = ", ".join(part for part in (_step(change.step), change.key) if part)
    if change.kind == "changed":
        return f"{name}: {_cut(change.before)} → {_cut(change.after)}"
    if change.kind == "moved":
        return _("{step}: now {place}").format(step=name, place=change.after)
    return f"{name}: {_cut(change.after or change.before)}"


def _step(name: str | None) -> str:
    return "" if name is None else _("step {name}").format(name=name)


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."


# --- the text of a version -------------------------------------------------------------------------------------------


def _text(app: App, journey: str, number: int) -> int:
    with app.database.reading() as connection:
        version = version_numbered(connection, journey, number)
    CONTEXT.out.say(version.source.rstrip("\n"))
    CONTEXT.out.value({"journey": journey, "version": number, "file": version.file, "text": version.source})
    return 0
