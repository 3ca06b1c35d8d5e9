"""Which addresses a request may go to that a user has given the URL of.

`Addresses.permit` decides about one address, `resolve` about a name: all it stands for, or nobody. What is decided is
numbers, never spellings: whatever a name, an IDNA label or an `0x7f.1` means, it means after resolution.

Refused: all that is not the public Internet (IANA's IPv4 and IPv6 Special-Purpose Address Registries), addresses that
carry another inside unless that one is public (IPv4-mapped, NAT64) or at all (6to4, Teredo), and the one metadata
service that has a public address. Ports: 80, 443 and from 1024 on. An operator's ranges are exempt from both.
Known doubts: an address that is public may still be this network's own from outside; only a firewall knows.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import urlsplit

import trio

__all__ = ["Address", "AddressRefused", "Addresses", "NotResolved", "Resolver", "SystemResolver", "check_url"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text. Raises `OSError`."""

URL_CHARACTERS = 2048
RESOLVING = 16
LOWEST_PORT = 1024
WEB_PORTS = (80, 443)

_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's metadata and agent service
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
)  # fmt: skip


class AddressRefused(Exception):
    """A request must not go there. The text names what was asked for and why not."""


class NotResolved(Exception):
    """A name has no address, or nobody could say."""


class Addresses:
    """What one operator permits. `allow`: ranges in CIDR notation; raises ValueError for what is none."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed: tuple[Network, ...] = tuple(ipaddress.ip_network(network) for network in allow)

    def permit(self, address: Address, port: int) -> None:
        """Raises `AddressRefused`."""
        plain = _unwrapped(address)
        if any(each in network for each in {address, plain} for network in self._allowed):
            return
        if not _is_public(plain):
            raise AddressRefused(f"{address} is not on the public Internet (webhook.allow lists what may be)")
        if port not in WEB_PORTS and port < LOWEST_PORT:
            raise AddressRefused(f"port {port} is not accepted: use 80, 443 or {LOWEST_PORT} and above")

    async def resolve(self, host: str, port: int, resolver: Resolver) -> list[str]:
        """The addresses of `host`, each of which may be connected to.

        Raises `AddressRefused` when one of them may not, `NotResolved` when there is none.
        """
        try:
            found = await resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise NotResolved(f"{host} has no address ({error})") from error
        if not found:
            raise NotResolved(f"{host} has no address")
        for text in found:
            if "%" in text:
                raise AddressRefused(f"{text} is not on the public Internet")
            self.permit(ipaddress.ip_address(text), port)
        return list(dict.fromkeys(found))


def check_url(url: str) -> str | None:
    """What is wrong with a URL as such, as the end of a sentence; None when it can be tried."""
    if len(url) > URL_CHARACTERS:
        return f"use at most {URL_CHARACTERS} characters"
    if not url.isprintable() or any(character.isspace() for character in url):
        return "use a URL without spaces and control characters"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        return f"use a URL that can be read ({error})"
    if parts.scheme not in ("http", "https"):
        return "use a URL that begins with https:// or http://"
    if not host:
        return "use a URL with a host"
    if "\\" in url or "@" in parts.netloc:
        return "use a URL without a name, a password or a backslash before the host's end"
    if port == 0:
        return "use a port from 1 to 65535"
    return None


class SystemResolver:
    """Asks the system, in at most `RESOLVING` threads; implements `Resolver`.

    Cancelled it returns at once. The thread goes on until the system answers, and counts until then.
    """

    def __init__(self) -> None:
        self._threads = trio.CapacityLimiter(RESOLVING)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        try:
            return [
                str(ipaddress.IPv4Address(host))
            ]  # nobody need be asked; other spellings are the system's
        except ValueError:
            pass
        return await trio.to_thread.run_sync(
            _ask_system, host, port, limiter=self._threads, abandon_on_cancel=True
        )


def _ask_system(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


def _unwrapped(address: Address) -> Address:
    """The address that a packet ends up at."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _REFUSED if network.version == address.version)
