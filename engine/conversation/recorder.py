"""Records conversations while they are spoken: what each session hears goes to the local disk, and from there, piece by
piece, to be kept.

Operations: `Recorder` is told of sessions and follows those whose users allow it, in its `tasks`: when they are idle,
all that was heard is kept, or left for later.
Invariants: the live path never waits: audio is copied out of the ring by a tap. A piece is kept once it is known whose
it is: when it has been transcribed, for a long silence in it may have ended a conversation. Of a conversation in which
nothing was said nothing is kept, but the `UNSAID` pieces before its first words. Whether the user allows it is asked
anew for each piece.
Bounded: each track by `SPOOL_PIECES` pieces on the disk (the oldest are dropped, and counted) and `TAP_SECONDS` of
samples in memory.
Known doubts: what was said in the last `RUN_SECONDS` before a process was killed is not recorded. A piece in which one
conversation ended by request and nothing has been said in the next waits for words, or two more pieces.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
import trio
from msgspec.structs import replace

from engine._config_blobs import Recordings as Settings
from engine.conversation.recording_keeper import Keeper
from engine.conversation.recording_spool import Part, Piece, Spool, Track
from engine.listen.follower_tasks import FollowerTasks
from engine.listen.ports import Followed, OpenConversation
from engine.listen.tap import Run, Tap
from engine.log import get_logger
from engine.moments import SECOND
from engine.off_loop import OffLoop
from engine.store.errors import BlobsUnavailable, DatabaseUnavailable
from engine.store.user_records import UserRow
from engine.transcript.timeline import SAMPLE_RATE
from engine.wire.messages import Segment

__all__ = ["Recorder", "RecorderStatistics"]

log = get_logger(__name__)

RUN_SECONDS = 5
"""Audio that is written at once."""
TAP_SECONDS = 30
"""Audio that waits in memory for a slow disk."""
SPOOL_PIECES = 60
"""Pieces of a track that wait on the disk: an hour, in which a bucket may be away."""
UNSAID = 2
"""Pieces that are held for a conversation that may begin in them."""


class RecorderStatistics(msgspec.Struct, frozen=True):
    """`tracks` recorded now; samples that were `kept`, and `lost` because disk or memory was too small or too slow."""

    tracks: int
    kept: int
    lost: int


class Permissions(Protocol):
    """Who knows what users allow."""

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        ...


class Recorder:
    """One per process. Implements `Follower`."""

    def __init__(
        self, keeper: Keeper, users: Permissions, settings: Settings, root: Path, off_loop: OffLoop
    ) -> None:
        """`root`: the folder where audio waits."""
        self.keeper = keeper
        self.kept = 0
        self.lost = 0
        self.piece_samples = int(settings.piece_seconds * SAMPLE_RATE)
        self.root = root
        self.off_loop = off_loop
        self._users = users
        self.tasks = FollowerTasks("recording.failed")

    def began(self, session: Followed) -> "Recording | None":
        """See `Follower`."""
        if not self.tasks.running:
            return None
        recording = Recording(self, session)
        for channel in range(session.parameters.channels if session.parameters.multi_channel else 1):
            tap = session.tap("recording", channel=channel, keep=TAP_SECONDS * SAMPLE_RATE)
            self.tasks.start(session.id, partial(self._record, recording, tap, channel))
        return recording

    async def allowed(self, uid: str) -> bool:
        """Whether the user lets recordings be kept. Raises `DatabaseUnavailable`."""
        return (await self._users.get(uid)).store_recording_permission

    def statistics(self) -> RecorderStatistics:
        """What it has done."""
        return RecorderStatistics(self.tasks.count, self.kept, self.lost)

    async def _may_be_allowed(self, uid: str) -> bool:
        """Also while nobody knows: it is asked again before anything is kept."""
        try:
            return await self.allowed(uid)
        except DatabaseUnavailable:
            return True

    async def _record(self, recording: "Recording", tap: Tap, channel: int) -> None:
        with tap:
            if await self._may_be_allowed(recording.session.uid):
                await recording.record(tap, channel)


class Recording:
    """One session's. Implements `Following`."""

    def __init__(self, recorder: Recorder, session: Followed) -> None:
        self.session = session
        self._recorder = recorder
        self._parts: tuple[Part, ...] = ()
        self._heard = 0
        self._ended = False
        self._bells: list[_Bell] = []

    # Following: on the live path

    def entered(self, conversation: OpenConversation, position: int) -> None:
        """See `Following`."""
        self._parts = (*self._parts, Part(conversation.id, position))
        self._ring()

    def changed(
        self,
        conversation: OpenConversation,
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        """See `Following`."""
        if not segments:
            return
        *before, part = self._parts
        if part.base_at is None:
            base_at = conversation.started_at + round(offset * SECOND)
            self._parts = (*before, replace(part, base_at=base_at))
            self._ring()
        ends = max(segment.end for segment in segments) - offset
        self._heard = max(self._heard, int(ends * SAMPLE_RATE))

    def ended(self) -> None:
        """See `Following`."""
        self._ended = True
        self._ring()

    def _ring(self) -> None:
        for bell in self._bells:
            bell.ring()

    # In a task of its own

    async def record(self, tap: Tap, channel: int) -> None:
        """Record what `tap` hears, to its end."""
        track = Track(uid=self.session.uid, session_id=self.session.id, channel=channel, parts=self._parts)
        recorder = self._recorder
        limit = SPOOL_PIECES * recorder.piece_samples
        spool = await recorder.off_loop(Spool.create, recorder.root, track, limit)
        try:
            async with trio.open_nursery() as nursery:
                arrived = _Bell()
                self._bells.append(arrived)
                nursery.start_soon(self._keep, spool, track, arrived)
                await self._write(tap, spool, arrived)
                arrived.over = True
                arrived.ring()
        finally:
            recorder.lost += spool.dropped + tap.lost
            with trio.CancelScope(shield=True):
                await recorder.off_loop(spool.close)
        log.info("recording.ended", session=self.session.id, left_for_later=len(spool.closed))

    async def _write(self, tap: Tap, spool: Spool, arrived: "_Bell") -> None:
        whole, off_loop = self._recorder.piece_samples, self._recorder.off_loop
        while True:
            room = whole if spool.open is None else whole - (spool.open.end - spool.open.start)
            run: Run = await tap.read(min(RUN_SECONDS * SAMPLE_RATE, room))
            if not run.samples:
                break
            try:
                await off_loop(spool.append, run.position, run.pcm)
            except OSError as error:
                self._recorder.lost += run.samples
                log.warning("recording.not_written", session=self.session.id, error=str(error))
            piece = spool.open
            if piece is not None and (piece.end - piece.start >= whole or self._turns_in(piece)):
                await off_loop(spool.roll)
            arrived.ring()
        await off_loop(spool.roll)

    def _turns_in(self, piece: Piece) -> bool:
        """Whether a conversation has ended in it: its end is not to wait for the piece's."""
        return any(piece.start < part.position <= piece.end for part in self._parts)

    async def _keep(self, spool: Spool, track: Track, arrived: "_Bell") -> None:
        """Keep pieces as it gets known whose they are."""
        while True:
            over = arrived.over and self._ended
            if track.parts != self._parts:
                track = replace(track, parts=self._parts)
                await self._recorder.off_loop(spool.note, track)
            for piece in self._settled(spool.closed, over):
                if not await self._keep_one(spool, track, piece):
                    break  # later, or the next process
            if over:
                return
            await arrived.wait(RUN_SECONDS)

    def _settled(self, pieces: Sequence[Piece], over: bool) -> Sequence[Piece]:
        """Those of which it is known to which conversation they belong, and that something was said in it, or not."""
        if not self._ended and self.session.speech_waiting:  # one that has ended waits for no words
            pieces = [piece for piece in pieces if piece.end <= self._heard]
        if over or not self._parts or self._parts[-1].base_at is not None:
            return pieces
        begins = self._parts[-1].position
        unsaid = [piece for piece in pieces if piece.end > begins]
        return [piece for piece in pieces if piece.end <= begins] + unsaid[:-UNSAID]

    async def _keep_one(self, spool: Spool, track: Track, piece: Piece) -> bool:
        recorder = self._recorder
        try:
            if await recorder.allowed(track.uid):
                recorder.kept += await recorder.keeper.keep(track, piece)
        except FileNotFoundError:
            pass  # dropped meanwhile, for want of room
        except (BlobsUnavailable, DatabaseUnavailable, OSError) as error:
            log.warning("recording.not_kept_yet", session=track.session_id, error=str(error))
            return False
        await recorder.off_loop(spool.drop, piece)
        log.info("recording.kept", session=track.session_id, start=piece.start, end=piece.end)
        return True


class _Bell:
    """Rung when there may be something to keep. `over`: nothing more is written."""

    def __init__(self) -> None:
        self.over = False
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Until it is rung, or it is time to look whether something has been said."""
        with trio.move_on_after(seconds):
            await self._event.wait()
        self._event = trio.Event()
