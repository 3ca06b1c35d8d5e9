"""What requests of webhooks go over: connections to addresses that were checked, kept open for a moment.

Invariants: the address that is connected to is one that `Addresses` permits, of the resolution just made.
Bounded: by who makes requests.
Cost: requests to one endpoint look only at the few connections of their own pool, of `POOLS`.
"""

import ssl
from collections.abc import Iterable
from functools import partial

import httpcore2
import httpx2
import trio

from engine.webhooks.addresses import Addresses, Resolver

__all__ = ["CheckedNetwork", "CheckedTransport"]

KEEP_ALIVE = 2.0
"""Below the 5 s after which common servers close: a request must not meet a connection that is just being closed."""
POOLS = 256


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to what `addresses` permits of the addresses that `resolver` gives at that moment."""

    def __init__(self, addresses: Addresses, resolver: Resolver) -> None:
        self._addresses = addresses
        self._resolver = resolver
        self._trio = httpcore2.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To the first permitted address that takes a connection. Raises `ConnectTimeout`, `ConnectError`."""
        deadline = trio.current_time() + (float("inf") if timeout is None else timeout)
        with trio.move_on_at(deadline):
            found = await self.resolve(host, port)
            return await self._first(found, port, deadline, local_address, socket_options)
        raise httpcore2.ConnectTimeout

    async def resolve(self, host: str, port: int) -> list[str]:
        """As `Addresses.resolve`."""
        return await self._addresses.resolve(host, port, self._resolver)

    async def _first(
        self,
        found: list[str],
        port: int,
        deadline: float,
        local_address: str | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        """The first address that takes a connection; each has its share of the time."""
        for left, address in zip(range(len(found), 0, -1), found, strict=True):
            share = (deadline - trio.current_time()) / left
            try:
                return await self._trio.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if left == 1:
                    raise
        raise AssertionError("no address")  # `resolve` gives one at least

    async def sleep(self, seconds: float) -> None:
        """On Trio's clock."""
        await trio.sleep(seconds)


class _Pools(httpcore2.AsyncConnectionPool):
    """Many small pools for one: with each request a pool looks at all of its connections, several times.

    Requests to one endpoint, which say whose it is in their target, share one.
    """

    def __init__(self, network: CheckedNetwork, context: ssl.SSLContext) -> None:
        super().__init__(network_backend=network)
        self._make = partial(
            httpcore2.AsyncConnectionPool,
            ssl_context=context,
            max_connections=None,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=network,
        )
        self._parts: dict[int, httpcore2.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        url = request.url
        number = hash((url.host, url.port, url.target)) % POOLS
        part = self._parts.get(number)
        if part is None:
            part = self._parts[number] = self._make()
        return await part.handle_async_request(request)

    async def aclose(self) -> None:
        for part in self._parts.values():
            await part.aclose()


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport over our own network."""

    def __init__(self, network: CheckedNetwork, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = _Pools(network, context)
