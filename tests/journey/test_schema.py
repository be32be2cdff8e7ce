"""The JSON Schema for editors: it accepts what ships, refuses planted mistakes, and knows the installation's names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from engine.journey.catalog import Names, load_catalog
from engine.journey.schema import journey_schema

SHIPPED = Path(__file__).parents[2] / "journeys"
JOURNEYS = [path for path in sorted(SHIPPED.glob("*.yaml")) if path.name != "audience.yaml"]
HEAD = "topic: care\nenter: {event: Order Completed}\n"


def loaded(text: str) -> Any:
    """YAML 1.2 as an editor reads it: numbers and true become numbers and true."""
    return YAML(typ="safe", pure=True).load(text)


@pytest.fixture(scope="module")
def shipped_names() -> Names:
    """An installation in which exactly what the shipped journeys speak of exists."""
    traits = frozenset({"complaints_180d", "value_tier", "churn_reason", "churn_stage"})
    spoken = [graph.names for graph in load_catalog(SHIPPED, traits).graphs.values()]
    messages = {name for one in spoken for name in one.messages}
    return Names(
        traits=traits,
        segments=frozenset().union(*(one.segments for one in spoken)),
        pools=frozenset().union(*(one.pools for one in spoken)),
        channels=frozenset().union(*(one.channels for one in spoken)),
        topics=frozenset().union(*(one.topics for one in spoken)),
        queues=frozenset().union(*(one.queues for one in spoken)),
        briefs=frozenset().union(*(one.briefs for one in spoken)),
        messages={name: frozenset({"email"}) for name in messages},
    )


def test_it_is_a_schema_and_can_be_written_as_json(names: Names) -> None:
    schema = journey_schema(names)
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert journey_schema(names) == schema


@pytest.mark.parametrize("path", JOURNEYS, ids=lambda path: path.stem)
def test_it_accepts_the_journeys_that_ship(path: Path, shipped_names: Names) -> None:
    Draft202012Validator(journey_schema(shipped_names)).validate(loaded(path.read_text("utf-8")))


def test_it_accepts_short_and_long_forms(names: Names) -> None:
    text = HEAD + (
        "again: never\nleave: [Order Refunded, {segment: vip}, goal]\nquiet_hours: {sms: '20:00-09:00'}\n"
        "caps: [{at_most: 1, per: day}, {at_most: 3, per: 30d, channel: sms}]\n"
        "goal: {event: Order Completed, within: 30d}\n"
        "steps:\n"
        "  - {send: thanks, via: sms, topic: offers, with: {shade: red}, outcomes: {sent: [{wait: 1h}]}}\n"
        "  - wait: {until: '20:00', days: [mon-fri]}\n"
        "  - {wait_for: [Page Viewed, {message: thanks, is: clicked}], within: 2d, then: []}\n"
        "  - {id: r, wait_for: {message: thanks, is: replied, confidence: possible}, within: 2d, confidence: certain}\n"
        "  - {split: s, min_per_variant: 9, multivariate: true, variants: {x: 40%, y: 60%}}\n"
        "  - branch:\n"
        "      - if: {any: [{tier: [gold, 3]}, {segment: vip}], not: {orders_12m: {between: [1, 5]}}}\n"
        "        then: []\n"
        "      - if: {message.thanks: opened, now.hour: {at_least: 18}, event.total: 5, last: {before: {ago: 3d}}}\n"
        "        then: [{give: second_order, otherwise: [{exit: none_left}]}]\n"
        "      - otherwise: [{split: a, variants: {x: 40%, y: {share: 60%}}}]\n"
        "  - {approve: May we?, by: lead, within: 1d, outcomes: {refused: [{exit: no}]}}\n"
        "  - {emit: Parcel Missed, with: {a: 1, b: {from: event.b}}, otherwise: [], outcomes: {ok: []}}\n"
        "  - {start: other, then: [], otherwise: [{stop: other, outcomes: {absent: []}}]}\n"
        "  - {update: {set: {tier: gold, n: 3, m: {add: 1}}, forget: [a, b], tags: {add: vip, remove: [a]}}}\n"
        "  - {id: yes, update: {consent: {channel: email, topic: offers, granted: true, evidence: a form}}}\n"
        "  - {repeat: {times: 3, every: 7d, until: {tier: gold}, steps: [{wait: 1h}]}, then: [], otherwise: []}\n"
    )
    Draft202012Validator(journey_schema(names)).validate(loaded(text))


@pytest.mark.parametrize(
    "mistake",
    [
        HEAD.replace("topic", "topci") + "steps: [{wait: 6h}]",
        HEAD.replace("care", "caer") + "steps: [{wait: 6h}]",
        HEAD,
        HEAD + "steps: []",
        HEAD + "steps: [wait 6h]",
        HEAD + "priority: 101\nsteps: [{wait: 6h}]",
        HEAD + "holdout: 0.05\nsteps: [{wait: 6h}]",
        HEAD + "ends_after: 72\nsteps: [{wait: 6h}]",
        HEAD + "again: often\nsteps: [{wait: 6h}]",
        HEAD + "again: {after: 3d, per: order_id}\nsteps: [{wait: 6h}]",
        HEAD + "again: {word: never}\nsteps: [{wait: 6h}]",
        HEAD + "budget: 500 CNY\nsteps: [{wait: 6h}]",
        HEAD + "quiet_hours: {fax: '20:00-09:00'}\nsteps: [{wait: 6h}]",
        "topic: care\nenter: {segment: gone, crossing: in}\nsteps: [{wait: 6h}]",
        "topic: care\nenter: {segment: vip, crossing: into}\nsteps: [{wait: 6h}]",
        "topic: care\nenter: {every: month, on: 1, at: 10am, segment: vip}\nsteps: [{wait: 6h}]",
        HEAD + "steps: [{wait: soon}]",
        HEAD + "steps: [{wait: 6h, send: thanks, via: [sms]}]",
        HEAD + "steps: [{update: {tier: gold}}]",
        HEAD + "steps: [{update: {}}]",
        HEAD + "steps: [{emit: A, outcomes: {sent: []}}]",
        HEAD + "steps: [{approve: May we?, by: lead}]",
        HEAD + "steps: [{approve: May we?, by: lead, within: 1d, outcomes: {overdue: []}}]",
        HEAD + "steps: [{start: [a, b]}]",
        HEAD + "steps: [{update: {set: {tier: {from: a, add: 1}}}}]",
        HEAD + "steps: [{update: {consent: {channel: email, granted: true}}}]",
        HEAD + "steps: [{send: thnks, via: [sms]}]",
        HEAD + "steps: [{send: thanks, via: [fax]}]",
        HEAD + "steps: [{send: thanks, via: []}]",
        HEAD + "steps: [{send: thanks, vai: [sms]}]",
        HEAD + "steps: [{send: thanks, via: [sms], outcomes: {opened: []}}]",
        HEAD + "steps: [{wait_for: Page Viewed}]",
        HEAD + "steps: [{give: gone}]",
        HEAD + "steps: [{repeat: {times: 3, every: 7d, steps: []}}]",
        HEAD + "steps: [{repeat: {every: 7d, steps: [{wait: 1h}]}}]",
        HEAD + "steps: [{repeat: {times: 0, steps: [{wait: 1h}]}}]",
        HEAD + "steps: [{task: call, queue: gone, due: 1d, outcomes: {done: []}}]",
        HEAD + "steps: [{task: call, queue: care, due: 1d, outcomes: {}}]",
        HEAD + "steps: [{branch: [{if: {orders_12m: {at_leest: 2}}, then: []}]}]",
        HEAD + "steps: [{branch: [{if: {segment: gone}, then: []}]}]",
        HEAD + "steps: [{branch: [{if: {message.gone: opened}, then: []}]}]",
        HEAD + "steps: [{branch: [{if: {message.thanks: eaten}, then: []}]}]",
        "topic: care\nenter: {event: A, where: {churn_stage: lost}}\nsteps: [{wait: 6h}]",
    ],
)
def test_it_refuses_planted_mistakes(mistake: str, names: Names) -> None:
    assert not Draft202012Validator(journey_schema(names)).is_valid(loaded(mistake))


def test_every_key_is_explained(names: Names) -> None:
    unexplained = [key for key, value in properties(journey_schema(names)) if not value.get("description")]
    assert unexplained == []


def test_real_names_are_completed(names: Names) -> None:
    definitions = journey_schema(names)["$defs"]
    assert definitions["SendStep"]["properties"]["send"]["enum"] == sorted(names.messages)
    assert definitions["GiveStep"]["properties"]["give"]["enum"] == ["come_back", "second_order", "vip_pack"]
    assert definitions["BySegment"]["properties"]["segment"]["enum"] == ["silent", "vip", "vip_at_risk"]
    assert set(names.traits) <= set(definitions["condition"]["properties"])
    assert "message.thanks" in definitions["condition"]["properties"]


def test_where_nothing_exists_yet_any_name_will_do() -> None:
    text = HEAD + "steps: [{send: thanks, via: [sms]}]"
    Draft202012Validator(journey_schema(Names())).validate(loaded(text))


def properties(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
        for value in node.values():
            yield from properties(value)
    elif isinstance(node, list):
        for value in node:
            yield from properties(value)


@pytest.mark.parametrize(
    "enter",
    [
        "{event: Order Completed, where: {total: {at_least: 1}}}",
        "{segment: vip, crossing: in, include_current: true}",
        '{every: month, on: last, at: "10:00", segment: vip}',
        '{every: week, on: [mon, thu], at: "10:00", segment: vip}',
        '{every: year, on: "12-24", at: "10:00", segment: vip}',
        '{cron: "0 10 * * mon-fri", segment: vip}',
        '{dates: ["2026-11-11", "2026-12-12 20:00"], at: "10:00", segment: vip}',
        "{date: birthday, before: 14d, yearly: true}",
        "{api: true}",
        "{happening: Rival Sale, segment: vip}",
        "{absence_of: Page Viewed, for: 30d, where: {seconds: {at_least: 10}}, segment: vip, include_current: true}",
    ],
)
def test_it_accepts_every_way_to_enter(names: Names, enter: str) -> None:
    text = f"topic: care\nenter: {enter}\nsteps: [{{wait: 6h}}]\n"
    Draft202012Validator(journey_schema(names)).validate(loaded(text))
