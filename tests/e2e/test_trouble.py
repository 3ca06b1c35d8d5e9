"""A disk or database in trouble, and a start after a crash with much to catch up on: clients hardly notice.

Over the lane only: the way in knows nothing of disks.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from engine.client import ConnectFailed
from engine.config import Config, Store
from engine.server import serve
from engine.store import ConversationOpened, ConversationRow, SegmentsChanged
from engine.store.database import wall_clock
from engine.store.journal import encode_header, encode_record
from engine.testing import ScriptedVendor, counted_words
from engine.wire.messages import Segment
from tests.e2e.running import api, config, hear_all, running, talking
from tests.e2e.watching import captured
from tests.patience import PATIENCE
from tests.ports import kept_port

PACKETS = [bytes(3200)] * 10
"""One second."""
STUB_TIMEOUT = 5
"""Seconds after which a stub is removed: the database must be locked by then."""
WORDS = "w0. w1. w2. w3. w4. w5. w6. w7. w8. w9."


def vendor() -> ScriptedVendor:
    return ScriptedVendor(counted_words(0.1))


def impatient(data_dir: Path) -> Config:
    """Waits for a locked database no longer than it takes to notice."""
    return msgspec.structs.replace(config(data_dir), store=Store(write_interval=0.02, busy_timeout=0.1))


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Somebody else writes to the database, and takes long over it."""
    other = sqlite3.connect(data_dir / "listen.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_a_stub_that_cannot_be_removed_is_removed_later(tmp_path: Path) -> None:
    async with running(impatient(tmp_path), vendor()) as server:
        async with talking(server.url, "stub", conversation_timeout=STUB_TIMEOUT) as (client, shown):
            await shown.until_status("ready")
            await client.close()
        await server.all_ended(1)
        await server.written()
        with locked(tmp_path), trio.fail_after(PATIENCE):
            await server.log.until("lifecycle.waiting_for_database")
        with trio.fail_after(PATIENCE):
            while await server.conversations("stub"):
                pass


async def test_words_come_while_the_database_is_locked_and_are_in_it_afterwards(tmp_path: Path) -> None:
    async with running(impatient(tmp_path), vendor()) as server:
        async with talking(server.url, "ada", conversation_timeout=100) as (client, shown):
            await hear_all(client, shown, PACKETS)
            await client.close()
        await server.written()
        with locked(tmp_path):
            for uid, timeout in (("ada", 200), ("ada", 300), ("eve", 100)):
                async with talking(server.url, uid, conversation_timeout=timeout) as (client, again):
                    await hear_all(client, again, PACKETS)
                    await client.close()
                assert client.close_code == 1000
                assert again.text.endswith(WORDS)
        await server.written()
        ((ada,), (eve,)) = [await server.conversations(uid) for uid in ("ada", "eve")]
    assert " ".join(s["text"] for s in ada["transcript_segments"]) == " ".join([WORDS] * 3)
    assert " ".join(s["text"] for s in eve["transcript_segments"]) == WORDS


CRASHED = 400
"""Sessions that were live when the last process was killed."""


def crash(data_dir: Path) -> None:
    """Leave the journals of a process that was killed with many in mid-speech."""
    now = wall_clock()
    times: dict[str, Any] = dict.fromkeys(("created_at", "started_at", "finished_at", "last_speech_at"), now)
    (data_dir / "journal").mkdir(parents=True)
    for n in range(CRASHED):
        row = ConversationRow(uid=f"user-{n}", id=f"conversation-{n}", timeout_seconds=600, **times)
        segment = Segment(
            id=f"segment-{n}", text="Before the crash.", start=0.0, end=1.0, stt_provider="scripted"
        )
        opened, said = ConversationOpened(row), SegmentsChanged(row.uid, row.id, (segment,), now, now)
        journal = encode_header(now) + encode_record(opened) + encode_record(said)
        (data_dir / "journal" / f"session-{n}.journal").write_bytes(journal)


class Ready:
    """Where the server says that it is."""

    def __init__(self) -> None:
        self.is_set = False

    def started(self, value: object = None) -> None:
        """Called once, by the server."""
        self.is_set = True


async def close_code_of_a_visit(port: int) -> int | None:
    """Of a client that says something if it is let in; None when nobody answers at all."""
    try:
        async with talking(f"ws://127.0.0.1:{port}", "user-7", conversation_timeout=600) as (client, shown):
            await shown.until(lambda seen: seen.statuses() or seen.over.is_set())
            if shown.statuses():
                await hear_all(client, shown, PACKETS)
            await client.close()
    except ConnectFailed:
        return None
    return client.close_code


async def test_clients_that_come_back_before_a_crash_is_made_good_are_sent_away_or_served_never_failed(
    tmp_path: Path,
) -> None:
    crash(tmp_path)
    stop, ready = trio.Event(), Ready()
    codes: list[int | None] = []
    with kept_port() as port, captured() as log, trio.fail_after(PATIENCE):
        settings = msgspec.structs.replace(config(tmp_path), port=port)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(serve, settings, vendors=[vendor()], shutdown=stop, task_status=ready))
            while 1000 not in codes:
                codes.append(await close_code_of_a_visit(port))
            async with api(port) as asking:
                (conversation,) = await asking.conversations("user-7")
            stop.set()
    assert ready.is_set
    assert set(codes) <= {None, 1013, 1000}
    assert " ".join(s["text"] for s in conversation["transcript_segments"]).startswith("Before the crash.")
    assert log.troubles() == []


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.3, 1.0])
async def test_a_start_that_is_given_up_ends(tmp_path: Path, seconds: float) -> None:
    with trio.move_on_after(seconds) as given_up:
        await serve(config(tmp_path), vendors=[vendor()], shutdown=trio.Event())
    assert given_up.cancelled_caught
    async with running(config(tmp_path), vendor()) as server:
        assert await server.conversations("nobody") == []
