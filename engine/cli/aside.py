"""Commands about people who were set aside in a journey, because work on them failed again and again."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cli.choosing import By, Maybe, Numbers, Reason, given, short
from engine.cli.context import CONTEXT
from engine.cli.installation import myself, opened
from engine.cli.words import _
from engine.store import customers, enrollments
from engine.work.colleagues import aside
from engine.work.colleagues.aside import Answered


def list_aside() -> int:
    out = CONTEXT.out
    with opened() as app, app.database.reading() as connection:
        rows = enrollments.set_aside(connection)
        names = customers.names_of(connection, [row.customer_id for row in rows])
    columns = (_("number"), _("person"), _("journey"), _("step"), _("due (UTC)"), _("reason"))
    if rows:
        cells = (
            [row.id, names.get(row.customer_id), row.journey, row.step, f"{row.due_at:%Y-%m-%d %H:%M}", row.reason]
            for row in rows
        )
        out.table(columns, cells)
    else:
        out.say(_("nobody is set aside"), "green")
    kept = ("id", "journey", "step", "entered_at", "due_at", "failures", "reason")
    out.value([{"person": names.get(row.customer_id), **{name: getattr(row, name) for name in kept}} for row in rows])
    return 0


def retry_aside(numbers: Numbers, reason: Maybe = "", by: By = None) -> int:
    with opened() as app:
        return _tell_ways(aside.retry(app, numbers, by or myself(), short(reason)))


def drop_aside(numbers: Numbers, reason: Reason, by: By = None) -> int:
    with opened() as app:
        return _tell_ways(aside.drop(app, numbers, by or myself(), given(reason)))


def _tell_ways(done: Sequence[Answered]) -> int:
    for one in done:
        told = _("way {number}: {sentence}") if one.done else _("way {number}: unchanged; {sentence}")
        CONTEXT.out.say(told.format(number=one.id, sentence=one.sentence), "green" if one.done else "yellow")
    CONTEXT.out.value(done)
    return 0 if all(one.done for one in done) else 1
