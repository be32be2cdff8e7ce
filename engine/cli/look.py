"""Commands that show: explain, messages, report, and the tasks of humans."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Annotated

import typer

from engine.app import App
from engine.cli.context import CONTEXT, opened
from engine.cli.words import _
from engine.errors import Refused
from engine.learn.explain import Explanation, Line, Story, Way, explain
from engine.learn.report import Report, report
from engine.message.render import RenderError, Values, render_brief
from engine.store import customers, messages, work
from engine.work import tasks as human

tasks = typer.Typer(help=_("work for humans"), no_args_is_help=True, rich_markup_mode=None)


def register(cli: typer.Typer) -> None:
    """Add these commands."""
    cli.command("explain", help=_("why a person got a message, and why not"))(explain_command)
    cli.command("messages", help=_("the last messages and what became of them"))(messages_command)
    cli.command("report", help=_("what came of a journey, against its holdout"))(report_command)
    cli.add_typer(tasks, name="tasks")
    tasks.command("list", help=_("open tasks, the most urgent first"))(list_tasks)
    tasks.command("show", help=_("one task with its brief"))(show_task)
    tasks.command("take", help=_("do this task oneself"))(take_task)
    tasks.command("done", help=_("tell the outcome of a task"))(finish_task)


# --- explain ---------------------------------------------------------------------------------------------------------


def explain_command(
    person: Annotated[str, typer.Argument(help=_("the shop's id of a person"))],
    journey: Annotated[str | None, typer.Argument(help=_("one journey; all when none is named"))] = None,
) -> int:
    with opened() as app:
        told = explain(app, person, journey)
    _show_person(told)
    for story in told.stories:
        _show_story(story, one=journey is not None)
    CONTEXT.out.value(told)
    return 0


def _show_person(told: Explanation) -> None:
    out = CONTEXT.out
    out.say(f"{told.person}  {told.locale}  {told.country or '-'}  {told.zone}", "bold")
    out.say(f"  {_('reachable by')} {', '.join(told.reachable) or _('nothing')}")
    for sentence in told.consents or (_("no consent is recorded"),):
        out.say(f"  {_('consent')}: {sentence}")
    if told.suppressed:
        out.say(f"  {_('on the suppression list')}: {', '.join(told.suppressed)}", "red")


def _show_story(story: Story, one: bool) -> None:
    out = CONTEXT.out
    out.say()
    out.say(f"{story.journey}  ({story.place})", "bold")
    for way in story.ways:
        _show_way(way)
    for line in story.refused[-10:]:
        out.say(f"  {line.at:%Y-%m-%d %H:%M}  {_('did not enter')}: {line.sentence}  ({line.place})", "yellow")
    if not story.ways or one:
        out.say(f"  {story.sentence}")
        for reason in story.entry:
            mark = "✓" if reason.holds else "✗"
            out.say(f"    {'  ' * reason.depth}{mark} {reason.sentence}", "green" if reason.holds else "red")


def _show_way(way: Way) -> None:
    out = CONTEXT.out
    state = (
        _("inside, at {step}").format(step=way.step or _("the start"))
        if way.active
        else _("ended: {reason}").format(reason=way.reason)
    )
    due = f", {_('next look')} {way.due_at:%Y-%m-%d %H:%M} UTC" if way.active and way.due_at else ""
    held = f"  [{_('holdout')}]" if way.holdout else ""
    out.say(f"  {_('entered')} {way.entered_at:%Y-%m-%d %H:%M} UTC, {state}{due}{held}", "cyan")
    for line in way.lines:
        _show_line(line)
    for message in way.messages:
        reason = f" - {message.reason}" if message.reason else ""
        out.say(
            f"    {_('message')} {message.id} {message.message} {message.channel} {message.locale}: {message.state}{reason}"
        )
        for happened in message.happened:
            out.say(f"      {happened}", "dim")


def _show_line(line: Line) -> None:
    place = f"  ({line.place})" if line.place else ""
    CONTEXT.out.say(f"    {line.at:%Y-%m-%d %H:%M}  {line.step or ''}  {line.sentence}{place}")


# --- messages --------------------------------------------------------------------------------------------------------


def messages_command(
    person: Annotated[str | None, typer.Option("--person", help=_("of one person"))] = None,
    journey: Annotated[str | None, typer.Option("--journey", help=_("of one journey"))] = None,
    state: Annotated[str | None, typer.Option("--state", help=_("in one state: accepted, unknown, dead, ..."))] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 50,
    show: Annotated[int | None, typer.Option("--show", help=_("the content of one message, by its number"))] = None,
) -> int:
    with opened() as app, app.database.reading() as connection:
        if show is not None:
            content = messages.content_of(connection, show)
            if content is None:
                raise Refused(_("message {number} has no content").format(number=show))
            _show_content(content)
            CONTEXT.out.value(content)
            return 0
        found = customers.find(connection, person) if person else None
        if person and found is None:
            raise Refused(_("there is no person {person}").format(person=person))
        rows = messages.listed(connection, found.id if found else None, journey, state, limit)
    columns = (
        _("number"),
        _("decided (UTC)"),
        _("person"),
        _("journey"),
        _("step"),
        _("channel"),
        _("locale"),
        _("state"),
        _("reason"),
    )
    CONTEXT.out.table(
        columns,
        [
            (
                r["id"],
                f"{r['at']:%Y-%m-%d %H:%M}",
                r["person"],
                r["journey"],
                r["step"],
                r["channel"],
                r["locale"],
                r["state"],
                r["reason"],
            )
            for r in rows
        ],
    )
    CONTEXT.out.value(rows)
    return 0


def _show_content(content: Mapping[str, object]) -> None:
    for name, value in content.items():
        if value and name != "html":
            CONTEXT.out.say(f"{name}: {value}")


# --- report ----------------------------------------------------------------------------------------------------------


def report_command(journey: Annotated[str, typer.Argument(help=_("the journey's name"))]) -> int:
    with opened() as app:
        told = report(app, journey)
    _show_report(told)
    CONTEXT.out.value(told)
    return 0


def _show_report(told: Report) -> None:
    out = CONTEXT.out
    out.say(told.journey, "bold")
    out.say("  " + _("{entered} entered, {inside} are inside").format(entered=told.entered, inside=told.inside))
    _counts(_("ended"), told.ended)
    _counts(_("went out"), told.sent)
    _counts(_("held back"), told.unsent)
    out.table((_("step"), _("messages")), [(f"  {step}", _told(states)) for step, states in told.steps.items()])
    for brief, outcomes in told.tasks.items():
        _counts(f"{_('task')} {brief}", outcomes)
    _counts(_("vouchers"), told.vouchers)
    for currency, amount in told.cost.items():
        out.say(f"  {_('cost')}: {amount} {currency}")
    for label, arm in ((_("goal"), told.treated), (_("goal without it (holdout)"), told.held_out)):
        if arm.people:
            text = _("{label}: {reached} of {people} ({rate}), worth {value}")
            out.say(
                "  "
                + text.format(
                    label=label, reached=arm.reached, people=arm.people, rate=f"{arm.rate:.1%}", value=arm.value
                )
            )
    if told.difference is not None:
        spread = f"{told.difference.points:+.1%} ({told.difference.low:+.1%} .. {told.difference.high:+.1%}, 95 %)"
        sure = _("more than chance") if told.difference.sure else _("may be chance")
        out.say(f"  {_('difference')}: {spread}: {sure}")


def _counts(label: str, counts: Mapping[str, int]) -> None:
    if counts:
        CONTEXT.out.say(f"  {label}: {_told(counts)}")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))


# --- tasks -----------------------------------------------------------------------------------------------------------


def list_tasks(
    queue: Annotated[str | None, typer.Option("--queue", help=_("of one queue"))] = None,
    all_: Annotated[bool, typer.Option("--all", help=_("closed ones too"))] = False,
) -> int:
    with opened() as app, app.database.reading() as connection:
        rows = work.tasks(connection, open_only=not all_, queue=queue)
        names = {
            number: person.external_id
            for number, (person, _r) in customers.people(connection, [row.customer_id for row in rows]).items()
        }
    columns = (
        _("number"),
        _("due (UTC)"),
        _("queue"),
        _("assignee"),
        _("brief"),
        _("person"),
        _("outcomes"),
        _("outcome"),
    )
    CONTEXT.out.table(
        columns,
        [
            (
                r.id,
                f"{r.due_at:%Y-%m-%d %H:%M}",
                r.queue,
                r.assignee,
                r.brief,
                names.get(r.customer_id),
                ", ".join(r.outcomes["names"]),
                r.outcome,
            )
            for r in rows
        ],
    )
    CONTEXT.out.value([{**row._mapping, "person": names.get(row.customer_id)} for row in rows])
    return 0


def show_task(number: Annotated[int, typer.Argument()]) -> int:
    with opened() as app:
        title, text = _brief(app, number)
    CONTEXT.out.say(title, "bold")
    CONTEXT.out.say(text)
    CONTEXT.out.value({"number": number, "title": title, "text": text})
    return 0


def _brief(app: App, number: int) -> tuple[str, str]:
    """The brief of a task, written for its person."""
    from engine.audience import traits
    from engine.audience.view import View
    from engine.work.gather import gather

    now = app.clock.now()
    with app.database.reading() as connection:
        row = work.task_by_id(connection, number)
        if row is None:
            raise Refused(_("there is no task {number}").format(number=number))
        rules = app.rules(connection)
        state = gather(app, connection, [row.customer_id], rules, app.needs(rules), now).states[0]
    view = View(state.person, state.happenings, rules.audience)
    values = Values(
        person=state.person,
        links=app.links,
        now=now,
        traits=lambda name: traits.value(name, view, now),
        journey=row.journey,
        step=row.step,
    )
    try:
        brief = render_brief(
            app.texts, row.brief, app.texts.choose(row.brief, "task", app.settings.shop.locale), values
        )
    except (RenderError, KeyError) as error:
        return row.brief, str(error)
    return brief.title, brief.text


def take_task(
    number: Annotated[int, typer.Argument()],
    by: Annotated[str | None, typer.Option("--by", help=_("who takes it; you when missing"))] = None,
) -> int:
    who = by or getpass.getuser()
    with opened() as app:
        human.take(app, number, who)
    CONTEXT.out.say(_("task {number} is in the hands of {who}").format(number=number, who=who), "green")
    CONTEXT.out.value({"number": number, "assignee": who})
    return 0


def finish_task(
    number: Annotated[int, typer.Argument()],
    outcome: Annotated[str, typer.Argument(help=_("one of the outcomes written in the journey"))],
    by: Annotated[str | None, typer.Option("--by", help=_("who did it; you when missing"))] = None,
    note: Annotated[str, typer.Option("--note")] = "",
) -> int:
    with opened() as app:
        first = human.done(app, number, outcome, by or getpass.getuser(), note)
    told = (
        _("task {number}: {outcome}")
        if first
        else _("task {number} had an outcome before; {outcome} is kept beside it and moves nothing")
    )
    CONTEXT.out.say(told.format(number=number, outcome=outcome), "green" if first else "yellow")
    CONTEXT.out.value({"number": number, "outcome": outcome, "first": first})
    return 0 if first else 1
