"""What goes out on one stream: messages in the order in which the protocol made them, keepalives, pings.

A connection that turns out to be lost while something is sent is left to the receiver: the reason may be in a
message, or a close frame, that was not read yet.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import trio

from engine.stt._pumping import Pumping
from engine.stt.protocol import Message
from engine.stt.transport import Connection, ConnectionLost


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `hang` is for speech sent without any result coming back; `chunk_*` bound a message that
    native code sends by itself.
    """

    connect: float = 3.5
    send: float = 3.0
    hang: float = 6.0
    finish: float = 10.0
    chunk_shortest: float = 0.02
    chunk_longest: float = 0.1


class Outgoing:
    """The sending side of `connection`. `late(what, seconds)` is told when the vendor took too long."""

    def __init__(
        self,
        connection: Connection,
        limits: StreamLimits,
        pumping: Pumping,
        late: Callable[[str, float], None],
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._pumping = pumping
        self._late = late
        self._lock = trio.Lock()
        self._sent_at = trio.current_time()
        self._quiet = trio.Event()

    async def send_first(self, message: Message) -> None:
        """Send one message of the opening, which has a time limit of its own; returns also when all is lost."""
        self._sent_at = trio.current_time()
        try:
            await self._connection.send(message)
        except ConnectionLost:
            return

    async def send(self, make: Callable[[], Iterable[Message]]) -> None:
        """Send what `make` gives, made and sent in the same order. Never returns when it cannot be sent."""
        async with self._lock:
            with self._pumping.held():
                for message in make():
                    self._sent_at = trio.current_time()
                    await self._send(message)

    async def _send(self, message: Message) -> None:
        with trio.move_on_after(self._limits.send) as limit:
            try:
                await self._connection.send(message)
            except ConnectionLost:
                await trio.sleep_forever()
        if limit.cancelled_caught:
            self._late("room to send", self._limits.send)
            await trio.sleep_forever()

    async def keep_alive(self, make: Callable[[], Sequence[Message]]) -> None:
        """Send what `make` gives whenever `watch_quiet` finds that it is time."""
        while True:
            await self._quiet.wait()
            self._quiet = trio.Event()
            await self.send(make)

    def watch_quiet(self, interval: float) -> float:
        """Whether nothing was sent for `interval` seconds; when to look again, on Trio's clock."""
        now = trio.current_time()
        sent_at = max(self._sent_at, self._pumping.sent_at)
        if now < sent_at + interval:
            return sent_at + interval
        self._quiet.set()
        return now + interval

    async def ping(self, interval: float) -> None:
        """Send pings and see that they are answered."""
        while True:
            await trio.sleep(interval)
            try:
                with trio.move_on_after(self._limits.hang) as limit:
                    await self._connection.ping()
            except ConnectionLost:
                return
            if limit.cancelled_caught:
                self._late("a pong", self._limits.hang)
