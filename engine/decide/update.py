"""`update`: what a journey changes about a person. Later steps see it at once, those of other journeys too.

A yes of a journey never weakens a no (promise N8): a no stays, unless the event that opened this way happened after it.
Who is held out is not changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.audience import traits
from engine.audience.terms import ALWAYS_KEPT
from engine.audience.values import Person
from engine.decide import responses
from engine.decide.decision import Agreed, Rule
from engine.decide.draft import Here
from engine.decide.policy import last_word
from engine.decide.results import Go, Result
from engine.decide.timing import local
from engine.journey.changes import Changes, Consenting, NewValue, Value
from engine.journey.conditions import FieldKind, Money
from engine.journey.steps import UpdateStep
from engine.values import replace

Kept = str | int | float | bool


def update(step: UpdateStep, here: Here) -> Result:
    """Change the person at once, as of the plan's instant."""
    if here.enrolled.holdout:
        return Go(None, here.arrived, Rule.holdout, "held out: nothing is changed")
    told = list(_change(step.update, here))
    if step.update.consent is not None:
        told += _agree(step.update.consent, here)
    return Go(None, here.arrived, Rule.updated, "; ".join(told))


# --- attributes and tags ---------------------------------------------------------------------------------------------


def _change(changes: Changes, here: Here) -> Iterator[str]:
    person = here.state.person
    attributes = dict(person.attributes)
    for name, new in changes.set.items():
        value = _value(name, new, here)
        if value is None:
            yield f"{name} stays: what it was to become is unknown"
        else:
            attributes[name] = value
            yield f"{name} is {value}"
    for name in changes.forget:
        attributes.pop(name, None)
        yield f"{name} is forgotten"
    tags = person.tags
    if changes.tags is not None:
        tags = (tags | set(changes.tags.add)) - set(changes.tags.remove)
        yield from (f"tag {tag}" for tag in changes.tags.add)
        yield from (f"no tag {tag}" for tag in changes.tags.remove)
    here.draft.change_person(replace(person, attributes=attributes, tags=tags))


def _value(name: str, new: NewValue, here: Here) -> Kept | None:
    """What an attribute becomes; None: nobody knows, and it stays as it is."""
    if new.add is not None:
        return _plain(_number(here.state.person.attributes.get(name)) + new.add)
    return value_of(new, here)


def value_of(written: Value, here: Here) -> Kept | None:
    """What a value stands for here; None: nobody knows."""
    if written.text is not None:
        return written.text
    return _plain(_asked(written, here) if written.plain is None else written.plain)


def _number(value: Any) -> Decimal:
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else Decimal(0)


def _asked(new: Value, here: Here) -> Any:
    assert new.from_ is not None
    if isinstance(new.from_, str):
        return here.arrived
    kind, name, person = new.from_.kind, new.from_.name, here.state.person
    if kind is FieldKind.event:
        return here.enrolled.event.get(name)
    if kind is FieldKind.trait:
        return traits.value(name, responses.view(here), here.now)
    return _kept(person, name) if name in ALWAYS_KEPT else person.attributes.get(name)


def _kept(person: Person, name: str) -> Any:
    return person.zone.key if name == "zone" else getattr(person, name)


def _plain(value: Any) -> Kept | None:
    """A value as it is kept: one text, number, true or false. Lists and mappings are none."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Money():
            return f"{value.amount.normalize():f} {value.currency}"
        case datetime():
            return value.isoformat()
        case str() | int() | float() | bool():
            return value
    return None


# --- consent ---------------------------------------------------------------------------------------------------------


def _agree(said: Consenting, here: Here) -> Iterator[str]:
    way = here.enrolled
    for channel in said.channel:
        about = f"{said.topic} by {channel}"
        last = last_word(here.state.consents, channel, said.topic)
        if last is not None and last.granted is said.granted:
            yield f"{about}: {'agreed' if said.granted else 'had ended'} already"
        elif said.granted and last is not None and (way.event_at is None or way.event_at <= last.at):
            since = f"{local(last.at, here.state.person.zone):%Y-%m-%d}"
            yield f"{about}: the no of {since} stays"
        else:
            source = f"journey {way.journey}/{way.step}"
            here.draft.agree(Agreed(channel, said.topic, said.granted, here.arrived, source, said.evidence or ""))
            yield f"{about}: {'agreed' if said.granted else 'ended'}"
