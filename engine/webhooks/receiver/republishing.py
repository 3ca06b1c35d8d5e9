"""Sends audio on, as it comes, to a URL or a WebSocket that the operator names.

To http and https each request's audio is POSTed as it came to us: PCM, with `sample_rate` and `uid` in the query. To ws
and wss goes one connection for each session, of binary messages with PCM, silence for gaps among them: another
server's /v4/listen?codec=pcm16 will do. Addresses are checked as those of webhooks are.

Operations: two `Consumer`s, of which `republishing` gives the right one.
Invariants: what is sent is in order. A request is tried `TRIES` times under one delivery id; what is not taken then, or
not within `republish_timeout` of the session's end, is missed, which is counted and logged.
Bounded: a piece in memory beside the feed, which drops the oldest of what is not taken in time.
"""

import math
import ssl
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import trio

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.moments import SECOND
from engine.stt.backoff import Backoff
from engine.stt.transport import ConnectFailed, Connection, ConnectionLost, Refused, Request, Transport
from engine.stt.websocket import WebSocketTransport
from engine.webhooks.addresses import AddressRefused, NotResolved, Resolver
from engine.webhooks.client import NoAnswer, WebhookClient
from engine.webhooks.receiver.consuming import Consumer
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.joining import Audio, Began
from engine.webhooks.receiver.messages import MessageSource
from engine.webhooks.receiver.positions import POSITION, SESSION
from engine.webhooks.signing import signed_headers
from engine.webhooks.urls import with_query

__all__ = ["PostedAudio", "StreamedAudio", "checked_stream", "republishing"]

log = get_logger(__name__)

TRIES = 4
TRY_AGAIN = (408, 425, 429)
"""Statuses below 500 that may be others later."""

Clock = Callable[[], int]


def republishing(
    settings: Settings, client: WebhookClient, resolver: Resolver, now: Clock
) -> Consumer | None:
    """What sends on as configured; None when nothing is. `now`: µs since the epoch."""
    if not settings.republish:
        return None
    if urlsplit(settings.republish).scheme in ("ws", "wss"):
        return StreamedAudio(settings, WebSocketTransport(checked_stream(client, resolver)))
    return PostedAudio(settings, client, now)


def _target(settings: Settings, session: Began) -> str:
    query = {"sample_rate": str(session.sample_rate), "uid": session.uid}
    return with_query(settings.republish, query)


async def _within(feed: Feed, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, but no longer than `seconds` after the feed's last piece was put."""
    async with trio.open_nursery() as nursery:

        async def limit() -> None:
            await feed.finished.wait()
            nursery.cancel_scope.deadline = trio.current_time() + seconds

        nursery.start_soon(limit)
        await work()
        nursery.cancel_scope.cancel()


class PostedAudio:
    """To a URL."""

    name = "republish"
    lossless = False

    def __init__(self, settings: Settings, client: WebhookClient, now: Clock) -> None:
        self._settings = settings
        self._client = client
        self._now = now

    async def consume(self, session: Began, feed: Feed) -> None:
        """See `Consumer`."""

        async def work() -> None:
            async for piece in feed:
                if isinstance(piece, Audio) and not await self._post(session, piece):
                    feed.dropped += piece.samples

        await _within(feed, self._settings.republish_timeout, work)

    async def _post(self, session: Began, piece: Audio) -> bool:
        """Whether it was taken."""
        url = _target(self._settings, session)
        backoff = Backoff(self._settings.retry_initial, self._settings.retry_limit)
        for left in range(TRIES - 1, -1, -1):
            id = f"{session.id}-{piece.position}"
            headers = signed_headers(id, piece.pcm, (), self._now() // SECOND)
            headers |= {
                "Content-Type": "application/octet-stream",
                SESSION: session.id,
                POSITION: str(piece.position),
            }
            try:
                answer = await self._client.send(
                    "POST",
                    url,
                    body=piece.pcm,
                    headers=headers,
                    timeout=self._settings.republish_timeout,
                )
            except NoAnswer as error:
                log.warning("receiver.republish_failed", session=session.id, reason=str(error))
            else:
                if 200 <= answer.status < 300:
                    return True
                log.warning("receiver.republish_failed", session=session.id, status=answer.status)
                if answer.status < 500 and answer.status not in TRY_AGAIN:
                    return False
            if left:
                await trio.sleep(backoff.next())
        return False


class StreamedAudio:
    """To a WebSocket; what it says is read and dropped."""

    name = "republish"
    lossless = False

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport

    async def consume(self, session: Began, feed: Feed) -> None:
        """See `Consumer`."""
        source = MessageSource(feed, session.sample_rate)
        backoff = Backoff(self._settings.retry_initial, self._settings.retry_limit)

        async def work() -> None:
            while not source.over:
                try:
                    await self._stream(session, source, backoff)
                except (ConnectFailed, Refused, ConnectionLost) as error:
                    log.warning("receiver.republish_failed", session=session.id, reason=str(error))
                    await trio.sleep(backoff.next())

        await _within(feed, self._settings.republish_timeout, work)

    async def _stream(self, session: Began, source: MessageSource, backoff: Backoff) -> None:
        """One connection, until all is sent. Raises when it fails; what may not have arrived is sent again."""
        request = Request(_target(self._settings, session))
        failed: ConnectionLost | None = None
        with trio.move_on_after(self._settings.republish_timeout) as connecting:
            async with self._transport.connect(request) as connection:
                connecting.deadline = math.inf
                backoff.reset()
                failed = await self._talk(connection, source)
        if connecting.cancelled_caught:
            raise ConnectFailed(f"no connection in {self._settings.republish_timeout:g} s")
        if failed is not None:
            raise failed

    async def _talk(self, connection: Connection, source: MessageSource) -> ConnectionLost | None:
        """Send all there is, and read meanwhile; why that ended too early."""
        failed: ConnectionLost | None = None
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                nonlocal failed
                try:
                    while True:
                        await connection.receive()
                except ConnectionLost as lost:
                    failed = failed or lost
                    nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            failed = await self._send_all(connection, source) or failed
            nursery.cancel_scope.cancel()
        return None if source.over else failed

    async def _send_all(self, connection: Connection, source: MessageSource) -> ConnectionLost | None:
        while (message := await source.peek()) is not None:
            try:
                with trio.fail_after(self._settings.republish_timeout):
                    await connection.send(message)
            except trio.TooSlowError:
                return ConnectionLost(1006, "nothing was taken in time")
            except ConnectionLost as lost:
                return lost
            source.taken()
        return None


def checked_stream(
    client: WebhookClient, resolver: Resolver
) -> Callable[[str, int, bool], Awaitable[trio.abc.Stream]]:
    """Opens byte streams for WebSockets, as `WebSocketTransport` wants them.

    To addresses that were checked, and to whom the client's own requests trust.
    """

    async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
        try:
            found = await client.addresses.resolve(host, port, resolver)
        except (AddressRefused, NotResolved) as error:
            raise ConnectFailed(str(error)) from error
        stream = await _first(found, port)
        return await _secured(stream, host, client.tls()) if tls else stream

    return open_stream


async def _first(addresses: Sequence[str], port: int) -> trio.abc.Stream:
    """A connection to the first address that takes one. Raises OSError."""
    failed: OSError | None = None
    for address in addresses:
        try:
            return await trio.open_tcp_stream(address, port)
        except OSError as error:
            failed = error
    raise failed or OSError("no address")


async def _secured(stream: trio.abc.Stream, host: str, trusted: ssl.SSLContext) -> trio.abc.Stream:
    secured = trio.SSLStream(stream, trusted, server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            raise ConnectFailed(f"TLS with {host} failed: {error.__cause__ or error}") from error
        raise
    return secured
