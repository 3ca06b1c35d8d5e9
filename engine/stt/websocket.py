"""The transport over trio-websocket, for `wss://` and `ws://`.

trio-websocket never pings by itself, has no time limit on closing, and leaves pings unanswered while its queue of
messages is unread: hence `QUEUE`, and the limit on closing.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urlsplit

import h11
import trio
import trio_websocket as ws
import wsproto.utilities

from engine.stt.transport import ConnectFailed, ConnectionLost, Refused, Request
from engine.watched_stream import WatchedStream

QUEUE = 64
"""Messages kept while nobody receives; beyond that the socket is not read."""

MESSAGE_LIMIT = 4 * 1024 * 1024
"""Bytes of the largest message a vendor may send."""

OpenStream = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]
"""Makes the byte stream to host and port, with TLS or without. Tests connect memory streams here."""


async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """A TCP connection, with TLS where asked for; raises OSError."""
    stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
    if not tls:
        return stream
    secured = trio.SSLStream(stream, _context(), server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"TLS with {host} failed: {error.__cause__ or error}") from error
    except trio.Cancelled:
        await trio.aclose_forcefully(stream)
        raise
    return secured


@cache
def _context() -> ssl.SSLContext:
    """One for all connections: reading the machine's authorities takes longer than a handshake, and is on the loop."""
    return ssl.create_default_context()


class WebSocketConnection:
    """A `Connection`."""

    def __init__(self, socket: ws.WebSocketConnection) -> None:
        self._socket = socket

    async def send(self, message: bytes | str) -> None:
        """See `Connection.send`."""
        with _mapped():
            await self._socket.send_message(message)

    async def receive(self) -> bytes | str:
        """See `Connection.receive`."""
        with _mapped():
            message: bytes | str = await self._socket.get_message()
            return message

    async def ping(self) -> None:
        """See `Connection.ping`."""
        with _mapped():
            await self._socket.ping()


class _mapped:
    """Turns trio-websocket's end into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ws.ConnectionClosed):
            reason = error.reason
            raise ConnectionLost(reason.code if reason else 1006, (reason.reason or "") if reason else "")


def _refused(rejected: ws.ConnectionRejected) -> Refused:
    headers = tuple((k.decode().lower(), v.decode("latin-1")) for k, v in rejected.headers or ())
    return Refused(rejected.status_code, headers, bytes(rejected.body or b""))


class WebSocketTransport:
    """A `Transport`. `close_timeout` in seconds, `message_limit` in bytes."""

    def __init__(
        self,
        open_stream: OpenStream = open_tcp,
        *,
        close_timeout: float = 2.0,
        message_limit: int = MESSAGE_LIMIT,
    ) -> None:
        self._open_stream = open_stream
        self._close_timeout = close_timeout
        self._message_limit = message_limit

    @asynccontextmanager
    async def connect(self, request: Request) -> AsyncIterator[WebSocketConnection]:
        """See `Transport.connect`. Left by an exception, nobody waits for the server's close frame."""
        watched = WatchedStream(await self._stream(request))
        error: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                try:
                    socket = await self._upgrade(nursery, watched, request)
                    try:
                        yield WebSocketConnection(socket)
                    except Exception:
                        await trio.aclose_forcefully(watched)
                        raise
                    finally:
                        with trio.move_on_after(self._close_timeout, shield=True):
                            await socket.aclose()
                except BaseException as raised:  # noqa: BLE001 (raised again below; the nursery would wrap it)
                    error = raised
                nursery.cancel_scope.cancel()
        except* ws.ConnectionRejected as group:
            error = next(_refused(e) for e in group.exceptions if isinstance(e, ws.ConnectionRejected))
        except* (h11.ProtocolError, wsproto.utilities.ProtocolError) as group:
            # trio-websocket's reader raises both into the nursery; this one is its own answer to what is no HTTP.
            cause = group.exceptions[0]
            error = ConnectFailed(f"{urlsplit(request.url).netloc} does not speak WebSocket: {cause}")
        finally:
            await trio.aclose_forcefully(watched)
        if error is not None:
            raise error

    async def _stream(self, request: Request) -> trio.abc.Stream:
        parts = urlsplit(request.url)
        tls = parts.scheme == "wss"
        host, port = parts.hostname or "", parts.port or (443 if tls else 80)
        try:
            return await self._open_stream(host, port, tls)
        except OSError as error:
            raise ConnectFailed(f"{host}:{port} cannot be reached: {error}") from error

    async def _upgrade(
        self, nursery: trio.Nursery, stream: WatchedStream, request: Request
    ) -> ws.WebSocketConnection:
        """The handshake; also ends when the server leaves, which trio-websocket does not notice here."""
        with stream.until_end():
            return await self._handshake(nursery, stream, request)
        raise ConnectFailed(f"{urlsplit(request.url).netloc} closed the connection during the handshake")

    async def _handshake(
        self, nursery: trio.Nursery, stream: trio.abc.Stream, request: Request
    ) -> ws.WebSocketConnection:
        parts = urlsplit(request.url)
        resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            return await ws.wrap_client_stream(
                nursery,
                stream,  # type: ignore[arg-type]  # any Trio stream will do
                parts.netloc.rpartition("@")[2],
                resource,
                subprotocols=list(request.subprotocols),
                extra_headers=[(name.encode(), value.encode()) for name, value in request.headers],
                message_queue_size=QUEUE,
                max_message_size=self._message_limit,
            )
        except ws.ConnectionRejected as error:
            raise _refused(error) from error
        except (ws.HandshakeError, ws.ConnectionClosed, trio.BrokenResourceError) as error:
            raise ConnectFailed(f"the WebSocket handshake with {parts.netloc} failed: {error!r}") from error
