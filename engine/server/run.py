"""The process: everything put together, from an empty data directory to the end of a drain.

    lock and port -> store -> writer, HTTP (/livez answers) -> journals replayed, conversations reopened,
    models and kernels warm -> ready -> ... -> drain: not ready, no new connections, sessions sent away after
    their last words, connections ended, journals written to the database -> end

One nursery holds every task; when `serve` returns or raises, nothing of it is left. A second stop signal ends
it at once: what was not written then is in the journals, for the next start.
"""

import math
import os
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, TypeVarTuple

import msgspec
import trio

from engine.audio.resample import use_cache_dir, warm
from engine.config import Config
from engine.conversation import Lifecycle
from engine.listen import ListenService, Unpacking
from engine.log import get_logger
from engine.metrics import Metrics
from engine.off_loop import OffLoop, worker_threads
from engine.server.entrance import Entrance, open_lane
from engine.server.http import HttpServer, bind
from engine.server.lane import Lane
from engine.server.machine import hold_data_dir, limit_heaps, raise_file_limit
from engine.server.stalls import watch_loop
from engine.server.vendor_lane import LaneTransport
from engine.server.watch import check_database, give_back_when_quiet, watch_lane, watch_process
from engine.store import DatabaseWriter, Store
from engine.store.database import wall_clock
from engine.stt import Vendor
from engine.stt.transport import Transport
from engine.stt.vendors import configured_vendors
from engine.stt.websocket import WebSocketTransport
from engine.web import Readiness, Services, create_app, listen_service

__all__ = ["Bound", "DrainForced", "configured_vendors", "serve"]

log = get_logger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OFF_LOOP_THREADS = 16
"""Threads for disk and database; models and AAC have their own."""

DRAIN_RESERVE = 0.2
"""Share of `drain_timeout` kept, after the sessions' time is over, to end connections and write journals."""


class Bound(msgspec.Struct, frozen=True):
    """Where the server listens."""

    host: str
    port: int


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
    SIGTERM and SIGINT stop it (in the main thread only). Returns within `drain_timeout` after that.

    Raises `BindError`, `DataDirInUse`, `StoreError` or `VendorError` when it cannot start, `DrainForced`
    after a second signal. Cancelled, it ends without a drain: clients get 1001, audio in hand is not
    transcribed.
    """
    try:
        await _serve(config, vendors, shutdown, task_status)
    except BaseExceptionGroup as group:
        cause = _only_one(group)
        if cause is None:
            raise
        raise cause from cause.__cause__


def _only_one(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
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
    stop = trio.Event() if shutdown is None else shutdown
    raise_file_limit()
    limit_heaps()
    with hold_data_dir(config.data_dir):
        async with trio.open_nursery() as nursery:
            if shutdown is None:
                await nursery.start(_watch_signals, stop)
            listeners = await bind(config.host, config.port)
            try:
                server = await _Server.open(config, vendors)
                await server.run(listeners, stop, task_status)
            finally:
                for listener in listeners:
                    listener.socket.close()
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


class _Server:
    """The parts of one server."""

    def __init__(
        self, config: Config, vendors: Sequence[Vendor], store: Store, off_loop: OffLoop, lane: Lane | None
    ) -> None:
        self.config = config
        self.vendors = vendors
        self.store = store
        self.off_loop = off_loop
        self.deadline = math.inf
        self.metrics = Metrics()
        self.readiness = Readiness(config.limits.sessions)
        settings = msgspec.structs.asdict(config.store)
        del settings["busy_timeout"]
        self.writer = DatabaseWriter(store, self.off_loop, **settings)
        self.lifecycle = Lifecycle(store.conversations, self.writer, wall_clock)
        aac_threads = config.session.aac_threads
        self.sessions = ListenService(
            config,
            vendors,
            self.lifecycle,
            metrics=self.metrics,
            off_loop=self.off_loop,
            unpacking=Unpacking(worker_threads(aac_threads), aac_threads),
            wall_clock=wall_clock,
        )
        self.readiness.watch_load(lambda: self.sessions.load)
        services = self._services()
        entrance = Entrance(config, listen_service(services), lane) if lane is not None else None
        self.http = HttpServer(create_app(services), config, entrance)
        watch_process(self.metrics, self.sessions, self.writer)
        if lane is not None:
            watch_lane(self.metrics, lane)

    @classmethod
    async def open(cls, config: Config, vendors: Sequence[Vendor] | None) -> "_Server":
        """Open the store and put the parts together."""
        off_loop = worker_threads(OFF_LOOP_THREADS)
        busy = config.store.busy_timeout
        store = await Store.open(config.data_dir, off_loop, url=config.database_url, busy_timeout=busy)
        lane = open_lane(config)
        if vendors is None:
            line: Transport = WebSocketTransport()
            vendors = configured_vendors(config, line if lane is None else LaneTransport(lane, line))
        return cls(config, vendors, store, off_loop, lane)

    def _services(self) -> Services:
        return Services(
            config=self.config,
            metrics=self.metrics,
            readiness=self.readiness,
            sessions=self.sessions,
            conversations=self.store.conversations,
            lifecycle=self.lifecycle,
            tokens=self.store.tokens,
            usage=self.store.usage,
        )

    async def run(
        self, listeners: list[trio.SocketListener], stop: trio.Event, task_status: trio.TaskStatus[Bound]
    ) -> None:
        """Start, serve until `stop`, drain."""
        try:
            async with self._keeping(), trio.open_nursery() as serving:
                await self._start_unless(stop, serving, listeners)
                if not stop.is_set():
                    task_status.started(self._ready(listeners))
                await stop.wait()
                await self._drain()
                serving.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self.store.close()

    @asynccontextmanager
    async def _keeping(self) -> AsyncIterator[None]:
        """The database writer, which outlives all who write, also when they are cancelled."""
        scope = trio.CancelScope()

        async def write(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with scope:
                await self.writer.run(task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(write)
            scope.shield = True  # not before: who cancels us while this starts would wait for ever
            try:
                yield
                await self._write_out()
            finally:
                scope.cancel()

    def _ready(self, listeners: list[trio.SocketListener]) -> Bound:
        host, port = listeners[0].socket.getsockname()[:2]
        log.info("server.ready", host=host, port=port, vendors=[vendor.name for vendor in self.vendors])
        return Bound(host, port)

    async def _start_unless(
        self, stop: trio.Event, serving: trio.Nursery, listeners: list[trio.SocketListener]
    ) -> None:
        """Bring everything up; given up when `stop` comes first."""
        async with trio.open_nursery() as starting:
            starting.start_soon(_cancel_when, stop, starting.cancel_scope)
            await serving.start(self.http.run, listeners)
            serving.start_soon(watch_loop, self.metrics, self.config.watch)
            serving.start_soon(give_back_when_quiet, self.sessions, self.off_loop)
            async with trio.open_nursery() as warming:
                recovered = trio.Event()
                warming.start_soon(self._warm, recovered)
                await self.writer.recover()
                await serving.start(self.lifecycle.run)
                recovered.set()
                await serving.start(check_database, self.store, self.readiness)
            starting.cancel_scope.cancel()

    async def _warm(self, recovered: trio.Event) -> None:
        """Load models and compile kernels, all at once."""
        names = ", ".join(vendor.name for vendor in self.vendors)
        if not names:
            log.warning("stt.none", hint="only custom_stt sessions can be served; see stt.service_models")
        self.readiness.models_loading(f"loading {names or 'kernels'}")
        async with trio.open_nursery() as nursery:
            for vendor in self.vendors:
                nursery.start_soon(vendor.prepare)
            nursery.start_soon(self.off_loop, self._warm_kernels)
        # From here on sessions are taken, and each needs to find the conversation it had before a crash.
        await recovered.wait()
        self.readiness.models_warm(names or "none configured")

    def _warm_kernels(self) -> None:
        if "NUMBA_CACHE_DIR" not in os.environ:
            use_cache_dir(self.config.data_dir / "numba")
        warm()

    async def _drain(self) -> None:
        """Sessions end, then connections; what is left of `drain_timeout` is for the journals."""
        self.deadline = deadline = trio.current_time() + self.config.drain_timeout
        reserve = self.config.drain_timeout * DRAIN_RESERVE
        log.info("drain.began", sessions=len(self.sessions.live()))
        self.readiness.drain()
        self.http.stop_accepting()
        self.sessions.start_drain()
        with trio.move_on_at(deadline - reserve):
            await self.sessions.drained()
        log.info("drain.sessions_ended", cut=len(self.sessions.live()))
        self.http.stop(deadline - reserve * 3 / 4, grace=reserve / 4)
        with trio.move_on_at(deadline - reserve / 4):
            await self.http.ended.wait()

    async def _write_out(self) -> None:
        """Bring the database up to date; what it does not take in time waits in journals."""
        with trio.move_on_at(self.deadline) as limit:
            await self.writer.flush()
        log.info("drain.ended", journals_kept=limit.cancelled_caught)


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
