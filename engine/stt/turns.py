"""Whose utterance is decoded next: fair turns among sessions for a fixed number of workers.

Operations: `join` gives a session its share, `turn` waits for a worker, `spare_turn` takes one only when
nobody waits (interim results).

Start-time fair queueing (Goyal, Vin, Cheng, 1996): each piece of work gets a start tag, the larger of the
queue's virtual time and the finish tag of its session's last piece; the lowest start tag goes first, and the
virtual time is the start tag of the piece begun last. A session that has had little therefore goes ahead of
one that has had much, nobody starves, and time not asked for is not saved up. Cost of a piece is seconds of
audio.

Invariants: running plus free is the number of workers; nobody waits while a worker is free; a session has at
most one piece waiting or running, so one that never pauses holds one worker at most.

Bounded: one waiting piece a session, so by the number of sessions. Cost: O(log waiting) a turn.

Known doubts: a session asks for its next piece only when the last is done, so among sessions that always want
more the turns alternate and audio is not shared out evenly. Work that has begun is not interrupted, so with a
single worker a short utterance can wait for the rest of a long one, or of an interim, before its turn.
"""

import heapq
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec
import trio


class Share:
    """One session's place in the queue. Belongs to the session; nothing is kept of it elsewhere."""

    __slots__ = ("busy", "finish_tag")

    def __init__(self) -> None:
        self.finish_tag = 0.0
        self.busy = False


class TurnStatistics(msgspec.Struct, frozen=True):
    """`waiting` pieces (`oldest_wait` seconds so far); `served` ones waited `longest_wait` at most."""

    workers: int
    running: int
    waiting: int
    oldest_wait: float
    served: int
    longest_wait: float
    total_wait: float
    spare: int


class _Waiting:
    __slots__ = ("cancelled", "granted", "since", "start_tag")

    def __init__(self, start_tag: float, since: float) -> None:
        self.start_tag = start_tag
        self.since = since
        self.granted = trio.Event()
        self.cancelled = False


class Turns:
    """Turns at `workers` workers."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers: {workers}; at least 1")
        self.workers = workers
        self._running = 0
        self._virtual_time = 0.0
        self._queue: list[tuple[float, int, _Waiting]] = []
        self._order = 0
        self._served = 0
        self._spare = 0
        self._longest_wait = 0.0
        self._total_wait = 0.0

    def join(self) -> Share:
        """A place for a new session."""
        return Share()

    @asynccontextmanager
    async def turn(self, share: Share, cost: float) -> AsyncIterator[float]:
        """Hold a worker; yields the seconds waited for it. `cost` is in seconds of audio.

        Cancelled while waiting, it leaves the queue as if it had never been there. RuntimeError when the
        session already waits for a turn or has one.
        """
        if share.busy:
            raise RuntimeError("a session takes one turn at a time")
        share.busy = True
        try:
            waited = await self._wait(share, cost)
            try:
                yield waited
            finally:
                self._release()
        finally:
            share.busy = False

    @contextmanager
    def spare_turn(self) -> Iterator[bool]:
        """Hold a worker if none is asked for and, where there are several, one more stays free."""
        reserve = 1 if self.workers > 1 else 0
        if self._waiting() or self._running + reserve >= self.workers:
            yield False
            return
        self._running += 1
        self._spare += 1
        try:
            yield True
        finally:
            self._release()

    def statistics(self) -> TurnStatistics:
        """Counts since the start and the state now; `oldest_wait` is the live measure of being behind."""
        waiting = self._waiting()
        oldest = min((item.since for item in waiting), default=None)
        return TurnStatistics(
            workers=self.workers,
            running=self._running,
            waiting=len(waiting),
            oldest_wait=0.0 if oldest is None else trio.current_time() - oldest,
            served=self._served,
            longest_wait=self._longest_wait,
            total_wait=self._total_wait,
            spare=self._spare,
        )

    def _waiting(self) -> list[_Waiting]:
        return [item for _, _, item in self._queue if not item.cancelled]

    async def _wait(self, share: Share, cost: float) -> float:
        start_tag = max(self._virtual_time, share.finish_tag)
        item = _Waiting(start_tag, trio.current_time())
        self._order += 1
        heapq.heappush(self._queue, (start_tag, self._order, item))
        self._dispatch()
        try:
            await item.granted.wait()
        except trio.Cancelled:
            if item.granted.is_set():
                self._release()
            else:
                item.cancelled = True
            raise
        share.finish_tag = start_tag + cost
        waited = trio.current_time() - item.since
        self._served += 1
        self._total_wait += waited
        self._longest_wait = max(self._longest_wait, waited)
        return waited

    def _dispatch(self) -> None:
        while self._queue and self._running < self.workers:
            start_tag, _, item = heapq.heappop(self._queue)
            if item.cancelled:
                continue
            self._virtual_time = max(self._virtual_time, start_tag)
            self._running += 1
            item.granted.set()

    def _release(self) -> None:
        self._running -= 1
        self._dispatch()
