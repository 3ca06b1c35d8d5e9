"""Live transcripts for those who asked for them: new and changed segments, gathered for a moment.

    POST url?session_id=…&uid=…   {"segments": […], "session_id": "…", "delivery_id": "…"}

A segment comes again under its `id`, with a higher `revision`, when it has changed. Where merging swallowed some, their
ids are in `deleted_segment_ids`, which is left out otherwise.

Operations: `Transcripts` follows all sessions of a process while it `run`s; `drained` waits until all that was said is
offered.
Invariants: what is said of a session is offered in order, each segment as it was last, after it was kept.
Bounded: what waits of a session by `webhook.transcript_segments`, beyond which the oldest is dropped and counted, and
by `webhook.transcript_age` while the database is away; the sessions that are offered at once by `OFFERS`. What was
dropped is in each endpoint's log once the session has something offered again.
Cost: a transaction for a batch of each session; nothing of a user of whom it is known that nobody wants to read them.
Cancellation: what waits is lost here; the conversation has it.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
import trio

from engine._config_webhooks import Webhook
from engine.listen.ports import Followed, OpenConversation
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.stt.backoff import Backoff
from engine.webhooks.ports import Deliveries, Directory, Endpoint
from engine.webhooks.triggers import REALTIME_TRANSCRIPT
from engine.wire.messages import Segment

__all__ = ["Body", "Transcripts", "TranscriptsStatistics"]

log = get_logger(__name__)

OFFERS = 4
DROPPED = (
    "the database was away or slow, and {segments} segments were not kept (webhook.transcript_segments,"
    " webhook.transcript_age)"
)


class TranscriptsStatistics(msgspec.Struct, frozen=True):
    """Segments that wait; deliveries made, and segments dropped because too many waited or for too long."""

    waiting: int
    offered: int
    dropped: int


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sent, but for the delivery's id."""

    segments: tuple[Segment, ...]
    session_id: str
    deleted_segment_ids: tuple[str, ...] = ()


class Transcripts:
    """Implements `Follower`."""

    def __init__(
        self,
        directory: Directory,
        deliveries: Deliveries,
        settings: Webhook,
        backoff: Callable[[], Backoff],
    ) -> None:
        """`backoff` gives the pauses between two tries to reach the database."""
        self._directory = directory
        self._deliveries = deliveries
        self._settings = settings
        self._backoff = backoff
        self._due: OrderedDict[str, _Gathered] = OrderedDict()
        self._offering = 0
        self._offered = 0
        self._dropped = 0
        self._running = False
        self._something = trio.Event()
        self._changed = trio.Event()

    def began(self, session: Followed) -> "_Gathered | None":
        """See `Follower`."""
        return _Gathered(self, self._settings, session.uid, session.id) if self._running else None

    def statistics(self) -> TranscriptsStatistics:
        """How much waits, and what became of the rest."""
        waiting = sum(len(gathered) for gathered in self._due.values())
        return TranscriptsStatistics(waiting, self._offered, self._dropped)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Offer what is said, until cancelled."""
        self._running = True
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(OFFERS):
                    nursery.start_soon(self._work)
                task_status.started()
        finally:
            self._running = False

    async def drained(self) -> None:
        """Wait until nothing waits."""
        while self._due or self._offering:
            await self._changed.wait()

    # For `_Gathered`

    def add(self, gathered: "_Gathered", *, now: bool = False) -> None:
        """It has something to be offered at its `due`, in the order of calls, or `now`."""
        self._due[gathered.id] = gathered
        if now:
            self._due.move_to_end(gathered.id, last=False)
        self._something.set()

    def unwanted(self, uid: str) -> bool:
        """Whether it is known that nobody wants to read the user."""
        return self._directory.unwanted(uid, REALTIME_TRANSCRIPT)

    def drop(self, gathered: "_Gathered", segments: int) -> None:
        """So many segments of a session are not offered."""
        gathered.dropped += segments
        self._dropped += segments

    # Inside

    async def _work(self) -> None:
        while True:
            gathered = await self._next()
            self._offering += 1
            try:
                await self._offer(gathered)
            finally:
                self._offering -= 1
                self._changed.set()
                self._changed = trio.Event()

    async def _next(self) -> "_Gathered":
        """The session whose time has come first."""
        while True:
            first = next(iter(self._due.values()), None)
            if first is None:
                self._something = trio.Event()
                await self._something.wait()
            elif first.due <= trio.current_time():
                return self._due.pop(first.id)
            else:
                self._something = trio.Event()
                with trio.move_on_at(first.due):
                    await self._something.wait()

    async def _offer(self, gathered: "_Gathered") -> None:
        number, body = gathered.take()
        backoff = self._backoff()
        with trio.move_on_after(self._settings.transcript_age):
            while True:
                try:
                    await self._deliver(gathered, number, body)
                except DatabaseUnavailable as error:
                    log.warning("webhook.waiting_for_database", error=str(error))
                    await trio.sleep(backoff.next())
                else:
                    gathered.offered()
                    return
        self.drop(gathered, len(body.segments))
        log.warning("webhook.segments_dropped", of_session=gathered.id, segments=len(body.segments))
        gathered.offered()

    async def _deliver(self, gathered: "_Gathered", number: int, body: Body) -> None:
        endpoints = await self._directory.endpoints(gathered.uid, REALTIME_TRANSCRIPT)
        if not endpoints:
            return
        if gathered.dropped > gathered.dropped_told:
            await self._tell_dropped(gathered, endpoints)
        self._offered += await self._deliveries.offer(
            gathered.uid,
            REALTIME_TRANSCRIPT,
            msgspec.json.encode(body),
            key=f"{gathered.id}:{number}",
            query={"session_id": gathered.id},
            seconds=self._settings.transcript_age,
        )

    async def _tell_dropped(self, gathered: "_Gathered", endpoints: Sequence[Endpoint]) -> None:
        """Show in each endpoint's log what was dropped since it was told last. Raises `DatabaseUnavailable`."""
        dropped = gathered.dropped
        for endpoint in endpoints:
            await self._deliveries.lost(
                gathered.uid,
                endpoint.name,
                REALTIME_TRANSCRIPT,
                key=f"{gathered.id}:{dropped}:lost",
                size=0,
                reason=DROPPED.format(segments=dropped - gathered.dropped_told),
            )
        gathered.dropped_told = dropped


class _Gathered:
    """What one session said since it was last offered. Implements `Following`."""

    def __init__(self, room: Transcripts, settings: Webhook, uid: str, session_id: str) -> None:
        self.id = session_id
        self.uid = uid
        self.due = 0.0
        self._room = room
        self._settings = settings
        self._segments: dict[str, Segment] = {}
        self._deleted: list[str] = []
        self._number = 0
        self._being_offered = False
        self.dropped = 0
        self.dropped_told = 0
        """So many of these are in the endpoints' logs."""
        self._over = False

    def __len__(self) -> int:
        return len(self._segments)

    def entered(self, conversation: OpenConversation, position: int) -> None:
        """See `Following`."""

    def changed(
        self,
        conversation: OpenConversation,
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        """See `Following`."""
        if self._room.unwanted(self.uid):
            return
        if not self._has_something:
            self.due = trio.current_time() + self._settings.transcript_batch
        for gone in deleted:
            self._segments.pop(gone, None)
        for segment in segments:
            self._segments[segment.id] = segment
        self._deleted += deleted
        self._keep_within(self._settings.transcript_segments)
        self._add()

    def ended(self) -> None:
        """See `Following`."""
        self._over = True
        self._add()

    def take(self) -> tuple[int, Body]:
        """What there is, and its number. `offered` must follow."""
        body = Body(tuple(self._segments.values()), self.id, tuple(self._deleted))
        self._segments, self._deleted = {}, []
        self._number += 1
        self._being_offered = True
        return self._number, body

    def offered(self) -> None:
        """What was taken is offered, or nobody wants to read it."""
        self._being_offered = False
        self._add()

    @property
    def _has_something(self) -> bool:
        return bool(self._segments or self._deleted)

    def _add(self) -> None:
        """Wait to be offered; one batch after the other, so that they are in order."""
        if self._has_something and not self._being_offered:
            if self._over:
                self.due = 0.0
            self._room.add(self, now=self._over)

    def _keep_within(self, limit: int) -> None:
        excess = max(len(self._segments) - limit, 0)
        for id in list(self._segments)[:excess]:
            del self._segments[id]
        if len(self._deleted) > limit:
            del self._deleted[:-limit]
        self._room.drop(self, excess)
