"""What waits to be sent to one client, and the task that sends it.

Operations: `segments`, `deleted` and `event` queue without waiting; `run` sends until `finish` and empty.
Invariants: what was queued first is sent first; of a segment queued twice before it was sent only the newer
one goes out.
Bounded: segments by the number of segments of the conversation (they replace each other), events by
`EVENT_LIMIT`; a client with that many unsent events does not read, and is dropped like one whose socket takes
no data for the configured write time.
Cost: where nothing waits and the socket takes it, a message is sent where it is queued: no task is woken for it.
Segments that arrive while another message is being sent go out together in the next one.
"""

from collections import deque
from collections.abc import Sequence
from time import monotonic_ns

import msgspec
import trio
from msgspec import UNSET
from msgspec.structs import replace

from engine._latencies import Latency
from engine.listen.ports import ClientSocket, PromptSocket
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


class _Batch(msgspec.Struct):
    """Segments that go out together. `since`: CLOCK_MONOTONIC, ns, of the first."""

    segments: dict[str, Segment]
    since: int

    def text(self) -> str:
        segments = tuple(self.segments.values())
        if segments[0].timing is not UNSET:  # a client asked for it, so all have it
            segments = tuple(_timed(segment, self.since) for segment in segments)
        return encode_segments(segments)


def _timed(segment: Segment, since: int) -> Segment:
    if segment.timing is UNSET:
        return segment
    return replace(segment, timing=replace(segment.timing, send=(monotonic_ns() - since) // 1000))


class Outbox:
    """Everything that is sent to a client goes through here, in order."""

    def __init__(self, socket: ClientSocket, write_timeout: float, sending: Latency) -> None:
        """`sending` is told how long segments took from being queued until the socket had taken them."""
        self._socket = socket
        self._prompt = socket if isinstance(socket, PromptSocket) else None
        self._write_timeout = write_timeout
        self._sending = sending
        self._idle = False  # `run` waits for something to send
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
        new = {segment.id: segment for segment in segments}
        last = self._queue[-1] if self._queue else None
        if isinstance(last, _Batch):
            last.segments.update(new)
        else:
            self._put(_Batch(new, monotonic_ns()))

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
                await self._wait()

    async def _wait(self) -> None:
        self._idle = True
        try:
            await self._something.wait()
        finally:
            self._idle = False

    def statistics(self) -> OutboxStatistics:
        """How much waits and how much went."""
        return OutboxStatistics(waiting=len(self._queue), sent=self._sent)

    def _add(self, item: Event | str) -> None:
        if self._abandoned:
            return
        if len(self._queue) >= EVENT_LIMIT:
            self._overflowed = True
            self._something.set()
        else:
            self._put(item)

    def _put(self, item: Event | _Batch | str) -> None:
        """Send it now, if nothing is before it and the socket takes it; else `run` does."""
        if self._idle and not self._queue and self._prompt is not None and self._prompt.offer(_text(item)):
            self._note_sent(item)
        else:
            self._queue.append(item)
            self._something.set()

    async def _send(self, item: Event | _Batch | str) -> None:
        with trio.move_on_after(self._write_timeout) as scope:
            await self._socket.send(_text(item))
        if scope.cancelled_caught:
            raise SlowClient(f"the client did not read for {self._write_timeout:g} s")
        self._note_sent(item)

    def _note_sent(self, item: Event | _Batch | str) -> None:
        self._sent += 1
        if isinstance(item, _Batch):
            self._sending.observe((monotonic_ns() - item.since) / 1e9)


def _text(item: Event | _Batch | str) -> str:
    if isinstance(item, str):
        return item
    return item.text() if isinstance(item, _Batch) else encode(item)
