"""Front matter: the keys that may stand at the top of a text, per channel."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

ProviderKind: TypeAlias = Literal["notice", "promotion"]


class _Head(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmailHead(_Head):
    subject: str = ""
    preheader: str = ""
    sender_name: str = ""
    reply_to: str = ""
    purpose: Literal["marketing", "transactional"] = "marketing"


class TextHead(_Head):
    """Of an author's own text part: nothing but the body counts."""


class SmsHead(_Head):
    template: str | None = None
    kind: ProviderKind | None = None
    params: dict[str, str] = Field(default_factory=dict)


class PushHead(_Head):
    title: str = ""
    image: str | None = None
    link: str | None = None


class WeChatHead(_Head):
    template: str
    kind: ProviderKind | None = None
    wording: str = ""
    page: str | None = None
    values: dict[str, str] = Field(default_factory=dict)


class WeChatTextHead(_Head):
    """Of words that are no template: for who has just spoken to us, or for a colleague to send."""

    page: str | None = None


class TaskHead(_Head):
    title: str = ""
