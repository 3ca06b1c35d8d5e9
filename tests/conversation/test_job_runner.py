"""Jobs are claimed, renewed, tried again and given up; who does them is the test's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing
from trio.testing import MockClock

from engine.config import Conversation
from engine.conversation.job_runner import JobRunner
from engine.conversation.llm.port import LlmRefused
from engine.metrics import Metrics
from engine.store import DatabaseUnavailable, Store
from engine.store.jobs import Job
from tests.databases import migrated
from tests.listen.harness import inline, wall_clock
from tests.patience import PATIENCE


class Handler:
    """Does what it is told to, then ends the job."""

    def __init__(self, store: Store, work: Callable[[Job], Any]) -> None:
        self.store = store
        self.work = work
        self.given_up: list[str] = []
        self.over: list[str] = []

    async def do(self, job: Job) -> str:
        await self.work(job)
        await self.store.jobs.done(job)
        return "completed"

    async def give_up(self, job: Job, reason: str) -> None:
        self.given_up.append(reason)
        await self.store.jobs.failed(job, reason)

    async def after(self, job: Job) -> None:
        self.over.append(job.key)


class Bench:
    """A runner at work."""

    def __init__(self, store: Store, work: Callable[[Job], Any], **settings: Any) -> None:
        self.store = store
        self.metrics = Metrics()
        self.handler = Handler(store, work)
        self.runner = JobRunner(store.jobs, Conversation(**settings), wall_clock, self.metrics)
        self.runner.add("index", self.handler)

    async def give(self, *keys: str, uid: str = "ada") -> None:
        for key in keys:
            await self.store.jobs.add(uid, "index", key)
        self.runner.wake()

    def counted(self, outcome: str) -> float:
        labels = {"kind": "index", "outcome": outcome}
        return self.metrics.registry.get_sample_value("listen_job_seconds_count", labels) or 0.0


@asynccontextmanager
async def bench(folder: Path, work: Callable[[Job], Any], **settings: Any) -> AsyncIterator[Bench]:
    store = await Store.open(migrated(folder), inline, now=wall_clock)
    async with trio.open_nursery() as nursery:
        it = Bench(store, work, **settings)
        await nursery.start(it.runner.run)
        yield it
        nursery.cancel_scope.cancel()
    await store.close()


async def at_once(job: Job) -> None:
    await trio.lowlevel.checkpoint()


async def test_no_more_are_done_at_once_than_are_allowed(tmp_path: Path, autojump_clock: MockClock) -> None:
    running = most = 0

    async def work(job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    async with bench(tmp_path, work, parallel=3) as it:
        await it.give(*map(str, range(10)))
        for n in range(10):
            await it.runner.wait("ada", "index", str(n), 100)
        assert most == 3
        assert sorted(it.handler.over) == sorted(map(str, range(10)))
        assert it.counted("completed") == 10


async def test_what_takes_longer_than_a_claim_is_done_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    begun = []

    async def work(job: Job) -> None:
        begun.append(job.attempts)
        await trio.sleep(20)

    async with bench(tmp_path, work, claim_time=3.0) as it:
        await it.give("long")
        await it.runner.wait("ada", "index", "long", 100)
        assert begun == [1]


async def test_who_lost_a_claim_stops(tmp_path: Path, autojump_clock: MockClock) -> None:
    stopped = trio.Event()

    async def work(job: Job) -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    async with bench(tmp_path, work, claim_time=3.0) as it:
        await it.give("lost")
        await trio.testing.wait_all_tasks_blocked()
        assert await it.store.jobs.discard("ada", "index", "lost")
        with trio.fail_after(PATIENCE):
            await stopped.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert it.handler.over == []


async def test_what_does_not_work_is_tried_later_and_then_given_up(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    tried: list[float] = []

    async def work(job: Job) -> None:
        tried.append(trio.current_time())
        raise RuntimeError("what was said")

    async with bench(tmp_path, work, tries=3, retry_initial=1.0, retry_limit=8.0) as it:
        await it.give("bad")
        await it.runner.wait("ada", "index", "bad", 100)
        await trio.testing.wait_all_tasks_blocked()
        assert len(tried) == 3
        assert tried[-1] - tried[0] <= 3.1
        assert it.handler.given_up == ["internal error: RuntimeError"]
        assert it.handler.over == ["bad"]
        assert it.counted("retried") == 2
        assert it.counted("failed") == 1
        assert it.runner.statistics().failed == 1


async def test_what_cannot_work_is_given_up_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def work(job: Job) -> None:
        raise LlmRefused("the key is not accepted", "auth")

    async with bench(tmp_path, work) as it:
        await it.give("bad")
        await it.runner.wait("ada", "index", "bad", 100)
        assert it.handler.given_up == ["the key is not accepted"]


async def test_while_the_database_is_away_a_job_waits_and_nothing_is_counted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    tries = 0

    async def work(job: Job) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise DatabaseUnavailable("locked")

    async with bench(tmp_path, work, claim_time=6.0) as it:
        began = trio.current_time()
        await it.give("later")
        await it.runner.wait("ada", "index", "later", 100)
        assert tries == 2
        assert trio.current_time() - began >= 5.9
        assert it.handler.given_up == []


async def test_what_another_process_does_is_waited_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with bench(tmp_path, at_once, claim_time=3.0) as it:
        await it.store.jobs.add("ada", "index", "theirs", delay=60)
        with trio.move_on_after(10) as patience:
            await it.runner.wait("ada", "index", "theirs", 5)
        assert not patience.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.runner.wait, "ada", "index", "theirs", 100)
            await trio.sleep(10)
            await it.store.jobs.discard("ada", "index", "theirs")
            ended = trio.current_time()
        assert trio.current_time() - ended <= 1.1
        assert it.handler.over == []


async def test_a_process_that_stops_leaves_its_jobs_to_the_next_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    begun = trio.Event()

    async def work(job: Job) -> None:
        begun.set()
        await trio.sleep_forever()

    async with bench(tmp_path, work) as it:
        await it.give("half")
        await begun.wait()
    began = trio.current_time()
    async with bench(tmp_path, at_once) as it:
        await it.runner.wait("ada", "index", "half", 100)
        assert it.handler.over == ["half"]
        assert trio.current_time() - began < 1
