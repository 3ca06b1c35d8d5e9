"""One connection of a stand-in: it hears, says, delays, doubles, and suffers what the plan has for it.

Operations: `receive`, `hear`, `say`, `close`. What is said goes through one queue, in order; it holds 1,024
messages and then blocks the vendor, as a client that does not read does to the real one. Words count as said
once their message was written to the stream.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import trio
import trio_websocket as ws

from engine.stt.vendor import SAMPLE_RATE
from engine.testing.faults import Action, FaultPlan, Mishap
from engine.testing.hearing import Heard, Hearing

QUEUE = 1024
CLOSE_TIMEOUT = 2.0
"""Seconds the client has to answer a close frame."""


class Attempt(msgspec.Struct, frozen=True):
    """A handshake. `target` is path and query as sent; header names in lower case; `time` on Trio's clock."""

    number: int
    time: float
    target: str
    headers: dict[str, str]
    subprotocols: tuple[str, ...] = ()


class Ended(Exception):
    """The connection is over: the client left or the plan ended it. Vendors let it pass."""


class Tap(trio.abc.Stream):
    """The byte stream under the WebSocket: tells when the client left, and can stop reading."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.gone = trio.Event()
        self.blocked = False
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Waits for ever once `blocked`."""
        try:
            data = b"" if self.blocked else await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.gone.set()
            raise
        if self.blocked:
            await trio.sleep_forever()
        if not data:
            self.gone.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream's."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream's."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream's."""
        self.gone.set()
        await self._stream.aclose()


class _Said(msgspec.Struct, frozen=True):
    text: str
    due: float
    copies: int
    words: tuple[Heard, ...]


class Line:
    """An accepted connection. `number` counts accepted connections from 0."""

    def __init__(
        self,
        number: int,
        attempt: Attempt,
        hearing: Hearing,
        plan: FaultPlan,
    ) -> None:
        self.number = number
        self.attempt = attempt
        self.hearing = hearing
        self.plan = plan
        self.mishap: Mishap | None = None
        """What will happen to this connection."""
        self.refused: int | None = None
        """The status to refuse with inside the connection, where the vendor does so."""
        self.frames = 0
        """Messages of audio heard."""
        self.words: list[Heard] = []
        """Words said, each once however often its message was sent; in the order said."""
        self.struck: float | None = None
        """When the plan's mishap happened, on Trio's clock."""
        self.ended: str = ""
        """How the connection ended; empty while it lives."""
        self._silent = False
        self._drained = trio.Event()
        self._queue, self._unsent = trio.open_memory_channel[_Said](QUEUE)

    async def receive(self) -> bytes | str:
        """The client's next message. Raises `Ended`. Cancellation loses nothing."""
        try:
            message: bytes | str = await self._socket.get_message()
        except ws.ConnectionClosed as closed:
            reason = closed.reason
            self.ended = self.ended or f"client {reason.code if reason else 1006}"
            raise Ended(self.ended) from closed
        return message

    async def hear(self, payload: bytes) -> list[Heard]:
        """Take a message of audio; the words that are complete now. Raises `Ended` where the plan says so."""
        self.frames += 1
        heard = self.hearing.feed(payload)
        if self.mishap is not None and self._strikes(self.mishap):
            mishap, self.mishap = self.mishap, None
            self.struck = trio.current_time()
            await self._suffer(mishap)
        return heard

    async def say(
        self, text: str, *, final: bool = False, words: Sequence[Heard] = (), after: float = 0.0
    ) -> None:
        """Send a message after all those before it, and `after` seconds from now at the soonest.

        `final`: a result that the plan may delay or double. `words`: those that are final with this message.
        Silenced, or with the client gone, it is lost.
        """
        if self._silent:
            return
        due = trio.current_time() + after + (self.plan.late_finals if final else 0.0)
        copies = 2 if final and self.plan.duplicate_finals else 1
        await self._queue.send(_Said(text, due, copies, tuple(words)))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send what is left to say, then a close frame. Silenced, nothing is sent and the client must leave."""
        if self._silent:
            await self._tap.gone.wait()
            return
        self._queue.close()
        await self._drained.wait()
        self.ended = self.ended or f"closed {code} {reason}".rstrip()
        with trio.move_on_after(CLOSE_TIMEOUT):
            await self._socket.aclose(code, reason or None)

    async def drop(self) -> None:
        """End TCP without a close frame."""
        self.ended = self.ended or "dropped"
        await trio.aclose_forcefully(self._tap)

    async def run(
        self,
        socket: ws.WebSocketConnection,
        tap: Tap,
        converse: Callable[["Line"], Awaitable[None]],
        fail: Callable[["Line", Mishap], Awaitable[None]],
    ) -> None:
        """For `StandIn`: lets the vendor converse until one side ends the connection."""
        self._socket, self._tap, self._fail = socket, tap, fail
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_in_order)
            try:
                await converse(self)
                await self.close()
            except Ended as ended:
                self.ended = self.ended or str(ended)
            nursery.cancel_scope.cancel()

    async def _send_in_order(self) -> None:
        lost = False
        async for said in self._unsent:
            if lost:
                continue
            await trio.sleep_until(said.due)
            try:
                for _ in range(said.copies):
                    await self._socket.send_message(said.text)
            except ws.ConnectionClosed:
                lost = True  # `receive` tells the vendor
            else:
                self.words += said.words
        self._drained.set()

    def _strikes(self, mishap: Mishap) -> bool:
        middle = self.hearing.middle_of(mishap.word) if mishap.word is not None else None
        return (
            (mishap.second is not None and self.hearing.reached >= mishap.second * SAMPLE_RATE)
            or (mishap.frame is not None and self.frames >= mishap.frame)
            or (middle is not None and self.hearing.reached >= middle)
        )

    async def _suffer(self, mishap: Mishap) -> None:
        match mishap.action:
            case Action.SILENCE:
                self._silent = True
                return
            case Action.STOP_READING:
                self.ended = "stopped reading"
                self._tap.blocked = True
                await trio.sleep_forever()
            case Action.DROP:
                await self.drop()
            case Action.CLOSE:
                await self.close(mishap.code, mishap.reason)
            case Action.ERROR:
                await self._fail(self, mishap)
        raise Ended(self.ended)
