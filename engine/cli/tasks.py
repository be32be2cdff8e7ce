"""`outreach tasks`: the work journeys ask of people: see it, take it, tell how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from engine.app import App
from engine.cli.context import CONTEXT
from engine.cli.installation import myself, opened, without_texts
from engine.cli.words import _
from engine.decide.door import Leave
from engine.errors import Refused
from engine.journey.parts import CALL
from engine.message.render import Brief
from engine.store import customers, work
from engine.work.colleagues import tasks as human
from engine.work.colleagues.briefs import brief_of

Number = Annotated[int, typer.Argument(metavar="NUMBER", help=_("the task's number, as `tasks list` shows it"))]


def list_tasks(
    queue: Annotated[str | None, typer.Option("--queue", help=_("of one queue"))] = None,
    all_: Annotated[bool, typer.Option("--all", help=_("closed ones too"))] = False,
) -> int:
    out = CONTEXT.out
    with without_texts() as app, app.database.reading() as connection:
        if queue is not None and queue not in app.settings.queues:
            raise Refused(_("config.yaml knows no queue {queue}").format(queue=queue))
        rows = work.tasks(connection, open_only=not all_, queue=queue)
        people = customers.people(connection, [row.customer_id for row in rows])
    names = {number: person.external_id for number, (person, _revision) in people.items()}
    if rows:
        _table(rows, names)
    else:
        out.say(_("no task is open") if not all_ else _("there is no task"), "green")
    out.value([_told(row, names) for row in rows])
    return 0


def _told(row: Any, names: Mapping[int, str]) -> dict[str, Any]:
    return {**row._mapping, "outcomes": row.outcomes["names"], "person": names.get(row.customer_id)}


def _table(rows: Sequence[Any], names: Mapping[int, str]) -> None:
    columns = (
        *(_("number"), _("due (UTC)"), _("queue"), _("assignee")),
        *(_("brief"), _("person"), _("outcomes"), _("outcome")),
    )
    cells = (
        [
            *(row.id, f"{row.due_at:%Y-%m-%d %H:%M}", _queue(row), _assignee(row), row.brief),
            *(names.get(row.customer_id), ", ".join(row.outcomes["names"]), row.outcome),
        ]
        for row in rows
    )
    CONTEXT.out.table(columns, cells)


def _queue(row: Any) -> str:
    """Where it is, and in which queue nobody took it in time."""
    if row.handed_on_from is None:
        return str(row.queue)
    return _("{queue}, from {before}").format(queue=row.queue, before=row.handed_on_from)


def _assignee(row: Any) -> str:
    """Who is to do it, marked once they said that they do."""
    return _("{who}, taken").format(who=row.assignee) if row.taken_at is not None else str(row.assignee or "")


def show_task(number: Number) -> int:
    out = CONTEXT.out
    with opened() as app:
        row, brief = _brief(app, number)
        call = _call(app, row) if row.call and row.closed_at is None else None
    outcomes = row.outcomes["names"]
    out.say(brief.title, "bold")
    out.say(brief.text)
    out.say()
    if call is not None:
        out.say(call.told, "yellow" if call.refused else None)
    if row.closed_at is None:
        told = _("when it is done: outreach tasks done {number} OUTCOME, with one of {outcomes}")
        out.say(told.format(number=number, outcomes=", ".join(outcomes)), "dim")
    else:
        out.say(_("closed: {outcome}").format(outcome=row.outcome), "dim")
    told_call = None if call is None else {"telephone": call.telephone, "refused": call.refused}
    value = {"number": number, "title": brief.title, "text": brief.text, "outcomes": outcomes}
    out.value({**value, "call": told_call})
    return 0


@dataclass(frozen=True)
class _Call:
    """Whom to call up, and why not now, if so."""

    told: str
    telephone: str
    refused: str | None


def _call(app: App, row: Any) -> _Call:
    now = app.clock.now()
    with app.database.reading() as connection:
        person = customers.people(connection, [row.customer_id])[row.customer_id][0]
        verdict = human.may_call(app, connection, row, now)[0] if row.taken_at is None else Leave()
    number, theirs = person.address(CALL), f"{now.astimezone(person.zone):%H:%M}"
    if isinstance(verdict, Leave):
        told = _("call {telephone}; it is {time} where they are").format(telephone=number, time=theirs)
        return _Call(told, number, None)
    told = _("do not call: {reason}").format(reason=verdict.sentence)
    return _Call(told, number, verdict.sentence)


def _brief(app: App, number: int) -> tuple[Any, Brief]:
    found = brief_of(app, number)
    if found is None:
        raise Refused(_("there is no task {number}; see: outreach tasks list").format(number=number))
    return found


def take_task(
    number: Number,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who takes it; you when missing"))] = None,
) -> int:
    who = by or myself()
    with without_texts() as app:
        human.take(app, number, who)
    CONTEXT.out.say(_("task {number} is in the hands of {who}").format(number=number, who=who), "green")
    CONTEXT.out.value({"number": number, "assignee": who})
    return 0


def finish_task(
    number: Number,
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help=_("one of the outcomes written in the journey"))],
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who did it; you when missing"))] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help=_("what a colleague should know"))] = "",
) -> int:
    with opened() as app:
        first = human.done(app, number, outcome, by or myself(), note)
    later = _("task {number} had an outcome before; {outcome} is kept beside it and moves nothing")
    told = _("task {number}: {outcome}") if first else later
    CONTEXT.out.say(told.format(number=number, outcome=outcome), "green" if first else "yellow")
    CONTEXT.out.value({"number": number, "outcome": outcome, "first": first})
    return 0 if first else 1
