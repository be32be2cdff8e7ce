"""A small shop to write texts for: its settings, a person, values, and a folder of texts made from a dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from channels.contract import Sms
from engine.audience.values import Person
from engine.journey.problems import Problem
from engine.message.links import Links
from engine.message.render import Values, render
from engine.message.templates import Texts, load_texts
from engine.settings import Settings
from engine.values import replace

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SETTINGS = Settings.model_validate(
    {
        "shop": {
            "name": "Lumen",
            "url": "https://shop.example.com",
            "zone": "Asia/Shanghai",
            "country": "CN",
            "locale": "en",
            "currency": "CNY",
            "address": "1 Example Road",
        },
        "brand": {"colour": "#aa3300", "people": {"en": {"mei": "Mei Su"}}},
        "topics": {"care": {"title": "Care", "purpose": "marketing"}},
        "channels": {"email": {"provider": "console"}},
        "sms": {"templates": {name: {"wording": "Hi ${who}!"} for name in ("T", "T-1")}},
        "wechat": {
            "templates": {
                "T": {"wording": "{{thing1.DATA}}"},
                "W-1": {"wording": "{{thing1.DATA}}\n{{thing2.DATA}}"},
            }
        },
    }
)

Load = Callable[[Mapping[str, str]], tuple[Texts, list[Problem]]]


@dataclass(frozen=True)
class Code:
    code: str = "LUM-2026"
    value: str = "20 CNY"
    expires_at: datetime | None = datetime(2026, 12, 6, 10, 0, tzinfo=UTC)


def make_person(locale: str = "en", **attributes: Any) -> Person:
    """Ann in Shanghai, reachable everywhere."""
    known = {"first_name": "Ann", "last_name": "Lee", **attributes}
    addresses = {"email": "ann@example.com", "sms": "+8613800138000", "push": "device-1", "wechat": "openid-1"}
    return Person(7, "c-7", ZoneInfo("Asia/Shanghai"), locale, "CN", NOW, addresses, known)


def make_values(locale: str = "en", **changes: Any) -> Values:
    """What a text about Ann's order may speak of."""
    usual = Values(
        person=make_person(locale),
        links=Links("https://mail.example.com", b"a secret of the tests"),
        now=NOW,
        event={"order_id": "A-1", "total": 1234.5, "currency": "CNY", "items": [{"name": "Cup"}, {"name": "Lamp"}]},
        traits={"orders_12m": 3}.get,
        voucher=Code(),
        journey="golden",
        step="send-thanks",
        topic="care",
        enrollment_id=11,
        message_id=42,
        extra={"tone": "warm"},
    )
    return replace(usual, **changes)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes a folder of texts and loads it."""

    def write(files: Mapping[str, str]) -> tuple[Texts, list[Problem]]:
        folder = tmp_path / "templates"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return load_texts(folder, SETTINGS)

    return write


@pytest.fixture
def write_sms(load: Load) -> Callable[..., str]:
    """Loads one text as an SMS and writes it for one person."""

    def write(body: str, given: Values | None = None, locale: str = "en", **more: str) -> str:
        texts, problems = load({f"m/sms.{locale}.txt": body, **more})
        assert problems == []
        content = render(texts, "m", "sms", locale, given or make_values(locale))
        assert isinstance(content, Sms)
        return content.text

    return write


@pytest.fixture
def values() -> Callable[..., Values]:
    """Makes the values of a text about Ann's order."""
    return make_values


@pytest.fixture
def person() -> Callable[..., Person]:
    """Makes a person with attributes."""
    return make_person
