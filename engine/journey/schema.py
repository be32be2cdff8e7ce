"""The JSON Schema editors complete and check journeys with: the models of this room plus an installation's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.journey.catalog import Names
from engine.journey.codes import CODES
from engine.journey.conditions import RESPONSES, Word
from engine.journey.head import Journey
from engine.journey.quantities import WEEKDAYS
from engine.journey.steps import APPROVE_OUTCOMES, SEND_OUTCOMES, VERBS, TwoWays

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DURATION: Schema = {"type": "string", "pattern": r"^\d{1,6}\s?[smhdw]$"}
_SHARE: Schema = {"type": "string", "pattern": r"^\d{1,3}(\.\d+)?\s?%$"}
TEXT: Schema = {"type": "string", "minLength": 1}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_SCALARS: Schema = {"type": "array", "items": _SCALAR, "minItems": 1}


def journey_schema(names: Names) -> Schema:
    """JSON Schema 2020-12 of a journey's file, listing this installation's traits, segments, messages and the rest."""
    generated = Journey.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = {name: tidy(one) for name, one in generated.pop("$defs").items()}
    root = tidy(generated)
    _short_forms(root, definitions)
    definitions |= {
        "step": _step(definitions),
        "allow": allow(),
        **conditions(names),
    }
    return finished("A journey", root, definitions, names)


def conditions(names: Names) -> dict[str, Schema]:
    """The definitions that conditions are made of, by name: `condition`, `event_condition`, `test`."""
    both = {name: _condition(names, name) for name in ("condition", "event_condition")}
    return {**both, "test": _test()}


def finished(title: str, root: Schema, definitions: Mapping[str, Schema], names: Names) -> Schema:
    """A whole schema: one finding for one mistake, and the names of this installation in it."""
    for one in (root, *definitions.values()):
        _one_finding_each(one)
    schema: Schema = {"$schema": DIALECT, **root, "title": title, "$defs": dict(definitions)}
    named: Schema = _name(schema, names)
    return named


# --- what pydantic writes, made shorter and exact for people who write YAML


def tidy(node: Any) -> Any:
    """Without the titles and defaults pydantic adds, without null, and with one definition for steps."""
    if isinstance(node, list):
        return [tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    if _is_step(node):
        return {"$ref": "#/$defs/step"}
    if isinstance(node.get("definition"), str):
        described = {"description": node["description"]} if "description" in node else {}
        return {"$ref": f"#/$defs/{node['definition']}", **described}
    kept = {key: value for key, value in node.items() if key not in ("title", "default", "discriminator")}
    options = [one for one in kept.pop("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        return tidy({**options[0], **kept})
    if options:
        kept["anyOf"] = options
    return {key: _tidy_properties(value) if key == "properties" else tidy(value) for key, value in kept.items()}


def _tidy_properties(properties: Schema) -> Schema:
    """Names of properties are the author's keys, not words of JSON Schema."""
    return {key: tidy(value) for key, value in properties.items()}


def _is_step(node: Schema) -> bool:
    return {"$ref": "#/$defs/SendStep"} in node.get("oneOf", ())


def _short_forms(root: Schema, definitions: dict[str, Schema]) -> None:
    """Values that may be written shorter than their models, and keys that are a closed set."""
    definitions["WaitFor"] = {**DURATION, "description": "A duration: 6h."}
    definitions["Variant"] = {"anyOf": [_SHARE, definitions["Variant"]]}
    definitions["Leave"] = {"anyOf": [TEXT, definitions["Leave"]]}
    again = definitions["Again"]
    del again["properties"]["word"]
    again |= {"minProperties": 1, "maxProperties": 1}
    definitions["Again"] = {"anyOf": [{"enum": ["never", "always"]}, again]}
    send, wait_for = definitions["SendStep"]["properties"], definitions["WaitForStep"]["properties"]
    channels = {key: send["via"][key] for key in ("type", "items")} | {"minItems": 1, "uniqueItems": True}
    send["via"] = {"description": send["via"]["description"], "anyOf": [channels, send["via"]["items"]]}
    one = {"anyOf": [TEXT, {"$ref": "#/$defs/Awaited"}]}
    many = {"type": "array", "items": one, "minItems": 1}
    wait_for["wait_for"] = {"description": wait_for["wait_for"]["description"], "anyOf": [*one["anyOf"], many]}
    send["outcomes"]["propertyNames"] = {"enum": list(SEND_OUTCOMES)}
    definitions["Rounds"]["properties"]["steps"]["minItems"] = 1
    for name in ("Value", "NewValue"):
        long = definitions[name]
        del long["properties"]["plain"]
        definitions[name] = {"anyOf": [_SCALAR, {**long, "minProperties": 1, "maxProperties": 1}]}
    for model, key in (("Tagging", "add"), ("Tagging", "remove"), ("Changes", "forget"), ("Consenting", "channel")):
        several = definitions[model]["properties"][key]
        description, many = several.pop("description"), {**several, "minItems": 1}
        definitions[model]["properties"][key] = {"description": description, "anyOf": [many["items"], many]}
    definitions["Changes"]["minProperties"] = definitions["Tagging"]["minProperties"] = 1
    for kind in TwoWays.__subclasses__():
        definitions[kind.__name__]["properties"]["outcomes"]["propertyNames"] = {"enum": list(kind.both)}
    definitions["ApproveStep"]["properties"]["outcomes"]["propertyNames"] = {"enum": list(APPROVE_OUTCOMES)}
    definitions["TaskStep"]["properties"]["outcomes"]["minProperties"] = 1
    definitions["SplitStep"]["properties"]["variants"]["minProperties"] = 2
    definitions["BranchStep"]["properties"]["branch"]["minItems"] = 1
    root["properties"]["steps"]["minItems"] = 1


def _one_finding_each(definition: Schema) -> None:
    """A misspelt key is found for itself, and not once more as the key that is missing now."""
    options = definition.get("anyOf", ())
    for one in (definition, *(option for option in options if "properties" in option)):
        if "required" in one and one.get("additionalProperties") is False:
            known = {"propertyNames": {"enum": sorted(one["properties"])}}
            one |= {"if": known, "then": {"required": one.pop("required")}}


def _step(definitions: dict[str, Schema]) -> Schema:
    """The verb decides which model holds, so that a mistake is one finding and not one for each verb."""
    verbs = {verb: definitions[kind.__name__] for verb, kind in VERBS.items()}
    chosen: Schema = {"propertyNames": {"enum": list(verbs)}, "minProperties": 1}
    for verb, kind in reversed(list(VERBS.items())):
        chosen = {"if": {"required": [verb]}, "then": {"$ref": f"#/$defs/{kind.__name__}"}, "else": chosen}
    offered = {verb: {"description": one.get("description", "")} for verb, one in verbs.items()}
    return {"type": "object", "properties": offered, **chosen}


def allow() -> Schema:
    """A reason for each code that is allowed; an editor completes those that can be."""
    reason = {"type": "string", "minLength": 1}
    known = {code: {**reason, "description": said} for code, said in CODES.items() if "a warning" in said}
    return {"type": "object", "properties": known, "additionalProperties": reason, "minProperties": 1}


# --- conditions, which are values of their own and no models

_WORDS: dict[Word, tuple[str, Schema]] = {
    Word.is_: ("Equals.", _SCALAR),
    Word.is_not: ("Is known and something else.", _SCALAR),
    Word.one_of: ("One of these, or of a list of audience.yaml by its name.", {"anyOf": [_SCALARS, TEXT]}),
    Word.none_of: ("Is known and none of these.", {"anyOf": [_SCALARS, TEXT]}),
    Word.at_least: ("This much or more: 2, 200 CNY.", {"type": ["string", "number"]}),
    Word.at_most: ("This much or less.", {"type": ["string", "number"]}),
    Word.above: ("More than this.", {"type": ["string", "number"]}),
    Word.below: ("Less than this.", {"type": ["string", "number"]}),
    Word.between: ("From the first to the second, both included.", {**_SCALARS, "minItems": 2, "maxItems": 2}),
    Word.contains: ("Holds this text.", _SCALAR),
    Word.starts_with: ("Begins with this text.", _SCALAR),
    Word.known: ("Whether it is known at all.", {"type": "boolean"}),
    Word.before: ("Before an instant, or {ago: 30d}.", {"$ref": "#/$defs/test/$defs/instant"}),
    Word.after: ("After an instant, or {ago: 30d}.", {"$ref": "#/$defs/test/$defs/instant"}),
}


def _test() -> Schema:
    """What one field may be held against."""
    words = {word.value: {**schema, "description": sentence} for word, (sentence, schema) in _WORDS.items()}
    compare = {"type": "object", "properties": words, "additionalProperties": False, "minProperties": 1}
    ago = {"type": "object", "properties": {"ago": {**DURATION, "description": "How long before now."}}}
    instant = {"anyOf": [TEXT, {**ago, "required": ["ago"], "additionalProperties": False}]}
    return {"anyOf": [_SCALAR, _SCALARS, compare], "$defs": {"instant": instant}}


def _condition(names: Names, itself: str) -> Schema:
    """Every line must hold. Known names are listed for the editor, others are keys of the event or of the person."""
    again = {"$ref": f"#/$defs/{itself}"}
    several = {"type": "array", "items": again, "minItems": 1}
    properties: Schema = {
        "any": {**several, "description": "One of these is enough."},
        "all": {**several, "description": "All of these must hold."},
        "not": {**again, "description": "This must not hold."},
        "segment": {
            **_closed({"type": "string", "names": "segments"}),
            "description": "In this segment, or in one of them.",
        },
        "tag": {**_closed({"type": "string"}), "description": "Has this tag, or one of them."},
        "now.weekday": {**_closed({"type": "string"}), "description": f"{', '.join(WEEKDAYS)}, on the person's clock."},
        "now.hour": {"$ref": "#/$defs/test", "description": "0 to 23, on the person's clock."},
    }
    for trait in sorted(names.traits):
        key = trait if itself == "condition" else f"person.{trait}"
        properties[key] = {"$ref": "#/$defs/test", "description": f"The trait {trait}."}
    for message in sorted(names.messages):
        answers = _closed({"enum": list(RESPONSES)})
        properties[f"message.{message}"] = {**answers, "description": f"What became of {message}."}
    refused: list[Schema] = [{"pattern": r"^message\."}] if names.messages else []
    refused += [{"enum": sorted(names.traits)}] if itself == "event_condition" and names.traits else []
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": {"$ref": "#/$defs/test"}}
    if refused:
        known = sorted(key for key in properties)
        schema["propertyNames"] = {"anyOf": [{"enum": known}, {"not": {"anyOf": refused}}]}
    return schema


def _closed(one: Schema) -> Schema:
    """A field of a closed set: a name, some of them, or one of the four words that make sense."""
    many = {"type": "array", "items": one, "minItems": 1}
    words = {"is": one, "is_not": one, "one_of": many, "none_of": many}
    described = {word: {**schema, "description": _WORDS[Word(word)][0]} for word, schema in words.items()}
    compare = {"type": "object", "properties": described, "additionalProperties": False, "minProperties": 1}
    return {"anyOf": [one, many, compare]}


# --- the names of the installation


def _name(node: Any, names: Names) -> Any:
    """Put the names there are where a name is asked for. Of a kind that has none yet, any word will do."""
    if isinstance(node, list):
        return [_name(one, names) for one in node]
    if not isinstance(node, dict):
        return node
    kind = node.get("names")
    if not isinstance(kind, str):
        return {key: _name(value, names) for key, value in node.items()}
    known: Iterable[str] = getattr(names, kind)
    rest = {key: value for key, value in node.items() if key != "names"}
    return {**rest, "enum": sorted(known)} if known else rest
