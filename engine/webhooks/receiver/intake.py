"""Where audio waits between its request's answer and what is done with it: one line of chunks for each user.

Operations: `check` whether there is room, before a request's body is read; `offer` a chunk, which never waits; `run`
until cancelled; `drain` when no more is to be taken.
Invariants: the chunks of a user are taken in the order of their requests, by one task, which lives while something
waits or a session is open; where there are several processes, by the one that is the user's `Home`. What is offered
is handed to every consumer of its session, or counted as dropped; what there is no room for is refused, and counted.
Bounded: `user_queue_mib` for each user and `queue_mib` for all; what `consuming` holds beside that is bounded there.
Cancellation loses what waits; it is counted (`lost_bytes`) and logged.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from uuid import uuid4

import msgspec
import trio

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.stt.backoff import Backoff
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.consuming import Consumer, play
from engine.webhooks.receiver.joining import Began, Dropped, Joiner, Silence
from engine.webhooks.receiver.line import Line

__all__ = ["Bring", "Home", "Intake", "IntakeStatistics", "NoRoom", "NotTaken"]

log = get_logger(__name__)

MIB = 2**20

HELD_SHARE = 0.5
"""Of `user_queue_mib`: at most this is held until what came later than it arrives, for which there is room then."""

Known = Callable[[str], Awaitable[Sequence[str]]]
"""The ids of a user's latest deliveries, of earlier processes too; the latest last."""


Bring = Callable[[Chunk], Awaitable[None]]
"""Brings a chunk to the process where its user's audio is joined. Raises `NotTaken`."""


class NotTaken(Exception):
    """The other process did not take it: it has no room, or is gone. Trying again is right."""


class Home(Protocol):
    """Which of several processes joins a user's audio."""

    def at(self, uid: str) -> AbstractAsyncContextManager[Bring | None]:
        """None inside: this one does, until the block ends. Raises `DatabaseUnavailable`."""
        ...


class _Here:
    """There is one process."""

    @asynccontextmanager
    async def at(self, uid: str) -> AsyncIterator[Bring | None]:
        yield None


class NoRoom(Exception):
    """Nothing is taken right now: trying again after `retry_after` seconds may help."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class IntakeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """`users` have something waiting or a session; `waiting_bytes` of them all. The rest are counts since the start.

    `duplicate_samples` had been received before, `late_samples` came when there was silence in their place already,
    `silent_samples` of which were not received in time or never sent; `missed_samples`, by consumer, were not taken by
    it, `lost_bytes` by nobody.
    """

    users: int
    waiting_bytes: int
    requests: int
    bytes: int
    refused: int
    sessions: int
    duplicate_samples: int
    late_samples: int
    silent_samples: int
    missed_samples: dict[str, int]
    lost_bytes: int


class Intake:
    """All users of one process."""

    def __init__(
        self, settings: Settings, consumers: Sequence[Consumer], known: Known, home: Home | None = None
    ) -> None:
        """Without a `home` this is the only process."""
        self._settings = settings
        self._consumers = consumers
        self._known = known
        self._home = home or _Here()
        self._lines: dict[str, Line] = {}
        self._waiting = 0
        self._counts: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None
        self._draining = False
        self._emptied = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take what is offered until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            if self._waiting:
                self._counts["lost_bytes"] += self._waiting
                log.error("receiver.lost", bytes=self._waiting, hint="the server stopped before it was taken")

    async def drain(self) -> None:
        """Take nothing more, and return when all that was taken has been handed on."""
        self._draining = True
        for line in self._lines.values():
            line.finish()
        while self._lines:
            await self._emptied.wait()

    def check(self, uid: str, size: int) -> None:
        """Raises `NoRoom` when a chunk of `size` bytes of this user would not be taken now; that is counted."""
        reason = self._no_room(uid, size)
        if reason is not None:
            self._counts["refused"] += 1
            raise NoRoom(reason, self._settings.retry_after)

    def offer(self, chunk: Chunk) -> None:
        """Take a chunk. Raises `NoRoom` as `check`."""
        size = len(chunk.pcm)
        self.check(chunk.uid, size)
        self._counts["requests"] += 1
        self._counts["bytes"] += size
        if not size:
            return
        line = self._lines.get(chunk.uid)
        if line is None:
            line = self._lines[chunk.uid] = Line(self._freed, self._note_amiss)
            assert self._nursery is not None, "else there is no room"
            self._nursery.start_soon(self._consume, chunk.uid, line)
        self._waiting += size
        line.add(chunk)

    def _no_room(self, uid: str, size: int) -> str | None:
        if self._draining or self._nursery is None:
            return "the server is starting or going away"
        line = self._lines.get(uid)
        held = 0 if line is None else line.bytes
        # What is larger than the bound by itself is taken when nothing waits: else it never would be.
        if held and held + size > self._settings.user_queue_mib * MIB:
            return f"too much audio of this user waits (receiver.user_queue_mib is {self._settings.user_queue_mib:g})"
        if self._waiting and self._waiting + size > self._settings.queue_mib * MIB:
            return f"too much audio waits (receiver.queue_mib is {self._settings.queue_mib:g})"
        return None

    async def _consume(self, uid: str, line: Line) -> None:
        """Until nothing of the user waits and no session is open."""
        backoff = Backoff(self._settings.retry_initial, self._settings.retry_limit)
        while line.waits:
            try:
                async with self._home.at(uid) as bring:
                    if bring is None:
                        await self._join(uid, line)
                    else:
                        await self._bring_all(line, bring, backoff)
            except (DatabaseUnavailable, NotTaken) as error:
                log.warning("receiver.waiting", error=str(error))
                await trio.sleep(backoff.next())
        del self._lines[uid]
        self._emptied.set()
        self._emptied = trio.Event()

    async def _bring_all(self, line: Line, bring: Bring, backoff: Backoff) -> None:
        while (chunk := line.first()) is not None:
            await bring(chunk)
            line.taken()
            backoff.reset()

    async def _join(self, uid: str, line: Line) -> None:
        joiner = Joiner(
            gap=self._settings.session_gap,
            jitter=self._settings.jitter,
            new_id=lambda: uuid4().hex,
            held_bytes=self._settings.user_queue_mib * MIB * HELD_SHARE,
            known=await self._known(uid),
        )
        while (step := await line.step(joiner)) is not None:
            if isinstance(step, Began):
                self._counts["sessions"] += 1
                log.info("receiver.session_began", session=step.id, sample_rate=step.sample_rate)
                await play(step, lambda: line.step(joiner), self._consumers, self._note_missed)
                log.info("receiver.session_ended", session=step.id)

    def take(self, chunk: Chunk) -> bool:
        """Take a chunk that another process brings; False when there is no room."""
        try:
            self.offer(chunk)
        except NoRoom:
            return False
        return True

    def _freed(self, size: int) -> None:
        self._waiting -= size

    def _note_amiss(self, step: Dropped | Silence) -> None:
        if isinstance(step, Silence):
            self._counts["silent_samples"] += step.samples
            return
        self._counts[f"{step.reason}_samples"] += step.samples
        if step.reason == "late":
            log.warning(
                "receiver.late",
                sender_session=step.chunk.session,
                position=step.chunk.position,
                samples=step.samples,
                delivery=step.chunk.delivery_id,
            )

    def _note_missed(self, consumer: str, samples: int) -> None:
        self._missed[consumer] += samples
        log.warning("receiver.missed", consumer=consumer, samples=samples)

    def statistics(self) -> IntakeStatistics:
        """What waits, and what became of what came."""
        counts = self._counts
        return IntakeStatistics(
            users=len(self._lines),
            waiting_bytes=self._waiting,
            requests=counts["requests"],
            bytes=counts["bytes"],
            refused=counts["refused"],
            sessions=counts["sessions"],
            duplicate_samples=counts["duplicate_samples"],
            late_samples=counts["late_samples"],
            silent_samples=counts["silent_samples"],
            missed_samples=dict(self._missed),
            lost_bytes=counts["lost_bytes"],
        )
