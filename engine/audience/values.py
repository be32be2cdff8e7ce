"""The values an audience is computed from, for one person in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from engine.journey.parts import CALL, INBOX, SMS


class Person(Struct, frozen=True):
    """One customer as they are now. `attributes` holds what was imported, by name (text, number or true/false)."""

    id: int
    external_id: str  # the shop's own id
    zone: ZoneInfo  # where their day is; found at the door (own zone, phone prefix, country, shop)
    locale: str  # BCP 47, e.g. zh-CN
    country: str | None  # ISO 3166 alpha-2
    created_at: datetime  # first known
    addresses: Mapping[str, str] = {}  # channel -> address in normal form
    attributes: Mapping[str, Any] = {}
    tags: frozenset[str] = frozenset()
    scores: Mapping[str, str | int] = {}  # of the last night; what is unknown is not there

    def address(self, channel: str) -> str:
        """Their address on a channel; who is called up has the number that SMS go to, and in the shop's own app
        everybody is who they are."""
        if channel == INBOX:
            return self.external_id
        return self.addresses.get(SMS if channel == CALL else channel, "")


class Link(Struct, frozen=True):
    """A step of a journey that led to something: an event it emitted, a journey it started or stopped."""

    by: str  # journey/step
    at: datetime


class Happening(Struct, frozen=True):
    """One event of a person: it happened once, at an instant."""

    id: int
    name: str  # "Order Completed"
    at: datetime
    payload: Mapping[str, Any]
    received_at: datetime
    lineage: tuple[Link, ...] = ()  # of one that a journey emitted: the steps that led to it
