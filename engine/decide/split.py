"""Chance without dice: who falls where is a hash of stable names, so the same person always falls in the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import accumulate

_PLACES = 12


def chance(*names: str) -> str:
    """A text that depends on `names` and on nothing else; in its order people stand in no order anyone could know."""
    told = "".join(f"{len(name)}:{name}" for name in names)
    return sha256(told.encode()).hexdigest()


def bucket(*names: str) -> Decimal:
    """A number in [0, 1) that depends on `names` and on nothing else."""
    return Decimal(int(chance(*names)[:32], 16) % 10**_PLACES).scaleb(-_PLACES)


def in_holdout(journey: str, external_id: str, share: Decimal) -> bool:
    """Is this person one of the `share` who walk the plan without any outside effect?"""
    return share > 0 and bucket("holdout", journey, external_id) < share


def held_out_of_all(external_id: str, share: Decimal) -> bool:
    """Is this person one of the `share` whom no marketing of any journey reaches?"""
    return share > 0 and bucket("holdout of all marketing", external_id) < share


def variant_of(journey: str, split: str, external_id: str, shares: Mapping[str, Decimal]) -> str:
    """The variant of a person; variants stand side by side in the order written and the last takes what is left."""
    place = bucket("split", journey, split, external_id)
    ends = zip(shares, accumulate(shares.values()), strict=True)
    return next((name for name, end in ends if place < end), list(shares)[-1])


def delay_of(journey: str, external_id: str, spread: timedelta) -> timedelta:
    """How long after the others' instant this person begins, within `spread`: whole seconds."""
    return timedelta(seconds=int(bucket("spread", journey, external_id) * int(spread.total_seconds())))


def stage_of(journey: str, external_id: str, stages: Sequence[Decimal]) -> int | None:
    """The first roll-out stage (from 0) that includes a person, None when even the last does not reach them."""
    place = bucket("rollout", journey, external_id)
    return next((number for number, share in enumerate(stages) if place < share), None)
