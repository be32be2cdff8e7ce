"""The head: a goal where something is measured, what a topic's purpose forbids, and nothing looser than config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta

from engine.journey.catalog import Names
from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.quantities import Window
from engine.journey.source import hint_for
from engine.journey.steps import SplitStep
from engine.settings import Cap, Policy

_HOUR = timedelta(hours=1)
_LONGEST = {"day": 25 * _HOUR, "week": 169 * _HOUR, "month": 745 * _HOUR}  # calendar spans with a clock turned back


def goal_where_needed(subject: Subject) -> Iterator[Problem]:
    """A split is measured by the goal, and so is a holdout."""
    head = subject.graph.head
    if head.goal is not None:
        return
    hint = "write `goal: {event: Order Completed, within: 30d}`"
    for node in subject.graph.nodes.values():
        if isinstance(node.step, SplitStep):
            sentence = "a split is measured by the goal, and the journey has none"
            yield subject.error((*node.path, "split"), "no-goal", sentence, hint)
    if head.holdout and subject.policy.is_marketing(head.topic):
        yield subject.warning(("holdout",), "holdout-without-goal", "a holdout without a goal measures nothing", hint)


def fits_the_purpose(subject: Subject) -> Iterator[Problem]:
    """What a topic's purpose forbids."""
    head = subject.graph.head
    if head.holdout and not subject.policy.is_marketing(head.topic):
        sentence = f"`{head.topic}` is transactional: what people have a right to is not held back from anyone"
        yield subject.error(("holdout",), "holdout-of-transactional", sentence, "leave `holdout` out")


def stricter(subject: Subject) -> Iterator[Problem]:
    """A journey may only be stricter than config.yaml."""
    for channel, window in subject.graph.head.quiet_hours.items():
        general = subject.policy.window(channel)
        if general is not None and not _covers(window, general):
            sentence = f"config.yaml keeps {channel} quiet from {_span(general)}; this is looser"
            hint = "write a span that holds all of it"
            yield subject.error(("quiet_hours", channel), "looser-quiet-hours", sentence, hint)
        for country in (None, *subject.policy.countries):
            usual = subject.policy.window(channel, country)
            if usual is not None and all(window.holds(one) or usual.holds(one) for one in _minutes()):
                where = f" in {country}" if country else ""
                sentence = (
                    f"with those of config.yaml{where}, {_span(usual)}, nobody could ever be written to by {channel}"
                )
                yield subject.error(("quiet_hours", channel), "never-open", sentence, "write a shorter span")
                break
    for index, cap in enumerate(subject.graph.head.caps):
        for code, key, sentence, hint in wrong_caps(cap, subject.policy):
            yield subject.error(("caps", index, key), code, sentence, hint)
        if (strange := strange_tag(cap, subject.names)) is not None:
            yield subject.warning(("caps", index, "tag"), "cap-without-journey", *strange)


def wrong_caps(cap: Cap, policy: Policy, own: bool = True) -> Iterator[tuple[str, str, str, str]]:
    """What is wrong with a cap: code, the key it stands at, sentence, hint. `own`: of a journey, not of the shop."""
    if cap.topic in policy.topics and cap.purpose == "marketing" and not policy.is_marketing(cap.topic):
        sentence = f"`{cap.topic}` is transactional, and a cap counts marketing unless it says otherwise"
        yield "cap-counts-nothing", "topic", sentence, "write `purpose: transactional` to hold back such messages too"
    looser = next((one for one in policy.caps if own and _looser(cap, one)), None)
    if looser is not None:
        sentence = f"config.yaml allows {looser.name}; `{cap.name}` is looser"
        yield "looser-caps", "at_most", sentence, f"write at most {looser.at_most}"


def strange_tag(cap: Cap, names: Names) -> tuple[str, str] | None:
    """A tag that no journey has: sentence and hint."""
    if cap.tag is None or names.marks is None or cap.tag in names.marks:
        return None
    return f"no journey and no `send` has the tag `{cap.tag}`", hint_for(cap.tag, names.marks)


def _covers(window: Window, general: Window) -> bool:
    """Is every minute of `general` inside `window`?"""
    return all(window.holds(minute) for minute in _minutes() if general.holds(minute))


def _minutes() -> Iterator[time]:
    """Every minute of a day."""
    return (time(*divmod(minute, 60)) for minute in range(24 * 60))


def _looser(cap: Cap, general: Cap) -> bool:
    """Does `general` hold back earlier, whatever happens? It counts all that `cap` counts, in a span that holds its."""
    wider = all(getattr(general, key) in (None, getattr(cap, key)) for key in ("channel", "topic", "tag"))
    same = general.purpose == cap.purpose
    return wider and same and _inside(cap.per, general.per) and cap.at_most > general.at_most


def _inside(span: str | timedelta, other: str | timedelta) -> bool:
    """Does every such span lie inside one of the other kind? A day may have 25 hours, a month 31 days and one more."""
    if isinstance(other, timedelta):
        return (_LONGEST[span] if isinstance(span, str) else span) <= other
    return span == other or (span == "day" and other in ("week", "month"))


def _span(window: Window) -> str:
    return f"{window.start:%H:%M} to {window.end:%H:%M}"
