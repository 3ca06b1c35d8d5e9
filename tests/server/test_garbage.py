"""When the cycle collector looks at everything."""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.metrics import Metrics
from engine.server.garbage import NEVER, YOUNG, collect_garbage
from engine.testing import ScriptedVendor, script_of
from tests.listen.harness import server


class Knot:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def tied() -> "weakref.ref[Knot]":
    """One that has survived the passes over the young."""
    knot = Knot()
    gc.collect(1)
    gc.collect(1)
    return weakref.ref(knot)


def passes(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("listen_garbage_collection_seconds_count") or 0.0


async def test_while_it_runs_full_passes_come_when_sessions_have_ended_or_the_interval_has(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    before, metrics = gc.get_threshold(), Metrics()
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it, trio.open_nursery() as nursery:
        nursery.start_soon(collect_garbage, it.service, metrics, 100.0)
        await wait_all_tasks_blocked()
        assert gc.get_threshold() == (YOUNG, before[1], NEVER)
        knot = tied()
        await trio.sleep(99)
        assert knot() is not None
        assert passes(metrics) == 0
        await trio.sleep(2)
        assert knot() is None
        assert passes(metrics) == 1
        nursery.cancel_scope.cancel()
    assert gc.get_threshold() == before


@pytest.fixture
def frozen() -> Iterator[Callable[[bool], None]]:
    """Freezes what there is, or nothing; in the end it is as it was."""
    froze = gc.get_freeze_count() > 0

    def set_to(wanted: bool) -> None:
        gc.unfreeze()
        if wanted:
            gc.freeze()

    yield set_to
    set_to(froze)


@pytest.mark.parametrize("by_embedder", [False, True])
async def test_what_is_there_is_frozen_meanwhile_unless_the_embedder_did_so_for_good(
    tmp_path: Path, frozen: Callable[[bool], None], by_embedder: bool
) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it, trio.open_nursery() as nursery:
        frozen(by_embedder)
        before = gc.get_freeze_count()
        nursery.start_soon(collect_garbage, it.service, Metrics(), 100.0)
        await wait_all_tasks_blocked()
        assert (gc.get_freeze_count() > before) is not by_embedder
        nursery.cancel_scope.cancel()
    assert (gc.get_freeze_count() > 0) is by_embedder


async def test_of_two_servers_in_a_process_the_last_to_end_sets_the_collector_back(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    before, scopes = gc.get_threshold(), []
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it, trio.open_nursery() as nursery:

        async def collect() -> None:
            with trio.CancelScope() as scope:
                scopes.append(scope)
                await collect_garbage(it.service, Metrics(), 100.0)

        for expected in (NEVER, NEVER):
            nursery.start_soon(collect)
            await wait_all_tasks_blocked()
            assert gc.get_threshold()[2] == expected
        for scope, expected in zip(scopes, (NEVER, before[2]), strict=True):
            scope.cancel()
            await wait_all_tasks_blocked()
            assert gc.get_threshold()[2] == expected


async def test_as_many_ended_sessions_as_there_are_bring_one(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    metrics = Metrics()
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it, trio.open_nursery() as nursery:
        nursery.start_soon(collect_garbage, it.service, metrics, 1e6, 2)
        for ended in (1, 2, 3):
            socket = await it.connect()
            await socket.until_status("ready")
            await socket.leave()
            await it.idle()
            await wait_all_tasks_blocked()
            assert passes(metrics) == ended // 2
        nursery.cancel_scope.cancel()
