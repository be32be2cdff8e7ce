"""audience.yaml as people write it, right and wrong: each mistake at its place, with its code."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from engine.audience.book import BUILT_IN, Audience, Pool, Trait, TraitKind, read_audience
from engine.audience.codes import CODES
from engine.journey.codes import CODES as JOURNEY_CODES
from engine.journey.conditions import Any, Field, FieldKind, Money, Test, Word
from engine.journey.problems import Problem, Severity
from engine.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "shop": {
            "name": "Lumen",
            "url": "https://shop.example.com",
            "zone": "Asia/Shanghai",
            "country": "CN",
            "locale": "zh-CN",
            "currency": "CNY",
        },
        "topics": {},
        "channels": {},
        "rates": {"USD": "7.10"},
    }
)

RIGHT = """\
lists:
  rivals: [othershop, bargainhut]
pools:
  second_order: {file: codes/second_order.csv, value: 20 CNY, expires: 14d}
traits:
  days_since_visit:   {days_since_last: Page Viewed}
  spend_12m:          {sum: Order Completed.total, within: 365d}
  usual_gap_days:     {median_gap: Order Completed}
  cart_value:         {last: Cart Updated.total, within: 7d, unless_after: Order Completed}
  last_order:         {last: Order Completed}
  rival_searches_30d: {count: Products Searched, where: {query: {one_of: rivals}}, within: 30d}
segments:
  silent: {churn_stage: lost}
  vip: {any: [{tier: [gold, black]}, {value_tier: core}], spend_12m: {at_least: 2000 USD}}
  vip_at_risk: {segment: vip, churn_stage: [warning, hesitating, lost]}
"""


def written(text: str) -> tuple[Audience, list[Problem]]:
    return read_audience(dedent(text), "audience.yaml", SETTINGS)


def test_everything_the_language_knows_of_is_read() -> None:
    audience, problems = written(RIGHT)
    assert problems == []
    assert audience.lists == {"rivals": ("othershop", "bargainhut")}
    assert audience.pools["second_order"] == Pool(
        "codes/second_order.csv", Money(Decimal(20), "CNY"), timedelta(days=14)
    )
    assert audience.traits["cart_value"] == Trait(
        TraitKind.last, "Cart Updated", "total", within=timedelta(days=7), unless_after=("Order Completed",)
    )
    assert audience.traits["last_order"] == Trait(TraitKind.last, "Order Completed")
    assert audience.traits["rival_searches_30d"].where == Test(Field(FieldKind.event, "query"), Word.one_of, "rivals")
    assert audience.segments["silent"] == Test(Field(FieldKind.trait, "churn_stage"), Word.is_, "lost")
    assert audience.trait_names == frozenset(audience.traits) | BUILT_IN
    assert audience.rate("USD") == 7.1
    assert audience.rate("CNY") == 1.0
    assert audience.rate("EUR") is None


def test_an_empty_file_is_an_audience_with_the_built_in_scores_only() -> None:
    audience, problems = written(" \n")
    assert problems == []
    assert audience.trait_names == BUILT_IN


def test_conditions_may_use_any_and_segments_may_use_segments_written_later() -> None:
    audience, problems = written("segments: {a: {segment: b}, b: {any: [{country: CN}, {country: DE}]}}")
    assert problems == []
    assert isinstance(audience.segments["b"], Any)


WRONG = [
    ("sections: {}", "unknown-key", 1, 1, "`sections` is no section"),
    ("- a\n- b", "expected-mapping", 1, 1, "audience.yaml holds sections"),
    ("segments: [a]", "expected-mapping", 1, 11, "`segments` holds names with what they mean"),
    ("lists: {rivals: []}", "empty-list", 1, 17, "the list `rivals` holds nothing"),
    ("lists: {rivals: othershop}", "expected-list", 1, 17, "a list of texts should stand here"),
    ("lists: {rivals: [[a]]}", "expected-text", 1, 18, "a single text should stand here"),
    ("lists: {1st: [a]}", "bad-name", 1, 9, "`1st` is not a name"),
    ("pools:\n  p: {value: 20 CNY}", "missing-key", 2, 6, "`file` is missing"),
    ("pools:\n  p: {file: a.csv, value: 20}", "bad-money", 2, 27, "'20' is not an amount of money"),
    ("pools:\n  p: {file: a.csv, value: 20 CNY, expires: 2}", "bad-duration", 2, 44, "'2' is not a duration"),
    ("pools:\n  p: {file: a.csv, value: 20 CNY, exipres: 2d}", "unknown-key", 2, 35, "`exipres` is not a key here"),
    ("pools:\n  p: {file: a.csv, value: 20 CNY, low: few}", "expected-number", 2, 40, "`few` is not a whole number"),
    ("pools:\n  p: {file: ../a.csv, value: 20 CNY}", "bad-pool-file", 2, 13, "`../a.csv` is no file of codes"),
    ("pools:\n  p: {file: /etc/a.csv, value: 20 CNY}", "bad-pool-file", 2, 13, "`/etc/a.csv` is no file of codes"),
    ("pools:\n  p: {file: a.txt, value: 20 CNY}", "bad-pool-file", 2, 13, "`a.txt` is no file of codes"),
    ("traits:\n  t: Page Viewed", "expected-mapping", 2, 6, "`t` takes keys with values"),
    ("traits:\n  t: {within: 3d}", "missing-trait-kind", 2, 6, "`t` does not say what it computes"),
    ("traits:\n  t: {cuont: Page Viewed}", "unknown-trait-kind", 2, 7, "`cuont` is nothing a trait can compute"),
    ("traits:\n  t: {count: Page Viewed, witin: 3d}", "unknown-trait-kind", 2, 27, "`witin` is nothing a trait can"),
    ("traits:\n  t: {count: A, sum: A.b}", "two-trait-kinds", 2, 17, "`count` and `sum` cannot be computed at once"),
    ("traits:\n  t: {sum: Order Completed}", "missing-trait-key", 2, 12, "`sum` needs a key of the event"),
    ("traits:\n  t: {count: [A]}", "expected-text", 2, 14, "a single text should stand here"),
    ("traits:\n  t: {count: }", "empty-value", 2, 7, "`count` has no value"),
    ("traits:\n  t: {count: A, within: soon}", "bad-duration", 2, 25, "'soon' is not a duration"),
    ("traits:\n  t: {count: A, within: 0d}", "bad-duration", 2, 25, "this is no time at all"),
    ("traits:\n  t: {count: A, where: {b: {at_leest: 1}}}", "bad-word", 2, 29, "`at_leest` is not a word of"),
    ("traits:\n  t: {count: A, where: {segment: b}}", "not-of-the-event", 2, 25, "`segment` is no key of the event"),
    ("traits:\n  t: {count: A, where: {churn_stage: lost}}", "ambiguous-name", 2, 25, "`churn_stage` is a trait"),
    ("traits:\n  t: {count: A, where: {country: CN}}", "ambiguous-name", 2, 25, "`country` is kept about every person"),
    ("traits:\n  t: {count: A, where: {tag: vip}}", "ambiguous-name", 2, 25, "`tag` is a tag of the person"),
    ("traits:\n  t: {count: A, where: {b: {one_of: rivals}}}", "unknown-list", 2, 37, "there is no list `rivals`"),
    ("traits:\n  churn_stage: {count: A}", "trait-shadows-built-in", 2, 3, "`churn_stage` is built in"),
    ("traits:\n  country: {count: A}", "trait-shadows-attribute", 2, 3, "`country` means something else"),
    ("traits:\n  segment: {count: A}", "trait-shadows-attribute", 2, 3, "`segment` means something else"),
    ("traits:\n  lifecycle: {count: A}", "trait-shadows-built-in", 2, 3, "`lifecycle` is built in"),
    ("traits:\n  t: {count_distinct: Order Completed}", "missing-trait-key", 2, 23, "`count_distinct` needs a key of"),
    ("traits:\n  t: {largest: Order Completed}", "missing-trait-key", 2, 16, "`largest` needs a key of the event"),
    ("traits:\n  rfm.r: {count: A}", "bad-name", 2, 3, "`rfm.r` is not a name"),
    ("segments:\n  s: {lifecycle: gone}", "unknown-value", 2, 18, "`lifecycle` is never `gone`"),
    ("segments:\n  s: {overdue_days: late}", "wrong-kind", 2, 21, "`overdue_days` is a number and is compared with"),
    ("segments:\n  s: {rfm.r: 6}", "unknown-value", 2, 14, "`rfm.r` is never `6`"),
    ("segments:\n  s: {rfm.r: {at_least: high}}", "expected-number", 2, 25, "`high` is not a number or an amount"),
    ("segments:\n  s: {rfm.r: {contains: high}}", "wrong-kind", 2, 25, "`rfm.r` is a number and is compared with"),
    ("segments:\n  s: {rfm.segment: [champions, champs]}", "unknown-value", 2, 20, "`rfm.segment` is never `champs`"),
    ("segments:\n  s: {best_hour: 24}", "unknown-value", 2, 18, "`best_hour` is never `24`"),
    ("segments:\n  s: {rfm.x: 1}", "unknown-field", 2, 7, "`rfm.x` is no field of a condition"),
    ("segments:\n  s: {churn_stag: lost}", "unknown-trait", 2, 7, "there is no trait `churn_stag`"),
    ("segments:\n  s: {segment: vpi}\n  vip: {a: b}", "unknown-segment", 2, 16, "there is no segment `vpi`"),
    ("segments:\n  s: {a: {one_of: rivals}}", "unknown-list", 2, 19, "there is no list `rivals`"),
    ("segments:\n  s: {event.total: 3}", "not-for-everyone", 2, 7, "`event.total` is known for one person"),
    ("segments:\n  s: {now.hour: 3}", "not-for-everyone", 2, 7, "`now.hour` is known for one person"),
    ("segments:\n  s: {message.thanks: sent}", "not-for-everyone", 2, 7, "`message.thanks` is known for one person"),
    ("segments:\n  a: {segment: a}", "circular-segment", 2, 3, "`a` is defined by itself: a -> a"),
    ("segments:\n  s: {churn_stage: lsot}", "unknown-value", 2, 20, "`churn_stage` is never `lsot`"),
    ("segments:\n  s: {a: {at_least: 3 XTS}}", "no-rate", 2, 21, "nobody knows what a XTS is worth in CNY"),
    ("segments:\n  s: {created_at: 2026-01-01}", "wrong-kind", 2, 19, "`created_at` is an instant and is compared"),
    ("segments:\n  s: {stars: {above: 5, below: 3}}", "impossible-condition", 2, 32, "`stars` cannot be above `5` and"),
    ("segments:\n  s: {country: 3}", "wrong-kind", 2, 16, "`country` is a text and is compared with a number"),
    (
        "traits:\n  n: {count: A}\nsegments:\n  s: {n: {above: 3 CNY}}",
        "wrong-kind",
        4,
        18,
        "`n` is a number and is compared with an amount of money",
    ),
    ("segments:\n  s: {a: 1, a: 2}", "duplicate-key", 2, 13, "`a` is written twice"),
    ("segments:\n\ta: b", "tab-indent", 2, 1, "a tab stands where spaces belong"),
    (f"pools:\n  p: {{file: {'a' * 300}.csv, value: 20 CNY}}", "bad-pool-file", 2, 13, "`aaaaaaaaaa"),
    ("segmnts:\n  s: {segment: vpi}\n  vpi: {a: b}", "unknown-key", 1, 1, "`segmnts` is no section"),
    ("lists: [rivals]\nsegments:\n  s: {a: {one_of: rivals}}", "expected-mapping", 1, 8, "`lists` holds names"),
    ("traits:\n  n: {count: A}\nsegments:\n  s: {n: {one_of: rivls}}", "unknown-list", 4, 19, "there is no list"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "column", "sentence"), WRONG)
def test_a_mistake_is_named_where_it_stands(text: str, code: str, line: int, column: int, sentence: str) -> None:
    _, problems = written(text)
    assert [(one.code, one.position.line, one.position.column) for one in problems] == [(code, line, column)]
    assert problems[0].sentence.startswith(sentence)


def test_every_code_is_documented_and_every_code_of_this_room_is_shown_by_a_mistake() -> None:
    shown = {code for _, code, *_ in WRONG} | {"no-pool-file", "empty-pool"}
    assert shown <= set(CODES) | set(JOURNEY_CODES)
    assert set(CODES) <= shown


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines_and_the_rest_is_read() -> None:
    audience, problems = written(
        """\
        traits:
          orders: {cuont: Order Completed}
          visits: {count: Page Viewed}
        segments:
          a: {segment: b}
          b: {segment: a}
          c: {visits: {at_least: 3}}
          d: {segment: [c, e], orders: {at_least: 2}}
        """
    )
    assert [(one.code, one.position.line) for one in problems] == [
        ("unknown-trait-kind", 2),
        ("circular-segment", 5),  # once for the circle
        ("unknown-segment", 8),
    ]
    assert problems[0].hint == "did you mean `count`?"
    assert problems[1].sentence == "`a` is defined by itself: a -> b -> a"
    assert set(audience.traits) == {"visits"}
    assert set(audience.segments) == {"c", "d"}


def test_a_pool_whose_file_is_missing_is_named_and_stays_readable(tmp_path: Path) -> None:
    text = "pools: {p: {file: codes/p.csv, value: 20 CNY}}"
    audience, problems = read_audience(text, "audience.yaml", SETTINGS, tmp_path)
    assert [one.code for one in problems] == ["no-pool-file"]
    assert "p" in audience.pools
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "p.csv").write_text("code\nTEA-1\n")
    assert read_audience(text, "audience.yaml", SETTINGS, tmp_path)[1] == []


@pytest.mark.parametrize("written", ["", "code\n", '"code"\n\n  \n'])
def test_a_pool_whose_file_holds_no_code_is_warned_of(tmp_path: Path, written: str) -> None:
    text = "pools: {p: {file: p.csv, value: 20 CNY}}"
    (tmp_path / "p.csv").write_text(written)
    audience, problems = read_audience(text, "audience.yaml", SETTINGS, tmp_path)
    assert [(one.code, one.severity, one.position.column) for one in problems] == [("empty-pool", Severity.warning, 19)]
    assert "p" in audience.pools


def test_a_pool_whose_first_line_is_a_code_is_told_since_that_code_would_be_lost(tmp_path: Path) -> None:
    text = "pools: {p: {file: p.csv, value: 20 CNY}}"
    (tmp_path / "p.csv").write_text("TEA-1\nTEA-2\n")
    _, problems = read_audience(text, "audience.yaml", SETTINGS, tmp_path)
    assert [(one.code, one.sentence) for one in problems] == [
        ("bad-pool-file", "the first line of `p.csv` is not its header")
    ]


def test_a_pool_may_not_lead_out_of_the_folder_by_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "journeys"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("code\n")
    (inside / "p.csv").symlink_to(tmp_path / "secret.csv")
    _, problems = read_audience("pools: {p: {file: p.csv, value: 20 CNY}}", "audience.yaml", SETTINGS, inside)
    assert [one.code for one in problems] == ["bad-pool-file"]


def test_what_to_gather_is_every_event_behind_a_name_and_as_far_back_as_any_of_them_looks() -> None:
    audience, _ = written(RIGHT)
    assert audience.events(["cart_value"]) == ({"Cart Updated", "Order Completed"}, timedelta(days=7))
    assert audience.events(["cart_value", "spend_12m"]) == ({"Cart Updated", "Order Completed"}, timedelta(days=365))
    assert audience.events(["days_since_visit"]) == ({"Page Viewed"}, None)
    assert audience.events(["value_tier"]) == ({"Order Completed"}, timedelta(days=365))
    assert audience.events(["vip_at_risk"]) == ({"Order Completed", "Page Viewed"}, None)
    assert audience.events(["tier"]) == (set(), timedelta(0))


def test_the_shipped_audience_has_no_problems() -> None:
    folder = Path(__file__).parents[2] / "journeys"
    _, problems = read_audience((folder / "audience.yaml").read_text("utf-8"), "audience.yaml", SETTINGS, folder)
    assert problems == []
