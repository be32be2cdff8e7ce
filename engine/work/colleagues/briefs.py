"""What a colleague reads about a task: its brief, written for its person as they are now."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from engine.app import App
from engine.audience import traits
from engine.audience.view import View
from engine.message.render import Brief, RenderError, Values, render_brief
from engine.store import work
from engine.work.gather import gather


def brief_of(app: App, number: int) -> tuple[Any, Brief] | None:
    """A task and its brief; None when there is no such task. Where it cannot be written, that is what it says."""
    with app.database.reading() as connection:
        row = work.task_by_id(connection, number)
        if row is None:
            return None
        values = _values(app, connection, row)
    try:
        locale = app.texts.choose(row.brief, "task", app.settings.shop.locale)
        return row, render_brief(app.texts, row.brief, locale, values)
    except (RenderError, LookupError) as error:
        return row, Brief(row.brief, str(error))


def _values(app: App, connection: Connection, row: Any) -> Values:
    """What a brief may speak of: its person as they are now, and the event that opened their way."""
    now = app.clock.now()
    rules = app.rules(connection)
    entered = {row.journey: rules.heads.get(row.journey, 0)}
    state = gather(app, connection, [row.customer_id], rules, app.needs(rules), now, entered).states[0]
    event = next((way.event for way in state.enrollments if way.id == row.enrollment_id), {})
    view = View(state.person, state.happenings, rules.audience, event=event)
    return Values(
        event=event,
        person=state.person,
        links=app.links,
        now=now,
        traits=lambda name: traits.value(name, view, now),
        journey=row.journey,
        step=row.step,
    )
