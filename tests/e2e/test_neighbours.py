"""One client that does not behave among others that do: each of these has all its words, and of it nothing is left.

How late their words come beside it is for `tests/campaign/test_neighbours.py`.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from engine._native import lib
from engine.testing import ScriptedVendor, counted_words
from tests.e2e.running import LIVE_GAUGES, Running, config, hear_all, running, talking
from tests.patience import PATIENCE
from tests.server.raw import BINARY, PING, TEXT, RawClient, connect, frame, handshake, websocket

pytestmark = pytest.mark.both_ways

GOES_ON = 0
GOOD = 6
WORD = 0.1
PACKETS = [bytes(3200)] * 10
"""One second."""
KILLED = 30
"""Connections of one that goes without a word: more would wait for their turn at the vendor (`connects_per_second`)."""
LISTEN = "/v4/listen?uid=bad&codec=pcm16&sample_rate=16000"

Started = trio.TaskStatus[None]


async def flood(port: int, block: bytes, started: Started) -> None:
    """Send the same, and read what is answered, for ever or until we are sent away for reading too slowly."""
    try:
        async with websocket(port, LISTEN) as client, trio.open_nursery() as nursery:
            nursery.start_soon(read_on, client)
            while True:
                await client.stream.send_all(block)
                started.started()
                started = trio.TASK_STATUS_IGNORED
    except* trio.BrokenResourceError:
        pass  # the server may do so: it is the others who must not notice


async def read_on(client: RawClient) -> None:
    while await client.stream.receive_some(65536):
        pass


async def killed(port: int, started: Started) -> None:
    for _ in range(KILLED):
        async with websocket(port, LISTEN) as client:
            await client.send(*[frame(BINARY, PACKETS[0])] * 5, frame(BINARY, PACKETS[0])[:1000])
            client.reset()
        started.started()
        started = trio.TASK_STATUS_IGNORED


async def never_reads(port: int, started: Started) -> None:
    texts = frame(TEXT, b'{"type":"suggested_transcript","segments":[]}') * 100
    while True:
        async with websocket(port, LISTEN) as client:
            started.started()
            started = trio.TASK_STATUS_IGNORED
            try:
                while True:
                    await client.stream.send_all(texts)
            except trio.BrokenResourceError:
                continue


async def never_writes(port: int, started: Started) -> None:
    async with connect(port) as half, websocket(port, LISTEN) as client:
        await half.send(handshake(LISTEN)[:60])
        await client.send(frame(BINARY, PACKETS[0])[:1000])
        started.started()
        await trio.sleep_forever()


async def tiny_frames(port: int, started: Started) -> None:
    await flood(port, frame(BINARY, bytes(4)) * 200, started)


async def pings(port: int, started: Started) -> None:
    await flood(port, frame(PING, b"?") * 200, started)


async def fragments_of_one_byte(port: int, started: Started) -> None:
    middle = frame(GOES_ON, b"\0", fin=False) * 200
    await flood(port, frame(BINARY, b"\0", fin=False) + middle + frame(GOES_ON, b"\0"), started)


async def audio_without_end(port: int, started: Started) -> None:
    await flood(port, frame(BINARY, PACKETS[0]), started)


Bad = Callable[[int, Started], Awaitable[None]]
KINDS: tuple[Bad, ...] = (
    killed,
    never_reads,
    never_writes,
    tiny_frames,
    pings,
    fragments_of_one_byte,
    audio_without_end,
)


async def hear(server: Running, uid: str, heard: dict[str, str]) -> None:
    async with talking(server.url, uid) as (client, shown):
        await hear_all(client, shown, PACKETS)
        await client.close()
    heard[uid] = shown.text


@pytest.mark.parametrize("bad", KINDS, ids=lambda bad: bad.__name__)
async def test_the_others_have_all_their_words_and_nothing_is_left(
    tmp_path: Path, bad: Bad, way_in: str
) -> None:
    heard: dict[str, str] = {}
    settings = config(tmp_path, client_write_timeout=0.5)
    async with running(settings, ScriptedVendor(counted_words(WORD))) as server:
        async with trio.open_nursery() as misbehaving:
            await misbehaving.start(lambda task_status: bad(server.port, task_status))
            with trio.fail_after(PATIENCE):
                async with trio.open_nursery() as nursery:
                    for number in range(GOOD):
                        nursery.start_soon(hear, server, f"good-{number}", heard)
            misbehaving.cancel_scope.cancel()
        await all_gone(server)
        counts = await server.gauges()
        assert server.log.troubles() == []
        for ledger in server.log.ledgers().values():
            ledger.check()
            assert (ledger.lost, ledger.pending) == (0, 0)
    words = " ".join(f"w{n}." for n in range(round(len(PACKETS) * 0.1 / WORD)))
    assert heard == {f"good-{number}": words for number in range(GOOD)}
    if way_in == "lane":
        # However much there is, a call looks at each socket once, and at so many sockets.
        assert counts["lane_receives_total"] <= counts["lane_runs_total"] * lib.LANE_EVENTS
        assert counts["lane_bytes_in_total"] <= counts["lane_receives_total"] * lib.LANE_CHUNK


async def all_gone(server: Running) -> None:
    """Wait until no session and no connection of one is left, also of those that began when their client was gone."""
    with trio.fail_after(PATIENCE):
        left = {"lane_connections", *LIVE_GAUGES}
        while any(value for name, value in (await server.gauges()).items() if name in left):
            pass
        await server.log.until("session.ended", count=len(server.log.all("session.began")))
