"""Commands that close what only a person can: messages that are unknown or dead, and people who were set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from engine.cli.context import CONTEXT
from engine.cli.installation import myself, opened
from engine.cli.words import _
from engine.errors import Refused
from engine.store import customers, enrollments
from engine.work.colleagues import aside, closing
from engine.work.colleagues.aside import Answered
from engine.work.colleagues.closing import Closed

LONGEST = 1_000  # characters of a reason
ANSWERS = ("accepted", "not-accepted")

Numbers = Annotated[list[int], typer.Argument(metavar="NUMBER", help=_("numbers, as the list shows them"))]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("how you know; it is kept"))]
Maybe = Annotated[str, typer.Option("--reason", metavar="TEXT", help=_("why; it is kept"))]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help=_("who says so; you when missing"))]

# --- messages --------------------------------------------------------------------------------------------------------


def close_messages(
    numbers: Numbers,
    as_: Annotated[
        str, typer.Option("--as", metavar="accepted|not-accepted", help=_("what you found out at the provider"))
    ],
    reason: Reason,
    by: By = None,
) -> int:
    """Nothing is sent, whatever the answer: to send it after all is another command."""
    if as_ not in ANSWERS:
        raise Refused(_("--as is accepted or not-accepted, not {word}").format(word=as_))
    with opened() as app:
        done = closing.close(app, numbers, as_ == "accepted", by or myself(), _given(reason))
    code = _tell_messages(done)
    if as_ == "not-accepted" and any(one.done for one in done):
        told = _("they are not sent again; where they still should be: outreach messages retry {numbers}")
        CONTEXT.out.say(told.format(numbers=" ".join(str(one.id) for one in done if one.done)), "dim")
    return code


def retry_messages(numbers: Numbers, reason: Maybe = "", by: By = None) -> int:
    with opened() as app:
        return _tell_messages(closing.retry(app, numbers, by or myself(), _short(reason)))


def drop_messages(numbers: Numbers, reason: Reason, by: By = None) -> int:
    with opened() as app:
        return _tell_messages(closing.drop(app, numbers, by or myself(), _given(reason)))


def _tell_messages(done: Sequence[Closed]) -> int:
    for one in done:
        told = _("message {number}: {state}; {sentence}") if one.done else _("message {number}: unchanged; {sentence}")
        line = told.format(number=one.id, state=one.state, sentence=one.sentence)
        CONTEXT.out.say(line, "green" if one.done else "yellow")
    CONTEXT.out.value(done)
    return 0 if all(one.done for one in done) else 1


# --- people set aside ------------------------------------------------------------------------------------------------


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
        return _tell_ways(aside.retry(app, numbers, by or myself(), _short(reason)))


def drop_aside(numbers: Numbers, reason: Reason, by: By = None) -> int:
    with opened() as app:
        return _tell_ways(aside.drop(app, numbers, by or myself(), _given(reason)))


def _tell_ways(done: Sequence[Answered]) -> int:
    for one in done:
        told = _("way {number}: {sentence}") if one.done else _("way {number}: unchanged; {sentence}")
        CONTEXT.out.say(told.format(number=one.id, sentence=one.sentence), "green" if one.done else "yellow")
    CONTEXT.out.value(done)
    return 0 if all(one.done for one in done) else 1


# --- what is typed ---------------------------------------------------------------------------------------------------


def _given(reason: str) -> str:
    text = _short(reason)
    if not text:
        raise Refused(_("--reason is empty; write how you know, for whoever looks at it later"))
    return text


def _short(reason: str) -> str:
    text = " ".join(reason.split())
    if len(text) > LONGEST:
        raise Refused(_("--reason is longer than {most} characters").format(most=LONGEST))
    return text
