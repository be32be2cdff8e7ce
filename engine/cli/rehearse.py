"""Commands that try a draft out: preview walks every branch for a few people, simulate runs it for all on a copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from channels.contract import Content, content_from_json
from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.gallery import write_gallery
from engine.cli.installation import drafts_called, instant, opened, unknown
from engine.cli.looks.sms import sms_length
from engine.cli.money import amounts, cost
from engine.cli.summary import show_summary
from engine.cli.waiting import waiting
from engine.cli.words import _, counted
from engine.errors import BadInput, Refused
from engine.imports.files import read_events
from engine.journey.enter import ByEvent, ByRequest
from engine.journey.graph import Graph
from engine.journey.problems import Problem, Severity
from engine.simulate.answers import Answers, Responder, load_answers
from engine.simulate.preview import Shown, Walk, in_every_locale, preview
from engine.simulate.run import copy_of, publish_drafts, run
from engine.simulate.summary import Summary, summarize
from engine.work.entering.happenings import tell_expected
from engine.work.incoming.importing import load_mapping
from engine.work.incoming.intake import NewEvent
from engine.work.publishing.drafts import Drafts, load_drafts, nobody
from engine.work.tick import Beat

LINES_SHOWN = 12  # of the text of a mail; the gallery shows it whole
USUAL_SPAN = timedelta(days=30)

# --- preview ---------------------------------------------------------------------------------------------------------


def preview_command(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help=_("the journey's name"))],
    person: Annotated[
        list[str] | None, typer.Option("--person", metavar="ID", help=_("the shop's id of a person; may be repeated"))
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=1, max=200, help=_("so many people of its audience"))
    ] = 3,
    at: Annotated[
        str | None, typer.Option("--at", metavar="INSTANT", help=_("as of this instant; now when missing"))
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help=_("write a gallery of pages into this folder"))
    ] = None,
) -> int:
    out = CONTEXT.out
    index, texts = None, list[Shown]()
    with opened() as app:
        drafts = load_drafts(app)
        (journey,) = drafts_called(drafts.names, [journey])
        graph = _draft(drafts, journey)
        now = instant(at, app.clock.now())
        with copy_of(app, now) as copy:
            walks = _walk(copy, drafts, graph, person, sample, now)
            if out_dir is not None and walks:
                texts = list(in_every_locale(copy, graph, walks[0].person, now))
                index = write_gallery(out_dir, app.settings, graph, walks, texts, now)
        empty = nobody(app)
    for walk in walks:
        _show_walk(walk)
    if not walks:
        out.say(_nobody_reached(empty), "yellow")
    if index is not None:
        out.say()
        out.say(_("gallery: {file}").format(file=index), "green")
    unwritten = [one for one in texts if one.error]
    for one in unwritten:
        told = _("{message} {channel} {locale} cannot be written: {reason}")
        out.say(told.format(message=one.message, channel=one.channel, locale=one.locale, reason=one.error), "yellow")
    out.value({"journey": journey, "at": now, "gallery": index, "people": walks, "unwritten": unwritten})
    return 0 if walks and not unwritten else 1


def _walk(
    copy: App, drafts: Drafts, graph: Graph, person: Sequence[str] | None, sample: int, now: datetime
) -> list[Walk]:
    """In the copy the draft is what runs, and its way is walked."""
    publish_drafts(copy, drafts, [graph.journey])
    with copy.database.reading() as connection:
        rules = copy.rules(connection)
    version_id = rules.live[graph.journey]
    return preview(copy, rules.graphs[version_id], rules, version_id, person, sample, now)


def text_for(
    app: App, journey: str, message: str, channel: str, person: str | None, locale: str | None, to: str
) -> Content:
    """One text of a draft as a person would read it, for another address; its links do nothing."""
    drafts = load_drafts(app)
    (journey,) = drafts_called(drafts.names, [journey])
    graph, now = _draft(drafts, journey), app.clock.now()
    with copy_of(app, now) as copy:
        walks = _walk(copy, drafts, graph, [person] if person else None, 1, now)
        if not walks:
            raise Refused(_("there is nobody yet whose data could fill a text; name one with --person"))
        own = locale or app.texts.choose(message, channel, walks[0].locale) if message in app.texts.messages else ""
        every = [one for one in in_every_locale(copy, graph, walks[0].person, now) if one.channel == channel]
    if message not in {one.message for one in every}:
        sentence = _("{journey} sends no text {message} by {channel}")
        told = sentence.format(journey=journey, message=message, channel=channel)
        raise unknown(told, message, {one.message for one in every})
    found = [one for one in every if (one.message, one.locale) == (message, own)]
    if not found:
        languages = sorted({one.locale for one in every if one.message == message})
        raise unknown(_("{message} is not written in {locale}").format(message=message, locale=own), own, languages)
    if found[0].error:
        raise Refused(found[0].error)
    return content_from_json(json.dumps({**found[0].content, "to": to}).encode())


def _draft(drafts: Drafts, journey: str) -> Graph:
    """The draft of this name, if nothing of it is wrong."""
    if journey not in drafts.sources:
        raise unknown(_("there is no journey {journey}").format(journey=journey), journey, drafts.sources)
    wrong = drafts.problems_of(journey)
    if wrong:
        raise BadInput(_("{journey} has errors").format(journey=journey), wrong)
    return drafts.graphs[journey]


def _nobody_reached(empty: bool) -> str:
    if empty:
        return _(
            "nobody is in the database yet; take people in: outreach import people FILE, outreach import events FILE"
        )
    return _("nobody would be reached: no person matches its entry")


def _show_walk(walk: Walk) -> None:
    out = CONTEXT.out
    out.say()
    out.tell(f"{walk.person}  {walk.locale}  {walk.zone}", "bold")
    out.tell(f"  {walk.entry}" + (f"  ({_('in the holdout: gets nothing')})" if walk.holdout else ""))
    way = ""
    for stop in walk.stops:
        indent = "  " + "  " * stop.depth
        if stop.by != way and stop.by:
            out.tell(f"{indent}[{stop.by}]", "dim")
        way = stop.by
        mark = "•" if stop.on_their_way else "◦"
        out.tell(f"{indent}{mark} {stop.local}  {stop.step}  {stop.sentence}".rstrip() + f"  ({stop.place})")
        if stop.shown is not None:
            for line in _content_lines(stop.shown):
                out.tell(f"{indent}    {line}", "cyan")
    if walk.cost:
        told = _("cost of what is known of them today, at most: {amounts}")
        out.tell("  " + told.format(amounts=amounts(walk.cost)))
    out.tell(f"  {_('• by what is known of them today   ◦ another way the journey may take')}", "dim")


def _content_lines(shown: Shown) -> list[str]:
    content, price = shown.content, cost(shown)
    lines = [f"{content['channel']}: {_head(content)}".rstrip(": ") + (f"  ({price})" if price else "")]
    values = "  ".join(f"{name}={value}" for name, value in content.get("values", ()))
    text = content.get("text") or content.get("data") or values
    written = [line for line in str(text).splitlines() if line.strip()]
    return lines + written[:LINES_SHOWN] + (["..."] if len(written) > LINES_SHOWN else [])


def _head(content: Mapping[str, Any]) -> Any:
    """The first line of what is shown."""
    match content["channel"]:
        case "sms":
            return sms_length(content)
        case "webhook":
            return content["to"]
    return content.get("subject") or content.get("title") or ""


# --- simulate --------------------------------------------------------------------------------------------------------


def simulate(
    journeys: Annotated[
        list[str] | None, typer.Argument(metavar="JOURNEY", help=_("names of journeys; all when none is named"))
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="INSTANT", help=_("begin at this instant; now when missing"))
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help=_("end at this instant; 30 days later when missing"))
    ] = None,
    assume: Annotated[
        Path | None, typer.Option("--assume", metavar="FILE", help=_("a file that says how people answer"))
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option("--events", metavar="FILE", help=_("events that happen meanwhile, as import reads them")),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help=_("what the columns of that file mean"))
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help=_("another seed, other answers"))] = 1,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help=_("write every message as JSON lines"))
    ] = None,
) -> int:
    out = CONTEXT.out
    answers = load_answers(assume)
    with opened() as app:
        drafts = load_drafts(app)
        names = sorted(set(drafts_called(drafts.names, journeys or drafts.sources)))
        for name in names:
            _draft(drafts, name)
        start, end = _span(app, from_, to)
        responder = Responder(answers, seed)
        foretold = _foretold(app, events, mapping, start, responder) if events else set()
        _show_assumed(answers, assume)
        if nobody(app):
            out.say(_nobody_reached(True), "yellow")
            out.value({"from": start, "to": end, "people": 0})
            return 1
        _show_unentered([drafts.graphs[name] for name in names], {one.name for one in answers.events} | foretold)
        days = -(-(end - start) // timedelta(days=1))
        out.say(counted("running {count} day on a copy ...", "running {count} days on a copy ...", days))
        with copy_of(app, start, seed) as copy, _day_reached(start, days) as seen:
            publish_drafts(copy, drafts, names)
            tell_expected(copy, start, end)
            visited = run(copy, end, responder, seen)
            summary = summarize(copy, names, start)
    if ledger is not None:
        _write_ledger(ledger, summary)
    told = counted(
        "{count} instant at which something was due", "{count} instants at which something was due", len(visited)
    )
    out.say()
    out.say(f"{start:%Y-%m-%d %H:%M} .. {end:%Y-%m-%d %H:%M} UTC, " + told)
    show_summary(out, summary)
    out.value({"assumed": answers.sentences(), "from": start, "to": end, "seed": seed, **summary.as_json()})
    return 0


@contextmanager
def _day_reached(start: datetime, days: int) -> Iterator[Callable[[Beat], None] | None]:
    """The day that a simulation has come to, for who watches."""
    told = _("day {day} of {days}: {date}")

    def line(at: datetime) -> str:
        return told.format(day=(at - start).days + 1, days=days, date=f"{at:%Y-%m-%d}")

    with waiting(line(start)) as show:
        yield None if show is None else lambda beat: show(line(beat.at))


def _span(app: App, from_: str | None, to: str | None) -> tuple[datetime, datetime]:
    start = instant(from_, app.clock.now())
    end = instant(to, start + USUAL_SPAN)
    if end <= start:
        raise Refused(_("--to must be later than --from"))
    return start, end


def _show_assumed(answers: Answers, file: Path | None) -> None:
    """What is assumed stands before every figure that rests on it."""
    said = _("assumed, for nobody can know (from {file}):").format(file=file)
    usual = _("assumed, for nobody can know (say otherwise with --assume FILE):")
    CONTEXT.out.say(said if file else usual, "bold")
    for sentence in answers.sentences():
        CONTEXT.out.say(f"  {sentence}")


def _foretold(app: App, file: Path, mapping: Path | None, start: datetime, responder: Responder) -> set[str]:
    """Plan the events of a file, each at its own instant; their names. What lies before the start is history."""
    names: dict[str, int] = {}
    past, wrong = 0, []
    for row in read_events(file, load_mapping(mapping), app.settings):
        if isinstance(row, Problem):
            wrong += [row] if row.severity is Severity.error else []
        elif row.at < start:
            past += 1
        else:
            names[row.name] = names.get(row.name, 0) + 1
            responder.foretell(NewEvent(row.id, row.person, row.name, row.at, row.payload))
    if wrong:
        raise BadInput(_("{file} cannot be used").format(file=file), wrong)
    out = CONTEXT.out
    out.say(_("from {file}:").format(file=file), "bold")
    for name, count in sorted(names.items()):
        out.tell(f"  {name}: " + counted("{count} event", "{count} events", count))
    if past:
        told = counted("{count} event lies before the start", "{count} events lie before the start", past)
        out.say(f"  {told}: " + _("left out; take history in with: outreach import events"), "yellow")
    return set(names)


def _show_unentered(graphs: Sequence[Graph], assumed: Collection[str]) -> None:
    """Journeys that nobody new can enter here, since nobody is assumed to do what opens them."""
    for graph in graphs:
        entry = graph.head.enter
        if isinstance(entry, ByEvent) and entry.event not in assumed:
            told = _("{journey}: nobody new enters, for no {event} is assumed; only who is inside already goes on")
            CONTEXT.out.say(told.format(journey=graph.journey, event=entry.event), "yellow")
        elif isinstance(entry, ByRequest):
            told = _("{journey}: nobody new enters, for a simulation lets nobody in by request")
            CONTEXT.out.say(told.format(journey=graph.journey), "yellow")


def _write_ledger(file: Path, summary: Summary) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in summary.ledger), encoding="utf-8")
