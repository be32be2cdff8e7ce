"""What a journey may change about a person, as written: attributes, tags, and what they said about being written to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self, cast

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from engine.journey.conditions import ConditionError, FieldKind, parse_field, parse_scalar
from engine.journey.conditions import Field as AskedField
from engine.journey.parts import Part, ReachName, TopicName, elsewhere
from engine.journey.quantities import TagName, Text
from engine.journey.source import fault, faults

_KEPT_BY_THE_SHOP = ("country", "locale", "zone", "external_id", "created_at", "id", "tags")

AttributeName = Annotated[str, BeforeValidator(lambda value: _attribute(value)), WithJsonSchema({"type": "string"})]


class Value(Part):
    """A plain value, or one taken from somewhere."""

    unwritten: ClassVar[frozenset[str]] = frozenset({"plain"})

    plain: str | Decimal | bool | None = Field(default=None, description="Text, number, true or false.")
    text: Text | None = Field(default=None, description="A text, also where it looks like a number.")
    from_: Annotated[
        AskedField | Literal["now"] | None,
        BeforeValidator(lambda value, info: _field(value, info)),
        WithJsonSchema({"type": "string"}),
    ] = Field(default=None, alias="from", description="What another name stands for: event.total, orders_12m, now.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        ways = [name for name in type(self).model_fields if name != "plain"]
        told = [name for name in ways if getattr(self, name) is not None]
        if len(told) + (self.plain is not None) != 1:
            sentence = "a value is one of " + ", ".join(f"`{name.rstrip('_')}`" for name in ways)
            raise fault("bad-combination", sentence, "write `{from: event.total}`, or a plain value")
        return self


class NewValue(Value):
    """What an attribute becomes."""

    called: ClassVar[Mapping[str, str]] = elsewhere(
        {"add": "plus increment increase inc by sum", "from": "value copy field of"}
    )

    add: Decimal | None = Field(default=None, description="That much more than the number it was, or than nothing.")


#: a value as it may be written: plain, or a mapping
Written = Annotated[Value, BeforeValidator(lambda value: _as_value(value))]


class Tagging(Part):
    """Which tags a person gets and loses."""

    add: Annotated[tuple[TagName, ...], BeforeValidator(lambda value: _several(value))] = Field(
        default=(), description="Tags to add."
    )
    remove: Annotated[tuple[TagName, ...], BeforeValidator(lambda value: _several(value))] = Field(
        default=(), description="Tags to take away."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        for tag in self.add:
            if tag in self.remove:
                raise fault("bad-combination", f"`{tag}` is added and removed", "keep one", ("remove",), True)
        if not self.add and not self.remove:
            raise fault("missing-key", "no tag is named", "write `add: [vip]`")
        return self


class Consenting(Part):
    """What a person said about being written to, as this journey learned it."""

    channel: Annotated[tuple[ReachName, ...], BeforeValidator(lambda value: _several(value))] = Field(
        min_length=1, description="One channel, or a list of them."
    )
    topic: TopicName = Field(description="The topic they agreed to, or ended.")
    granted: bool = Field(description="true: they agreed. false: they said no.")
    evidence: Text | None = Field(default=None, description="How it is known, kept with it; needed for a yes.")

    @model_validator(mode="after")
    def _proved(self) -> Self:
        if self.granted and self.evidence is None:
            hint = 'write `evidence: "ticked the box of the returns form"`'
            raise fault("missing-key", "a yes needs its evidence", hint, ("granted",), True)
        return self


class Changes(Part):
    """What an `update` changes about a person."""

    set: dict[AttributeName, Annotated[NewValue, BeforeValidator(lambda value: _as_value(value))]] = Field(
        default_factory=dict,
        description="Attributes and what they become: {tier: gold, last_total: {from: event.total}}.",
    )
    forget: Annotated[tuple[AttributeName, ...], BeforeValidator(lambda value: _several(value))] = Field(
        default=(), description="Attributes to forget."
    )
    tags: Tagging | None = Field(default=None, description="{add: [vip], remove: [newcomer]}")
    consent: Consenting | None = Field(
        default=None, description="{channel: email, topic: offers, granted: true, evidence: ...}"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        for name in self.forget:
            if name in self.set:
                raise fault("bad-combination", f"`{name}` is set and forgotten", "keep one", ("forget",), True)
        if not (self.set or self.forget or self.tags or self.consent):
            raise fault("missing-key", "nothing is changed", "write `set: {tier: gold}`, `tags:` or `consent:`")
        return self


# --- small readers of single keys


def _several(value: object) -> object:
    """One name may stand without a list; twice is once."""
    if isinstance(value, str):
        return (value,)
    return list(dict.fromkeys(value)) if isinstance(value, list) and all(isinstance(o, str) for o in value) else value


def _as_value(value: object) -> object:
    if isinstance(value, str):
        if not value:
            raise fault("empty-value", "nothing is written here", "write a value, or leave the key out")
        if value in ("null", "~"):
            hint = "leave the key out; `forget: [...]` takes an attribute away, the word itself is `{text: null}`"
            raise fault("empty-value", "nothing is written here", hint)
        return {"plain": parse_scalar(value)}
    if isinstance(value, dict) and "plain" in value:
        raise fault("unknown-key", "`plain` is not a key here", "write the value itself", ("plain",), True)
    return value


def _field(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str) or value == "now":
        return value
    traits = cast("frozenset[str]", (info.context or {}).get("traits", frozenset()))
    try:
        found = parse_field(value, traits)
    except ConditionError as error:
        raise faults([replace(one, key=False) for one in error.faults]) from None
    if found.kind not in (FieldKind.attribute, FieldKind.trait, FieldKind.event):
        raise fault("unknown-field", f"`{value}` is no value of a person or an event", "write event.total, or tier")
    return found


def _attribute(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\w[\w.\- ]{0,99}", value):
        raise fault("bad-name", f"`{value}` is no name of an attribute", "use letters, digits and _: tier", key=True)
    if value in _KEPT_BY_THE_SHOP:
        raise fault(
            "bad-name", f"`{value}` is kept by the shop and changed by imports only", "use another name", key=True
        )
    return value
