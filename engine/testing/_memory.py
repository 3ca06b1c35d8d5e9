"""A pair of byte streams in memory that push back: a full one blocks its sender, as a kernel's buffer does.

(`trio.testing.memory_stream_pair` holds any amount, so that nobody ever notices a peer that stopped reading.)
"""

import operator
from types import TracebackType

import trio


class _Alone:
    """A block that one task may be in; the second gets BusyResourceError."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            raise trio.BusyResourceError(f"another task is {self._what} on this stream")
        self._taken = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken = False


class _Pipe:
    """One direction: at most `capacity` bytes wait."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False
        self.broken = False
        self._changed = trio.Event()

    def notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def changed(self) -> None:
        await self._changed.wait()


class BoundedStream(trio.abc.Stream):
    """One end. A close ends both directions: the peer reads what is left, and its sends fail."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = _Alone("sending")
        self._receiving = _Alone("receiving")
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Raises BrokenResourceError once the peer has closed."""
        pipe, rest = self._outgoing, memoryview(data)
        with self._sending:
            await trio.lowlevel.checkpoint()
            while True:
                self._check_sending()
                room = min(pipe.capacity - len(pipe.data), len(rest))
                if room:
                    pipe.data += rest[:room]
                    rest = rest[room:]
                    pipe.notify()
                if not rest:
                    return
                await pipe.changed()

    async def wait_send_all_might_not_block(self) -> None:
        """Waits for room for a byte."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_sending()
            while len(self._outgoing.data) >= self._outgoing.capacity:
                await self._outgoing.changed()
                self._check_sending()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Empty at the end."""
        pipe = self._incoming
        with self._receiving:
            await trio.lowlevel.checkpoint()
            if max_bytes is not None and operator.index(max_bytes) < 1:
                raise ValueError(f"max_bytes is {max_bytes}; accepted are 1 and more")
            self._check_open()
            while not pipe.data and not pipe.ended:
                await pipe.changed()
                self._check_open()
            taken = bytes(pipe.data[:max_bytes])
            del pipe.data[: len(taken)]
            pipe.notify()
            return taken

    async def aclose(self) -> None:
        """Idempotent."""
        if not self._closed:
            self._closed = True
            self._outgoing.ended = self._incoming.broken = True
            self._outgoing.notify()
            self._incoming.notify()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed")

    def _check_sending(self) -> None:
        self._check_open()
        if self._outgoing.broken:
            raise trio.BrokenResourceError("the peer has closed")


def bounded_stream_pair(capacity: int = 65_536) -> tuple[BoundedStream, BoundedStream]:
    """Two ends; `capacity` bytes wait in each direction."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return BoundedStream(there, back), BoundedStream(back, there)
