"""Commands of those who write journeys: check, schema, publish, preview, simulate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from engine.app import App
from engine.cli.context import CONTEXT, instant, opened, read_only
from engine.cli.gallery import write_gallery
from engine.cli.summary import show_summary
from engine.cli.words import _, ngettext
from engine.errors import BadInput, Refused
from engine.journey.problems import Problem, Severity
from engine.journey.schema import journey_schema
from engine.simulate.answers import Responder, load_answers
from engine.simulate.preview import Walk, preview
from engine.simulate.run import copy_of, publish_drafts, run
from engine.simulate.summary import summarize
from engine.work.drafts import Drafts, Plan, load_drafts, plan_publish, publish

SCHEMA = "journey.schema.json"


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command("check", help=_("read everything in journeys/ and templates/ and show every mistake at its place"))(
        check
    )
    cli.command("schema", help=_("write journeys/journey.schema.json, with which editors complete and check"))(schema)
    cli.command("publish", help=_("make drafts the versions that run"))(publish_command)
    cli.command("preview", help=_("show what each person would get through a whole journey"))(preview_command)
    cli.command("simulate", help=_("run the drafts on a copy, under a clock that jumps"))(simulate)


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help=_("only findings in these files"))] = None,
) -> int:
    out = CONTEXT.out
    with read_only() as app:
        drafts = load_drafts(app)
        found = list(drafts.problems)
    if paths:
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise Refused(_("there is no file {file}").format(file=missing[0]))
        wanted = {path.resolve() for path in paths}
        found = [p for p in found if any(_inside(app, p, path) for path in wanted)]
    out.problems(found, app.home)
    errors = sum(problem.severity is Severity.error for problem in found)
    warnings = len(found) - errors
    out.value({"journeys": sorted(drafts.graphs), "errors": errors, "warnings": warnings, "problems": found})
    texts = sum(len(channels) for channels in drafts.names.messages.values())
    told = _("{journeys} journeys, {texts} texts: {errors} errors, {warnings} warnings")
    out.say(
        told.format(journeys=len(drafts.graphs), texts=texts, errors=errors, warnings=warnings),
        "red" if errors else "green",
    )
    return 2 if errors else 1 if warnings else 0


def _inside(app: App, problem: Problem, path: Path) -> bool:
    place = (app.home / problem.position.file).resolve()
    return place == path or path in place.parents


def schema(
    check_only: Annotated[bool, typer.Option("--check", help=_("only tell whether the file is up to date"))] = False,
) -> int:
    with read_only() as app:
        drafts = load_drafts(app)
        path = app.journeys_folder / SCHEMA
    text = json.dumps(journey_schema(drafts.names), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    same = path.exists() and path.read_text(encoding="utf-8") == text
    if check_only:
        CONTEXT.out.say(_("the schema is up to date") if same else _("the schema is out of date; run: outreach schema"))
        CONTEXT.out.value({"up_to_date": same})
        return 0 if same else 1
    path.write_text(text, encoding="utf-8")
    CONTEXT.out.say(_("wrote {file}").format(file=path))
    CONTEXT.out.value({"wrote": str(path)})
    return 0


def publish_command(
    journeys: Annotated[list[str] | None, typer.Argument(help=_("names of journeys; all when none is named"))] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("do not ask"))] = False,
    expect: Annotated[
        int | None, typer.Option("--expect", help=_("with --yes: refuse unless the entry segments hold so many people"))
    ] = None,
) -> int:
    out = CONTEXT.out
    with opened() as app:
        drafts = load_drafts(app)
        names = sorted(journeys or drafts.graphs)
        if not journeys and drafts.errors:
            raise BadInput(_("nothing was published: there are errors"), drafts.errors)
        plans = plan_publish(app, drafts, names)
        _show_plans(plans)
        reached = sum(plan.audience or 0 for plan in plans)
        if expect is not None and expect != reached:
            told = _("nothing was published: {expected} people were expected, the entry segments hold {found}")
            raise Refused(told.format(expected=expect, found=reached))
        if not yes and not typer.confirm(_("Publish?"), err=True):
            out.say(_("nothing was published"))
            return 2
        versions = publish(app, drafts, names)
    for version in versions:
        out.say(
            _("{journey}: version {number} is live").format(journey=version.journey, number=version.number), "green"
        )
    out.value({"plans": plans, "published": [{"journey": v.journey, "version": v.number} for v in versions]})
    return 0


def _show_plans(plans: Sequence[Plan]) -> None:
    rows = []
    for plan in plans:
        change = _("new") if plan.is_new else _("changed") if plan.changed else _("same plan")
        who = _("by event") if plan.audience is None else str(plan.audience)
        rows.append((plan.journey, change, who, plan.inside))
    columns = (_("journey"), _("change"), _("in its entry segment now"), _("people inside, who stay on their version"))
    CONTEXT.out.table(columns, rows)


def preview_command(
    journey: Annotated[str, typer.Argument(help=_("the journey's name"))],
    person: Annotated[list[str] | None, typer.Option("--person", help=_("the shop's id of a person"))] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, max=200, help=_("so many people of its audience"))] = 3,
    at: Annotated[str | None, typer.Option("--at", help=_("as of this instant"))] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help=_("write a gallery of pages into this folder"))] = None,
) -> int:
    out = CONTEXT.out
    with opened() as app:
        drafts = load_drafts(app)
        graph = _draft(drafts, journey)
        now = instant(at, app.clock.now())
        with copy_of(app, now) as copy:
            publish_drafts(copy, drafts, [journey])
            with copy.database.reading() as connection:
                rules = copy.rules(connection)
            walks = preview(copy, graph, rules, rules.live[journey], person, sample, now)
            if out_dir is not None:
                index = write_gallery(out_dir, copy, graph, walks, now)
    for walk in walks:
        _show_walk(walk)
    if not walks:
        out.say(_("nobody would be reached: no person matches its entry"), "yellow")
    if out_dir is not None:
        out.say(_("gallery: {file}").format(file=index))
    out.value({"journey": journey, "at": now, "people": walks})
    return 0


def _draft(drafts: Drafts, journey: str):  # type: ignore[no-untyped-def]
    wrong = drafts.problems_of(journey)
    if wrong:
        raise BadInput(_("{journey} has errors").format(journey=journey), wrong)
    if journey not in drafts.graphs:
        known = ", ".join(sorted(drafts.graphs))
        raise Refused(_("there is no journey {journey}; there are: {known}").format(journey=journey, known=known))
    return drafts.graphs[journey]


def _show_walk(walk: Walk) -> None:
    out = CONTEXT.out
    out.say()
    out.say(f"{walk.person}  {walk.locale}  {walk.zone}", "bold")
    out.say(f"  {walk.entry}" + (_("  (in the holdout: gets nothing)") if walk.holdout else ""))
    way = ""
    for stop in walk.stops:
        if stop.by != way and stop.by:
            out.say(f"  {'  ' * stop.depth}[{stop.by}]", "dim")
        way = stop.by
        mark = "•" if stop.on_their_way else "◦"
        out.say(f"  {'  ' * stop.depth}{mark} {stop.local}  {stop.step}  {stop.sentence}  ({stop.place})")
        if stop.shown is not None:
            for line in _content_lines(stop.shown.content):
                out.say(f"  {'  ' * stop.depth}    {line}", "cyan")


def _content_lines(content: object) -> list[str]:
    assert isinstance(content, dict) or hasattr(content, "get")
    told = dict(content)  # type: ignore[call-overload]
    lines = [f"{told['channel']}: {told.get('subject') or told.get('title') or ''}".rstrip(": ")]
    text = told.get("text") or "  ".join(f"{name}={value}" for name, value in told.get("values", ()))
    lines += [line for line in str(text).splitlines() if line.strip()][:12]
    return lines


def simulate(
    journeys: Annotated[list[str] | None, typer.Argument(help=_("names of journeys; all when none is named"))] = None,
    from_: Annotated[str | None, typer.Option("--from", help=_("begin at this instant; now when missing"))] = None,
    to: Annotated[str | None, typer.Option("--to", help=_("end at this instant; 30 days later when missing"))] = None,
    assume: Annotated[Path | None, typer.Option("--assume", help=_("a file that says how people answer"))] = None,
    seed: Annotated[int, typer.Option("--seed", help=_("another seed, other answers"))] = 1,
    ledger: Annotated[Path | None, typer.Option("--ledger", help=_("write every message as JSON lines"))] = None,
) -> int:
    out = CONTEXT.out
    answers = load_answers(assume)
    with opened() as app:
        drafts = load_drafts(app)
        names = sorted(journeys or drafts.graphs)
        for name in names:
            _draft(drafts, name)
        start = instant(from_, app.clock.now())
        end = instant(to, start + timedelta(days=30))
        if end <= start:
            raise Refused(_("--to must be later than --from"))
        out.say(_("assumed: nobody knows; these answers are taken for granted"), "bold")
        for sentence in answers.sentences():
            out.say(f"  {sentence}")
        with copy_of(app, start, seed) as copy:
            publish_drafts(copy, drafts, names)
            visited = run(copy, end, Responder(answers, seed))
            summary = summarize(copy, names, start)
    if ledger is not None:
        ledger.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in summary.ledger), encoding="utf-8"
        )
    out.say()
    told = ngettext(
        "{count} instant at which something was due", "{count} instants at which something was due", len(visited)
    )
    out.say(f"{start:%Y-%m-%d %H:%M} .. {end:%Y-%m-%d %H:%M} UTC, " + told.format(count=len(visited)))
    show_summary(out, summary)
    out.value({"assumed": answers.sentences(), "from": start, "to": end, "seed": seed, **summary.as_json()})
    return 0
