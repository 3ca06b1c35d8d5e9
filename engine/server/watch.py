"""What looks after the process: is the database writable, is memory given back; and what gauges read."""

import gc
from operator import attrgetter

import trio

from engine.conversation.processor import Processor
from engine.listen import ListenService
from engine.log import get_logger
from engine.metrics import Metrics
from engine.moments import HOUR
from engine.off_loop import OffLoop
from engine.server.lane import Lane, LaneStatistics
from engine.server.machine import give_back_memory
from engine.store import DatabaseUnavailable, DatabaseWriter, Store
from engine.web import Readiness

__all__ = ["check_database", "forget_answers", "give_back_when_quiet", "watch_lane", "watch_process"]

log = get_logger(__name__)

DATABASE_INTERVAL = 5.0
"""Seconds between two checks, each a small commit; /readyz tells what the last one found."""

FORGET_INTERVAL = 3600.0
"""Seconds between two times that old answers are forgotten."""

QUIET = 0.5
"""Seconds without any session after which free memory is given back."""


async def check_database(
    store: Store,
    readiness: Readiness,
    interval: float = DATABASE_INTERVAL,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Tell `readiness` whether the database takes writes, for ever; `started` after the first check."""
    was_ok = True
    while True:
        try:
            await store.check_writable()
        except (DatabaseUnavailable, OSError) as error:
            if was_ok:
                log.error("database.not_writable", error=str(error))
            was_ok = False
            readiness.database_failed(f"not writable: {error}")
        else:
            if not was_ok:
                log.info("database.writable")
            was_ok = True
            readiness.database_writable()
        task_status.started()
        task_status = trio.TASK_STATUS_IGNORED
        await trio.sleep(interval)


async def forget_answers(store: Store, hours: float, interval: float = FORGET_INTERVAL) -> None:
    """Forget what requests under an idempotency key were answered with more than `hours` ago, for ever."""
    while True:
        try:
            await store.idempotency.forget(store.now() - round(hours * HOUR))
        except DatabaseUnavailable as error:
            log.warning("idempotency.forget_failed", error=str(error))  # they wait for the next time
        await trio.sleep(interval)


async def give_back_when_quiet(sessions: ListenService, off_loop: OffLoop) -> None:
    """Collect garbage and give free memory back to the system when everybody has left, for ever.

    What is in use does not grow with sessions, but what is free lies scattered, so without this a server would
    stay as large as its busiest hour. While there are sessions nothing is done: the heaps would be locked.
    """
    while True:
        await sessions.occupied()
        await sessions.drained()
        with trio.move_on_after(QUIET) as quiet:
            await sessions.occupied()
        if quiet.cancelled_caught:
            gc.collect()
            await off_loop(give_back_memory)


def watch_process(
    metrics: Metrics, sessions: ListenService, writer: DatabaseWriter, processor: Processor
) -> None:
    """Read the gauges from what is alive."""
    metrics.watch(
        connections_active=lambda: float(len(sessions.live())),
        capacity_ratio=lambda: sessions.load,
        ring_fill_ratio=lambda: max((s.pipeline.ring_fill for s in sessions.live()), default=0.0),
        stt_lag_seconds=lambda: max((s.lag for s in sessions.live()), default=0.0),
        journal_pending_records=lambda: float(writer.statistics().pending),
        jobs_waiting=lambda: float(processor.statistics().waiting),
        jobs_failed=lambda: float(processor.statistics().failed),
    )


def watch_lane(metrics: Metrics, lane: Lane) -> None:
    """Read what the lane counts: `lane_` and the name it has in `LaneStatistics`."""
    for name in LaneStatistics.__struct_fields__:
        count = attrgetter(name)
        metrics.watch(**{f"lane_{name}": lambda count=count: float(count(lane.statistics()))})
