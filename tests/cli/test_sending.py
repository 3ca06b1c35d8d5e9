"""The pace of `listen stream`, on the virtual clock over streams in memory."""

from __future__ import annotations

import numpy as np
import pytest
import trio
import trio.testing
import trio_websocket

from engine.audio import create_encoder
from engine.cli.recording import Recording
from engine.cli.sending import Sent, frames, send
from engine.client import ListenClient


def recording(seconds: float, rate: int = 16000) -> Recording:
    pcm = np.arange(round(seconds * rate), dtype=np.int64).astype(np.int16)
    return Recording(pcm.reshape(-1, 1), rate)


async def arrivals(seconds: float, *, fast: bool, rate: int = 16000) -> tuple[list[tuple[float, int]], Sent]:
    """When each message reached the server, and its size."""
    near, far = trio.testing.memory_stream_pair()
    received: list[tuple[float, int]] = []
    sent = Sent()

    async def serve() -> None:
        socket = await (await trio_websocket.wrap_server_stream(nursery, far)).accept()
        while True:
            message = await socket.get_message()
            received.append((trio.current_time() - begun, len(message)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        socket = await trio_websocket.wrap_client_stream(nursery, near, "test", "/v4/listen")  # type: ignore[arg-type]
        begun = trio.current_time()
        client = ListenClient(socket, 1.0)
        await send(
            client, recording(seconds, rate), create_encoder("pcm16", rate), sent, lambda: None, fast=fast
        )
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return received, sent


async def test_each_frame_goes_out_when_its_last_sample_is_recorded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    received, sent = await arrivals(2.0, fast=False)
    assert [size for _, size in received] == [640] * 100
    assert [time for time, _ in received] == pytest.approx([0.02 * n for n in range(1, 101)])
    assert sent.complete
    assert sent.position == 2.0


async def test_a_long_recording_does_not_drift(autojump_clock: trio.testing.MockClock) -> None:
    received, _ = await arrivals(10.0, fast=False, rate=44100)
    assert received[-1][0] == pytest.approx(10.0, abs=1e-9)


async def test_fast_takes_no_time(autojump_clock: trio.testing.MockClock) -> None:
    received, _ = await arrivals(2.0, fast=True)
    assert {time for time, _ in received} == {0.0}


async def test_latency_counts_from_when_the_sample_was_sent(autojump_clock: trio.testing.MockClock) -> None:
    sent = Sent()
    sent.start()
    for _ in range(50):
        await trio.sleep(0.02)
        sent.mark(round(sent.position + 0.02, 6))
    await trio.sleep(0.5)
    assert sent.wall() == pytest.approx(1.5)
    assert sent.latency(1.0) == pytest.approx(0.5)
    assert sent.latency(0.41) == pytest.approx(1.08)
    # A little after the end: the codec's delay. Long after it, or before the start: another recording's times.
    assert sent.latency(1.3) == pytest.approx(0.5)
    assert sent.latency(2.5) is None
    assert sent.latency(-0.1) is None


def test_the_last_frame_is_filled_up_with_silence() -> None:
    pieces = list(frames(recording(0.025), 320))
    assert [len(piece) for piece in pieces] == [320, 320]
    assert pieces[1][79] == 399
    assert not pieces[1][80:].any()
