"""Texts as they are kept once loaded: one compiled form per message, channel and locale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from engine.message.compiled import Part


@dataclass(frozen=True)
class Reads:
    """The names a text speaks of, so that they can be gathered: `traits.orders_12m` is `orders_12m` among traits."""

    person: frozenset[str] = frozenset()
    event: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()
    voucher: bool = False
    unsubscribe: bool = False
    preferences: bool = False

    @property
    def way_out(self) -> bool:
        """Does it show where to say that one wants no more of it?"""
        return self.unsubscribe or self.preferences

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            self.person | other.person,
            self.event | other.event,
            self.traits | other.traits,
            self.extra | other.extra,
            self.voucher or other.voucher,
            self.unsubscribe or other.unsubscribe,
            self.preferences or other.preferences,
        )


@dataclass(frozen=True)
class EmailForm:
    file: str
    subject: Part
    preheader: Part
    html: Part
    text: Part
    sender_name: Part
    reply_to: Part
    purpose: Literal["marketing", "transactional"] = "marketing"
    reads: Reads = Reads()


@dataclass(frozen=True)
class SmsForm:
    file: str
    text: Part
    template: str | None = None
    params: Mapping[str, Part] = field(default_factory=dict)
    wording: str | None = None  # as it was approved, with places for the parameters; it goes before the text
    kind: Literal["notice", "promotion"] | None = None
    reads: Reads = Reads()


@dataclass(frozen=True)
class PushForm:
    file: str
    title: Part
    text: Part
    image: Part | None = None
    link: Part | None = None
    reads: Reads = Reads()


@dataclass(frozen=True)
class WeChatForm:
    """A template and its values; or words alone, without one."""

    file: str
    template: str = ""
    kind: Literal["notice", "promotion"] | None = None  # of a template
    text: Part | None = None
    page: Part | None = None
    values: Mapping[str, Part] = field(default_factory=dict)
    wording: str | None = None  # as it was approved
    reads: Reads = Reads()


@dataclass(frozen=True)
class BriefForm:
    """What a colleague is told who takes up a task, in Markdown."""

    file: str
    title: Part
    text: Part
    reads: Reads = Reads()


Form: TypeAlias = EmailForm | SmsForm | PushForm | WeChatForm | BriefForm
