"""A summary as people read it."""

from __future__ import annotations

from collections.abc import Mapping

from engine.cli.money import by_channel
from engine.cli.show import Output, display_width
from engine.cli.words import _, counted
from engine.learn.report import Arm
from engine.simulate.summary import Part, Summary

LABEL = 15  # columns of the words before the figures


def show_summary(out: Output, summary: Summary) -> None:
    """One block per journey: entered, sent, held back, tasks, vouchers, goal, cost."""
    for part in summary.parts:
        out.say()
        out.say(part.journey, "bold")
        if part.quiet:
            out.say(f"  {_('nobody entered')}")
            continue
        _entered(out, part)
        _sent(out, part)
        _counted(out, _("held back"), part.held_back)
        for brief, outcomes in part.tasks.items():
            told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items()))
            _line(out, _("tasks"), f"{brief} {sum(outcomes.values())}: {told}")
        _counted(out, _("vouchers"), part.vouchers)
        for label, arm in ((_("goal"), part.treated), (_("in the holdout"), part.held_out)):
            if arm.people:
                _line(out, label, reached(arm))
        if part.cost:
            _line(out, _("cost"), by_channel(part.cost, part.cost_by_channel))


def _line(out: Output, label: str, told: str) -> None:
    out.say(f"  {label}{' ' * max(LABEL - display_width(label), 1)}{told}".rstrip())


def _entered(out: Output, part: Part) -> None:
    held = _("{count} of them held out, to measure against").format(count=part.holdout)
    inside = _("{count} still inside").format(count=part.inside)
    _line(out, _("entered"), f"{part.entered}   ({held}; {inside})")


def _sent(out: Output, part: Part) -> None:
    channels: dict[str, dict[str, int]] = {}
    for (channel, locale), count in part.sent.items():
        channels.setdefault(channel, {})[locale] = count
    if not channels:
        _line(out, _("sent"), "0")
    for index, (channel, locales) in enumerate(channels.items()):
        told = ", ".join(f"{locale} {count}" for locale, count in locales.items() if locale)
        count, parts = sum(locales.values()), part.paid.get(channel, 0)
        long = f" ({counted('{count} part', '{count} parts', parts)})" if parts > count else ""
        _line(out, "" if index else _("sent"), f"{channel} {count}{long}" + (f": {told}" if told else ""))
    if part.on_the_way:
        _line(out, "", _("{count} still on their way").format(count=part.on_the_way))


def _counted(out: Output, label: str, counts: Mapping[str, int]) -> None:
    if counts:
        _line(out, label, ", ".join(f"{name} {count}" for name, count in counts.items()))


def reached(arm: Arm) -> str:
    """How many people of an arm reached the goal, in words."""
    told = _("{reached} of {people} reached it ({share}), worth {value}")
    return told.format(reached=arm.reached, people=arm.people, share=f"{arm.rate:.1%}", value=arm.worth)
