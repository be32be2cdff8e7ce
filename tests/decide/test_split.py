"""Who falls where: stable, even, and independent of each other."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decide.split import bucket, in_holdout, stage_of, variant_of

PEOPLE = [f"customer-{number}" for number in range(20_000)]
HALVES = {"plain": Decimal("0.5"), "voucher": Decimal("0.5")}


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_bucket_lies_in_the_unit_interval(names: list[str]) -> None:
    assert 0 <= bucket(*names) < 1


def test_a_bucket_is_the_same_on_every_machine_and_for_ever() -> None:
    assert bucket("split", "golden_72h", "second_order_voucher", "customer-1") == Decimal("0.789223720350")


def test_names_are_not_glued_together() -> None:
    assert bucket("ab", "c") != bucket("a", "bc")


def test_a_share_of_people_is_that_share() -> None:
    held = sum(in_holdout("golden_72h", person, Decimal("0.05")) for person in PEOPLE)
    assert held == pytest.approx(1000, abs=130)  # four standard deviations


def test_nobody_or_everybody_is_held_out_at_the_ends() -> None:
    assert not any(in_holdout("golden_72h", person, Decimal(0)) for person in PEOPLE[:1000])
    assert all(in_holdout("golden_72h", person, Decimal(1)) for person in PEOPLE[:1000])


def test_variants_get_their_shares() -> None:
    shares = {"a": Decimal("0.2"), "b": Decimal("0.3"), "c": Decimal("0.5")}
    counts = Counter(variant_of("golden_72h", "offer", person, shares) for person in PEOPLE)
    assert counts["a"] == pytest.approx(4000, abs=230)
    assert counts["b"] == pytest.approx(6000, abs=260)
    assert counts.total() == len(PEOPLE)


def test_the_last_variant_takes_what_rounding_leaves() -> None:
    thirds = {name: Decimal("0.3333") for name in "abc"}
    assert {variant_of("golden_72h", "offer", person, thirds) for person in PEOPLE} == {"a", "b", "c"}


def test_being_held_out_says_nothing_about_the_variant() -> None:
    held = [person for person in PEOPLE if in_holdout("golden_72h", person, Decimal("0.5"))]
    plain = sum(variant_of("golden_72h", "offer", person, HALVES) == "plain" for person in held)
    assert plain == pytest.approx(len(held) / 2, abs=220)


def test_a_person_is_in_one_roll_out_stage_and_later_stages_only_add_people() -> None:
    stages = [Decimal("0.05"), Decimal("0.25"), Decimal(1)]
    found = Counter(stage_of("silent_wave", person, stages) for person in PEOPLE)
    assert found[0] == pytest.approx(1000, abs=130)
    assert found[0] + found[1] == pytest.approx(5000, abs=250)
    assert set(found) == {0, 1, 2}


def test_a_roll_out_that_stops_short_leaves_people_out() -> None:
    assert None in {stage_of("silent_wave", person, [Decimal("0.5")]) for person in PEOPLE[:100]}
