"""Experiments: variants that differ in one thing, so that one knows what made it, and have enough people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from difflib import SequenceMatcher
from math import ceil
from typing import Any

from pydantic import BaseModel

from engine.journey.lint.subject import Subject
from engine.journey.problems import Problem
from engine.journey.steps import SplitStep, Step


def differ_in_one_thing(subject: Subject) -> Iterator[Problem]:
    """Variants that differ from the first one in several things: which of them helped, nobody will know."""
    for node in subject.graph.nodes.values():
        if isinstance(node.step, SplitStep) and not node.step.multivariate:
            (first, plain), *others = node.step.variants.items()
            for name, variant in others:
                told = list(_between(plain.steps, variant.steps)) if plain.steps and variant.steps else []
                if len(told) > 1:
                    sentence = f"`{name}` differs from `{first}` in several things: {', '.join(told)}"
                    hint = "change one thing only, or write `multivariate: true` where this is meant"
                    path = (*node.path, "variants", name)
                    yield subject.warning(path, "variants-differ-widely", sentence, hint, key=True)


def large_enough(subject: Subject) -> Iterator[Problem]:
    """A split whose smallest variant stays below `min_per_variant` even if everyone of a wave comes to it."""
    crowd, head, policy = subject.names.crowds.get(subject.graph.journey), subject.graph.head, subject.policy
    if crowd is None:
        return
    treated = (1 - head.holdout) * (1 - policy.holdout) if policy.is_marketing(head.topic) else Decimal(1)
    for node in subject.graph.nodes.values():
        if not isinstance(node.step, SplitStep):
            continue
        least, shares = node.step.min_per_variant, {name: one.share for name, one in node.step.variants.items()}
        name = min(shares, key=lambda one: shares[one] or 1)
        most = int(crowd.people * treated * shares[name])
        if most < least:
            told = "with the last wave entered" if crowd.entered else "before the door of the first wave are"
            few = f"at most {most:,} of them get `{name}`, which is to have {least:,}"
            sentence = f"{told} {crowd.people:,} people: {few}"
            hint = f"write `min_per_variant: {most}` or less, or give `{name}` a larger share"
            if waves := ceil(least / most) if most else 0:
                hint += f"; it takes {waves} such waves"
            yield subject.warning((*node.path, "min_per_variant"), "split-too-small", sentence, hint)


def _between(one: Sequence[Step], other: Sequence[Step]) -> Iterator[str]:
    """What differs between two lists of steps. Steps that stand on one side only, side by side, are one thing."""
    verbs, others = ([step.verb for step in steps] for steps in (one, other))
    for kind, start, end, other_start, other_end in SequenceMatcher(None, verbs, others, False).get_opcodes():
        if kind != "equal":
            told = dict.fromkeys(step.verb for step in (*one[start:end], *other[other_start:other_end]))
            yield " and ".join(f"`{verb}`" for verb in told)
            continue
        for step, counterpart in zip(one[start:end], other[other_start:other_end], strict=True):
            yield from _in_step(step, counterpart)


def _in_step(one: Step, other: Step) -> Iterator[str]:
    """What differs between two steps of one verb: keys, and what follows their outcomes."""
    inner = [{name: steps for name, steps, _ in step.ways} for step in (one, other)]
    for name in dict.fromkeys((*inner[0], *inner[1])):
        yield from _between(inner[0].get(name, ()), inner[1].get(name, ()))
    for key, info in type(one).model_fields.items():
        if key != "id" and _plain(getattr(one, key)) != _plain(getattr(other, key)):
            yield f"`{info.alias or key}` of `{one.verb}`"


def _plain(value: Any) -> Any:
    """A value without the steps that are written in it: they are compared for themselves."""
    match value:
        case Step():
            return None
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {key: plain for key, inner in value.items() if (plain := _plain(inner)) is not None}
        case tuple():
            return tuple(plain for one in value if (plain := _plain(one)) is not None) or None
    return value
