"""The supervisor: it starts workers, watches them, tells them what they need to know, and ends them. Real processes."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.config import Config, Limits, Supervisor
from engine.server import Bound, DataDirInUse, WorkersFailed, supervise
from engine.server.machine import hold_data_dir
from tests.databases import migrated
from tests.e2e.watching import ServerLog, captured
from tests.patience import PATIENCE

COMMAND = (sys.executable, "-m", "tests.server.light_worker")


def settings(folder: Path, **supervisor: Any) -> Config:
    quick = Supervisor(**{"restart_first": 0.05, "restart_limit": 0.1, **supervisor})
    limits = Limits(sessions=7)
    return Config(
        port=0,
        data_dir=migrated(folder / "data"),
        workers=2,
        drain_timeout=PATIENCE,
        supervisor=quick,
        limits=limits,
    )


class Running:
    def __init__(self, stop: trio.Event, log: ServerLog, said: Path) -> None:
        self.stop = stop
        self.log = log
        self._said = said

    def said(self, *words: str) -> list[list[str]]:
        """What workers said that begins with `words`, after their number and process."""
        lines = [line.split() for line in self._said.read_text().splitlines()]
        return [line for line in lines if tuple(line[2 : 2 + len(words)]) == words]

    async def until(self, event: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        with trio.fail_after(PATIENCE):
            return await self.log.until(event, count=count, **fields)


@asynccontextmanager
async def supervised(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    said, stop = tmp_path / "said", trio.Event()
    monkeypatch.setenv("LIGHT_LOG", str(said))
    with captured() as log:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE):
                run = partial(supervise, config, command=COMMAND, shutdown=stop)
                bound = await nursery.start(run)
            assert isinstance(bound, Bound)
            yield Running(stop, log, said)
            stop.set()


async def test_all_are_ready_before_it_says_so_and_one_has_taken_over_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with supervised(settings(tmp_path), tmp_path, monkeypatch) as it:
        assert len(it.said("recover", "all")) == 1
        assert sorted(number for number, *_ in it.said("go", "2", "2")) == ["0", "1"]
        assert len(it.said("early", "4")) == 2, (
            "each has half of the seven sessions, and a seventh is one more"
        )
        with pytest.raises(DataDirInUse), hold_data_dir(tmp_path / "data"):
            pass
    assert len(it.said("told", "to", "end")) == 2
    with hold_data_dir(tmp_path / "data"):
        pass


async def test_a_killed_worker_is_started_again_and_the_other_takes_over_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with supervised(settings(tmp_path), tmp_path, monkeypatch) as it:
        (first,) = it.log.all("worker.started", worker=0)
        os.kill(first["pid"], signal.SIGKILL)
        (ended,) = await it.until("worker.ended")
        assert (ended["worker"], ended["status"]) == (0, -signal.SIGKILL)
        await it.until("workers.told", ready=1)
        assert [line[0] for line in it.said("recover", "1")] == ["1"]
        assert [line[0] for line in it.said("go", "1", "2")] == ["1"]
        await it.until("workers.told", count=2, ready=2)
        assert len(it.said("go", "2", "2")) == 4
        assert it.said("late"), "others serve already: it listens when it is ready"


async def test_workers_that_crash_again_and_again_end_it_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHT_CRASHES", "1")
    with pytest.raises(ExceptionGroup) as raised:
        async with supervised(settings(tmp_path, crash_limit=3), tmp_path, monkeypatch) as it:
            await it.until("worker.ended", count=3)
    (error,) = raised.value.exceptions
    assert isinstance(error, WorkersFailed)
    assert "3 crashes" in str(error)


async def test_a_worker_that_cannot_start_ends_it_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHT_FAILS", "1")
    monkeypatch.setenv("LIGHT_LOG", str(tmp_path / "said"))
    with pytest.raises(WorkersFailed, match="cannot start: no model"), trio.fail_after(PATIENCE):
        await supervise(settings(tmp_path), command=COMMAND, shutdown=trio.Event())


async def test_one_that_does_not_end_when_told_is_killed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHT_DEAF", "1")
    config = Config(port=0, data_dir=tmp_path / "data", workers=2, drain_timeout=0.5)
    async with supervised(config, tmp_path, monkeypatch) as it:
        pass
    for line in it.said("early"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(line[1]), 0)
