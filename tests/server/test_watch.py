"""The tasks that look after the process."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import pytest
import trio
from trio.testing import MockClock

from engine.metrics import Metrics
from engine.moments import HOUR
from engine.server.lane import Lane
from engine.server.machine import give_back_memory
from engine.server.watch import QUIET, check_database, forget_answers, give_back_when_quiet, watch_lane
from engine.store import Store
from engine.store.database import DATABASE_FILE, wall_clock
from engine.testing import ScriptedVendor, script_of
from engine.web import Readiness
from tests.listen.harness import server
from tests.patience import PATIENCE
from tests.web.serving import off_loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Noted(Readiness):
    """Lets a test wait for what is reported."""

    def __init__(self) -> None:
        super().__init__(session_limit=1)
        self.reported = trio.Event()

    def database_writable(self) -> None:
        super().database_writable()
        self.reported.set()

    def database_failed(self, detail: str) -> None:
        super().database_failed(detail)
        self.reported.set()

    async def until(self, ok: bool) -> None:
        with trio.fail_after(PATIENCE):
            while self.database_ok is not ok:
                self.reported = trio.Event()
                await self.reported.wait()


async def test_a_locked_database_is_not_ready_until_the_lock_is_gone(tmp_path: Path) -> None:
    store, readiness = await Store.open(tmp_path, off_loop, busy_timeout=0.05), Noted()
    async with trio.open_nursery() as nursery:
        await nursery.start(check_database, store, readiness, 0.02)
        assert readiness.database_ok
        other = sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await readiness.until(False)
        assert "locked" in readiness.checks()["database"].detail
        other.execute("ROLLBACK")
        other.close()
        await readiness.until(True)
        nursery.cancel_scope.cancel()
    await store.close()


async def test_answers_are_forgotten_once_they_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = wall_clock()
    store = await Store.open(tmp_path, off_loop, now=lambda: now)
    await store.idempotency.begin("u1", "k", "digest", 60)
    forgotten: list[int] = []
    forget, done = store.idempotency.forget, trio.Event()

    async def noted(before: int) -> int:
        forgotten.append(await forget(before))
        done.set()
        return forgotten[-1]

    monkeypatch.setattr(store.idempotency, "forget", noted)
    for hours in (1, 1, 0):
        done = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(forget_answers, store, 1.5)
            await done.wait()
            nursery.cancel_scope.cancel()
        now += hours * HOUR
    assert forgotten == [0, 0, 1]
    await store.close()


def test_all_that_the_lane_counts_is_shown_as_it_stands() -> None:
    metrics, lane = Metrics(), Lane(7, 1024)
    watch_lane(metrics, lane)
    value = metrics.registry.get_sample_value
    assert (value("listen_lane_slots"), value("listen_lane_connections")) == (7, 0)
    assert value("listen_lane_runs_total") == 0
    lane._drain()
    assert value("listen_lane_runs_total") == lane.statistics().runs == 1


async def test_memory_is_given_back_once_each_time_all_have_left(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    given: list[tuple[object, float]] = []

    async def note(fn: Callable[[*Ts], T], *args: *Ts) -> T:
        given.append((fn, trio.current_time()))
        return fn(*args)

    async with server(tmp_path, ScriptedVendor(script_of([]))) as it, trio.open_nursery() as nursery:
        nursery.start_soon(give_back_when_quiet, it.service, note)
        await trio.sleep(10 * QUIET)
        first, second = await it.connect(), await it.connect()
        await first.leave()
        await trio.sleep(10 * QUIET)
        assert given == []
        await second.leave()
        await it.idle()
        emptied = trio.current_time()
        await trio.sleep(10 * QUIET)
        assert given == [(give_back_memory, emptied + QUIET)]
        await (await it.connect()).leave()
        await it.idle()
        await trio.sleep(QUIET / 2)
        third = await it.connect()
        await trio.sleep(10 * QUIET)
        assert len(given) == 1
        await third.leave()
        await it.idle()
        await trio.sleep(10 * QUIET)
        assert len(given) == 2
        nursery.cancel_scope.cancel()
