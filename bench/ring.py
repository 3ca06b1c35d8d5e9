"""The ring and the gate in ns: writing, reading, mapping, and what a warm ring saves.

`python -m bench.ring`. Beside ours the same done to a plain NumPy array with a split copy where it wraps,
which has neither positions nor readers. Medians of interleaved passes.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.audio.gate import EnergyGate
from engine.audio.ring import Ring, RingPool

ROUNDS = 100
REPEATS = 200  # short turns, so that the median is one that nothing interrupted
FRAME = 320  # samples: 20 ms
CAPACITY = 16 * 16_000


class Row(NamedTuple):
    """Median ns of one call."""

    what: str
    ns: float


def _timed(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    return (time.perf_counter_ns() - start) / repeats


def measure(
    calls: dict[str, Callable[[], object]], repeats: int = REPEATS, rounds: int = ROUNDS
) -> list[Row]:
    """Each of `calls` in turn, `rounds` times."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_timed(call, repeats))
    return [Row(name, statistics.median(values)) for name, values in times.items()]


def everyday_calls() -> dict[str, Callable[[], object]]:
    """What a session does to its ring for every 20 ms."""
    ring = Ring(CAPACITY)
    reader = ring.cursor("reader", lossless=False)
    frame = np.zeros(FRAME, np.int16)
    ring.write(np.zeros(CAPACITY, np.int16))
    gate = EnergyGate()
    noise = np.random.default_rng(1).normal(0, 300, FRAME).astype(np.int16)
    plain = PlainRing()

    def read() -> None:
        reader.peek(FRAME)
        reader.seek(ring.write_position - FRAME)

    return {
        "write 20 ms": lambda: ring.write(frame),
        "  in a NumPy array, write": lambda: plain.write(frame),
        "peek 20 ms": lambda: reader.peek(FRAME),
        "  in a NumPy array, view": lambda: plain.peek(FRAME),
        "window 20 ms": lambda: ring.window(ring.write_position - FRAME, ring.write_position),
        "peek and seek": read,
        "headroom": ring.headroom,
        "gate 20 ms": lambda: gate.process(noise),
    }


class PlainRing:
    """A NumPy array, written with a split copy at the wrap; reading over the wrap would need another."""

    def __init__(self) -> None:
        self._samples = np.zeros(CAPACITY, np.int16)
        self._position = 0

    def write(self, pcm: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> None:
        """Copy `pcm` in."""
        start = self._position % CAPACITY
        first = min(len(pcm), CAPACITY - start)
        self._samples[start : start + first] = pcm[:first]
        if first < len(pcm):
            self._samples[: len(pcm) - first] = pcm[first:]
        self._position += len(pcm)

    def peek(self, samples: int) -> object:
        """A view of the newest samples, as long as they do not wrap."""
        end = self._position % CAPACITY
        return self._samples[max(0, end - samples) : end]


def first_pass_ns(ring: Ring) -> float:
    """Writing a whole ring once, per 20 ms."""
    frame = np.zeros(FRAME, np.int16)
    return _timed(lambda: ring.write(frame), ring.capacity // FRAME)


def mapping_rows() -> list[Row]:
    """A new ring against one from the pool, and the first pass over each."""
    pool = RingPool(CAPACITY, idle_limit=1)
    new, warm, mapped, acquired = [], [], [], []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        ring = Ring(CAPACITY)
        mapped.append(time.perf_counter_ns() - start)
        new.append(first_pass_ns(ring))
        ring.close()
        start = time.perf_counter_ns()
        used = pool.acquire()
        acquired.append(time.perf_counter_ns() - start)
        warm.append(first_pass_ns(used))
        pool.release(used)
    return [
        Row("map a ring of 16 s", statistics.median(mapped)),
        Row("take one from the pool", statistics.median(acquired[1:])),
        Row("write 20 ms, first pass, new ring", statistics.median(new)),
        Row("write 20 ms, first pass, from the pool", statistics.median(warm[1:])),
    ]


def main() -> None:
    """Print the table."""
    print("Ring and gate, ns per call (medians of interleaved passes)")
    for row in [*measure(everyday_calls()), *mapping_rows()]:
        print(f"{row.what:<42}{row.ns:>10.0f}")


if __name__ == "__main__":
    main()
