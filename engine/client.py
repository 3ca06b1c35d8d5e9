"""A client of /v4/listen over trio-websocket: what `listen stream` uses, and what other programs may.

Operations: `open_listen` connects; `send_audio`, `send_text` and `flush` write; `events` reads; `close` ends.

Invariants: the socket is always being read, so WebSocket pings are answered, and the server's text `ping` is
answered with the two bytes clients answer it with (0x8A 0x00), whether or not anybody iterates over `events`.

Bounds: messages nobody has read wait in a queue of `QUEUE` messages. When that is full the socket is no
longer read; TCP then holds the server back, which drops a client that does not read for its write timeout.
One message is at most 16 MiB. Connecting and closing have time limits.

Cost: 53 KiB with TLS and 16 KiB without per connection, and two tasks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import msgspec
import trio
import trio_websocket

from engine._client_connect import (
    AddressError,
    ConnectFailed,
    ListenClosed,
    Target,
    connect,
    handshake,
    unwrapped,
)
from engine.wire.messages import PING, ErrorEvent, Event, Segment

__all__ = [
    "AddressError",
    "ClientStatistics",
    "ConnectFailed",
    "ListenClient",
    "ListenClosed",
    "Message",
    "OtherEvent",
    "open_listen",
]

QUEUE = 1024
KEEPALIVE = b"\x8a\x00"
SHORTEST_PACKET = 3


class OtherEvent(msgspec.Struct, frozen=True):
    """An object whose type this version does not know, or whose fields are not as it knows them."""

    type: str
    fields: dict[str, object]


Message: TypeAlias = tuple[Segment, ...] | Event | OtherEvent
"""New or changed segments, to be kept by `id`; or an event."""


class ClientStatistics(msgspec.Struct, frozen=True):
    """Counted since the connection was made. `waiting` messages have not been read by `events` yet."""

    packets_sent: int
    bytes_sent: int
    messages_received: int
    pings_answered: int
    unreadable: int
    waiting: int


class ListenClient:
    """One connection to /v4/listen. Made by `open_listen`, which also closes it."""

    def __init__(self, socket: trio_websocket.WebSocketConnection, close_timeout: float) -> None:
        self._socket = socket
        self._close_timeout = close_timeout
        self._arrived, self._queue = trio.open_memory_channel[Message](QUEUE)
        self._error: ErrorEvent | None = None
        self._packets = self._bytes = self._messages = self._pings = self._unreadable = 0

    async def send_audio(self, packet: bytes) -> None:
        """Send one packet of the codec that was agreed on.

        Waits while TCP holds back. Raises ListenClosed, and ValueError for a packet of two bytes or fewer,
        which the protocol takes for a keepalive. If cancelled, part of the packet may have gone: close then.
        """
        if len(packet) < SHORTEST_PACKET:
            raise ValueError(f"packet has {len(packet)} bytes: two or fewer mean keepalive")
        await self._write(bytes(packet))
        self._packets += 1
        self._bytes += len(packet)

    async def send_text(self, text: str) -> None:
        """Send a JSON message, such as `suggested_transcript`. Raises ListenClosed."""
        await self._write(text)

    async def flush(self) -> None:
        """Ask for everything sent so far to be transcribed; answered by service_status `flushed`.

        Ours: other servers ignore it. Raises ListenClosed.
        """
        await self._write('{"type":"flush"}')

    async def events(self) -> AsyncIterator[Message]:
        """What the server sends, in order, until the connection is closed; then `close_code` tells why.

        Nothing that came before the close is lost. Cancelling loses nothing either. For one reader at a time.
        """
        async for message in self._queue:
            yield message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame and wait for the answer, no longer than the close timeout. May be called again.

        What the server sends after that is not read. If cancelled, the connection is cut without an answer.
        """
        with trio.move_on_after(self._close_timeout):
            await self._socket.aclose(code, reason or None)

    @property
    def close_code(self) -> int | None:
        """The code the connection was closed with, None while it is open; 1006 without a close frame."""
        return self._socket.closed.code if self._socket.closed else None

    @property
    def close_reason(self) -> str:
        """The reason in the close frame; empty when there is none."""
        return (self._socket.closed.reason or "") if self._socket.closed else ""

    @property
    def error(self) -> ErrorEvent | None:
        """What the server said was wrong before it closed."""
        return self._error

    def statistics(self) -> ClientStatistics:
        """Counts so far."""
        waiting = self._queue.statistics().current_buffer_used
        return ClientStatistics(
            self._packets, self._bytes, self._messages, self._pings, self._unreadable, waiting
        )

    async def _write(self, message: bytes | str) -> None:
        try:
            await self._socket.send_message(message)
        except trio_websocket.ConnectionClosed as closed:
            raise self._closed(closed) from None

    def _closed(self, closed: trio_websocket.ConnectionClosed) -> ListenClosed:
        if closed.reason is None:
            return ListenClosed(1006, "", self._error)
        return ListenClosed(closed.reason.code, closed.reason.reason or "", self._error)

    async def _drain(self) -> None:
        """Read until the connection is closed, whoever closes it."""
        async with self._arrived:
            while True:
                try:
                    text = await self._socket.get_message()
                    if text == PING:
                        await self._socket.send_message(KEEPALIVE)
                        self._pings += 1
                        continue
                except trio_websocket.ConnectionClosed:
                    return
                self._messages += 1
                message = _parse(text)
                if message is None:
                    self._unreadable += 1
                    continue
                if isinstance(message, ErrorEvent):
                    self._error = message
                await self._arrived.send(message)


@asynccontextmanager
async def open_listen(
    url: str,
    *,
    token: str | None = None,
    uid: str | None = None,
    language: str = "en",
    codec: str = "pcm16",
    sample_rate: int = 16000,
    channels: int = 1,
    connect_timeout: float = 10.0,
    close_timeout: float = 5.0,
    **parameters: str | int | bool,
) -> AsyncIterator[ListenClient]:
    """Connect to a server of /v4/listen, as in `async with open_listen("ws://127.0.0.1:8080", uid="me")`.

    `url` without a path gets /v4/listen; `http` and `https` are taken for `ws` and `wss`. `token` goes into
    the Authorization header. Further `parameters` (`conversation_timeout=2`, `interim_results=True`) go into
    the query as they are: the server checks them and says what is wrong in an `error` event before it closes.

    Raises ConnectFailed, or AddressError for a URL that is none. Leaving the block closes with 1000 and waits
    for the answer at most `close_timeout` seconds; what the block raises comes out of it unwrapped.
    """
    query = {
        "language": language,
        "codec": codec,
        "sample_rate": sample_rate,
        "channels": channels,
        **parameters,
    }
    if uid is not None:
        query["uid"] = uid
    target = Target.of(url, query)
    headers = [(b"Authorization", f"Bearer {token}".encode())] if token else []
    stream = await connect(target, connect_timeout)
    raised: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            socket = await handshake(nursery, stream, target, headers, connect_timeout)
            client = ListenClient(socket, close_timeout)
            nursery.start_soon(client._drain)
            try:
                yield client
            except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery's group
                raised = error
            await client.close()
            # A server that answers the close frame and keeps the TCP connection would hold the reader.
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrapped(group, target) from None
    finally:
        await trio.aclose_forcefully(stream)
    if raised is not None:
        raise raised


_EVENTS = {event.__struct_config__.tag: event for event in Event.__subclasses__()}


def _parse(text: str | bytes) -> Message | None:
    """A message of the server, or None for one that is none (binary, not JSON, not an object or array)."""
    if isinstance(text, bytes):
        return None
    try:
        content = msgspec.json.decode(text)
        if isinstance(content, list):
            return msgspec.convert(content, tuple[Segment, ...])
    except msgspec.MsgspecError:
        return None
    if not isinstance(content, dict):
        return None
    kind = str(content.get("type", ""))
    known = _EVENTS.get(kind)
    if known is not None:
        try:
            return msgspec.convert(content, known)
        except msgspec.ValidationError:
            return OtherEvent(kind, content)
    return OtherEvent(kind, content)
