"""Raw audio for those who asked for it: each session's PCM in chunks of exact length, in order, the tail at its end.

    POST url?sample_rate=16000&uid=…   application/octet-stream: signed 16-bit little-endian PCM, mono, 16 kHz

Operations: `AudioBytes` follows all sessions of a process while it `run`s; `drained` waits until all that sessions
left is cut. One task for each session that somebody wants to hear; the others are asked about every so often.
Invariants: an endpoint has every sample of a session, from the first one on or from when it was turned on, in one
chunk; all chunks of a session but its last have the endpoint's length. A chunk is durable when it is cut, and chunks
are offered in order. What does not get there is counted in the endpoint's log with a reason: this process fell behind,
the disk refused, or the process died, of which `engine.webhooks.marks` tells the next one, to within `MARKING`.
Bounded: of a session in memory by `webhook.audio_behind` seconds, and by what is not written yet (`hearing.PIECE`). No
session waits for anything here.
Cost: for each cut of a session one wake-up and one copy, on the disk once however many hear it; for all that is cut
within `webhook.audio_gather` one write and one transaction. A store to memory a second and endpoint (`Marks`).
Cancellation: what was not cut the next process counts.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

from engine._config_webhooks import Webhook
from engine.listen.follower_tasks import FollowerTasks
from engine.listen.mixing import Mixed
from engine.listen.ports import Followed, OpenConversation
from engine.listen.tap import Tap
from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.errors import DatabaseUnavailable
from engine.stt.backoff import Backoff
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.cutting import Cutting
from engine.webhooks.hearing import PIECE, Hearing
from engine.webhooks.marks import Marks
from engine.webhooks.ports import Directory, Endpoint
from engine.webhooks.triggers import AUDIO_BYTES
from engine.wire.messages import Segment

__all__ = ["AudioBytes", "AudioBytesStatistics"]

log = get_logger(__name__)

MARKING = 1.0
"""Seconds between two looks at how much was heard."""
TURN = 16
"""Sessions that are looked at before others have their turn."""
TAP = "audio webhook"
DIED = "the process died before this audio was cut"


class AudioBytesStatistics(msgspec.Struct, frozen=True):
    """Sessions that are heard for somebody, and those that nobody wants now; chunks cut and samples lost so far."""

    heard: int
    idle: int
    chunks: int
    lost_samples: int


class AudioBytes:
    """Implements `Follower`."""

    def __init__(
        self,
        directory: Directory,
        cutting: Cutting,
        folder: Path,
        settings: Webhook,
        off_loop: OffLoop,
        backoff: Callable[[], Backoff],
    ) -> None:
        """`folder`: of the marks; `backoff` gives the pauses between two tries to reach the database."""
        self._directory = directory
        self._cutting = cutting
        self._folder = folder
        self._settings = settings
        self._off_loop = off_loop
        self._backoff = backoff
        self._tasks = FollowerTasks("webhook.audio_failed")
        self._marks: Marks | None = None
        self._heard: set[Hearing] = set()
        self._live: set[str] = set()
        self._idle: dict[str, Followed] = {}

    def began(self, session: Followed) -> "_Following | None":
        """See `Follower`. What is heard first is kept until it is known whether anybody wants it."""
        if self._marks is None:
            return None
        self._live.add(session.id)
        self._hear_from_now(session, self._marks)
        return _Following(partial(self._ended, session.id))

    def _ended(self, session_id: str) -> None:
        self._live.discard(session_id)
        self._idle.pop(session_id, None)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow sessions until cancelled, and count what processes that died had not cut. Raises `OSError`."""
        marks = await self._off_loop(Marks, self._folder)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._tasks.run)
                nursery.start_soon(self._mark)
                self._marks = marks
                task_status.started()
                while True:
                    await self._count_dead(marks)
                    await trio.sleep(self._settings.audio_look)
                    await self._ask_about_idle(marks)
        finally:
            self._marks = None
            marks.close()

    async def drained(self) -> None:
        """Wait until no session is heard any more."""
        await self._tasks.idle()

    def statistics(self) -> AudioBytesStatistics:
        """How much is heard, and what became of it."""
        cutting = self._cutting
        return AudioBytesStatistics(self._tasks.count, len(self._idle), cutting.chunks, cutting.lost_samples)

    def _hear_from_now(self, session: Followed, marks: Marks) -> None:
        tap = session.hear(TAP, keep=round(self._settings.audio_behind * SAMPLE_RATE))
        self._tasks.start(session.id, partial(self._hear, session, tap, marks))

    async def _hear(self, session: Followed, tap: Tap | Mixed, marks: Marks) -> None:
        """One session, to its end or until nobody wants it."""
        try:
            with tap:
                await self._chunks_of(session, tap, marks)
        finally:
            if session.id in self._live and not session.over:
                self._idle[session.id] = session

    async def _chunks_of(self, session: Followed, tap: Tap | Mixed, marks: Marks) -> None:
        endpoints = await self._endpoints(session.uid)
        if not endpoints:
            return
        most = round(self._settings.audio_behind * SAMPLE_RATE) // 2  # as much again may come meanwhile
        hearing = Hearing(session.id, tap, self._cutting, marks, min(most, PIECE))
        hearing.want(endpoints)
        self._heard.add(hearing)
        try:
            while await hearing.go_on():
                if hearing.at_a_cut:
                    hearing.want(await self._endpoints(session.uid))
        finally:
            self._heard.remove(hearing)

    async def _mark(self) -> None:
        """Have it known how much is heard, of sessions that wait for their next cut."""
        while True:
            await trio.sleep(MARKING)
            for number, hearing in enumerate(tuple(self._heard), 1):
                if hearing in self._heard:
                    hearing.mark()
                if not number % TURN:
                    await trio.lowlevel.checkpoint()

    async def _endpoints(self, uid: str) -> dict[str, Endpoint]:
        """Who wants to hear the user now, by name; waits for the database."""
        backoff = self._backoff()
        while True:
            try:
                found = await self._directory.endpoints(uid, AUDIO_BYTES)
            except DatabaseUnavailable as error:
                log.warning("webhook.waiting_for_database", error=str(error))
                await trio.sleep(backoff.next())
            else:
                return {endpoint.name: endpoint for endpoint in found}

    async def _ask_about_idle(self, marks: Marks) -> None:
        """Sessions that nobody wanted may be wanted by now."""
        for session in tuple(self._idle.values()):
            if self._directory.unwanted(session.uid, AUDIO_BYTES):
                continue
            if await self._endpoints(session.uid) and self._idle.pop(session.id, None) is not None:
                self._hear_from_now(session, marks)

    async def _count_dead(self, marks: Marks) -> None:
        """Show what processes that died had not cut. What cannot be done now is left for the next time."""
        try:
            for path, found in await self._off_loop(lambda: list(marks.left_behind())):
                for marked in found:
                    left = await self._cutting.left(marked)
                    if left.heard == left.cut:
                        continue
                    await self._cutting.tell(left, DIED)
                    seconds = (left.heard - left.cut) / SAMPLE_RATE
                    log.warning("webhook.audio_lost", of_session=left.session, seconds=seconds, reason=DIED)
                await self._off_loop(Marks.settle, path)
        except (DatabaseUnavailable, OSError) as error:
            log.warning("webhook.marks_not_read", error=str(error))


class _Following:
    """Nothing of a session is kept beyond its end. Implements `Following`."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

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

    def ended(self) -> None:
        """See `Following`."""
        self._ended()
