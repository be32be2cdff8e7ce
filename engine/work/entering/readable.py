"""Gather people who may enter: whose row cannot be read is passed over alone, and nobody waits behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from engine.app import App
from engine.decide.decision import Rule, Trace
from engine.decide.state import CustomerState, Rules
from engine.needs import Needs
from engine.store.tables import Row
from engine.work.advance import is_of_the_database
from engine.work.gather import Gathered, gather
from engine.work.story import trace_row

log = logging.getLogger("outreach.enroll")


def gather_readable(
    app: App,
    connection: Connection,
    ids: Sequence[int],
    rules: Rules,
    needs: Needs,
    now: datetime,
    entering: Mapping[str, int],
    whole: Callable[[CustomerState], bool] = lambda _: True,
) -> tuple[Gathered, Mapping[int, str]]:
    """The states of these people without their failed ways; and of whom nothing can be said, with the reason."""
    try:
        return gather(app, connection, ids, rules, needs, now, entering, 0, whole), {}
    except Exception as error:
        if is_of_the_database(error):
            raise
        if len(ids) == 1:
            log.error("a person cannot be read", exc_info=error, extra={"customer": ids[0]})
            return Gathered((), {}), {ids[0]: f"their data cannot be read: {type(error).__name__}: {error}"}
    middle = len(ids) // 2
    (first, lost), (second, more) = (
        gather_readable(app, connection, part, rules, needs, now, entering, whole)
        for part in (ids[:middle], ids[middle:])
    )
    return Gathered((*first.states, *second.states), {**first.revisions, **second.revisions}), {**lost, **more}


def passed_over(unread: Mapping[int, str], journey: str, version_id: int, now: datetime) -> list[Row]:
    """A line in the story of each of those who were passed over."""
    return [
        trace_row(number, Trace(None, journey, None, Rule.not_entered, sentence), now, version_id)
        for number, sentence in unread.items()
    ]
