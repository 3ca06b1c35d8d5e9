"""Which addresses may be reached: numbers decide, never spellings."""

import ipaddress
import re
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.webhooks.addresses import (
    URL_CHARACTERS,
    Addresses,
    AddressRefused,
    NotResolved,
    SystemResolver,
    check_url,
)

PRIVATE = re.findall(
    r"\S+",
    """
    0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.192 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 64:ff9b::7f00:1
    64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 2002:7f00:1:: 2002:808:808::
    3fff::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 5f00::1
    """,
)
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.128.0.1"]
PUBLIC += ["2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_the_public_internet_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused, match="not on the public Internet"):
        Addresses().permit(ipaddress.ip_address(text), 443)


def permitted(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it may be connected to where nothing is allowed beside."""
    try:
        Addresses().permit(address, 443)
    except AddressRefused:
        return False
    return True


@pytest.mark.parametrize("text", [*PUBLIC, "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_public_internet_is_permitted_also_through_a_translator(text: str) -> None:
    assert permitted(ipaddress.ip_address(text))


@given(st.ip_addresses())
def test_nothing_is_permitted_that_the_standard_library_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """An independent table; ours may be the stricter."""
    plain = getattr(address, "ipv4_mapped", None) or address
    private = plain.is_private or plain.is_loopback or plain.is_link_local or plain.is_multicast
    assert not (private and permitted(address))


@pytest.mark.parametrize(
    ("port", "accepted"), [(80, True), (443, True), (1024, True), (22, False), (25, False)]
)
def test_ports_of_other_services_are_refused(port: int, accepted: bool) -> None:
    address = ipaddress.ip_address("8.8.8.8")
    if accepted:
        Addresses().permit(address, port)
    else:
        with pytest.raises(AddressRefused, match=f"port {port} is not accepted"):
            Addresses().permit(address, port)


def test_an_operators_ranges_are_permitted_on_any_port_and_nothing_beside_them() -> None:
    addresses = Addresses(["10.1.0.0/16", "fd00:1::/32"])
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00:1::5"):
        addresses.permit(ipaddress.ip_address(text), 22)
    for text in ("10.2.0.1", "fd00:2::1", "169.254.169.254"):
        with pytest.raises(AddressRefused):
            addresses.permit(ipaddress.ip_address(text), 443)


def test_a_range_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="has host bits set"):
        Addresses(["10.1.0.1/16"])


def resolving(*addresses: str) -> "_Fixed":
    return _Fixed(addresses)


class _Fixed:
    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.addresses


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        await Addresses().resolve("both.example", 443, resolving("8.8.8.8", "10.0.0.1"))
    found = await Addresses().resolve("both.example", 443, resolving("8.8.8.8", "8.8.8.8", "1.1.1.1"))
    assert found == ["8.8.8.8", "1.1.1.1"]


async def test_a_scoped_address_is_refused_and_a_name_without_one_says_so() -> None:
    with pytest.raises(AddressRefused):
        await Addresses(["fe80::/10"]).resolve("near.example", 443, resolving("fe80::1%eth0"))
    with pytest.raises(NotResolved, match=r"gone\.example has no address"):
        await Addresses().resolve("gone.example", 443, resolving())


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "0", "127.0.0.1"]
)
async def test_odd_spellings_of_this_machine_mean_it_after_resolution(host: str) -> None:
    with pytest.raises(AddressRefused):
        await Addresses().resolve(host, 443, SystemResolver())


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("ftp://example.com/", "begins with https"),
        ("example.com/hook", "begins with https"),
        ("http:///hook", "with a host"),
        ("http://user:password@example.com/", "without a name"),
        ("http://example.com\\@10.0.0.1/", "without a name"),
        ("http://example.com/a b", "without spaces"),
        ("http://example.com/\x00", "without spaces"),
        ("http://example.com:0/", "port from 1"),
        ("http://example.com:99999/", "can be read"),
        ("http://[::1/", "can be read"),
        ("http://example.com/" + "x" * URL_CHARACTERS, "at most 2048 characters"),
    ],
)
def test_a_url_that_cannot_be_one_is_refused_with_what_would_be(url: str, wrong: str) -> None:
    assert wrong in (check_url(url) or "")


def test_urls_that_can_be_tried_are_accepted() -> None:
    for url in (
        "https://example.com",
        "http://example.com:8080/hook?token=x%20y#part",
        "https://[2606:4700::1]/",
    ):
        assert check_url(url) is None


@given(st.text())
def test_no_text_breaks_the_check(url: str) -> None:
    check_url(url)
    check_url(f"http://{url}")
