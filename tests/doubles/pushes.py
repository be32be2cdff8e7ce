"""What the doubles of push services have in common: one instant, keys of their own, and the vectors of vendors.

The vectors lie beside the project: $OUTREACH_DATA names the folder of data, and they lie beside that one.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)


class Clock:
    """An instant that tests move."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@cache
def rsa_pair(number: int = 0) -> tuple[str, str]:
    """A private key and its public one, as PEM."""
    return _pem(rsa.generate_private_key(65537, 2048))


@cache
def ec_pair(number: int = 0) -> tuple[str, str]:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> tuple[str, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@cache
def vectors(file: str) -> dict[str, Any]:
    """A file of vectors. Skips the test where it is not here."""
    found = _read(file)
    if not found:
        pytest.skip(f"{file} is not here (OUTREACH_DATA names its folder)")
    return found


def _read(file: str) -> dict[str, Any]:
    given = os.environ.get("OUTREACH_DATA")
    data = Path(given) if given else Path(__file__).parents[2].parent / "shared" / "data"
    path = data.parent / "vectors" / file
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def rows(provider: str) -> pytest.MarkDecorator:
    """One test for each code of a provider, named after it."""
    found = [one for one in _read("error_classes.json").get("cases", []) if one["provider"] == provider]
    return _each([pytest.param(one, id=f"{one['where']} {one['code']}") for one in found], "row")


def recordings(sdk: str) -> pytest.MarkDecorator:
    """One test for each request that a vendor's library was heard to make."""
    found = [one for one in _read("sdk_wire_recordings.json").get("cases", []) if one["sdk"].startswith(sdk)]
    return _each([pytest.param(one, id=one["name"]) for one in found], "recorded")


def _each(found: list[Any], name: str) -> pytest.MarkDecorator:
    skip = pytest.mark.skip(reason="the vectors are not here (OUTREACH_DATA names the folder of data beside them)")
    return pytest.mark.parametrize(name, found or [pytest.param(None, marks=skip, id="none")])
