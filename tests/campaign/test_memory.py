"""Memory of a server process over a thousand sessions."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from tests.e2e.process import Process, started_anew
from tests.e2e.running import hear_all, talking
from tests.patience import PATIENCE

pytestmark = pytest.mark.campaign

SESSIONS = 1000
MEASURED = 500
"""The last so many; those before fill pools, caches and the allocator's arenas."""
TOGETHER = 10
STEP = 100
MOST_GROWTH = 1024.0
"""Bytes a session."""


async def short_session(server: Process, number: int) -> None:
    """A second of audio, its words, and a conversation that ends."""
    codec = ("pcm16", "opus", "lc3", "aac")[number % 4]
    packet = bytes(3200) if codec == "pcm16" else bytes(40)
    async with talking(server.url, f"user-{number}", codec=codec, conversation_timeout=2) as (
        client,
        shown,
    ):
        await hear_all(client, shown, [packet] * 10)
        await client.close()


async def run_sessions(server: Process, first: int, count: int) -> None:
    for start in range(first, first + count, TOGETHER):
        async with trio.open_nursery() as nursery:
            for number in range(start, start + TOGETHER):
                nursery.start_soon(short_session, server, number)
    with trio.fail_after(PATIENCE):
        await server.log.until("session.ended", count=first + count)


async def test_a_thousand_sessions_leave_less_than_a_kibibyte_each(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    sizes: list[int] = []
    async with started_anew(tmp_path, LISTEN_LOG_LEVEL="info") as server:
        for first in range(0, SESSIONS, STEP):
            await run_sessions(server, first, STEP)
            await all_completed(server)
            sizes.append(server.memory())
        assert await server.terminate() == 0
    steps = MEASURED // STEP
    growth = (sizes[-1] - sizes[-1 - steps]) / MEASURED
    record_property("MiB after each hundred", " ".join(f"{size / 2**20:.1f}" for size in sizes))
    record_property(f"growth over the last {MEASURED}", f"{growth:.0f} bytes a session")
    assert growth < MOST_GROWTH


async def all_completed(server: Process) -> None:
    """Wait until the conversations of all sessions so far are over."""
    spoken = sum(entry["segment_count"] > 0 for entry in server.log.all("session.ended"))
    with trio.fail_after(PATIENCE):
        await server.log.until("conversation.completed", count=spoken)
