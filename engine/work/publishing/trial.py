"""Every text written once for sample people, so that what it speaks of and nobody has is found before anything is sent.

One sample person has everything a text may ask for, another only what everyone has; where a text speaks of names, there
are some with names that are odd. What fails for all is an error. What fails for some is a warning: such a text needs
`{% if ... is defined %}`, `| default(...)` or `| truncate(...)`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from engine.app import App
from engine.audience import traits
from engine.audience.book import Audience
from engine.audience.compare import Kind
from engine.audience.phones import calling_code
from engine.audience.terms import ALWAYS_KEPT
from engine.audience.values import Person
from engine.audience.view import View
from engine.decide.state import Code
from engine.journey.conditions import Money
from engine.journey.enter import ByEvent, ByHappening, ByRequest, Enter
from engine.journey.graph import Graph
from engine.journey.problems import Problem
from engine.journey.steps import SendStep, TaskStep
from engine.message.locale import region_of
from engine.message.render import Values
from engine.message.sms import Parts
from engine.store import events, happenings
from engine.values import replace
from engine.work.publishing.unknown_names import attributes_unknown, keys_unknown

LOOKED_AT = 20  # latest events of a name, of which the sample has every key
ALIKE = 0.75  # a key so near to a known one is a slip of the pen
ODD_NAMES = {
    "somebody without a first name": {"last_name": "Sample"},
    "somebody with a long and odd name": {
        "first_name": 'Maximiliane "Maxi" 👍🏽',
        "last_name": "O’Neill & <von> {{ x }} ال\u202eفلان",
    },
}
USUAL_PERSON = {"first_name": "Ann", "last_name": "Sample", "name": "Ann Sample"}


@dataclass(frozen=True)
class Use:
    """One text as steps use it: those that use it alike are tried once."""

    message: str
    channel: str
    topic: str
    marketing: bool
    event: str | None = None  # that opened the journey; "": nobody knows what it tells
    gives: bool = False  # the journey has vouchers to give
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Length:
    """How long an SMS is for the sample person who has everything."""

    message: str
    locale: str
    parts: Parts


@dataclass(frozen=True)
class Tried:
    """What came of writing every text once."""

    problems: Sequence[Problem]
    sms: tuple[Length, ...]


def try_texts(app: App, audience: Audience, graphs: Mapping[str, Graph], kept: Collection[str] | None = None) -> Tried:
    """What is wrong with the texts when they are written, each in every locale, as the journeys use them.

    `kept` are the attributes that people have, None where nobody is known yet.
    """
    with app.database.reading() as connection:
        desk = _Desk(app, audience, connection, kept)
        found: dict[Problem, None] = {}
        for use in dict.fromkeys([*_used(app, graphs), *_unused(app, graphs)]):
            if use.channel != "task":
                found |= dict.fromkeys(app.texts.fits(use.message, use.channel, use.marketing))
            for locale in sorted(app.texts.locales(use.message, use.channel)):
                found |= dict.fromkeys(desk.problems(use, locale))
    lengths = (Length(message, locale, parts) for (message, locale), parts in sorted(desk.sms.items()))
    return Tried(list(found), tuple(lengths))


def most_parts(app: App, audience: Audience, graph: Graph, connection: Connection) -> dict[str, int]:
    """The most parts in which each SMS of a plan is sent, in any language, to the sample people of any country."""
    desk, found = _Desk(app, audience, connection, None), dict[str, int]()
    for use in dict.fromkeys(_used(app, {graph.journey: graph})):
        if use.channel == "sms":
            found[use.message] = max((found.get(use.message, 1), *desk.parts(use)))
    return found


def _opened_by(entry: Enter) -> str | None:
    """The name of what opens a journey and tells something; "" where anything may be told, None where nothing is."""
    match entry:
        case ByEvent(event=name) | ByHappening(happening=name):
            return name
        case ByRequest():
            return ""
    return None


def _used(app: App, graphs: Mapping[str, Graph]) -> Iterator[Use]:
    for graph in graphs.values():
        event = _opened_by(graph.head.enter)
        for node in graph.nodes.values():
            match node.step:
                case SendStep() as step:
                    topic = step.topic or graph.head.topic
                    marketing = app.policy.is_marketing(topic)
                    gives, extra = bool(graph.names.pools) or not graph.whole, tuple(sorted(step.with_.items()))
                    for channel in step.via:
                        yield Use(step.send, channel, topic, marketing, event, gives, extra)
                case TaskStep() as step:
                    yield Use(step.task, "task", graph.head.topic, False, event)
                case _:
                    pass


def _unused(app: App, graphs: Mapping[str, Graph]) -> Iterator[Use]:
    """Texts that no journey sends yet: they may speak of everything."""
    used = {(use.message, use.channel) for use in _used(app, graphs)}
    topic = next(iter(app.settings.topics), "")
    for message, channel in sorted(app.texts.forms.keys() - used):
        yield Use(message, channel, topic, app.policy.is_marketing(topic), event="", gives=True)


def _last_name(problem: Problem) -> str:
    return problem.sentence.split("`")[-2]


class _Desk:
    """Writes texts for the sample people of one shop."""

    def __init__(self, app: App, audience: Audience, connection: Connection, kept: Collection[str] | None) -> None:
        self._app, self._audience, self._connection, self._kept = app, audience, connection, kept
        self._now = app.clock.now()
        self._payloads: dict[str, list[Mapping[str, Any]]] = {}
        self.sms: dict[tuple[str, str], Parts] = {}  # message, locale -> the longest it was

    def problems(self, use: Use, locale: str) -> Iterator[Problem]:
        reads = self._app.texts.reads(use.message)
        strange = self._strange(use, reads.event)
        full, bare = self._payload(use, strange)
        complete = self._values(use, self._complete(locale, reads.person), full, self._usual_trait)
        person = self._bare(locale)
        view = View(person, (), self._audience)
        least = self._values(use, person, bare, lambda name: self._known_trait(name, view))
        unused = use.event == ""
        if unused:
            complete = replace(complete, extra={name: "sample" for name in reads.extra})
        people = {
            "somebody of whom all is known": complete,
            **self._odd(complete, self._app.texts.form(use.message, use.channel, locale).reads.person),
        }
        if not unused:
            people["somebody of whom nothing is known"] = least
        found = self._app.texts.check(use.message, use.channel, locale, people)
        for problem in found:
            if not (strange and problem.code == "bad-value"):  # the sample of a key nobody has seen is a guess
                yield problem
        yield from self._unknown(use, locale, full, found)
        if use.channel == "sms":
            self._measure(use.message, locale, complete)

    def parts(self, use: Use) -> Iterator[int]:
        """In how many parts an SMS is sent: in each language and country, to each of those of whom all is known."""
        reads = self._app.texts.reads(use.message)
        full, _ = self._payload(use, self._strange(use, reads.event))
        for locale in sorted(self._app.texts.locales(use.message, use.channel)):
            usual = self._values(use, self._complete(locale, reads.person), full, self._usual_trait)
            odd = self._odd(usual, self._app.texts.form(use.message, use.channel, locale).reads.person)
            for values, country in product((usual, *odd.values()), self._countries(locale)):
                number = {"sms": f"+{calling_code(country) or ''}00000000"}
                there = replace(values.person, country=country, addresses={**values.person.addresses, **number})
                measured = self._app.texts.sms_parts(use.message, locale, replace(values, person=there))
                if measured is not None:
                    yield measured.count

    def _countries(self, locale: str) -> frozenset[str]:
        """Where people who read a language may be, and where an SMS has words of its own."""
        shop = self._app.settings.shop
        return frozenset((shop.country, region_of(locale) or shop.country, *self._app.settings.sms.countries))

    def _unknown(self, use: Use, locale: str, event: Collection[str], found: Sequence[Problem]) -> Iterator[Problem]:
        """Names that nobody has, but those that are told already since the text cannot be written without them."""
        form, home = self._app.texts.form(use.message, use.channel, locale), self._app.home
        names = [*attributes_unknown(form, self._kept, (*USUAL_PERSON, *ALWAYS_KEPT), home)]
        if use.event and self._seen(use.event):
            names += keys_unknown(form, use.event, event, home)
        told = " ".join(one.sentence for one in found)
        yield from (one for one in names if not re.search(rf"\.{re.escape(_last_name(one))}\b", told))

    def _measure(self, message: str, locale: str, values: Values) -> None:
        parts, known = self._app.texts.sms_parts(message, locale, values), self.sms.get((message, locale))
        if parts is not None and (known is None or parts.count > known.count):
            self.sms[message, locale] = parts

    # --- people ------------------------------------------------------------------------------------------------------

    def _complete(self, locale: str, asked: frozenset[str]) -> Person:
        attributes = {**{name: "Sample" for name in asked}, **USUAL_PERSON}
        return replace(self._bare(locale), attributes=attributes)

    def _odd(self, usual: Values, asked: frozenset[str]) -> dict[str, Values]:
        """The same person by other names."""
        if asked.isdisjoint(USUAL_PERSON):
            return {}
        known = {name: value for name, value in usual.person.attributes.items() if name not in USUAL_PERSON}
        return {
            who: replace(usual, person=replace(usual.person, attributes={**known, **names}))
            for who, names in ODD_NAMES.items()
        }

    def _bare(self, locale: str) -> Person:
        shop = self._app.settings.shop
        country = region_of(locale) or shop.country
        number = f"+{calling_code(country) or ''}00000000"
        addresses = {"email": "ann@example.com", "sms": number, "push": "sample", "wechat": "sample"}
        since = self._now - timedelta(days=90)
        return Person(0, "sample", ZoneInfo(shop.zone), locale, country, since, addresses, {})

    def _values(self, use: Use, person: Person, event: Mapping[str, Any], ask: Any) -> Values:
        return Values(
            person=person,
            links=self._app.links,
            now=self._now,
            event=event,
            traits=ask,
            voucher=self._code if use.gives else None,
            journey="sample",
            step="sample",
            topic=use.topic,
            marketing=use.marketing,
            extra=dict(use.extra),
        )

    @cached_property
    def _code(self) -> Code:
        money = f"20 {self._app.settings.shop.currency}"
        return Code("sample", "SAMPLE-CODE", money, self._now + timedelta(days=14))

    # --- traits ------------------------------------------------------------------------------------------------------

    def _known_trait(self, name: str, view: View) -> traits.Value:
        if name not in self._audience.trait_names:
            raise KeyError(name)
        return traits.value(name, view, self._now)

    def _usual_trait(self, name: str) -> traits.Value:
        """A value as somebody who buys here has it."""
        if name not in self._audience.trait_names:
            raise KeyError(name)
        score = self._audience.score(name)
        if score is not None:
            return score.values[0]
        match traits.kind(name, self._audience):
            case Kind.number:
                return 3
            case Kind.money:
                return Money(Decimal(300), self._audience.currency)
            case Kind.instant:
                return self._now - timedelta(days=3)
            case Kind.truth:
                return True
            case _:
                return "sample"

    # --- events ------------------------------------------------------------------------------------------------------

    def _payload(self, use: Use, strange: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The payload of the opening event: with every key that occurs, and with those that always do."""
        if use.event is None:
            return {}, {}
        seen = self._seen(use.event)
        if not seen:
            usual = {**self._usual, **{name: "1" for name in strange}}
            return usual, usual
        full = {name: value for payload in reversed(seen) for name, value in payload.items()}
        return full, {name: full[name] for name in full if all(name in payload for payload in seen)}

    def _strange(self, use: Use, asked: frozenset[str]) -> frozenset[str]:
        """Keys of an event that nobody has seen yet and that are no slip of the pen: they may well be right."""
        if use.event is None or self._seen(use.event):
            return frozenset()
        known = list(self._usual)
        return frozenset(name for name in asked - self._usual.keys() if not get_close_matches(name, known, 1, ALIKE))

    def _seen(self, name: str) -> Sequence[Mapping[str, Any]]:
        if name not in self._payloads:
            told = events.latest_payloads(self._connection, name, LOOKED_AT) if name else []
            self._payloads[name] = told or happenings.latest(self._connection, name, LOOKED_AT)
        return self._payloads[name]

    @cached_property
    def _usual(self) -> dict[str, Any]:
        """What an order usually tells."""
        currency = self._app.settings.shop.currency
        item = {"sku": "S-1", "name": "sample", "category": "sample", "price": 100, "quantity": 1}
        return {"order_id": "1001", "total": 199.5, "currency": currency, "category": "sample", "items": [item]}
