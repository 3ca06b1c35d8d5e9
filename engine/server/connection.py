"""One TCP connection: hypercorn's protocol classes, corrected where a listen session needs more of them.

Hypercorn 0.18 as it is
- never tells the application the client's close code, nor that a message was too big; after its 1009 it goes
  on buffering whatever the client sends;
- drops the connection without a close frame when a client breaks the WebSocket protocol, and answers 400 to a
  client whose first frame comes before the upgrade was accepted;
- closes the socket right behind its close frame: with audio unread in the kernel that is a reset, and the
  client may lose the last segments and the close code with it (RFC 6455 section 7.1.1 has the server wait);
- leaves its reader waiting for ever when the application returns while its queue of messages is full;
- shields every write without a time limit: a client that never reads could not be dropped;
- forgets the idle timer of a keep-alive connection after the first request with quart-trio, which cancels the
  request's task inside its last `send`; shutdown then lasts as long as it may;
- closes the connection of a client that is slow to send its request without telling it why.

The classes here mend these. Bounded: a message by `websocket_max_message_size`, messages waiting for the
application by `max_app_queue_size` (then the socket is not read), a write by `write_timeout`, the wait for
the client's close frame by `close_timeout`. HTTP/2 is off: hypercorn would serve its WebSockets by its own
stream. permessage-deflate is never agreed: audio is compressed already, and a small frame could inflate
without bound.
"""

from dataclasses import replace
from typing import Any, cast

import h11
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, RawData
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Request, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import ASGISendEvent
from wsproto.connection import ConnectionState as WebSocketState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason

__all__ = ["TIMED_OUT", "Connection", "ServerConfig"]

TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
"""To a client whose request was not whole within `keep_alive_timeout`."""


class ServerConfig(HypercornConfig):
    """Hypercorn's configuration and ours: `write_timeout` and `close_timeout`, in seconds."""

    write_timeout: float = 30.0
    close_timeout: float = 5.0


class WebSocketStream(WSStream):
    """One WebSocket between hypercorn and the ASGI application."""

    config: ServerConfig

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._answered = trio.Event()  # the application accepted, refused or returned
        self._over = trio.Event()  # nothing more will come from the client
        self._waiting: set[trio.CancelScope] = set()  # deliveries that wait for room in the queue
        self._returned = False
        self._told = False
        self._size = 0  # bytes of the message being received
        self._close_code = int(CloseReason.ABNORMAL_CLOSURE)

    async def handle(self, event: StreamEvent) -> None:
        """Take what hypercorn has read from the client."""
        if self.closed:
            return
        if isinstance(event, StreamClosed):
            self.closed = True
            self._over.set()
            await self._tell(self._close_code)
        elif isinstance(event, Request):
            offered = [(k, v) for k, v in event.headers if k.lower() != b"sec-websocket-extensions"]
            await super().handle(replace(event, headers=offered))
        else:
            if not self._answered.is_set():
                await self._answered.wait()
            if self.handshake.accepted:
                await super().handle(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Send what the application says; None: it has returned. Raises OSError for words to a client that is
        gone.
        """
        if message is None:
            await self._application_returned()
            return
        gone = self.closed or self.state is ASGIWebsocketState.CLOSED
        if message["type"] == "websocket.send" and gone:
            raise OSError("the WebSocket is closed")
        if not (message["type"] == "websocket.close" and gone):
            await super().app_send(message)
        self._answered.set()
        if message["type"] == "websocket.close" and not gone:
            # In a task of its own: the queue may be full, and this one may be all that empties it.
            self.task_group.spawn(self._tell, int(message.get("code") or CloseReason.NORMAL_CLOSURE))

    async def _application_returned(self) -> None:
        self._returned = True
        self._answered.set()
        for scope in self._waiting:
            scope.cancel()
        if not self.closed and self.state is ASGIWebsocketState.CONNECTED:
            await self._close(CloseReason.INTERNAL_ERROR)
        if not self.closed and self.state is ASGIWebsocketState.CLOSED:
            with trio.move_on_after(self.config.close_timeout):
                await self._over.wait()
        await super().app_send(None)

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                await self._message(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                await self._client_closed(event)
                return

    async def _message(self, event: Message[Any]) -> None:
        if self.state is not ASGIWebsocketState.CONNECTED:
            return  # sent before the client saw our close frame
        self._size += len(event.data) if isinstance(event.data, bytes) else len(event.data.encode())
        if self._size > self.config.websocket_max_message_size:
            self.buffer.clear()
            await self._close(CloseReason.MESSAGE_TOO_BIG)
            await self._tell(int(CloseReason.MESSAGE_TOO_BIG))
            return
        self.buffer.extend(event)
        if event.message_finished:
            message = self.buffer.to_message()
            self.buffer.clear()
            self._size = 0
            await self._put(message)

    async def _client_closed(self, event: CloseConnection) -> None:
        """A close frame, or (the connection is still open for wsproto) a breach of the protocol."""
        if self.connection.state is WebSocketState.REMOTE_CLOSING:
            self._close_code = int(event.code)
            await self._send_wsproto_event(event.response())
        elif self.connection.state is WebSocketState.OPEN:
            self._close_code = int(event.code)
            await self._close(event.code, event.reason)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _close(self, code: int, reason: str | None = None) -> None:
        self.state = ASGIWebsocketState.CLOSED
        await self._send_wsproto_event(CloseConnection(code=code, reason=reason))

    async def _tell(self, code: int) -> None:
        if not self._told:
            self._told = True
            await self._put({"type": "websocket.disconnect", "code": code})

    async def _put(self, event: dict[str, Any]) -> None:
        """Queue an event for the application. While the queue is full this waits; not once it returned."""
        if self._returned or self.app_put is None:
            return
        with trio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                await self.app_put(event)
            finally:
                self._waiting.discard(scope)


class Http1(H11Protocol):
    """HTTP/1.1, with our WebSocket stream."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Upgrades to HTTP/2 are not offered, so there is nothing to look for."""

    async def _create_stream(self, request: h11.Request) -> None:
        if not _asks_for_websocket(request):
            await super()._create_stream(request)
            return
        self.stream = WebSocketStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        self.connection = H11WSConnection(cast(h11.Connection, self.connection))
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method="GET",
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        await self.context.mark_request()


def _asks_for_websocket(request: h11.Request) -> bool:
    """RFC 6455 section 4.2.1; header names come in small letters from h11."""
    tokens: dict[bytes, list[bytes]] = {b"upgrade": [], b"connection": []}
    for name, value in request.headers:
        if name in tokens:
            tokens[name] += [token.strip().lower() for token in value.split(b",")]
    return (
        request.method == b"GET"
        and b"websocket" in tokens[b"upgrade"]
        and b"upgrade" in tokens[b"connection"]
    )


class Connection(TCPServer):
    """One accepted connection, from its first byte until it is closed. `run` serves it."""

    config: ServerConfig

    async def _read_data(self) -> None:
        wrapper = self.protocol
        wrapper.protocol = Http1(
            wrapper.app,
            wrapper.config,
            wrapper.context,
            wrapper.task_group,
            wrapper.state,
            wrapper.ssl,
            wrapper.client,
            wrapper.server,
            wrapper.send,
        )
        await super()._read_data()

    async def _idle_timeout(self) -> None:
        with trio.move_on_after(self.config.keep_alive_timeout) as limit:
            await self.context.terminated.wait()
        with trio.CancelScope(shield=True):
            if limit.cancelled_caught and self._half_a_head():
                await self._write(TIMED_OUT)
            await self._initiate_server_close()

    def _half_a_head(self) -> bool:
        connection = cast(Http1, self.protocol.protocol).connection
        return isinstance(connection, h11.Connection) and bool(connection.trailing_data[0])

    async def protocol_send(self, event: ConnectionEvent) -> None:
        """Write what the protocol has to say; an end is said within `close_timeout`, whoever is cancelled."""
        if isinstance(event, RawData):
            await self._write(event.data)
        else:
            # quart-trio cancels the request's task while it is in here: the idle timer must still be started.
            with trio.move_on_after(self.config.close_timeout, shield=True):
                await super().protocol_send(event)

    async def _write(self, data: bytes) -> None:
        """Send all of `data`, or give the connection up. Not cancelled half way: a frame is sent whole."""
        gone = False
        async with self.send_lock:
            try:
                with trio.move_on_after(self.config.write_timeout, shield=True) as limit:
                    await self.stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                gone = True
        if limit.cancelled_caught:
            self.abort()
            gone = True
        if gone:
            await self.protocol.handle(Closed())

    def abort(self) -> None:
        """Close the socket at once; whatever reads or writes it ends with an error."""
        stream = getattr(self.stream, "transport_stream", self.stream)
        cast(trio.SocketStream, stream).socket.close()
