"""A stream that says when its other side has left: trio-websocket 0.12 does not notice that during its handshake.

Operations: `WatchedStream` around any stream of Trio; a block under `until_end` is left when nobody is there any more.
Invariants: everything else is as the stream's. Bounded: it keeps nothing. Cost: one call more for each of its own.
"""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

__all__ = ["WatchedStream"]

T = TypeVar("T")


class WatchedStream(trio.abc.Stream):
    """`stream`, and `until_end` for who waits for what can no longer come."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._waiting: trio.CancelScope | None = None

    @contextmanager
    def until_end(self) -> Iterator[None]:
        """Cancel the block, and go on after it, at the first sign that the other side has left."""
        with trio.CancelScope() as self._waiting:
            try:
                yield
            finally:
                self._waiting = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the stream's."""
        data = await self._told(self._stream.receive_some(max_bytes))
        if not data:
            self._ended()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream's."""
        await self._told(self._stream.send_all(data))

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream's."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream's."""
        await self._stream.aclose()

    async def _told(self, done: Awaitable[T]) -> T:
        try:
            return await done
        except trio.BrokenResourceError:
            self._ended()
            raise

    def _ended(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
