"""A session whose socket is at one worker and whose user is at another: messages pass through, nothing else.

After `Listen`, each frame is one byte for its kind and what belongs to it:

    B, T   a binary or text message           both ways
    G      code (u16): the client is gone     to the session
    C      code (u16), reason                 from the session: send the close frame
    R      MessagePack                        from the session: it was refused, before anything was sent

Operations: `pass_through` at the socket's worker; `PassedSocket` is the client's socket at the other one.
Bounded: a message each way, and what the kernel holds; who does not read is waited for on the other side.
Cost: a message through two more processes, about 0.1 ms of CPU.
"""

import struct

import msgspec
import trio

from engine.listen.ports import ClientGone, ClientSocket
from engine.server.workers.calls import Frames
from engine.wire import CloseCode, Refusal

__all__ = ["PassedSocket", "pass_through", "refuse"]

BINARY, TEXT, GONE, CLOSE, REFUSED = b"B", b"T", b"G", b"C", b"R"
CODE = struct.Struct("<H")


class _Refused(msgspec.Struct, frozen=True):
    """A `Refusal` on its way."""

    code: int
    parameter: str | None
    value: str | None
    accepted: str | None
    message: str
    retry_after: float | None


# Where the socket is


async def pass_through(client: ClientSocket, frames: Frames) -> None:
    """Carry messages between a client and its session, until the session is over.

    Raises the session's `Refusal`. When the other worker is gone the client is sent away with 1001, to come again.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_to_session, client, frames)
        refused = await _to_client(client, frames)
        nursery.cancel_scope.cancel()
    if refused is not None:
        raise refused


async def _to_session(client: ClientSocket, frames: Frames) -> None:
    try:
        while True:
            message = await client.receive()
            if isinstance(message, str):
                await frames.send(TEXT, message.encode())
            else:
                await frames.send(BINARY, message)
    except ClientGone as gone:
        await _try(frames, GONE, CODE.pack(gone.code))
    except trio.BrokenResourceError:
        pass  # the other direction ends, too, and tells the client


async def _to_client(client: ClientSocket, frames: Frames) -> Refusal | None:
    while True:
        try:
            frame = await frames.receive()
        except trio.BrokenResourceError:
            frame = None
        if frame is None:
            await client.close(CloseCode.GOING_AWAY, "the server process is gone: connect again")
            return None
        kind, body = frame[:1], frame[1:]
        if kind == REFUSED:
            return _refusal(body)
        if kind == CLOSE:
            await client.close(CODE.unpack_from(body)[0], body[CODE.size :].decode())
            # The session goes on until it has seen the client's answer; then its end of the stream is closed.
        else:
            await _deliver(client, body.decode())


async def _deliver(client: ClientSocket, text: str) -> None:
    try:
        await client.send(text)
    except ClientGone:
        return  # the session hears of it by the other direction


async def _try(frames: Frames, *parts: bytes) -> None:
    try:
        await frames.send(*parts)
    except trio.BrokenResourceError:
        return  # nobody is left to tell


def _refusal(body: bytes) -> Refusal:
    told = msgspec.msgpack.decode(body, type=_Refused)
    return Refusal(
        told.code,
        told.parameter,
        told.value,
        told.accepted,
        message=told.message,
        retry_after=told.retry_after,
    )


# Where the session is


class PassedSocket:
    """A client's socket at another worker. Implements `ClientSocket`."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._gone: int | None = None
        self._closed = False

    async def receive(self) -> bytes | str:
        """The next message; after the last one raises `ClientGone`, also after our own `close`."""
        if self._gone is not None:
            raise ClientGone(self._gone)
        try:
            frame = await self._frames.receive()
        except trio.BrokenResourceError:
            frame = None
        if frame is not None and frame[:1] == TEXT:
            return frame[1:].decode()
        if frame is not None and frame[:1] == BINARY:
            return frame[1:]
        self._gone = CloseCode.ABNORMAL if frame is None else CODE.unpack_from(frame, 1)[0]
        raise ClientGone(self._gone)

    async def send(self, text: str) -> None:
        """Waits while the client does not read. Raises `ClientGone` once nobody is there."""
        if self._closed or self._gone is not None:
            raise ClientGone(self._gone or CloseCode.ABNORMAL)
        try:
            await self._frames.send(TEXT, text.encode())
        except trio.BrokenResourceError:
            self._gone = CloseCode.ABNORMAL
            raise ClientGone(self._gone) from None

    async def close(self, code: int, reason: str = "") -> None:
        """Have the close frame sent. Later calls do nothing."""
        if self._closed or self._gone is not None:
            return
        self._closed = True
        await _try(self._frames, CLOSE, CODE.pack(code), reason.encode())


async def refuse(frames: Frames, refusal: Refusal) -> None:
    """Tell the other worker that there is no session."""
    told = _Refused(
        refusal.code,
        refusal.parameter,
        refusal.value,
        refusal.accepted,
        refusal.message,
        refusal.retry_after,
    )
    await _try(frames, REFUSED, msgspec.msgpack.encode(told))
