"""A user is at one worker at a time; their conversation goes where they go, and is closed once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from engine.config import Config, Limits, Supervisor
from engine.conversation.lifecycle import Lifecycle
from engine.listen.service import ListenService
from engine.listen.unpacking import Unpacking
from engine.metrics import Metrics
from engine.server.workers.calls import CallFailed
from engine.server.workers.member import Member
from engine.server.workers.messages import Assignment, Yielded
from engine.server.workers.placement import Elsewhere, Placement, Unreachable
from engine.store import DatabaseWriter, Store
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, script_of
from engine.transcript.words import Word
from engine.web import Readiness
from engine.wire import Refusal
from tests.databases import migrated
from tests.listen.harness import MemorySocket, inline, parameters, processor_over, wall_clock
from tests.listen.test_session import talk

LEASE = 9.0


class Site:
    """A worker without its process and sockets: questions to others are calls."""

    def __init__(
        self, name: str, folder: Path, store: Store, sites: dict[str, "Site"], **limits: Any
    ) -> None:
        settings = Supervisor(lease_time=LEASE, handover_timeout=2.0)
        config = Config(data_dir=folder, supervisor=settings, limits=Limits(**limits))
        self.dead = False
        self.store = store
        self.writer = DatabaseWriter(store, inline)
        member = Member(Assignment(name, 0, config, (), folder, late=False), store)
        self._sites = sites
        self._name = name
        self.placement = member.placement = Placement(name, store.leases, member, settings, self._ask)
        processor = processor_over(store, config)
        self.lifecycle = Lifecycle(
            store.conversations, store.wholes, self.writer, wall_clock, processor, ownership=self.placement
        )
        processor.when_done(self.lifecycle.tell)
        metrics = Metrics()
        vendor = ScriptedVendor(script_of([Word("Word.", 0, SAMPLE_RATE // 2)]))
        self.service = ListenService(
            config,
            [vendor],
            self.lifecycle,
            metrics=metrics,
            off_loop=inline,
            unpacking=Unpacking(inline, 1),
            wall_clock=wall_clock,
        )
        member.attend(self.lifecycle, self.service, self.writer, metrics, Readiness(10))
        self.member = member
        self.scope = trio.CancelScope()

    async def _ask(self, owner: str, uid: str) -> Yielded:
        if self._sites[owner].dead:
            raise CallFailed("it is dead")
        return await self._sites[owner].placement.taken_from(uid, self._name)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.writer.run)
                await nursery.start(
                    lambda task_status: self.lifecycle.run(reopen=False, task_status=task_status)
                )
                await nursery.start(self.placement.run)
                task_status.started()
                await trio.sleep_forever()

    def die(self) -> None:
        """As by SIGKILL: nothing is tidied up but what the kernel does."""
        self.dead = True
        self.scope.cancel()

    async def say_a_word(self, timeout: int = 600) -> str:
        """Ada comes, says a word and goes; the conversation it is in."""
        socket = MemorySocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.member.serve, socket, parameters(conversation_timeout=timeout), "ada")
            await talk(socket, 1)
            await socket.leave()
        return str(socket.events("conversation_session")[-1]["conversation_id"])


@asynccontextmanager
async def two(folder: Path, **limits: Any) -> AsyncIterator[tuple[Site, Site]]:
    sites: dict[str, Site] = {}
    async with trio.open_nursery() as nursery:
        for name in ("one", "two"):
            store = await Store.open(migrated(folder), inline, now=wall_clock)
            sites[name] = Site(name, folder, store, sites, **limits)
            await nursery.start(sites[name].run)
        yield sites["one"], sites["two"]
        nursery.cancel_scope.cancel()
    for site in sites.values():
        await site.store.close()


async def rows(site: Site) -> list[Any]:
    await site.writer.flush()
    return list(await site.store.conversations.list("ada"))


async def test_a_user_who_comes_back_elsewhere_takes_the_conversation_along(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        first = await one.say_a_word()
        assert one.placement.here("ada")
        assert await other.say_a_word() == first
        assert other.placement.here("ada")
        assert not one.placement.here("ada")
        assert one.lifecycle.idle("ada")
        assert await one.say_a_word() == first
        await one.writer.flush()
        (segment,) = await other.store.conversations.segments("ada", first)
        assert segment.text == "Word. Word. Word.", "each joined its word to the last one's segment"
        assert (one.placement.statistics().handed_over, other.placement.statistics().handed_over) == (1, 1)


async def test_a_session_beside_another_is_told_where_that_is(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        async with one.placement.enter("ada") as here:
            assert here is None
            async with other.placement.enter("ada") as there:
                assert there == Elsewhere("one")
            assert await other.placement.whereabouts("ada") == Elsewhere("one")
            assert await one.placement.whereabouts("ada") is None
        async with other.placement.enter("ada") as here:
            assert here is None


async def test_of_many_sessions_that_begin_everywhere_at_once_all_are_in_one_place(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    found: list[str] = []
    everyone = trio.Event()

    async def begin(site: Site) -> None:
        async with site.placement.enter("ada") as where:
            found.append(site.placement.owner if where is None else where.owner)
            if len(found) == 20:
                everyone.set()
            await everyone.wait()

    async with two(tmp_path) as (one, other), trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(begin, one)
            nursery.start_soon(begin, other)
    assert len(set(found)) == 1


async def test_the_dead_ones_conversation_is_ended_by_its_heir_in_time_and_only_by_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        conversation = await one.say_a_word(timeout=10)
        await one.writer.flush()
        ended = trio.current_time()
        one.die()
        await other.placement.inherit(["one"])
        assert other.placement.here("ada")
        await trio.sleep_until(ended + 9)
        assert (await rows(other))[0].status == "in_progress"
        await trio.sleep_until(ended + 11)
        (row,) = await rows(other)
        assert (row.id, row.status) == (conversation, "completed")


async def test_who_comes_while_a_worker_is_dead_waits_for_its_heir(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        conversation = await one.say_a_word()
        await one.writer.flush()
        one.die()
        came: list[str] = []

        async def come() -> None:
            came.append(await other.say_a_word())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come)
            await trio.sleep(1)
            assert came == []
            await other.placement.inherit(["one"])
            other.placement.changed()
        assert came == [conversation]


async def test_who_waits_too_long_for_an_heir_is_told_to_try_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        await one.say_a_word()
        one.die()
        with pytest.raises(Unreachable, match="handover_timeout"):
            async with other.placement.enter("ada"):
                pass
        with pytest.raises(Refusal, match="try again") as refused:
            await other.member.serve(MemorySocket(), parameters(), "ada")
        assert refused.value.code == 1013


async def test_a_worker_that_hung_past_its_lease_closes_nothing_and_sends_its_sessions_away(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        socket = MemorySocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.member.serve, socket, parameters(conversation_timeout=600), "ada")
            await talk(socket, 1)
            await one.writer.flush()
            await other.placement.inherit(["one"])  # it was taken for dead
            await trio.sleep(LEASE)
        assert socket.closed is not None
        assert socket.closed[0] == 1001
        assert not one.placement.here("ada")
        assert one.lifecycle.idle("ada")
        assert one.placement.statistics().lost == 1
        await trio.sleep(610)
        (row,) = await rows(other)
        assert row.status == "completed"


async def test_leases_last_as_long_as_there_is_something_to_own_and_a_minute_more(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, other):
        await one.say_a_word(timeout=2)
        await trio.sleep(50)
        assert await one.store.leases.holder("user:ada") is not None, "its connects still count"
        await trio.sleep(60)
        assert await one.store.leases.holder("user:ada") is None
        assert one.placement.statistics().users == 0
        assert other.placement.statistics().users == 0


async def test_connects_count_wherever_they_were(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with two(tmp_path, connects_per_minute=3) as (one, other):
        for site in (one, other, one):
            await site.say_a_word()
        with pytest.raises(Refusal) as refused:
            await other.member.serve(MemorySocket(), parameters(), "ada")
        assert refused.value.parameter == "connect_rate"
        await trio.sleep(60)
        await other.say_a_word()


async def test_at_the_first_start_everything_is_taken_over_also_what_nobody_leased(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with two(tmp_path) as (one, _):
        conversation = await one.say_a_word(timeout=600)
    async with two(tmp_path) as (_, other):
        await other.writer.recover()
        await other.placement.inherit(None)
        assert other.placement.here("ada")
        assert await other.say_a_word() == conversation
