"""Sends a recording as a device would, and remembers when each moment of it went out.

Pacing is on an absolute schedule: frame n goes out when its last sample would have been recorded, counted
from the start, so that delays do not add up and a late frame is followed by the next one at its own time.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import trio

from engine.client import SHORTEST_PACKET, ListenClient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.audio import Encoder
    from engine.cli.recording import Recording

SLACK = 1.0
"""Seconds a segment may end after the audio that was sent, for codec delay and the model's padding."""


class Sent:
    """How much was sent, and when. Grows by two numbers a frame, so it is bounded by the recording.

    Positions are seconds of audio since the first sample; times are Trio's clock.
    """

    def __init__(self) -> None:
        self.started: float | None = None
        self.complete = False
        self._positions: list[float] = []
        self._times: list[float] = []

    def start(self) -> None:
        """The first sample is recorded now."""
        self.started = trio.current_time()

    def mark(self, position: float) -> None:
        """Everything up to `position` has been handed to the network."""
        self._positions.append(position)
        self._times.append(trio.current_time())

    @property
    def position(self) -> float:
        """Seconds of audio sent so far."""
        return self._positions[-1] if self._positions else 0.0

    def wall(self) -> float:
        """Seconds since the first sample; 0 before it."""
        return 0.0 if self.started is None else trio.current_time() - self.started

    def latency(self, position: float) -> float | None:
        """Seconds from when `position` was sent until now; None when no such audio was sent."""
        if not self._positions or not 0 <= position <= self.position + SLACK:
            return None
        index = min(bisect.bisect_left(self._positions, position), len(self._times) - 1)
        return trio.current_time() - self._times[index]


async def send(
    client: ListenClient,
    recording: Recording,
    encoder: Encoder,
    sent: Sent,
    progress: Callable[[], None],
    *,
    fast: bool,
) -> None:
    """Send all of `recording`, in real time unless `fast`; `progress` is called after each frame.

    The last frame is filled up with silence. When `fast`, TCP sets the pace. Raises ListenClosed.
    """
    sent.start()
    begin = trio.current_time()
    for number, pcm in enumerate(frames(recording, encoder.frame_samples), start=1):
        packets = encoder.encode(pcm)
        end = number * encoder.frame_samples / recording.rate
        if not fast:
            await trio.sleep_until(begin + end)
        await _send(client, packets)
        sent.mark(end)
        progress()
    await _send(client, encoder.flush())
    sent.complete = True


async def _send(client: ListenClient, packets: list[bytes]) -> None:
    for packet in packets:
        # An encoder's shortest packets would mean keepalive; real clients do not send them either.
        if len(packet) >= SHORTEST_PACKET:
            await client.send_audio(packet)


def frames(recording: Recording, samples: int) -> Iterator[NDArray[np.int16]]:
    """Pieces of `samples` (times the channels, interleaved); the last one is filled up with silence."""
    import numpy as np

    pcm = np.pad(recording.pcm, ((0, -len(recording.pcm) % samples), (0, 0)))
    for start in range(0, len(pcm), samples):
        yield pcm[start : start + samples].reshape(-1)
