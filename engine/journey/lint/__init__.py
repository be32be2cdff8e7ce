"""Holds a journey against the installation: does everything it speaks of exist, and can the plan be walked at all?

One file for each kind of question. A check is a function that is given a `Subject` and yields its findings; it stands
in one of the lists below. Each finding has a code, listed in `engine.journey.codes`.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.journey.catalog import Names
from engine.journey.graph import Graph
from engine.journey.lint import conditions, events, head, names, others, pace, renames, splits, texts, times, walk
from engine.journey.lint.names import KINDS
from engine.journey.lint.subject import Check, Subject
from engine.journey.problems import Problem
from engine.journey.source import first_of
from engine.settings import Policy

__all__ = ["KINDS", "lint"]

#: of every journey, and of what is understood of one with mistakes
OF_NAMES: tuple[Check, ...] = (
    names.exist,
    names.attributes,
    names.tags,
    names.colleagues,
    texts.written,
    events.seen,
    events.keys_told,
    renames.was_one_journey,
    renames.was_published_once,
    renames.renamed_openly,
)
#: of those that can be read as a whole
OF_WHOLE: tuple[Check, ...] = (
    walk.reachable,
    walk.answers_possible,
    walk.rounds_take_time,
    splits.differ_in_one_thing,
    splits.large_enough,
    others.not_itself,
    others.no_circle,
    others.key_handed_on,
    others.no_echo,
    others.not_for_each_other,
    walk.awaited_inside,
    walk.outcomes_possible,
    conditions.can_hold,
    conditions.event_at_hand,
    conditions.cases_open,
    times.before_the_end,
    times.windows_open,
    times.goal_in_time,
    pace.room_under_caps,
    pace.room_for_the_gap,
    head.goal_where_needed,
    head.fits_the_purpose,
    head.stricter,
)


def lint(graph: Graph, names: Names, policy: Policy) -> list[Problem]:
    """Every finding about one journey, in the order of its lines. Of a salvaged journey only the names are judged."""
    subject = Subject(graph, names, policy)
    checks = (*OF_NAMES, *OF_WHOLE) if graph.whole else OF_NAMES
    found = first_of(_findings(subject, checks))
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.position, problem.code))


def _findings(subject: Subject, checks: tuple[Check, ...]) -> Iterator[Problem]:
    for check in checks:
        yield from check(subject)
