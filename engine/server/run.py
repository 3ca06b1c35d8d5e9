"""The process: everything put together, from an empty data directory to the end of a drain.

    lock -> store -> writer, port, HTTP (/livez answers) -> journals replayed, conversations reopened,
    models and kernels warm -> ready -> ... -> drain: not ready, no new connections, sessions sent away after
    their last words, connections ended, journals written to the database -> end

One nursery holds every task; when `serve` returns or raises, nothing of it is left. A second stop signal ends
it at once: what was not written then is in the journals, for the next start.
"""

import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from engine.config import Config
from engine.log import get_logger
from engine.server.http import bind
from engine.server.machine import (
    hold_data_dir,
    limit_blas,
    limit_heaps,
    raise_file_limit,
    take_short_turns,
    wake_soon,
)
from engine.server.parts import Parts
from engine.server.serving import Bound, Serving
from engine.stt import Vendor
from engine.stt.vendors import configured_vendors

__all__ = ["Bound", "DrainForced", "configured_vendors", "only_one", "serve", "stopping"]

log = get_logger(__name__)


class DrainForced(Exception):
    """A second stop signal came before the drain was over."""


async def serve(
    config: Config,
    *,
    vendors: Sequence[Vendor] | None = None,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[Bound] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a server until it is told to stop, then drain it.

    Reports `Bound` when ready. `vendors` are those of the configuration unless given. Without `shutdown`,
    SIGTERM and SIGINT stop it (in the main thread only). Returns within `drain_timeout` after that. This is one
    process, whatever `config.workers` says: `engine.server.supervise` runs several.

    Raises `BindError`, `DataDirInUse`, `StoreError` or `VendorError` when it cannot start, `DrainForced`
    after a second signal. Cancelled, it ends without a drain: clients get 1001, audio in hand is not
    transcribed.
    """
    try:
        await _serve(config, vendors, shutdown, task_status)
    except BaseExceptionGroup as group:
        cause = only_one(group)
        if cause is None:
            raise
        raise cause from cause.__cause__


def only_one(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The exception inside when there is just one: what went wrong, without the nurseries around it."""
    inside: BaseException = group
    while isinstance(inside, BaseExceptionGroup):
        if len(inside.exceptions) != 1:
            return None
        inside = inside.exceptions[0]
    return inside


async def _serve(
    config: Config,
    vendors: Sequence[Vendor] | None,
    shutdown: trio.Event | None,
    task_status: trio.TaskStatus[Bound],
) -> None:
    raise_file_limit()
    limit_heaps()
    limit_blas()
    take_short_turns()
    wake_soon()
    with hold_data_dir(config.data_dir):
        async with stopping(shutdown) as stop:
            parts = await Parts.open(config, vendors)
            await Serving(parts).run(partial(bind, config.host, config.port), stop, task_status)


@asynccontextmanager
async def stopping(shutdown: trio.Event | None) -> AsyncIterator[trio.Event]:
    """The event that says when to stop: `shutdown`, or one that SIGTERM and SIGINT set.

    Raises `DrainForced` inside after a second signal.
    """
    if shutdown is not None:
        yield shutdown
        return
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stop)
        yield stop
        nursery.cancel_scope.cancel()


async def _watch_signals(
    stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    if threading.current_thread() is not threading.main_thread():
        task_status.started()
        return
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.info("signal", name=signal.Signals(number).name)
            if stop.is_set():
                raise DrainForced("a second stop signal came before the drain was over")
            stop.set()
