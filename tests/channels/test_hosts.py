"""Which addresses are a stranger's on the internet, and which lead inside."""

from __future__ import annotations

import pytest

from channels.hosts import is_name, is_public, same_address


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "168.63.129.15",
        "2606:4700:4700::1111",
        "2a00:1450:4001:80b::200e",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "::1", "::"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd00:ec2::254"),
        *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fec0::1"),
        *("100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.192", "168.63.129.16"),
        *("224.0.0.1", "239.255.255.255", "ff02::1", "240.0.0.1", "255.255.255.255"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "198.18.0.1", "192.88.99.1"),
        # IPv4 in the clothes of IPv6: mapped, compatible, translated, NAT64, its local form, 6to4, Teredo
        *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1", "2001:0:7f00:1::1"),
        *("100::1", "1::1", "4000::1"),
        # no addresses
        *("", "localhost", "example.org", "127.1", "2130706433", "0x7f000001", "1.1.1.1 ", "01.1.1.1", "[::1]", "%"),
    ],
)
def test_all_others_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host", ["example.org", "localhost", "a", "xn--bcher-kva.example", "_sip.example", "1.example"]
)
def test_names_are_looked_up(host: str) -> None:
    assert is_name(host)


@pytest.mark.parametrize(
    "host",
    ["", ".", "example.org.", "a..b", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "1.0x7f", "a.0x", "a b", "a%20b"],
)
def test_what_some_programs_take_for_an_address_is_no_name(host: str) -> None:
    assert not is_name(host)


def test_one_address_has_many_spellings() -> None:
    assert same_address("::ffff:10.0.0.1", "10.0.0.1")
    assert same_address("2001:DB8:0::1", "2001:db8::1")
    assert not same_address("10.0.0.1", "10.0.0.2")
    assert not same_address("crm", "crm")
