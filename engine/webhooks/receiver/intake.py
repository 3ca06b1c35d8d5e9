"""Where audio waits between its request's answer and what is done with it: one line of chunks for each user.

Operations: `check` whether there is room, before a request's body is read; `receive` a chunk, which is on the disk when
that returns; `run` until cancelled; `drain` when no more is to be taken.
Invariants: the chunks of a user are taken in the order of their requests, by one task, which lives while something
waits or a session is open; where there are several processes, by the one that is the user's `Home`. What is offered
is handed to every consumer of its session, or counted as dropped; what there is no room for is refused, and counted.
What a process had not handed on when it ended is handed on by the next, see `engine.webhooks.receiver.accepted`.
Bounded: `user_queue_mib` for each user and `queue_mib` for all, and once what processes that died had waiting; what
`consuming` holds beside that is bounded there.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import msgspec
import trio

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.moments import SECOND
from engine.store.errors import DatabaseUnavailable
from engine.stt.backoff import Backoff
from engine.webhooks.receiver.accepted import Accepted, Inbox, Written
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.consuming import Consumer, play
from engine.webhooks.receiver.home import Bring, Here, Home, NotTaken
from engine.webhooks.receiver.joining import Began, Dropped, Joiner, Silence
from engine.webhooks.receiver.line import Line

__all__ = ["Intake", "IntakeStatistics", "NoRoom"]

log = get_logger(__name__)

MIB = 2**20

HELD_SHARE = 0.5
"""Of `user_queue_mib`: at most this is held until what came later than it arrives, for which there is room then."""

Known = Callable[[str], Awaitable[Sequence[str]]]
"""The ids of a user's latest deliveries, of earlier processes too; the latest last."""


class NoRoom(Exception):
    """Nothing is taken right now: trying again after `retry_after` seconds may help."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class IntakeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """`users` have something waiting or a session; `waiting_bytes` of them all. The rest are counts since the start.

    `duplicate_samples` had been received before, `late_samples` came when there was silence in their place already,
    `silent_samples` of which were not received in time or never sent; `missed_samples`, by consumer, were not taken by
    it. `left_bytes` were taken over from processes that died.
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
    left_bytes: int


class Intake:
    """All users of one process."""

    def __init__(
        self,
        settings: Settings,
        consumers: Sequence[Consumer],
        known: Known,
        inbox: Inbox,
        written: Written,
        home: Home | None = None,
    ) -> None:
        """Without a `home` this is the only process. `written`: what consumers write to."""
        self._settings = settings
        self._consumers = consumers
        self._known = known
        self._accepted = Accepted(inbox, consumers, settings, written)
        self._home = home or Here()
        self._lines: dict[str, Line] = {}
        self._waiting = 0
        self._counts: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None
        self._open = False
        self._draining = False
        self._emptied = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take what is offered, and what processes that died left, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._accepted.run)
                await self._take_over()
                self._open = True  # not before: what was left came first
                task_status.started()
                while True:
                    await trio.sleep(self._settings.sweep_interval)
                    await self._take_over()
        finally:
            self._open, self._nursery = False, None
            if self._waiting:
                log.warning("receiver.left", bytes=self._waiting, hint="it is taken by the next process")

    async def drain(self) -> None:
        """Take nothing more, and return when all that was taken has been handed on."""
        self._draining = True
        for line in self._lines.values():
            line.finish()
        while self._lines:
            await self._emptied.wait()
        await self._accepted.written()

    def check(self, uid: str, size: int) -> None:
        """Raises `NoRoom` when a chunk of `size` bytes of this user would not be taken now; that is counted."""
        reason = self._no_room(uid, size)
        if reason is not None:
            self._counts["refused"] += 1
            raise NoRoom(reason, self._settings.retry_after)

    async def receive(self, chunk: Chunk) -> None:
        """Take a chunk, which is on the disk then. Raises `NoRoom` as `check`.

        Where there are several processes it is also where it is joined, if that does not take long: who sends one
        piece after the other has them in that order, whichever process each comes to.
        """
        self.check(chunk.uid, len(chunk.pcm))
        self._counts["requests"] += 1
        self._counts["bytes"] += len(chunk.pcm)
        if not chunk.samples:
            return
        with trio.CancelScope(shield=True):  # what is kept must be taken, too
            try:
                chunk = await self._accepted.keep(chunk)
            except OSError as error:
                self._counts["refused"] += 1
                raise NoRoom(f"it cannot be kept: {error}", self._settings.retry_after) from error
            line = self._add(chunk)
        with trio.move_on_after(self._settings.placing_timeout):
            await line.placed()

    async def take(self, chunk: Chunk) -> bool:
        """Take a chunk that another process brings; False when there is no room, or it cannot be had now."""
        if self._no_room(chunk.uid, len(chunk.pcm)) is not None:
            return False
        with trio.CancelScope(shield=True):
            try:
                claimed = await self._accepted.claim(chunk)
            except OSError as error:
                log.warning("receiver.not_claimed", error=str(error))
                return False
            if claimed is not None:
                self._add(claimed)
        return True

    def _add(self, chunk: Chunk) -> Line:
        """To its user's line."""
        line = self._lines.get(chunk.uid)
        if line is None:
            line = self._lines[chunk.uid] = Line(self._freed, self._note_amiss)
            if self._nursery is not None:  # else we are going away, and it is the next process's
                self._nursery.start_soon(self._consume, chunk.uid, line)
        self._waiting += len(chunk.pcm)
        line.add(chunk)
        if self._draining:
            line.finish()
        return line

    async def _take_over(self) -> None:
        """What processes that died had not handed on. Nothing waits in between, so that it is joined as it came."""
        try:
            chunks = await self._accepted.left()
        except OSError as error:
            log.warning("receiver.left_unread", error=str(error))
            return
        if not chunks:
            return
        now, latest = trio.current_time(), max(chunk.received_at for chunk in chunks)
        for chunk in chunks:
            self._counts["left_bytes"] += len(chunk.pcm)
            arrived = now - (latest - chunk.received_at) / SECOND  # as if the latest had come just now
            self._add(msgspec.structs.replace(chunk, arrived=arrived))
        log.info("receiver.taken_over", requests=len(chunks))

    def _no_room(self, uid: str, size: int) -> str | None:
        if self._draining or not self._open:
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
            line.is_joined(False)
            try:
                async with self._home.at(uid) as bring:
                    line.is_joined(bring is None)
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
                await play(
                    step,
                    lambda: line.step(joiner),
                    self._consumers,
                    self._note_missed,
                    self._accepted.taken,
                )
                log.info("receiver.session_ended", session=step.id)

    def _freed(self, size: int) -> None:
        self._waiting -= size

    def _note_amiss(self, step: Dropped | Silence) -> None:
        if isinstance(step, Silence):
            self._counts["silent_samples"] += step.samples
            return
        self._counts[f"{step.reason}_samples"] += step.samples
        if step.whole:
            self._accepted.useless(step.chunk)
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
            left_bytes=counts["left_bytes"],
        )
