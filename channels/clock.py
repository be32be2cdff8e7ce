"""The only place of the channels that asks the system for the time, and throws dice."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def system_now() -> datetime:
    """The instant it is, aware and in UTC. A provider asks the clock it was handed; this is that of a lone one."""
    return datetime.now(UTC)


def nonce() -> str:
    """A word nobody has said before: 32 hexadecimal digits."""
    return secrets.token_hex(16)
