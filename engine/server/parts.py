"""The parts of one server process, from an open store to the end of a drain. `engine.server.run` says in what order.

The same parts serve alone and as one of several workers. A worker differs in three things: it is told when to take
over what others left (`Member`), the web's questions about a user go to the worker that has them, and one that is
started while others serve listens only once it is ready.
"""

import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import trio

from engine.audio.resample import use_cache_dir, warm
from engine.config import Config
from engine.listen import ListenService, Unpacking
from engine.listen.recordings import Recordings
from engine.log import get_logger
from engine.metrics import Metrics
from engine.off_loop import OffLoop, worker_threads
from engine.server.conversing import Conversing
from engine.server.delivering import Delivering
from engine.server.entrance import Entrance, open_lane
from engine.server.garbage import collect_garbage
from engine.server.hosting import Hosting
from engine.server.http import HttpServer
from engine.server.lane import Lane
from engine.server.receiving import Receiving
from engine.server.recording import Recording
from engine.server.speaking import Speaking
from engine.server.stalls import watch_loop
from engine.server.summarising import Summarising
from engine.server.telling import Telling
from engine.server.vendor_lane import LaneTransport
from engine.server.watch import (
    check_database,
    forget_answers,
    give_back_when_quiet,
    watch_lane,
    watch_process,
)
from engine.server.workers.member import Member
from engine.server.workers.messages import Assignment
from engine.store import DatabaseWriter, Store
from engine.store.database import wall_clock
from engine.stt import Vendor
from engine.stt.transport import Transport
from engine.stt.vendors import configured_vendors
from engine.stt.websocket import WebSocketTransport
from engine.web import Readiness, Services, create_app, listen_service
from engine.webhooks.apps import AppEndpoints

__all__ = ["Bind", "Bound", "Parts"]

log = get_logger(__name__)

Bind = Callable[[], Awaitable[list[trio.SocketListener]]]
"""Opens the port."""

OFF_LOOP_THREADS = 16
"""Threads for disk and database; models and AAC have their own."""

DRAIN_RESERVE = 0.2
"""Share of `drain_timeout` kept, after the sessions' time is over, to end connections and write journals."""

RECEIVING_SHARE = 0.4
"""Share of `drain_timeout` in which received audio that waits is dealt with, before the sessions are ended."""


class Bound(msgspec.Struct, frozen=True):
    """Where the server listens."""

    host: str
    port: int


class Parts:
    """The parts of one server. Made by `open`."""

    def __init__(
        self,
        config: Config,
        vendors: Sequence[Vendor],
        store: Store,
        off_loop: OffLoop,
        lane: Lane | None,
        assignment: Assignment | None,
    ) -> None:
        self.config = config
        self.vendors = vendors
        self.store = store
        self.off_loop = off_loop
        self.deadline = math.inf
        self.metrics = Metrics()
        self.readiness = Readiness(config.limits.sessions)
        settings = msgspec.structs.asdict(config.store)
        del settings["busy_timeout"], settings["settings_age"]
        self.writer = DatabaseWriter(store, self.off_loop, **settings)
        self.member = None if assignment is None else Member(assignment, store)
        ownership = None if self.member is None else self.member.placement
        app_endpoints = AppEndpoints(store.app_registry, wall_clock)
        self.delivering = Delivering(config, store, self.metrics, self.off_loop, app_endpoints)
        self.hosting = Hosting(config, store, self.delivering)
        apps = self.hosting.chat_apps
        self.conversing = Conversing(config, store, self.writer, self.metrics, ownership, apps)
        jobs = self.conversing.processor.jobs
        self.telling = Telling(config, store, self.delivering, jobs, self.metrics, self.off_loop)
        self.summarising = Summarising(
            config, store, self.conversing.summarizer, self.delivering.queue, self.metrics, self.off_loop
        )
        live = self.member or self.conversing.lifecycle
        processor = self.conversing.processor
        self.speaking = Speaking(config, store, live, processor, vendors, self.metrics, off_loop)
        self.recording = Recording(config, store, self.writer, self.conversing, self.metrics)
        aac_threads = config.session.aac_threads
        self.sessions = ListenService(
            config,
            vendors,
            self.conversing.lifecycle,
            metrics=self.metrics,
            off_loop=self.off_loop,
            unpacking=Unpacking(worker_threads(aac_threads), aac_threads),
            wall_clock=wall_clock,
            preferences=self.conversing.preferences,
            photos=self.conversing.album,
            translator=self.conversing.translator,
            speakers=self.speaking.speakers,
            assignments=self.speaking.assigner,
            own_voices=self.speaking.own_voices,
            followers=(*self.telling.followers, *self.speaking.followers, *self.recording.followers),
        )
        self.readiness.watch_load(lambda: self.sessions.load)
        self.readiness.watch_transcription(lambda: self.sessions.transcribes)
        if self.member is not None:
            self.member.attend(
                self.conversing.lifecycle, self.sessions, self.writer, self.metrics, self.readiness
            )
        self.receiving = Receiving(
            config,
            store,
            store.received_blobs,
            self.member or self.sessions,
            self.delivering.client,
            self.metrics,
            assignment,
        )
        self.conversing.processor.when_done((self.member or self.conversing.lifecycle).tell)
        services = self._services()
        entrance = Entrance(config, listen_service(services), lane) if lane is not None else None
        self.http = HttpServer(create_app(services), config, entrance)
        watch_process(self.metrics, self.sessions, self.writer, self.conversing.processor)
        if lane is not None:
            watch_lane(self.metrics, lane)

    @classmethod
    async def open(
        cls, config: Config, vendors: Sequence[Vendor] | None, assignment: Assignment | None = None
    ) -> "Parts":
        """Open the store and put the parts together, those of one worker of several with an `assignment`."""
        off_loop = worker_threads(OFF_LOOP_THREADS)
        busy = config.store.busy_timeout
        store = await Store.open(
            config.data_dir,
            off_loop,
            url=config.database_url,
            busy_timeout=busy,
            vector_cache=config.embedding.cache_mib * 2**20,
            user_cache_seconds=config.store.settings_age,
            blobs=config.blobs,
        )
        lane = open_lane(config)
        if vendors is None:
            line: Transport = WebSocketTransport()
            vendors = configured_vendors(config, line if lane is None else LaneTransport(lane, line))
        return cls(config, vendors, store, off_loop, lane, assignment)

    def _services(self) -> Services:
        return Services(
            config=self.config,
            metrics=self.metrics,
            readiness=self.readiness,
            sessions=self.member or self.sessions,
            conversations=self.store.conversations,
            wholes=self.store.wholes,
            edits=self.store.edits,
            search=self.conversing.search,
            models=self.conversing.models,
            lifecycle=self.member or self.conversing.lifecycle,
            requests=self.conversing.requests,
            user_data=self.store.user_data,
            facts=self.conversing.facts,
            days=self.conversing.summarizer,
            apps=self.hosting.attend(
                self.conversing.processor,
                self.conversing.models,
                self.conversing.chat_search,
                self.member or self.conversing.lifecycle,
            ),
            tokens=self.store.tokens,
            usage=self.store.usage,
            records=self.store,
            chat=self.conversing.chat,
            transcriber=Recordings(self.vendors, self.config, self.off_loop),
            webhooks=self.delivering.services(),
            teller=self.telling.finished,
            off_loop=self.off_loop,
            receiver=self.receiving.services(),
            blob_places=self.store.blob_places,
            voices=self.speaking.voices,
            assigner=self.speaking.assigner,
            blob_links=self.store.blob_links,
            exposition=None if self.member is None else self.member.exposition,
        )

    async def run(self, bind: Bind, stop: trio.Event, task_status: trio.TaskStatus[Bound]) -> None:
        """Start, serve until `stop`, drain."""
        try:
            async with self._keeping(), trio.open_nursery() as serving:
                bound = await self._start_unless(stop, serving, bind)
                if bound is not None and not stop.is_set():
                    task_status.started(self._ready(bound))
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

    def _ready(self, bound: Bound) -> Bound:
        names = [vendor.name for vendor in self.vendors]
        log.info("server.ready", host=bound.host, port=bound.port, vendors=names)
        return bound

    async def _start_unless(self, stop: trio.Event, serving: trio.Nursery, bind: Bind) -> Bound | None:
        """Bring everything up; given up, with None, when `stop` comes first."""
        bound = None
        async with trio.open_nursery() as starting:
            starting.start_soon(_cancel_when, stop, starting.cancel_scope)
            late = self.member is not None and self.member.assignment.late
            if not late:
                bound = await self._listen(serving, bind)
            serving.start_soon(watch_loop, self.metrics, self.config.watch)
            serving.start_soon(give_back_when_quiet, self.sessions, self.off_loop)
            serving.start_soon(forget_answers, self.store, self.config.web.idempotency_hours)
            serving.start_soon(self.conversing.translator.run)
            await self._warm_up(serving)
            if late:
                bound = await self._listen(serving, bind)
            starting.cancel_scope.cancel()
        return bound

    async def _listen(self, serving: trio.Nursery, bind: Bind) -> Bound:
        listeners = await bind()
        host, port = listeners[0].socket.getsockname()[:2]
        await serving.start(self.http.run, listeners)
        return Bound(host, port)

    async def _warm_up(self, serving: trio.Nursery) -> None:
        """Models and kernels, and what earlier processes left: sessions need both."""
        names = ", ".join(vendor.name for vendor in self.vendors)
        if not names:
            log.warning("stt.none", hint="only custom_stt sessions can be served; see stt.service_models")
        self.readiness.models_loading(f"loading {names or 'kernels'}")
        async with trio.open_nursery() as nursery:
            for vendor in self.vendors:
                nursery.start_soon(vendor.prepare)
            nursery.start_soon(self.off_loop, self._warm_kernels)
            await serving.start(self.conversing.models.run)
            nursery.start_soon(self.conversing.translator.prepare)
            nursery.start_soon(self.speaking.prepare)
            await serving.start(self.speaking.run)
            await self._take_up(serving)
            await serving.start(self.delivering.run)
            await serving.start(self.telling.run)
            await serving.start(self.recording.run)
            await serving.start(check_database, self.store, self.readiness)
            serving.start_soon(self.summarising.run)
        if self.member is not None:
            await self.member.report("warm")
            await self.member.admitted.wait()
        serving.start_soon(collect_garbage, self.sessions, self.metrics, self.config.watch.garbage_interval)
        # From here on sessions are taken, and each finds the conversation it had before a crash.
        self.readiness.models_warm(names or "none configured")
        await serving.start(self.receiving.run)

    async def _take_up(self, serving: trio.Nursery) -> None:
        """What earlier processes left. A worker is told when, for of several only one may."""
        if self.member is None:
            await self.writer.recover()
            await serving.start(self.conversing.lifecycle.run)
        else:
            await serving.start(partial(self.conversing.lifecycle.run, reopen=False))
            await serving.start(self.member.run)
            await self.member.report("up")

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
        with trio.move_on_after(self.config.drain_timeout * RECEIVING_SHARE):
            await self.receiving.drain()  # into the sessions, so before these end
        self.sessions.start_drain()
        with trio.move_on_at(deadline - reserve):
            await self.sessions.drained()
            await self.telling.drained()
            await self.recording.drain()
            await self.delivering.drain()
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
