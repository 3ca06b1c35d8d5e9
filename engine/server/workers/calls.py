"""How the processes of one server ask each other something: a connection for each question, over Unix sockets.

A frame is its length (u32, little-endian) and that many bytes; a question and its answer are MessagePack.

Operations: `call` asks; `answering` takes questions; `Frames` is the connection, for more than one answer.
Invariants: a question that is not answered raises `CallFailed`, whatever the reason: the other process may be gone.
Bounded: a frame by `FRAME_LIMIT`; connections by the questions there are.
Cost: a connection and two frames, about 0.3 ms.
Only processes of the same user come in: the sockets' folder is private.
"""

import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from engine.log import get_logger

__all__ = ["CallFailed", "Frames", "answering", "call", "connected"]

log = get_logger(__name__)

T = TypeVar("T")

LENGTH = struct.Struct("<I")
FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes: more than the largest WebSocket message that can be configured."""
BACKLOG = 128
CHUNK = 65_536


class CallFailed(Exception):
    """The other process is gone, too slow, or could not answer. The text says which."""


class Frames:
    """Frames over a stream. One task may receive while others send; a frame is sent whole or breaks the stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._sending = trio.Lock()

    async def send(self, *parts: bytes) -> None:
        """One frame made of `parts`. Raises `trio.BrokenResourceError` when nobody is there.

        Cancelled half way it closes the connection, for the rest could not be told from a new frame.
        """
        data = b"".join((LENGTH.pack(sum(map(len, parts))), *parts))
        async with self._sending:
            whole = False
            try:
                await self._stream.send_all(data)
                whole = True
            except trio.ClosedResourceError as error:
                raise trio.BrokenResourceError("closed by us") from error
            finally:
                if not whole:
                    self._stream.socket.close()

    async def receive(self) -> bytes | None:
        """The next frame; None at the end. Raises `trio.BrokenResourceError` when it ends inside a frame."""
        header = await self._take(LENGTH.size)
        if header is None:
            return None
        (length,) = LENGTH.unpack(header)
        if length > FRAME_LIMIT:
            raise trio.BrokenResourceError(f"a frame of {length} bytes; at most {FRAME_LIMIT} are taken")
        body = await self._take(length)
        if body is None:
            raise trio.BrokenResourceError("the stream ended inside a frame")
        return body

    async def _take(self, size: int) -> bytes | None:
        while len(self._buffer) < size:
            try:
                data = await self._stream.receive_some(CHUNK)
            except trio.ClosedResourceError as error:
                raise trio.BrokenResourceError("closed by us") from error
            if not data:
                if self._buffer:
                    raise trio.BrokenResourceError("the stream ended inside a frame")
                return None
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def answer(self, value: object) -> None:
        """Send `value` as MessagePack."""
        await self.send(msgspec.msgpack.encode(value))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


@asynccontextmanager
async def connected(path: Path, question: object, *, timeout: float) -> AsyncIterator[Frames]:
    """Ask, and keep the connection for what follows. Raises `CallFailed` when nobody takes the question."""
    frames: Frames | None = None
    try:
        try:
            with trio.fail_after(timeout):
                frames = Frames(await trio.open_unix_socket(path))
                await frames.answer(question)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            raise CallFailed(f"{type(question).__name__} to {path.stem}: {_why(error)}") from error
        yield frames
    finally:
        if frames is not None:
            await frames.aclose()


async def call(path: Path, question: object, answer: type[T], *, timeout: float = math.inf) -> T:
    """Ask the process that listens on `path`. Raises `CallFailed`; `timeout` in seconds.

    Cancelled, or timed out, the question may still be acted upon.
    """
    try:
        with trio.fail_after(timeout):
            async with connected(path, question, timeout=timeout) as frames:
                body = await frames.receive()
    except (trio.BrokenResourceError, trio.TooSlowError) as error:
        raise CallFailed(f"{type(question).__name__} to {path.stem}: {_why(error)}") from error
    if body is None:
        raise CallFailed(f"{type(question).__name__} to {path.stem}: it ended without an answer")
    return msgspec.msgpack.decode(body, type=answer)


def _why(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, trio.TooSlowError) else str(error)


async def answering(
    path: Path,
    handle: Callable[[bytes, Frames], Awaitable[None]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take questions on `path` until cancelled. A fault in `handle` is logged and ends that connection."""

    async def serve(stream: trio.SocketStream) -> None:
        frames = Frames(stream)
        try:
            question = await frames.receive()
            if question is not None:
                await handle(question, frames)
        except trio.BrokenResourceError:
            log.debug("call.gone")
        except Exception:
            log.exception("call.failed")

    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as socket:
        await socket.bind(str(path))
        socket.listen(BACKLOG)
        await trio.serve_listeners(serve, [trio.SocketListener(socket)], task_status=_Once(task_status))


class _Once(trio.TaskStatus[object]):
    """`serve_listeners` reports its listeners; ours reports nothing."""

    def __init__(self, inner: trio.TaskStatus[None]) -> None:
        self._inner = inner

    def started(self, value: object = None) -> None:
        self._inner.started()
