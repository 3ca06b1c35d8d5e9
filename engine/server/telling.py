"""What a server process tells other systems of sessions and conversations: audio, transcripts, what was finished."""

from collections.abc import Sequence

import trio

from engine.config import Config
from engine.conversation.job_runner import JobRunner
from engine.listen.ports import Follower
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.server.delivering import Delivering
from engine.store import Store
from engine.store.jobs import TELL
from engine.stt.backoff import Backoff
from engine.webhooks.audio_bytes import AudioBytes
from engine.webhooks.cutting import Cutting
from engine.webhooks.finished import Finished
from engine.webhooks.telling_metrics import TellingCollector
from engine.webhooks.transcripts import Transcripts

__all__ = ["Telling"]

MARKS = "marks"
"""The folder, in the data directory, of what is not cut yet."""


class Telling:
    """The parts of one process that have something to tell, put together; who runs them is `Serving`'s business.

    `followers` are to be told of every session; `finished` sends what is told of a conversation again.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        delivering: Delivering,
        jobs: JobRunner,
        metrics: Metrics,
        off_loop: OffLoop,
    ) -> None:
        settings, directory, queue = config.webhook, delivering.directory, delivering.queue

        def backoff() -> Backoff:
            return Backoff(config.store.retry_initial, config.store.retry_limit)

        self._spool = delivering.spool
        self.audio = AudioBytes(
            directory,
            Cutting(queue, self._spool, settings, backoff),
            config.data_dir / MARKS,
            settings,
            off_loop,
            backoff,
        )
        self.transcripts = Transcripts(directory, queue, settings, backoff)
        self.finished = Finished(store.jobs, store.wholes, directory, queue, off_loop)
        jobs.add(TELL, self.finished)
        metrics.registry.register(TellingCollector(self.audio, self.transcripts, self._spool))

    @property
    def followers(self) -> Sequence[Follower]:
        """Who is to be told of sessions."""
        return (self.audio, self.transcripts)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow sessions until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._spool.run)
                await nursery.start(self.audio.run)
                await nursery.start(self.transcripts.run)
                task_status.started()
        finally:
            self._spool.close()

    async def drained(self) -> None:
        """Wait until all that sessions left is durable."""
        await self.audio.drained()
        await self.transcripts.drained()
