"""A summary as people read it."""

from __future__ import annotations

from collections.abc import Mapping

from engine.cli.show import Output
from engine.cli.words import _
from engine.simulate.summary import Part, Summary


def show_summary(out: Output, summary: Summary) -> None:
    """One block per journey: entered, sent, held back, tasks, vouchers, goal, cost."""
    for part in summary.parts:
        out.say()
        out.say(part.journey, "bold")
        held = _("{count} of them held out, to measure against").format(count=part.holdout)
        inside = _("{count} still inside").format(count=part.inside)
        out.say(f"  {_('entered')}      {part.entered}   ({held}; {inside})")
        _sent(out, part)
        _counted(out, _("held back"), part.held_back)
        for brief, outcomes in part.tasks.items():
            told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items()))
            out.say(f"  {_('tasks')}        {brief} {sum(outcomes.values())}: {told}")
        _counted(out, _("vouchers"), part.vouchers)
        _goal(out, part)
        for currency, amount in part.cost.items():
            out.say(f"  {_('cost')}         {amount} {currency}")


def _sent(out: Output, part: Part) -> None:
    if not part.sent:
        out.say(f"  {_('sent')}         0")
        return
    channels: dict[str, dict[str, int]] = {}
    for (channel, locale), count in part.sent.items():
        channels.setdefault(channel, {})[locale] = count
    for index, (channel, locales) in enumerate(channels.items()):
        told = ", ".join(f"{locale} {count}" for locale, count in locales.items())
        label = _("sent") if index == 0 else ""
        out.say(f"  {label:<12} {channel} {sum(locales.values())}: {told}")
    if part.on_the_way:
        out.say(f"  {'':<12} " + _("{count} still on their way").format(count=part.on_the_way))


def _counted(out: Output, label: str, counts: Mapping[str, int]) -> None:
    found = counts
    if found:
        out.say(f"  {label:<12} " + ", ".join(f"{name} {count}" for name, count in found.items()))


def _goal(out: Output, part: Part) -> None:
    if not (part.treated.people or part.held_out.people):
        return
    for label, arm in ((_("goal"), part.treated), (_("  holdout"), part.held_out)):
        share = f"{arm.rate:.1%}" if arm.people else "-"
        told = _("{reached} of {people} reached it ({share}), worth {value}")
        out.say(f"  {label:<12} " + told.format(reached=arm.reached, people=arm.people, share=share, value=arm.value))
