"""What waits to be sent to one client, and the task that sends it.

Operations: `segments`, `deleted` and `event` queue without waiting; `run` sends until `finish` and empty.
Invariants: what was queued first is sent first; of a segment queued twice before it was sent only the newer
one goes out.
Bounded: segments by the number of segments of the conversation (they replace each other), events by
`EVENT_LIMIT`; a client with that many unsent events does not read, and is dropped like one whose socket takes
no data for the configured write time.
Cost: segments that arrive while a message is being sent go out together in the next one.
"""

from collections import deque
from collections.abc import Sequence

import msgspec
import trio

from engine.listen.ports import ClientSocket
from engine.wire.messages import (
    PING,
    Event,
    InterimSegments,
    Segment,
    SegmentsDeleted,
    encode,
    encode_segments,
)

EVENT_LIMIT = 1000
"""Events a client may leave unread; segments, which replace each other, do not count."""


class SlowClient(Exception):
    """The client does not read what it is sent."""


class OutboxStatistics(msgspec.Struct, frozen=True):
    """Messages waiting and sent."""

    waiting: int
    sent: int


_Batch = dict[str, Segment]


class Outbox:
    """Everything that is sent to a client goes through here, in order."""

    def __init__(self, socket: ClientSocket, write_timeout: float) -> None:
        self._socket = socket
        self._write_timeout = write_timeout
        self._queue: deque[Event | _Batch | str] = deque()
        self._something = trio.Event()
        self._finished = False
        self._overflowed = False
        self._abandoned = False
        self._sent = 0

    def event(self, event: Event) -> None:
        """Queue an event. An interim replaces one that was not sent yet."""
        if isinstance(event, InterimSegments):
            self._queue = deque(item for item in self._queue if not isinstance(item, InterimSegments))
        self._add(event)

    def segments(self, segments: Sequence[Segment]) -> None:
        """Queue new and changed segments."""
        if not segments or self._abandoned:
            return
        last = self._queue[-1] if self._queue else None
        if isinstance(last, dict):
            last.update((segment.id, segment) for segment in segments)
        else:
            self._queue.append({segment.id: segment for segment in segments})
            self._something.set()

    def deleted(self, ids: Sequence[str]) -> None:
        """Queue the news that segments are gone."""
        if ids:
            self._add(SegmentsDeleted(segment_ids=tuple(ids)))

    def ping(self) -> None:
        """Queue the text `ping`."""
        self._add(PING)

    def abandon(self) -> None:
        """Nobody reads any more: forget what waits and what is to come, and let `run` return."""
        self._abandoned = True
        self._queue.clear()
        self.finish()

    def finish(self) -> None:
        """Let `run` return once everything queued is sent."""
        self._finished = True
        self._something.set()

    async def run(self) -> None:
        """Send until finished. Raises SlowClient, or ClientGone from the socket."""
        while True:
            if self._overflowed:
                raise SlowClient(f"more than {EVENT_LIMIT} messages were not read")
            while self._queue:
                await self._send(self._queue.popleft())
            if self._finished:
                return
            self._something = trio.Event()
            if not self._overflowed:
                await self._something.wait()

    def statistics(self) -> OutboxStatistics:
        """How much waits and how much went."""
        return OutboxStatistics(waiting=len(self._queue), sent=self._sent)

    def _add(self, item: Event | str) -> None:
        if self._abandoned:
            return
        if len(self._queue) >= EVENT_LIMIT:
            self._overflowed = True
        else:
            self._queue.append(item)
        self._something.set()

    async def _send(self, item: Event | _Batch | str) -> None:
        if isinstance(item, dict):
            text = encode_segments(list(item.values()))
        else:
            text = item if isinstance(item, str) else encode(item)
        with trio.move_on_after(self._write_timeout) as scope:
            await self._socket.send(text)
        if scope.cancelled_caught:
            raise SlowClient(f"the client did not read for {self._write_timeout:g} s")
        self._sent += 1
