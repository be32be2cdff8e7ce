"""What can be said of a host by its name alone."""

from __future__ import annotations

import ipaddress


def is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def is_here(host: str) -> bool:
    """True for names of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
