"""The JSON Schema editors complete and check audience.yaml with."""

from __future__ import annotations

from engine.audience.terms import TraitKind
from engine.journey.catalog import Names
from engine.journey.schema import DURATION, TEXT, Schema, allow, conditions, finished

_MONEY: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)?\s?[A-Z]{3}$"}
_TEXTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
_KINDS: dict[TraitKind, str] = {
    TraitKind.days_since_last: "Whole days since the latest of these events: Page Viewed. Unknown without one.",
    TraitKind.days_since_first: "Whole days since the earliest of these events. Unknown without one.",
    TraitKind.how_many: "How many of these events: Order Completed. 0 without one.",
    TraitKind.distinct: "How many different values a key had: Order Completed.category.",
    TraitKind.sum: "The sum of a key: Order Completed.total. 0 without one.",
    TraitKind.average: "The mean of a key: Order Completed.total. Unknown without one.",
    TraitKind.largest: "The largest number at a key: Order Completed.total.",
    TraitKind.smallest: "The smallest number at a key: Order Completed.total.",
    TraitKind.first: "A key of the earliest event, Order Completed.category; without a key, its instant.",
    TraitKind.last: "A key of the latest event, Order Completed.category; without a key, its instant.",
    TraitKind.most_common: "What stands most often at a key: Order Completed.category.",
    TraitKind.median_gap: "The middle number of days from one of these events to the next.",
    TraitKind.days_overdue: "Days since the latest of these events, less the usual gap between them.",
}


def audience_schema(names: Names) -> Schema:
    """JSON Schema 2020-12 of audience.yaml, listing this installation's traits and segments in its conditions."""
    root: Schema = {
        "type": "object",
        "properties": {
            "lists": _named(_TEXTS, "Words by a name: {rivals: [othershop, bargainhut]}."),
            "pools": _named({"$ref": "#/$defs/pool"}, "Pools of voucher codes."),
            "traits": _named({"$ref": "#/$defs/trait"}, "Values computed from each person's events."),
            "segments": _named({"$ref": "#/$defs/condition"}, "Conditions by a name."),
            "allow": {"$ref": "#/$defs/allow"},
        },
        "additionalProperties": False,
    }
    definitions = {"pool": _pool(), "trait": _trait(), "allow": allow(), **conditions(names)}
    return finished("What journeys may ask about people", root, definitions, names)


def _named(one: Schema, description: str) -> Schema:
    return {"type": ["object", "null"], "additionalProperties": one, "description": description}


def _pool() -> Schema:
    return {
        "type": "object",
        "properties": {
            "file": {"type": "string", "pattern": r"\.csv$", "description": "Its codes: codes/second_order.csv."},
            "value": {**_MONEY, "description": "What one code is worth: 20 CNY."},
            "expires": {**DURATION, "description": "How long a code is good for once it is given: 14d."},
            "low": {"type": "integer", "minimum": 0, "description": "With no more codes than this it runs low: 100."},
        },
        "required": ["file", "value"],
        "additionalProperties": False,
    }


def _trait() -> Schema:
    kinds = {kind.value: {**TEXT, "description": said} for kind, said in _KINDS.items()}
    refined = {
        "within": {**DURATION, "description": "Only events of this last while: 365d."},
        "where": {"$ref": "#/$defs/event_condition", "description": "Only events with such a payload."},
        "unless_after": {"anyOf": [TEXT, _TEXTS], "description": "Only events after the latest of these."},
    }
    return {
        "type": "object",
        "properties": {**kinds, **refined},
        "additionalProperties": False,
        "if": {"propertyNames": {"enum": [*kinds, *refined]}},
        "then": {"oneOf": [{"required": [kind]} for kind in kinds]},
    }
