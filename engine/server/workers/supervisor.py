"""`listen serve --workers N`: N processes on one port, and this one above them, which serves nobody itself.

    lock, port -> workers started -> one replays what the last server left, all warm up -> all take clients
    -> ... -> told to stop: all drain at once -> end

A worker is a process of its own from the start (nothing is forked) and the same server as one that is alone, with
three differences that are in `engine.server.parts`. Its standard input is a socket to this process: it gets its
assignment there, and drains when that ends, so that no worker outlives its supervisor, however that ends. The lock on
the data directory is held until the last of them has gone.

A worker that ends unasked is started again, after a wait that doubles; `crash_limit` crashes within `crash_window`
end the whole server with an error, for whoever watches it to see. At once, without waiting for its successor, one
of the others replays its journals and takes over its users (`Recover`), then all are told (`Go`).

Operations: `supervise`.
Invariants: of all workers one at a time recovers; nobody takes clients before what was left is recovered.
Bounded: one process a worker; signals are passed on as the end of standard input, so that a signal that reaches the
whole group, as systemd sends it, counts once.
Cost: about 60 MB of memory, for it imports what its workers do; no CPU between events.
Known doubts: a worker that hangs without ending is not noticed here; its users are the others' after `lease_time`.
"""

import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import trio
from msgspec.structs import replace

from engine.config import Config
from engine.log import get_logger
from engine.server.machine import hold_data_dir
from engine.server.run import stopping
from engine.server.serving import Bound
from engine.server.workers.calls import CallFailed, Frames, answering, call
from engine.server.workers.messages import (
    SUPERVISOR,
    Assignment,
    Failed,
    Family,
    Go,
    Measure,
    Measured,
    Question,
    Recover,
    Reported,
    Series,
    socket_of,
)
from engine.server.workers.metrics import Sums
from engine.server.workers.port import Address, free_addresses, port_kept
from engine.server.workers.process import Stage, WorkerProcess

__all__ = ["WorkersFailed", "supervise"]

log = get_logger(__name__)

WORKER = (sys.executable, "-m", "engine.server.workers.worker")

DRAIN_SHARE = 0.95
"""Of `drain_timeout`, for the workers; the rest is for their processes to end."""

_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)


class WorkersFailed(Exception):
    """A worker cannot start, or they crash again and again; the text has the reason."""


async def supervise(
    config: Config,
    *,
    command: Sequence[str] = WORKER,
    shutdown: trio.Event | None = None,
    task_status: trio.TaskStatus[Bound] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run `config.workers` servers as one until told to stop, then drain them.

    Reports `Bound` when all are ready; signals and `shutdown` as `serve`. `command` starts a worker. Raises
    `BindError`, `DataDirInUse`, `StoreError` or `WorkersFailed`; `DrainForced` after a second signal. Cancelled, it
    kills the workers: what they had in hand is in the journals, for the next start.
    """
    with hold_data_dir(config.data_dir) as lock, TemporaryDirectory(prefix="listen-") as folder:
        addresses = await free_addresses(config.host, config.port)
        with port_kept(addresses):
            async with stopping(shutdown) as stop:
                await _Supervisor(config, addresses, Path(folder), lock, command).run(stop, task_status)


class _Supervisor:
    def __init__(
        self, config: Config, addresses: Sequence[Address], folder: Path, lock: int, command: Sequence[str]
    ) -> None:
        self._config = config
        self._settings = config.supervisor
        self._addresses = tuple(addresses)
        limits = replace(config.limits, sessions=-(-config.limits.sessions // config.workers))
        part = replace(config, limits=limits, drain_timeout=config.drain_timeout * DRAIN_SHARE)
        self._assignment = Assignment("", 0, part, self._addresses, folder, late=False)
        self._folder = folder
        self._lock = lock
        self._command = command
        self._workers = [WorkerProcess(number) for number in range(config.workers)]
        self._sums = Sums()
        self._dead: set[str] | None = None  # whose users nobody has yet; None: everybody before us
        self._begun = False
        self._crashes: deque[float] = deque()
        self._crash_count = 0
        self._failure: WorkersFailed | None = None
        self._stop = trio.Event()
        self._changed = trio.Event()

    async def run(self, stop: trio.Event, task_status: trio.TaskStatus[Bound]) -> None:
        """Until `stop`, or until it makes no sense to go on."""
        async with trio.open_nursery() as nursery:
            await nursery.start(answering, socket_of(self._folder, SUPERVISOR), self._answer)
            nursery.start_soon(self._coordinate, task_status)
            nursery.start_soon(_when, stop, self._stop.set)
            async with trio.open_nursery() as nursery_of_workers:
                for worker in self._workers:
                    nursery_of_workers.start_soon(self._keep, worker)
                await self._stop.wait()
                log.info("workers.stopping")
                for worker in self._workers:
                    worker.let_go()
                # Their own time limit is shorter; who does not keep it is killed.
                nursery_of_workers.cancel_scope.deadline = trio.current_time() + self._config.drain_timeout
            nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    def _note(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # Processes

    async def _keep(self, worker: WorkerProcess) -> None:
        """A process, and another when it ends, until told to stop."""
        while not self._stop.is_set():
            status = await self._live(worker)
            self._sums.retire(worker.owner)
            if self._dead is not None and worker.stage != Stage.STARTING:
                self._dead.add(worker.owner)
            worker.stage = Stage.STARTING
            self._note()
            if not self._stop.is_set():
                await self._after(worker, status)

    async def _after(self, worker: WorkerProcess, status: int) -> None:
        """Nobody had told it to end."""
        log.error("worker.ended", worker=worker.number, status=status, reason=worker.reason)
        how = worker.reason or f"its process ended with status {status}"
        if not self._begun:
            self._give_up(f"worker {worker.number} cannot start: {how}")
        elif status == 0:
            worker.crashes = 0  # somebody sent it SIGTERM
        else:
            await self._crashed(worker, how)

    async def _crashed(self, worker: WorkerProcess, how: str) -> None:
        now = trio.current_time()
        self._crash_count += 1
        self._crashes.append(now)
        while self._crashes[0] < now - self._settings.crash_window:
            self._crashes.popleft()
        if len(self._crashes) >= self._settings.crash_limit:
            self._give_up(
                f"{len(self._crashes)} crashes of workers within supervisor.crash_window"
                f" ({self._settings.crash_window:g} s); the last: {how}"
            )
            return
        wait = min(self._settings.restart_first * 2**worker.crashes, self._settings.restart_limit)
        worker.crashes += 1
        with trio.move_on_after(wait):
            await self._stop.wait()

    def _give_up(self, reason: str) -> None:
        if self._failure is None:
            self._failure = WorkersFailed(reason)
        self._stop.set()

    async def _live(self, worker: WorkerProcess) -> int:
        """One process, from its start to its end; its exit status. It must be warm in time."""
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._expect, worker, scope)
                status = await worker.live(self._command, self._lock, self._assignment, late=self._begun)
                nursery.cancel_scope.cancel()
            return status
        return -int(signal.SIGKILL)

    async def _expect(self, worker: WorkerProcess, scope: trio.CancelScope) -> None:
        limit = self._settings.ready_timeout
        with trio.move_on_after(limit) as waiting:
            while worker.stage in (Stage.STARTING, Stage.UP):
                await self._changed.wait()
        if waiting.cancelled_caught:
            worker.reason = f"it was not ready within supervisor.ready_timeout ({limit:g} s)"
            scope.cancel()

    # What they are told

    async def _coordinate(self, task_status: trio.TaskStatus[Bound]) -> None:
        """One thing after the other: what was left is taken over, then workers that are warm take clients."""
        while not self._stop.is_set():
            changed = self._changed
            heir = next((worker for worker in self._workers if worker.stage == Stage.READY), None) or next(
                (worker for worker in self._workers if worker.stage in (Stage.UP, Stage.WARM)), None
            )
            if self._dead != set() and heir is not None:
                await self._bequeath(heir)
                continue
            if self._dead == set() and (
                self._begun or all(worker.stage == Stage.WARM for worker in self._workers)
            ):
                await self._admit(task_status)
            await changed.wait()

    async def _bequeath(self, heir: WorkerProcess) -> None:
        owners = None if self._dead is None else tuple(self._dead)
        try:
            await call(socket_of(self._folder, heir.owner), Recover(owners), bool)
        except CallFailed as error:
            log.warning("workers.not_recovered", worker=heir.number, error=str(error))
            with trio.move_on_after(self._settings.restart_first):
                await self._changed.wait()
            return
        log.info("workers.recovered", worker=heir.number, of=owners and len(owners))
        self._dead = (self._dead or set()) - set(owners or ())
        await self._tell_ready()

    async def _admit(self, task_status: trio.TaskStatus[Bound]) -> None:
        warm = [worker for worker in self._workers if worker.stage == Stage.WARM]
        for worker in warm:
            worker.stage = Stage.READY
        if warm:
            await self._tell_ready()
        if not self._begun:
            self._begun = True
            first = self._addresses[0]
            log.info("workers.ready", workers=len(self._workers), host=first.host, port=first.port)
            task_status.started(Bound(first.host, first.port))

    async def _tell_ready(self) -> None:
        ready = [worker for worker in self._workers if worker.stage == Stage.READY]
        async with trio.open_nursery() as nursery:
            for worker in ready:
                nursery.start_soon(self._tell, worker, Go(len(ready), len(self._workers)))
        log.info("workers.told", ready=len(ready))

    async def _tell(self, worker: WorkerProcess, question: Go) -> None:
        path = socket_of(self._folder, worker.owner)
        try:
            await call(path, question, bool, timeout=self._settings.handover_timeout)
        except CallFailed as error:
            log.warning("worker.untold", worker=worker.number, error=str(error))

    # What they ask

    async def _answer(self, data: bytes, frames: Frames) -> None:
        question = _questions.decode(data)
        match question:
            case Reported() | Failed():
                for worker in self._workers:
                    if worker.owner == question.owner:
                        self._hear(worker, question)
                await frames.answer(True)
            case Measure():
                await frames.answer(Measured(await self._measured()))
            case _:
                raise TypeError(f"{type(question).__name__} is not for the supervisor")

    def _hear(self, worker: WorkerProcess, question: Reported | Failed) -> None:
        if isinstance(question, Failed):
            worker.reason = question.reason
        else:
            worker.stage = Stage(question.stage)
        self._note()

    async def _measured(self) -> tuple[Family, ...]:
        answered: list[str] = []
        async with trio.open_nursery() as nursery:
            for worker in self._workers:
                if worker.stage != Stage.STARTING:
                    nursery.start_soon(self._measure, worker.owner, answered)
        ready = sum(worker.stage == Stage.READY for worker in self._workers)
        own = (
            _single("listen_workers_ready", "Processes that take sessions.", "gauge", ready),
            _single("listen_worker_crashes", "Workers that ended unasked.", "counter", self._crash_count),
        )
        return (*own, *self._sums.total(answered))

    async def _measure(self, owner: str, answered: list[str]) -> None:
        limit = self._settings.handover_timeout / 2  # who asks us waits no longer than the whole
        try:
            told = await call(socket_of(self._folder, owner), Measure(), Measured, timeout=limit)
        except CallFailed as error:
            log.warning("worker.unmeasured", owner=owner, error=str(error))
        else:
            self._sums.saw(owner, told.families)
            answered.append(owner)


def _single(name: str, text: str, kind: str, value: float) -> Family:
    series = f"{name}_total" if kind == "counter" else name
    return Family(name, text, kind, (Series(series, {}, value),))


async def _when(event: trio.Event, do: Callable[[], None]) -> None:
    await event.wait()
    do()
