"""HTTP to addresses that users have given: each checked, and connected to as checked.

Operations: `open` keeps the connections while a block runs; `send` gives an answer, at most so much of it.
Invariants: the address that is connected to is one that `Addresses` permits, of the resolution just made; the name
stays what TLS and `Host` say. Redirects are an answer like any other. No proxy is used, for it would resolve names
itself. No error text has a URL's query in it.
Bounded: `webhook.endpoints` times `webhook.concurrency` requests at once, beyond which callers wait; `answer_limit`
bytes of an answer, read as they come, not decompressed; every request by its `timeout` with all that is in it.
Cost: a resolution and a connection unless one is still open (`engine.webhooks.network`).
Cancellation: closes the connection; the other side may have taken the request.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import cache
from urllib.parse import urlsplit

import httpx2
import msgspec
import trio

from engine._config_webhooks import Webhook
from engine.off_loop import OffLoop
from engine.webhooks.addresses import (
    Addresses,
    AddressRefused,
    NotResolved,
    Resolver,
    SystemResolver,
    check_url,
)
from engine.webhooks.network import CheckedNetwork, CheckedTransport

__all__ = ["Answer", "NoAnswer", "WebhookClient"]

HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "listen-engine"}


class Answer(msgspec.Struct, frozen=True):
    """What the other side said. `body` is its beginning when it is `cut`; empty when it came compressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class NoAnswer(Exception):
    """There was none. `kind`, one word: address, dns, connect, tls, timeout, broken, closed; the text says
    more."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class WebhookClient:
    """One per process. Raises ValueError for ranges in `webhook.allow` that are none."""

    def __init__(self, settings: Webhook, off_loop: OffLoop, *, resolver: Resolver | None = None) -> None:
        self.addresses = Addresses(settings.allow)
        self._settings = settings
        self._off_loop = off_loop
        self._network = CheckedNetwork(self.addresses, resolver or SystemResolver())
        self._room = trio.Semaphore(settings.endpoints * settings.concurrency)
        self._limits = {"timeout": httpx2.Timeout(None, connect=settings.connect_timeout).as_dict()}
        self._transport: CheckedTransport | None = None
        self._trusted: ssl.SSLContext | None = None

    def tls(self) -> ssl.SSLContext:
        """Whom requests trust, for other connections. Only while it is open."""
        assert self._trusted is not None, "open it first"
        return self._trusted

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Requests can be made inside. Raises `OSError` for a `webhook.ca_file` that cannot be read."""
        settings = self._settings
        context = self._trusted = await self._off_loop(_trusted, settings.ca_file)
        # Requests go to the transport as they are: no client that follows redirects, and none whose cookies, set by
        # one user's endpoint, would be sent to another's.
        async with CheckedTransport(self._network, context) as transport:
            self._transport = transport
            try:
                yield
            finally:
                self._transport = None

    async def check(self, url: str) -> str | None:
        """What is wrong with a URL that a user gives, as the end of a sentence; None: nothing that is known now.

        A name that cannot be resolved at the moment may be later.
        """
        if wrong := check_url(url):
            return wrong
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with trio.move_on_after(self._settings.connect_timeout):
            try:
                await self._network.resolve(parts.hostname or "", port)
            except AddressRefused as error:
                return f"use an address that may be reached: {error}"
            except NotResolved:
                return None
        return None

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Make a request and read the answer, within `timeout` seconds (`webhook.timeout`). Raises `NoAnswer`.

        An answer whose head came in time is one, also when the rest of it does not.
        """
        if self._transport is None:
            raise NoAnswer("closed", "the server is starting or stopping")
        limit = self._settings.timeout if timeout is None else timeout
        deadline = trio.current_time() + limit
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            with trio.move_on_at(deadline) as waiting:
                await self._room.acquire()
            if waiting.cancelled_caught:
                raise NoAnswer(
                    "timeout", f"no request could be made in {limit:g} s (webhook.endpoints)"
                ) from None
        try:
            response = await self._head(self._transport, method, url, body, headers, deadline)
            if response is None:
                raise NoAnswer("timeout", f"no answer in {limit:g} s")
            async with aclosing(response):
                read, cut = await self._read(response, deadline)
        finally:
            self._room.release()
        return Answer(response.status_code, dict(response.headers), read, cut)

    async def _head(
        self,
        transport: CheckedTransport,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        deadline: float,
    ) -> httpx2.Response | None:
        """An answer's; None when it did not come in time."""
        with trio.move_on_at(deadline), _mapped():
            given = {**HEADERS, **(headers or {})}
            request = httpx2.Request(method, url, content=body, headers=given, extensions=self._limits)
            return await transport.handle_async_request(request)
        return None

    async def _read(self, response: httpx2.Response, deadline: float) -> tuple[bytes, bool]:
        """The body's beginning. What goes wrong from here on does not change what the head said."""
        if response.headers.get("content-encoding", "identity") != "identity":
            return b"", True
        read = bytearray()
        with trio.move_on_at(deadline) as scope:
            try:
                async for chunk in response.aiter_raw():
                    read += chunk
                    if len(read) > self._settings.answer_limit:
                        return bytes(read[: self._settings.answer_limit]), True
            except httpx2.TransportError:
                return bytes(read), True
        return bytes(read), scope.cancelled_caught


class _mapped:
    """What httpx2 and our own checks raise, as `NoAnswer`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        match error:
            case None | NoAnswer():
                return
            case AddressRefused():
                raise NoAnswer("address", str(error)) from error
            case NotResolved():
                raise NoAnswer("dns", str(error)) from error
            case httpx2.ConnectTimeout():
                raise NoAnswer("connect", "no connection in time (webhook.connect_timeout)") from error
            case httpx2.ConnectError():
                kind = "tls" if isinstance(_root(error), ssl.SSLError) else "connect"
                raise NoAnswer(kind, f"no connection: {_root(error)}") from error
            case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
                raise NoAnswer("address", "the URL cannot be read") from error
            case httpx2.TransportError():
                raise NoAnswer("broken", f"the connection failed: {type(error).__name__}") from error


def _root(error: BaseException) -> BaseException:
    """What began it."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


def _trusted(ca_file: str) -> ssl.SSLContext:
    """Blocks: reading the usual authorities takes a tenth of a second."""
    if not ca_file:
        return _usual()
    context = httpx2.create_ssl_context(trust_env=False)
    context.load_verify_locations(cafile=ca_file)
    return context


@cache
def _usual() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)
