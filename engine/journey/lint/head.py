"""The head: a goal where something is measured, what a topic's purpose forbids, and nothing looser than config.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time

from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.quantities import Window
from engine.journey.steps import SplitStep
from engine.settings import Cap


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
    for index, cap in enumerate(subject.graph.head.caps):
        looser = next((one for one in subject.policy.caps if _looser(cap, one)), None)
        if looser is not None:
            sentence = f"config.yaml allows {looser.name}; `{cap.name}` is looser"
            yield subject.error(("caps", index, "at_most"), "looser-caps", sentence, f"write at most {looser.at_most}")


def _covers(window: Window, general: Window) -> bool:
    """Is every minute of `general` inside `window`?"""
    minutes = (time(*divmod(minute, 60)) for minute in range(24 * 60))
    return all(window.holds(minute) for minute in minutes if general.holds(minute))


def _looser(cap: Cap, general: Cap) -> bool:
    return (cap.per, cap.channel) == (general.per, general.channel) and cap.at_most > general.at_most


def _span(window: Window) -> str:
    return f"{window.start:%H:%M} to {window.end:%H:%M}"
