"""Two hundred sessions come and go; nothing of them is left: no task, descriptor, ring, cursor or journal."""

import contextlib
import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trio

from engine.audio.ring import Cursor, Ring
from engine.listen.session import Session
from engine.store import Journal
from engine.store.database import DATABASE_FILE, POOL_SIZE
from engine.testing import ScriptedVendor, counted_words
from tests.e2e.running import Running, config, hear_all, running, send_all, talking
from tests.patience import PATIENCE
from tests.server.raw import BINARY, frame, websocket

SESSIONS = 200
TOGETHER = 20
FILES_PER_CONNECTION = 3
"""Database, write-ahead log and its index."""
PACKETS = [bytes(3200)] * 10
"""One second."""


class Held(msgspec.Struct, frozen=True):
    """What the process holds."""

    tasks: list[str]
    rings: int
    cursors: int
    sessions: int
    journals: int
    journal_files: list[str]


def tasks(of: trio.lowlevel.Task) -> Iterator[str]:
    """Names of all tasks below one."""
    for nursery in of.child_nurseries:
        for task in nursery.child_tasks:
            yield task.name
            yield from tasks(task)


def alive(kind: type[object]) -> list[object]:
    """Objects of a class that something still refers to."""
    return [thing for thing in gc.get_objects() if type(thing) is kind]


class Counted:
    """Counts what came to be after it did: a failed test's traceback may keep sessions of its own alive."""

    def __init__(self) -> None:
        gc.collect()
        kinds: list[type[object]] = [Ring, Cursor, Session, Journal]
        self._earlier = {kind: alive(kind) for kind in kinds}

    def __call__(self, kind: type[object]) -> int:
        return len(alive(kind)) - len(self._earlier[kind])


def open_files() -> list[str]:
    """What the process's descriptors refer to."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


def by_kind(files: list[str]) -> Counter[str]:
    """How many of each kind, without the database's pool, which fills when it is needed."""
    return Counter(target.partition(":[")[0] for target in files if DATABASE_FILE not in target)


def held(data_dir: Path, counted: Counted) -> Held:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    gc.collect()
    return Held(
        tasks=sorted(tasks(root)),
        rings=counted(Ring),
        cursors=counted(Cursor),
        sessions=counted(Session),
        journals=counted(Journal),
        journal_files=sorted(path.name for path in (data_dir / "journal").iterdir()),
    )


async def come_and_go(server: Running, number: int) -> None:
    """One of five ways for a session to end."""
    if number % 5 == 0:
        await vanish_in_mid_frame(server, f"user-{number}")
        return
    codec = ("pcm16", "opus", "lc3", "aac")[number % 4]
    async with talking(server.url, f"user-{number}", codec=codec, conversation_timeout=2) as (client, shown):
        match number % 5:
            case 1:
                await client.close()
            case 2:
                await hear_all(client, shown, PACKETS)
                await client.close(4000)
            case 3:
                await send_all(client, PACKETS)
            case _:
                await shown.until_status("ready")
                await send_all(client, [bytes(7)])


async def vanish_in_mid_frame(server: Running, uid: str) -> None:
    """Without a close frame."""
    path = f"/v4/listen?uid={uid}&codec=pcm16&sample_rate=16000&conversation_timeout=2"
    async with websocket(server.port, path) as client:
        await client.send(frame(BINARY, PACKETS[0]), frame(BINARY, PACKETS[1])[:1000])
        await client.read_frame()


class Exits(trio.abc.Instrument):
    """Tells when tasks end."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._exited = trio.Event()

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._token.run_sync_soon(self._exited.set)

    async def without(self, name: str) -> None:
        """Wait until no task has `name` in its name."""
        root = trio.lowlevel.current_root_task()
        assert root is not None
        with trio.fail_after(PATIENCE):
            while any(name in task for task in tasks(root)):
                self._exited = trio.Event()
                await self._exited.wait()


async def run_sessions(server: Running, exits: Exits, numbers: range) -> None:
    """Some together; returns when their conversations are over as well."""
    for first in range(numbers.start, numbers.stop, TOGETHER):
        async with trio.open_nursery() as nursery:
            for number in range(first, first + TOGETHER):
                nursery.start_soon(come_and_go, server, number)
    await server.all_ended(len(server.log.all("session.began")))
    await exits.without("Ongoing._watch")
    await exits.without("Ongoing._hand_on")
    with trio.fail_after(PATIENCE):
        await server.log.until("conversation.completed", count=len(server.log.all("conversation.ended")))
    await exits.without("JobRunner._attend")
    await exits.without("WebSocket")


@pytest.mark.both_ways
async def test_two_hundred_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    counted = Counted()
    exits = Exits()
    trio.lowlevel.add_instrument(exits)
    async with running(config(tmp_path), ScriptedVendor(counted_words(0.5))) as server:
        await run_sessions(server, exits, range(TOGETHER))  # fills pools and caches
        before, files_before = held(tmp_path, counted), open_files()
        await run_sessions(server, exits, range(TOGETHER, TOGETHER + SESSIONS))
        after, files = held(tmp_path, counted), open_files()
    trio.lowlevel.remove_instrument(exits)
    assert after == before
    assert not by_kind(files) - by_kind(files_before), "there may be fewer: the first sessions were just over"
    assert (after.rings, after.cursors, after.sessions, after.journals) == (0, 0, 0, 0)
    assert after.journal_files == []
    assert sum(DATABASE_FILE in target for target in files) <= FILES_PER_CONNECTION * POOL_SIZE
