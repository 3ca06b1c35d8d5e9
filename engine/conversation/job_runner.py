"""Does the jobs of this process: claims what is due, each kind done by a `Handler` of its own.

Operations: `add` a kind before `run`, which works until cancelled; `wake` says that there is a job; `wait` for one.
Invariants: whoever holds the claim on a job does it, and its result and its end are one transaction: what is written,
is written once, however often it was begun. A claim is renewed while its job is worked on; when the process dies it
runs out, and any process takes the job up. What fails is tried again later, `conversation.tries` times; then its
handler gives it up. A job that ends its process every time is given up, too.
Bounded: `conversation.parallel` jobs at once.
Cost: while nothing is to be done, two reads every third of `conversation.claim_time`, for jobs of other processes.
Cancellation: what was begun is left to whoever comes next; this takes a write, so no longer than `store.busy_timeout`.
"""

from typing import Protocol
from uuid import uuid4

import msgspec
import trio

from engine._config_conversation import Conversation as Settings
from engine.conversation.llm.port import LlmError, LlmRefused, LlmUnavailable
from engine.conversation.ports import Clock, Jobs
from engine.log import get_logger
from engine.moments import SECOND
from engine.store.errors import ClaimLost, DatabaseUnavailable
from engine.store.jobs import Job
from engine.stt.backoff import Backoff

__all__ = ["Handler", "JobRunner", "JobStatistics", "Meter"]

log = get_logger(__name__)

RENEWALS = 3
"""Times a claim is renewed within the time it runs; other processes' jobs are looked for as often."""
SHORTEST_PAUSE = 0.05
"""Seconds between two looks at jobs that are due and that somebody else is just taking."""

Key = tuple[str, str, str]


class Handler(Protocol):
    """How jobs of one kind are done."""

    async def do(self, job: Job) -> str:
        """Do it and end it, in one transaction with what comes of it; the outcome in one word, for metrics.

        Raises `ClaimLost` when the job was somebody else's meanwhile, `LlmError` or anything else when it did not work.
        """
        ...

    async def give_up(self, job: Job, reason: str) -> None:
        """It did not work and is not tried again: end it. Raises `ClaimLost`."""
        ...

    async def after(self, job: Job) -> None:
        """It was done or given up here; tell whom it concerns."""
        ...


class Meter(Protocol):
    """What is told of jobs."""

    def job(self, kind: str, outcome: str, seconds: float) -> None:
        """`outcome`: what `Handler.do` said, retried or failed."""
        ...


class JobStatistics(msgspec.Struct, frozen=True):
    """`running` now in this process; `waiting` (those among them) and `failed` of all, when last looked at."""

    running: int
    waiting: int
    failed: int


class _Deadly(Exception):
    """A job is not worth another try."""


class JobRunner:
    """One per process."""

    def __init__(self, jobs: Jobs, settings: Settings, wall_clock: Clock, meter: Meter) -> None:
        self._jobs = jobs
        self._settings = settings
        self._wall_clock = wall_clock
        self._meter = meter
        self._owner = uuid4().hex
        self._handlers: dict[str, Handler] = {}
        self._running: set[Key] = set()
        self._work = trio.Event()
        self._waiting: dict[Key, trio.Event] = {}
        self._counts = (0, 0)

    def add(self, kind: str, handler: Handler) -> None:
        """Jobs of this kind are done by `handler`."""
        self._handlers[kind] = handler

    def wake(self) -> None:
        """There is a job to be done."""
        self._work.set()

    def statistics(self) -> JobStatistics:
        """What there is to be done."""
        return JobStatistics(len(self._running), *self._counts)

    async def wait(self, uid: str, kind: str, key: str, seconds: float) -> None:
        """Return once there is no such job to be done any more, wherever that happens, or time is up.

        At once when it is done in this process, which does what it adds itself unless it is at its limit; else by
        looking, as often as for jobs of others.

        Raises `DatabaseUnavailable`.
        """
        name = (uid, kind, key)
        with trio.move_on_after(seconds):
            while True:
                done = self._waiting.setdefault(name, trio.Event())
                job = await self._jobs.find(uid, kind, key)
                if job is None or job.due_at is None:
                    break
                with trio.move_on_after(self._pause()):
                    await done.wait()
        if name in self._waiting and not self._waiting[name].statistics().tasks_waiting:
            del self._waiting[name]

    def _pause(self) -> float:
        return self._settings.claim_time / RENEWALS

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                self._work = trio.Event()
                try:
                    pause = await self._take(nursery)
                except DatabaseUnavailable as error:
                    log.warning("jobs.waiting_for_database", error=str(error))
                    pause = self._pause()
                with trio.move_on_after(pause):
                    await self._work.wait()

    async def _take(self, nursery: trio.Nursery) -> float:
        """Begin what is due and there is room for; the seconds until it is worth while to look again."""
        kinds, room = tuple(self._handlers), self._settings.parallel - len(self._running)
        self._counts = await self._jobs.counts(kinds)
        if room <= 0:
            return self._pause()
        due, now = await self._jobs.next_due(kinds), self._wall_clock()
        if due is None or due > now:
            return self._pause() if due is None else min((due - now) / SECOND, self._pause())
        claimed = await self._jobs.claim(self._owner, kinds, self._settings.claim_time, room)
        for job in claimed:
            self._running.add((job.uid, job.kind, job.key))
            nursery.start_soon(self._attend, job)
        return 0.0 if claimed else SHORTEST_PAUSE

    async def _attend(self, job: Job) -> None:
        """One job, from claim to end; nothing that goes wrong with it ends the process."""
        ended = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._renew, job, nursery.cancel_scope)
                await self._guarded(job)
                ended = True
                nursery.cancel_scope.cancel()
        finally:
            if not ended:
                await self._release(job)
            self._running.discard((job.uid, job.kind, job.key))
            self.wake()

    async def _release(self, job: Job) -> None:
        """The process is stopping: whoever comes next need not wait until the claim has run out."""
        with trio.CancelScope(shield=True):
            try:
                await self._jobs.release(job)
            except DatabaseUnavailable as error:
                log.info("jobs.not_released", kind=job.kind, key=job.key, error=str(error))

    async def _renew(self, job: Job, working: trio.CancelScope) -> None:
        """Until the job is somebody else's: then it is left to them."""
        mine = True
        while mine:
            await trio.sleep(self._pause())
            try:
                mine = await self._jobs.renew(job, self._settings.claim_time)
            except DatabaseUnavailable as error:
                log.warning("jobs.not_renewed", kind=job.kind, key=job.key, error=str(error))
        working.cancel()

    async def _guarded(self, job: Job) -> None:
        try:
            await self._try(job)
        except ClaimLost:
            log.info("jobs.claim_lost", kind=job.kind, key=job.key)
        except DatabaseUnavailable as error:  # the claim runs out, then it is taken up again
            log.warning("jobs.waiting_for_database", kind=job.kind, key=job.key, error=str(error))

    async def _try(self, job: Job) -> None:
        began = trio.current_time()
        deaths = job.attempts - 1 - job.failures
        handler = self._handlers[job.kind]
        try:
            if deaths >= self._settings.tries:
                raise _Deadly(
                    f"begun {deaths} times without an end: the process died, or the database was away"
                )
            outcome = await handler.do(job)
        except (ClaimLost, DatabaseUnavailable):
            raise
        except Exception as error:
            if not isinstance(error, LlmError | _Deadly):
                log.error("jobs.error", kind=job.kind, key=job.key, exc_info=error)
            outcome = await self._retry_or_give_up(job, handler, error)
        self._meter.job(job.kind, outcome, trio.current_time() - began)
        if outcome == "retried":
            return
        done = self._waiting.pop((job.uid, job.kind, job.key), None)
        if done is not None:
            done.set()
        await handler.after(job)

    async def _retry_or_give_up(self, job: Job, handler: Handler, error: Exception) -> str:
        """An error's text is shown when it is one of ours; another's might quote what was said."""
        ours = isinstance(error, LlmError | _Deadly)
        reason = str(error) if ours else f"internal error: {type(error).__name__}"
        settings = self._settings
        if isinstance(error, LlmRefused | _Deadly) or job.failures + 1 >= settings.tries:
            await handler.give_up(job, reason)
            log.error("jobs.failed", kind=job.kind, key=job.key, reason=reason)
            return "failed"
        backoff = Backoff(settings.retry_initial * 2.0**job.failures, settings.retry_limit)
        asked = error.retry_after if isinstance(error, LlmUnavailable) else None
        delay = max(backoff.next(), min(asked or 0.0, settings.retry_limit))
        if not await self._jobs.retry(job, reason, delay):
            raise ClaimLost(job.key)
        log.warning("jobs.retried", kind=job.kind, key=job.key, reason=reason, seconds=round(delay, 3))
        return "retried"
