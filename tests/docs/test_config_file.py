"""The services written out in the shipped config.yaml, behind #, are configurations without mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from ruamel.yaml import YAML

from channels.registry import find, installed
from engine.journey import source
from engine.settings import Settings

HERE = Path(__file__).parents[2]
TEXT = (HERE / "config.yaml").read_text(encoding="utf-8")
WRITTEN = re.findall(r"^#   (\w+): (\{.*\n(?:#     .*\n)*)", TEXT, re.MULTILINE)
BLOCKS = [(channel, re.sub(r"^#", "", text, flags=re.MULTILINE)) for channel, text in WRITTEN]
REST = """
shop: {name: A, url: 'https://a.example.com', zone: UTC, country: CN, locale: en, currency: CNY}
topics: {care: {title: Care, purpose: marketing}}
"""


def of(text: str) -> dict[str, object]:
    found: dict[str, object] = YAML(typ="safe").load(text)
    return found


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """A value of the right form for each variable."""
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode().replace("\n", "\\n")
    account = (
        '{"type": "service_account", "project_id": "shop", "private_key_id": "1", "client_email": "a@shop.example.com",'
        f' "token_uri": "https://oauth2.googleapis.com/token", "private_key": "{private}"}}'
    )
    signing = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    return {"APNS_KEY": elliptic.decode(), "FCM_CREDENTIALS": account, "CRM_SECRET": signing}


def test_every_service_that_ships_is_written_out() -> None:
    named = {str(of(text)["provider"]) for _, text in BLOCKS if "provider" in of(text)}
    ships = {name for name in installed() if find(name).__module__.startswith("channels.")}
    assert named == ships - {"maildir", "console", "simulated"}


@pytest.mark.parametrize(("channel", "text"), BLOCKS, ids=[text[:40] for _, text in BLOCKS])
def test_without_its_sign_it_is_a_configuration_and_its_provider_can_be_made(
    channel: str, text: str, secrets: dict[str, str], tmp_path: Path
) -> None:
    settings, problems = source.validate(Settings, source.read(f"{REST}channels:\n  {channel}: {text}", "config.yaml"))
    assert settings is not None, problems
    assert problems == []
    for lane in settings.lanes.values():

        class AnyEnv(dict[str, str]):
            def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
                return secrets.get(name, "not-a-real-secret-0123456789")

        find(lane.provider)(lane.channel, lane.way.options, AnyEnv(), tmp_path)
