"""Deliveries of a server that is killed again and again: each arrives at least once, audio in order."""

from pathlib import Path

import pytest

from tests.e2e.process import started
from tests.webhooks.posting import posting
from tests.webhooks.receiving import Connection, Received, hanging, receiver

SETTINGS = {
    "LISTEN_WEBHOOK_ALLOW": "127.0.0.0/8",
    "LISTEN_WEBHOOK_CLAIM_TIME": "1",
    "LISTEN_WEBHOOK_JITTER": "0",
}
CHUNKS, MEMORIES = 9, 6


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("emptied_postgres")())


async def test_killed_with_deliveries_pending_each_arrives_at_least_once_and_audio_in_order(
    tmp_path: Path, database_url: str
) -> None:
    kills = (3,) if database_url else (2, 6)

    async def deadly(connection: Connection, request: Received) -> None:
        """The server dies while it waits for the answers to these."""
        if len(audio.requests) in kills:
            await hanging(connection, request)
        await connection.send()

    async with receiver(deadly) as audio, receiver() as memories:
        async with posting(tmp_path, url=database_url, running=False) as post:
            await post.set(audio.url(), "audio_bytes")
            await post.set(memories.url(), "memory_created")
            for number in range(CHUNKS):
                await post.offer_audio(number)
            for number in range(MEMORIES):
                await post.offer(f"c{number}")
        environ = {**SETTINGS, **({"LISTEN_DATABASE_URL": database_url} if database_url else {})}
        for fatal in kills:
            async with started(tmp_path, **environ) as server:
                await audio.until(fatal)
                await server.kill()
        async with started(tmp_path, **environ) as server:
            await audio.until(CHUNKS + len(kills))
            await memories.until(MEMORIES)
            status = await server.terminate()  # what is being sent ends and is written down
        async with posting(tmp_path, url=database_url, running=False) as post:
            rows = await post.rows()
    assert status == 0
    assert all(row.state == "delivered" for row in rows), [(row.state, row.reason) for row in rows]
    assert {request.id for request in memories.requests} == {
        row.id for row in rows if row.trigger == "memory_created"
    }
    arrived = [request.body[0] for request in audio.requests]
    assert arrived == sorted(arrived)
    assert sorted(set(arrived)) == list(range(CHUNKS))
    assert len(arrived) == CHUNKS + len(kills)
