"""The life of one server process: its parts brought up in order, served with until it is to stop, and drained.

Operations: `run`, once.
Invariants: the journals' writer outlives all who write; sessions are taken only when vendors, models and kernels are
warm and what earlier processes left is found again; nothing outlives `drain_timeout`.
Cancellation: ends without a drain. What was not written is in the journals, for the next start.
"""

import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import trio

from engine.audio.resample import use_cache_dir, warm
from engine.log import get_logger
from engine.server.garbage import collect_garbage
from engine.server.parts import Parts
from engine.server.stalls import watch_loop
from engine.server.watch import check_database, forget_answers, give_back_when_quiet

__all__ = ["Bind", "Bound", "Serving"]

log = get_logger(__name__)

Bind = Callable[[], Awaitable[list[trio.SocketListener]]]
"""Opens the port."""

DRAIN_RESERVE = 0.2
"""Share of `drain_timeout` kept, after the sessions' time is over, to end connections and write journals."""

RECEIVING_SHARE = 0.4
"""Share of `drain_timeout` in which received audio that waits is dealt with, before the sessions are ended."""


class Bound(msgspec.Struct, frozen=True):
    """Where the server listens."""

    host: str
    port: int


class Serving:
    """Of one process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._deadline = math.inf

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
                await self._parts.store.close()

    @asynccontextmanager
    async def _keeping(self) -> AsyncIterator[None]:
        """The database writer, which outlives all who write, also when they are cancelled."""
        scope = trio.CancelScope()

        async def write(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with scope:
                await self._parts.writer.run(task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(write)
            scope.shield = True  # not before: who cancels us while this starts would wait for ever
            try:
                yield
                await self._write_out()
            finally:
                scope.cancel()

    def _ready(self, bound: Bound) -> Bound:
        names = [vendor.name for vendor in self._parts.vendors]
        log.info("server.ready", host=bound.host, port=bound.port, vendors=names)
        return bound

    async def _start_unless(self, stop: trio.Event, serving: trio.Nursery, bind: Bind) -> Bound | None:
        """Bring everything up; given up, with None, when `stop` comes first."""
        parts = self._parts
        bound = None
        async with trio.open_nursery() as starting:
            starting.start_soon(_cancel_when, stop, starting.cancel_scope)
            late = parts.member is not None and parts.member.assignment.late
            if not late:
                bound = await self._listen(serving, bind)
            serving.start_soon(watch_loop, parts.metrics, parts.config.watch)
            serving.start_soon(give_back_when_quiet, parts.sessions, parts.off_loop)
            serving.start_soon(forget_answers, parts.store, parts.config.web.idempotency_hours)
            serving.start_soon(parts.conversing.translator.run)
            await self._warm_up(serving)
            if late:
                bound = await self._listen(serving, bind)
            starting.cancel_scope.cancel()
        return bound

    async def _listen(self, serving: trio.Nursery, bind: Bind) -> Bound:
        listeners = await bind()
        host, port = listeners[0].socket.getsockname()[:2]
        await serving.start(self._parts.http.run, listeners)
        return Bound(host, port)

    async def _warm_up(self, serving: trio.Nursery) -> None:
        """Models and kernels, and what earlier processes left: sessions need both."""
        parts = self._parts
        names = ", ".join(vendor.name for vendor in parts.vendors)
        if not names:
            log.warning("stt.none", hint="only custom_stt sessions can be served; see stt.service_models")
        parts.readiness.models_loading(f"loading {names or 'kernels'}")
        async with trio.open_nursery() as nursery:
            for vendor in parts.vendors:
                nursery.start_soon(vendor.prepare)
            nursery.start_soon(parts.off_loop, self._warm_kernels)
            await serving.start(parts.conversing.models.run)
            nursery.start_soon(parts.conversing.translator.prepare)
            nursery.start_soon(parts.speaking.prepare)
            await serving.start(parts.speaking.run)
            await self._take_up(serving)
            await serving.start(parts.delivering.run)
            await serving.start(parts.telling.run)
            await serving.start(parts.recording.run)
            await serving.start(check_database, parts.store, parts.readiness)
            serving.start_soon(parts.summarising.run)
        if parts.member is not None:
            await parts.member.report("warm")
            await parts.member.admitted.wait()
        interval = parts.config.watch.garbage_interval
        serving.start_soon(collect_garbage, parts.sessions, parts.metrics, interval)
        # From here on sessions are taken, and each finds the conversation it had before a crash.
        parts.readiness.models_warm(names or "none configured")
        await serving.start(parts.receiving.run)
        if parts.member is not None:
            parts.member.serves.set()

    async def _take_up(self, serving: trio.Nursery) -> None:
        """What earlier processes left. A worker is told when, for of several only one may."""
        lifecycle, member = self._parts.conversing.lifecycle, self._parts.member
        if member is None:
            await self._parts.writer.recover()
            await serving.start(lifecycle.run)
        else:
            await serving.start(partial(lifecycle.run, reopen=False))
            await serving.start(member.run)
            await member.report("up")

    def _warm_kernels(self) -> None:
        if "NUMBA_CACHE_DIR" not in os.environ:
            use_cache_dir(self._parts.config.data_dir / "numba")
        warm()

    async def _drain(self) -> None:
        """Sessions end, then connections; what is left of `drain_timeout` is for the journals."""
        parts = self._parts
        self._deadline = deadline = trio.current_time() + parts.config.drain_timeout
        reserve = parts.config.drain_timeout * DRAIN_RESERVE
        log.info("drain.began", sessions=len(parts.sessions.live()))
        parts.readiness.drain()
        parts.http.stop_accepting()
        with trio.move_on_after(parts.config.drain_timeout * RECEIVING_SHARE):
            await parts.receiving.drain()  # into the sessions, so before these end
        parts.sessions.start_drain()
        with trio.move_on_at(deadline - reserve):
            await parts.sessions.drained()
            await parts.telling.drained()
            await parts.recording.drain()
            await parts.delivering.drain()
        log.info("drain.sessions_ended", cut=len(parts.sessions.live()))
        parts.http.stop(deadline - reserve * 3 / 4, grace=reserve / 4)
        with trio.move_on_at(deadline - reserve / 4):
            await parts.http.ended.wait()

    async def _write_out(self) -> None:
        """Bring the database up to date; what it does not take in time waits in journals."""
        with trio.move_on_at(self._deadline) as limit:
            await self._parts.writer.flush()
        log.info("drain.ended", journals_kept=limit.cancelled_caught)


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
