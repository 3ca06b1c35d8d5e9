"""A pair of byte streams in memory that push back: a full one blocks its sender, as a kernel's buffer does.

(`trio.testing.memory_stream_pair` holds any amount, so that nobody ever notices a peer that stopped reading.)
"""

import trio


class _Pipe:
    """One direction: at most `capacity` bytes wait."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False
        self.broken = False
        self.changed = trio.Event()

    def notify(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class BoundedStream(trio.abc.Stream):
    """One end. A close ends both directions: the peer reads what is left, and its sends fail."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Raises BrokenResourceError once the peer has closed."""
        pipe, rest = self._outgoing, memoryview(data)
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            if pipe.broken:
                raise trio.BrokenResourceError("the peer has closed")
            room = pipe.capacity - len(pipe.data)
            if room and rest:
                pipe.data += rest[:room]
                rest = rest[room:]
                pipe.notify()
            if not rest:
                return
            await pipe.changed.wait()

    async def wait_send_all_might_not_block(self) -> None:
        """Waits for room for a byte."""
        await trio.lowlevel.checkpoint()
        while len(self._outgoing.data) >= self._outgoing.capacity and not self._outgoing.broken:
            self._check_open()
            await self._outgoing.changed.wait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Empty at the end."""
        pipe = self._incoming
        await trio.lowlevel.checkpoint()
        while not pipe.data and not pipe.ended:
            self._check_open()
            await pipe.changed.wait()
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


def bounded_stream_pair(capacity: int = 65_536) -> tuple[BoundedStream, BoundedStream]:
    """Two ends; `capacity` bytes wait in each direction."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return BoundedStream(there, back), BoundedStream(back, there)
