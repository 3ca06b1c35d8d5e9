"""Servers on PostgreSQL; tests/store says the rest. Real processes, real time."""

from collections.abc import Callable
from pathlib import Path

import trio

from tests.e2e.process import Process, started
from tests.e2e.running import Shown, segments_of
from tests.e2e.test_restart import SHORT, completed, speak_until_sent_away
from tests.patience import PATIENCE


async def test_a_conversation_outlives_its_server_and_its_data_directory(
    tmp_path: Path, emptied_postgres: Callable[[], str]
) -> None:
    settings = {**SHORT, "LISTEN_DATABASE_URL": emptied_postgres()}
    shown, spoke = Shown(), trio.Event()
    async with started(tmp_path / "one", **settings) as server, trio.open_nursery() as nursery:
        nursery.start_soon(_speak, server, shown, spoke)
        with trio.fail_after(PATIENCE):
            await spoke.wait()
        await server.kill()
    async with started(tmp_path / "one", **settings) as server:
        (conversation,) = await completed(server, "ada")
        kept = {segment.id: segment for segment in segments_of(conversation)}
        assert all(kept[segment.id].text.startswith(segment.text) for segment in shown.ordered)
        assert await server.terminate() == 0
    assert not list((tmp_path / "one").glob("*.db"))
    async with started(tmp_path / "two", **settings) as server:
        assert await server.conversations("ada") == [conversation]
        assert await server.terminate() == 0


async def _speak(server: Process, shown: Shown, spoke: trio.Event) -> None:
    await speak_until_sent_away(server, "ada", shown, 12, spoke, conversation_timeout=2)
