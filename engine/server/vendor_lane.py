"""Connections to vendors in the lane: `ws://` is spoken natively, `wss://` by the transport that is given.

Operations: see `Transport`; a connection's `pump` sends a ring's audio without waking anybody, `receive_each` has what
the vendor says handled in the lane's own turn.
Invariants: a socket leaves the lane before it is closed; `ConnectionLost` comes after the last message. In a turn one
message of a connection is handled at most: more than one wait for its task, so that nobody is held up by a vendor that
says much at once.
Bounded: by the lane's slots (one that finds none goes over the other transport), `HEAD_LIMIT` for the answer to a
handshake, `BODY_LIMIT` for what a refusal says, `close_timeout` for the vendor's side of the ending.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any, NoReturn
from urllib.parse import urlsplit

import trio
from wsproto import ConnectionType, WSConnection, events
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from engine._native import ffi, lib
from engine.audio.pump import Pump
from engine.server.lane import Lane, LaneSocket
from engine.stt.transport import ConnectFailed, Connection, ConnectionLost, Refused, Request, Transport

__all__ = ["LaneTransport"]

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024
RECEIVE = 16 * 1024
END = b"\r\n\r\n"
NORMAL = 1000


class VendorSocket(LaneSocket):
    """A `PumpingConnection` and `PromptConnection`: a connection to a vendor, in the lane."""

    def __init__(self, lane: Lane, native: Any, slot: int) -> None:
        super().__init__(lane, native, slot)
        self.reason = ""
        self._how = lib.LANE_ALL
        self._pump: Pump | None = None
        self._take_message: Callable[[bytes | str], None] | None = None
        self._taken_in = 0
        self._ponged = trio.Event()
        self._read()

    def _on_report(self, report: Any, kind: int) -> None:
        if kind == lib.LANE_TEXT and self._takes_now():
            assert self._take_message is not None
            self._take_message(bytes(ffi.buffer(report.data, report.bytes)).decode())
        elif kind == lib.LANE_PUMPED:
            self._on_pumped(report.code)
        elif kind == lib.LANE_PONG:
            self._ponged.set()
        else:
            if kind == lib.LANE_CLOSED and self._gone is None:
                self.reason = bytes(ffi.buffer(report.data, report.bytes)).decode() if report.bytes else ""
            super()._on_report(report, kind)
            if self._gone is not None:
                self._ponged.set()  # no pong will come

    def _on_pumped(self, stopped: int) -> None:
        if self._pump is None:
            return
        if stopped != lib.PUMP_RUNS:
            self._pump.stop()
        else:
            self._pump.on_told()

    def _over(self, code: int) -> Exception:
        return ConnectionLost(code, self.reason)

    def _takes_now(self) -> bool:
        """Whether a message may be taken in this turn: none is before it, or was in the same turn."""
        if self._take_message is None or self._queue or self._failure is not None:
            return False
        last, self._taken_in = self._taken_in, self._lane.turns
        return last != self._taken_in

    async def receive_each(self, take: Callable[[bytes | str], None]) -> NoReturn:
        """See `PromptConnection.receive_each`."""
        context = copy_context()
        self._take_message = lambda message: context.run(take, message)
        try:
            while True:
                take(await self.receive())
        finally:
            self._take_message = None

    async def pump(self, pump: Pump) -> None:
        """See `PumpingConnection.pump`."""
        over = trio.Event()
        pump.on_stop, pump.on_push = over.set, self._push
        if pump.stopped or self._removed:
            await trio.lowlevel.checkpoint()
            return
        self._pump = pump
        lib.lane_pump_open(self._native, pump.native, self._slot)
        try:
            pump.push()
            await over.wait()
        finally:
            self._pump = None
            lib.lane_pump_close(pump.native)

    def _push(self) -> None:
        pump = self._pump
        if pump is None or pump.stopped:
            return
        lib.lane_pump_run(self._native, pump.native)
        if pump.native.stopped:
            pump.stop()
        elif pump.native.position >= pump.native.tell:
            pump.on_told()

    async def ping(self) -> None:
        """See `Connection.ping`."""
        self._ponged = trio.Event()
        await self._send(lib.FRAME_OP_PING, b"")
        await self._ponged.wait()
        if self._gone is not None:
            raise self._over(self._gone)

    def remove(self) -> None:
        """See `LaneSocket.remove`."""
        if self._pump is not None:
            self._pump.stop()
        super().remove()
        self._ponged.set()


class LaneTransport:
    """A `Transport`. `other` is for `wss://`, and for when the lane is full; `close_timeout` in seconds."""

    def __init__(self, lane: Lane, other: Transport, *, close_timeout: float = 2.0) -> None:
        self._lane = lane
        self._other = other
        self._close_timeout = close_timeout

    @asynccontextmanager
    async def connect(self, request: Request) -> AsyncIterator[Connection]:
        """See `Transport.connect`. Left by an exception, nobody waits for the server's close frame."""
        if urlsplit(request.url).scheme != "ws" or not self._lane.can_dial:
            async with self._other.connect(request) as connection:
                yield connection
            return
        stream, rest = await _dial(request)
        try:
            socket = self._lane.dial(VendorSocket, stream.socket.fileno(), rest)
            if socket is None:
                raise ConnectFailed("the lane was full when the vendor had answered")
            try:
                yield socket
            except Exception:
                socket.remove()
                raise
            finally:
                with trio.move_on_after(self._close_timeout, shield=True):
                    await socket.close(NORMAL)
                    await socket.finish(_nothing)
                socket.remove()
        finally:
            await trio.aclose_forcefully(stream)


def _nothing() -> None:
    return None


async def _dial(request: Request) -> tuple[trio.SocketStream, bytes]:
    """A TCP connection with the handshake behind it, and what the server said after that."""
    parts = urlsplit(request.url)
    host, port = parts.hostname or "", parts.port or 80
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise ConnectFailed(f"{host}:{port} cannot be reached: {error}") from error
    try:
        return stream, await _shake_hands(stream, request)
    except (LocalProtocolError, RemoteProtocolError) as error:
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"{parts.netloc} does not speak WebSocket: {error}") from error
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"the WebSocket handshake with {parts.netloc} failed: {error}") from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _shake_hands(stream: trio.SocketStream, request: Request) -> bytes:
    """What came behind the answer; raises `Refused`, `ConnectFailed` or wsproto's and Trio's exceptions."""
    parts = urlsplit(request.url)
    protocol = WSConnection(ConnectionType.CLIENT)
    upgrade = events.Request(
        host=parts.netloc.rpartition("@")[2],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        subprotocols=list(request.subprotocols),
        extra_headers=[(name.encode(), value.encode()) for name, value in request.headers],
    )
    await stream.send_all(protocol.send(upgrade))
    answer = b""
    while END not in answer:
        data = await stream.receive_some(RECEIVE)
        if not data:
            raise ConnectFailed(f"{parts.netloc} closed the connection during the handshake")
        answer += data
        if len(answer) > HEAD_LIMIT:
            raise ConnectFailed(f"{parts.netloc} answered the handshake with more than {HEAD_LIMIT} bytes")
    end = answer.index(END) + len(END)
    protocol.receive_data(answer[:end])
    for event in protocol.events():
        if isinstance(event, events.AcceptConnection):
            return answer[end:]
        if isinstance(event, events.RejectConnection):
            headers = tuple((k.decode().lower(), v.decode("latin-1")) for k, v in event.headers)
            body = await _body(stream, protocol, answer[end:]) if event.has_body else b""
            raise Refused(event.status_code, headers, body)
    raise ConnectFailed(f"{parts.netloc} answered the handshake with nothing that is known")


async def _body(stream: trio.SocketStream, protocol: WSConnection, data: bytes | bytearray) -> bytes:
    """The body of a refusal, as far as it is not too long."""
    body = b""
    while len(body) < BODY_LIMIT:
        data = data or await stream.receive_some(RECEIVE)
        protocol.receive_data(bytes(data) if data else None)
        for event in protocol.events():
            if isinstance(event, events.RejectData):
                body += event.data
                if event.body_finished:
                    return body
        data = b""
    return body
