"""The page about config.yaml is true: its examples are read, every provider and every option of theirs is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from channels import registry
from engine.app import check_providers
from engine.journey import source
from engine.settings import Settings

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml config\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
REST = {
    "shop": "shop: {name: A, url: 'https://a.example.com', zone: UTC, country: CN, locale: en, currency: CNY}\n",
    "topics": "topics: {care: {title: Care, purpose: marketing}}\n",
    "channels": "channels: {email: {provider: console}}\n",
}
PROVIDERS = ("smtp", "maildir", "console", "simulated")


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_a_configuration_without_mistakes(text: str, tmp_path: Path) -> None:
    written = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    whole = "".join(line for key, line in REST.items() if key not in written) + text
    settings, problems = source.validate(Settings, source.read(whole, "config.yaml"))
    assert settings is not None, problems
    assert problems == []
    assert check_providers(settings, {"SMTP_PASSWORD": "not a real one"}, tmp_path) == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_option_of_a_provider_is_named(name: str) -> None:
    options = registry.find(name).Options.model_fields
    missing = [option for option in options if not re.search(rf"`[^`\n]*\b{option}\b[^`\n]*`", PAGE)]
    assert missing == []


def test_every_provider_that_ships_has_a_part_of_its_own() -> None:
    assert set(re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE)) == set(PROVIDERS)
