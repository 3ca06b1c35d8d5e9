"""What a server process does to summarise users' days when their hour comes."""

import trio
from msgspec.structs import replace

from engine.config import Config
from engine.conversation.day_summary import Summarizer
from engine.conversation.job_runner import JobRunner
from engine.metrics import Metrics
from engine.off_loop import OffLoop
from engine.store import Store
from engine.store.day_summaries import SUMMARISE
from engine.webhooks.day_summaries import Deliveries, Schedule, SummaryMaker

__all__ = ["Summarising"]


class Summarising:
    """The parts of one process that make scheduled summaries, put together; who runs them is `Serving`'s business.

    Their jobs have a runner of their own: thousands that fall due in one hour keep no conversation waiting.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        summarizer: Summarizer,
        deliveries: Deliveries,
        metrics: Metrics,
        off_loop: OffLoop,
    ) -> None:
        settings = config.day_summary
        self._scheduled = settings.schedule == "on"
        at_once = replace(config.conversation, parallel=settings.parallel)
        self.jobs = JobRunner(store.jobs, at_once, store.now, metrics)
        maker = SummaryMaker(store, summarizer, deliveries, store.now, at_once.tries)
        self.jobs.add(SUMMARISE, maker)
        self.schedule = Schedule(store.day_summaries, settings, store.now, off_loop, self.jobs.wake)

    async def run(self) -> None:
        """Work until cancelled: what an earlier process left, then what falls due."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.jobs.run)
            if self._scheduled:
                nursery.start_soon(self.schedule.run)
