"""What can be said of a host, or of an address, by itself: nobody is asked."""

from __future__ import annotations

import ipaddress
import re

_LABEL, _NUMBER = re.compile("[a-z0-9_-]{1,63}"), re.compile("[0-9]+|0x[0-9a-f]*")
_INTERNET_6 = ipaddress.IPv6Network(
    "2000::/3"
)  # all that is given out for the internet; the rest is private or nobody's
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address as networks without IPv4 write it (RFC 6052)

#: what leads to no stranger on the internet: the IANA registries of special-purpose addresses, and one of a cloud
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this machine
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's own translation, and the metadata of Alibaba Cloud
            "127.0.0.0/8",
            "168.63.129.16/32",  # inside Azure, its platform
            "169.254.0.0/16",  # this link, and the metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocols, and the metadata of Oracle Cloud
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4, which are no more
            "192.168.0.0/16",
            "198.18.0.0/15",  # measurements
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # many at once
            "240.0.0.0/4",  # reserved, and all at once
            "2001::/23",  # protocols, Teredo among them, which holds an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


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


def is_address(host: str) -> bool:
    """True for an IP address, false for a name."""
    return _meant(host) is not None


def is_name(host: str) -> bool:
    """True for a name that can only be looked up: 127.1, 2130706433 and 0x7f.1 are addresses to some programs."""
    *_, last = labels = host.split(".")
    return all(map(_LABEL.fullmatch, labels)) and _NUMBER.fullmatch(last) is None


def is_public(address: str) -> bool:
    """True for an IP address of the internet at large: a stranger's, not one of this machine, network or cloud.

    An IPv4 address in the clothes of IPv6 is judged as what it leads to. What is no address is not public.
    """
    meant = _meant(address)
    if meant is None or any(meant in network for network in _NOT_PUBLIC if network.version == meant.version):
        return False
    return meant.version == 4 or meant in _INTERNET_6


def same_address(one: str, other: str) -> bool:
    """Do two texts mean one IP address?"""
    meant = _meant(one)
    return meant is not None and meant == _meant(other)


def _meant(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return ipaddress.IPv4Address(found.packed[-4:]) if found in _NAT64 else found
