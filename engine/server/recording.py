"""What a server process does to record conversations: nothing, unless `recordings.keep` is set."""

import trio

from engine.config import Config
from engine.conversation.recorder import Recorder
from engine.conversation.recording_keeper import Keeper
from engine.listen.ports import Follower
from engine.log import get_logger
from engine.metrics import Metrics
from engine.off_loop import worker_threads
from engine.server.conversing import Conversing
from engine.store import DatabaseWriter, Store
from engine.store.blob_names import RECORDING_SPOOL
from engine.store.database import wall_clock
from engine.store.errors import DatabaseUnavailable
from engine.transcript.timeline import SAMPLE_RATE

__all__ = ["Recording"]

log = get_logger(__name__)

THREADS = 2
"""For disk and FLAC of all sessions: a minute of sound takes some tens of milliseconds."""


class Recording:
    """The parts of one process that record, put together; who runs them is `Serving`'s business."""

    def __init__(
        self, config: Config, store: Store, writer: DatabaseWriter, conversing: Conversing, metrics: Metrics
    ) -> None:
        self._settings = config.recordings
        threads = worker_threads(THREADS)
        store.recordings.when_erased(conversing.processor.wake)
        self._root = config.data_dir / RECORDING_SPOOL
        self._keeper = Keeper(
            store.recordings,
            store.blobs,
            config.recordings,
            writer.flush,
            threads,
            wall_clock,
        )
        self.recorder = Recorder(self._keeper, store.users, config.recordings, self._root, threads)
        self.followers: tuple[Follower, ...] = (self.recorder,) if config.recordings.keep else ()
        watched = self.recorder.statistics
        metrics.watch(
            recording_tracks=lambda: float(watched().tracks),
            recording_kept_seconds=lambda: watched().kept / SAMPLE_RATE,
            recording_lost_seconds=lambda: watched().lost / SAMPLE_RATE,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record, keep what others have left, and remove what is too old, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.recorder.tasks.run)
            nursery.start_soon(self._sweep, self._settings.sweep_interval)
            task_status.started()

    async def drain(self) -> None:
        """Wait until all that was heard is kept. Once sessions have ended."""
        await self.recorder.tasks.idle()

    async def _sweep(self, interval: float) -> None:
        """Also where none are made any more: those there are grow old."""
        while True:
            try:
                kept = await self._keeper.keep_abandoned(self._root, self.recorder.allowed)
                removed = await self._keeper.expire()
            except DatabaseUnavailable as error:
                log.warning("recording.sweep_failed", error=str(error))  # the next one will do
            else:
                log.info("recording.swept", kept_samples=kept, removed_pieces=removed)
            await trio.sleep(interval)
