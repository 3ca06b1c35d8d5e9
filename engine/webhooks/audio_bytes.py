"""Raw audio for those who asked for it: each session's PCM in chunks of exact length, in order, the tail at its end.

    POST url?sample_rate=16000&uid=…   application/octet-stream: signed 16-bit little-endian PCM, mono, 16 kHz

Operations: `AudioBytes` follows all sessions of a process while it `run`s; `drained` waits until all that sessions
left is cut. One task for each session that somebody wants to hear; the others are asked about every so often.
Invariants: an endpoint has every sample of a session, from the first one on or from when it was turned on, in one
chunk; all chunks of a session but its last have the endpoint's length. A chunk is durable when it is cut, and chunks
are offered in order. What does not get there is counted in the endpoint's log with a reason: this process fell behind,
the disk refused, or the process died, of which `engine.webhooks.marks` tells the next one, to within `BLOCK`.
Bounded: of a session in memory by `webhook.audio_behind` seconds, and for each endpoint by what is not written yet
(`chunks.PIECE`). No session waits for anything here.
Cost: for each second of a session one wake-up and one copy; for all that is cut in a fifth of a second (`Cutting`) one
write and one transaction.
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
from engine.listen.tap import Run, Tap
from engine.log import get_logger
from engine.off_loop import OffLoop
from engine.store.errors import DatabaseUnavailable
from engine.stt.backoff import Backoff
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.chunks import Chunk
from engine.webhooks.cutting import Cutting
from engine.webhooks.marks import Left, Mark, Marks
from engine.webhooks.ports import Directory, Endpoint
from engine.webhooks.triggers import AUDIO_BYTES
from engine.wire.messages import Segment

__all__ = ["AudioBytes", "AudioBytesStatistics"]

log = get_logger(__name__)

BLOCK = SAMPLE_RATE
"""Samples read at once, at most."""
TAP = "audio webhook"
FELL_BEHIND = "this server fell behind, and the audio was not kept (webhook.audio_behind)"
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
        hearing = _Hearing(session.id, tap, self._cutting, marks)
        hearing.want(endpoints)
        while await hearing.go_on():
            if hearing.at_a_cut:
                hearing.want(await self._endpoints(session.uid))

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


class _Hearing:
    """The chunks of one session."""

    def __init__(self, session_id: str, tap: Tap | Mixed, cutting: Cutting, marks: Marks) -> None:
        self._id = session_id
        self._tap = tap
        self._cutting = cutting
        self._marks = marks
        self._chunks: dict[str, tuple[Chunk, Mark]] = {}

    @property
    def at_a_cut(self) -> bool:
        """Whether a chunk begins here."""
        return any(not chunk.samples for chunk, _ in self._chunks.values())

    def want(self, endpoints: dict[str, Endpoint]) -> None:
        """These want to hear it from now on; who does no longer has no more of it, what was begun is dropped."""
        for name in self._chunks.keys() - endpoints.keys():
            _, mark = self._chunks.pop(name)
            mark.close()
        for name, endpoint in endpoints.items():
            if name not in self._chunks:
                mark = self._marks.open(endpoint.uid, name, self._id)
                self._chunks[name] = Chunk(endpoint, self._tap.position), mark
            elif not self._chunks[name][0].samples:
                self._chunks[name][0].next(endpoint, self._tap.position)

    async def go_on(self) -> bool:
        """Hear until the next cut, or for a second; False when all is heard, or nobody wants more."""
        if not self._chunks:
            return False
        wanted = min(BLOCK, *(chunk.missing for chunk, _ in self._chunks.values()))
        run = await self._tap.read(wanted)
        over = run.samples < wanted
        busy = [
            (chunk, mark)
            for chunk, mark in self._chunks.values()
            if self._add(chunk, mark, run) or (over and chunk.samples)
        ]
        if len(busy) == 1:
            await self._write(*busy[0], run, over=over)
        elif busy:
            async with trio.open_nursery() as nursery:
                for chunk, mark in busy:
                    nursery.start_soon(partial(self._write, chunk, mark, run, over=over))
        if over:
            for _, mark in self._chunks.values():
                mark.close()
        return not over

    def _add(self, chunk: Chunk, mark: Mark, run: Run) -> bool:
        """The chunk goes on with `run`; whether there is something to write of it."""
        if run.samples:
            chunk.add(run)
        mark.set(cut=chunk.position, heard=run.position + run.samples)
        return bool(run.lost) or chunk.due

    async def _write(self, chunk: Chunk, mark: Mark, run: Run, *, over: bool) -> None:
        """What is held to the disk, the chunk to the queue when it is whole; what was lost to the log."""
        if run.lost:
            left = Left(
                uid=chunk.endpoint.uid,
                endpoint=chunk.endpoint.name,
                session=self._id,
                cut=run.position - run.lost,
                heard=run.position,
            )
            await self._cutting.lose(left, FELL_BEHIND)
        heard = run.position + run.samples
        if (chunk.due or (over and chunk.held)) and not await self._cutting.write(chunk, self._id):
            chunk.next(chunk.endpoint, heard)
        if chunk.samples and (over or not chunk.missing):
            await self._cutting.cut(chunk, self._id)
            chunk.next(chunk.endpoint, heard)
        mark.set(cut=chunk.position, heard=heard)
