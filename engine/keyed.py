"""Keyed hashes: HMAC-SHA256, the key worked in once. That is more than half of the work where texts are short."""

from __future__ import annotations

import hmac
from functools import lru_cache


@lru_cache(maxsize=64)
def _begun(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def digest(key: bytes, text: bytes) -> bytes:
    """What `hmac.digest(key, text, "sha256")` gives."""
    hashing = _begun(key).copy()
    hashing.update(text)
    return hashing.digest()
