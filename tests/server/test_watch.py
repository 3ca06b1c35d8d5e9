"""The tasks that look after the process."""

import sqlite3
from pathlib import Path

import trio

from engine.metrics import Metrics
from engine.server.lane import Lane
from engine.server.watch import check_database, watch_lane
from engine.store import Store
from engine.store.database import DATABASE_FILE
from engine.web import Readiness
from tests.web.serving import off_loop


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
        with trio.fail_after(20):
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


def test_all_that_the_lane_counts_is_shown_as_it_stands() -> None:
    metrics, lane = Metrics(), Lane(7, 1024)
    watch_lane(metrics, lane)
    value = metrics.registry.get_sample_value
    assert (value("listen_lane_slots"), value("listen_lane_connections")) == (7, 0)
    assert value("listen_lane_runs_total") == 0
    lane._drain()
    assert value("listen_lane_runs_total") == lane.statistics().runs == 1
