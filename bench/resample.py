"""Resampling against soxr HQ (`soxr.ResampleStream`, int16 in and out), in the same run, chunk by chunk.

Speed: the two take turns; medians. `alone`: one stream, one Python call a chunk, both sides. `together`: a chunk of
each of `SESSIONS` streams in one native call, decoded and converted into their rings as the lane does it, against
soxr's streams one after the other (it has no call for several). Quality, on the 16-bit output: `resample_quality`.
Where it falls short of what is asked of it (`shortfalls`) is said at the end. Run `python -m bench.resample`.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import soxr

from bench import resample_quality as quality
from bench.bare import SessionsInOneCall
from engine.audio.codecs import create_decoder
from engine.audio.resample import Resampler, warm
from engine.audio.ring import Ring

RATE_OUT = 16000
RATES = (8000, 44100, 48000)
CHUNKS = (10, 20, 100)  # ms
ROUNDS = 60
SESSIONS = 16
EDGE = 0.91

Samples = quality.Samples
stream: Any = soxr.ResampleStream


class Speed(NamedTuple):
    """Median µs of CPU for a chunk, ours and soxr's, alone and together with others."""

    rate: int
    chunk: int
    ours: float
    soxr: float
    ours_together: float
    soxr_together: float

    @property
    def alone(self) -> float:
        """How many times faster we are, one call a chunk."""
        return self.soxr / self.ours

    @property
    def together(self) -> float:
        """The same for several streams in one call."""
        return self.soxr_together / self.ours_together


class Quality(NamedTuple):
    """Of one resampler at one rate, in dB."""

    rate: int
    name: str
    signal_to_noise: float
    ripple: float
    alias: float


def _timed(call: Callable[[], object], repeats: int) -> float:
    start = time.thread_time()
    for _ in range(repeats):
        call()
    return (time.thread_time() - start) / repeats * 1e6


def _noise(rate: int, chunk: int, seed: int) -> Samples:
    return (np.random.default_rng(seed).standard_normal(rate * chunk // 1000) * 3000).astype(np.int16)


def _alone(rate: int, chunk: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A chunk through ours, and through soxr's."""
    pcm = _noise(rate, chunk, 1)
    ours = Resampler(rate, RATE_OUT)
    theirs = stream(rate, RATE_OUT, 1, dtype="int16", quality="HQ")
    out = np.empty(ours.max_output(pcm.size), dtype=np.int16)
    return lambda: ours.process_into(pcm, out), lambda: theirs.resample_chunk(pcm)


def _together(rate: int, chunk: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A chunk for each of several streams."""
    chunks = [_noise(rate, chunk, seed) for seed in range(SESSIONS)]
    streams = [(create_decoder("pcm16", rate), Ring(RATE_OUT)) for _ in chunks]
    ours = SessionsInOneCall(streams, [pcm.tobytes() for pcm in chunks])
    theirs = [stream(rate, RATE_OUT, 1, dtype="int16", quality="HQ") for _ in chunks]

    def soxr_each() -> None:
        for one, pcm in zip(theirs, chunks, strict=True):
            one.resample_chunk(pcm)

    return ours, soxr_each


def speed(rate: int, chunk: int, rounds: int = ROUNDS) -> Speed:
    """All four on noise, taking turns."""
    calls = (*_alone(rate, chunk), *_together(rate, chunk))
    repeats = 20 + 2000 // chunk
    counts = (repeats, repeats, 1 + repeats // SESSIONS, 1 + repeats // SESSIONS)
    times = [[_timed(call, count) for call, count in zip(calls, counts, strict=True)] for _ in range(rounds)]
    alone, soxr_alone, together, soxr_together = (
        float(np.median(column)) for column in zip(*times, strict=True)
    )
    return Speed(rate, chunk, alone, soxr_alone, together / SESSIONS, soxr_together / SESSIONS)


def convert_ours(rate: int, pcm: Samples) -> Samples:
    """The whole signal through our resampler."""
    resampler = Resampler(rate, RATE_OUT)
    return np.concatenate([resampler.process(pcm), resampler.flush()])


def convert_soxr(rate: int, pcm: Samples) -> Samples:
    """The whole signal through soxr HQ (which dithers)."""
    result: Samples = stream(rate, RATE_OUT, 1, dtype="int16", quality="HQ").resample_chunk(pcm, last=True)
    return result


def warm_seconds(cache: str) -> float:
    """A new process, from before numba is imported to the end of `warm`."""
    script = (
        "import sys, time, pathlib; from engine.audio import resample; start = time.perf_counter(); "
        "resample.use_cache_dir(pathlib.Path(sys.argv[1])); resample.warm(); print(time.perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", script, cache], check=True, capture_output=True, text=True)
    return float(done.stdout)


def measure_quality(rate: int) -> tuple[Quality, Quality]:
    """Ours, then soxr's."""
    ours, theirs = (
        Quality(
            rate,
            name,
            quality.signal_to_noise(through, rate, RATE_OUT),
            quality.ripple(through, rate, RATE_OUT, EDGE),
            quality.alias(through, rate, RATE_OUT, EDGE),
        )
        for name, through in (
            ("ours", functools.partial(convert_ours, rate)),
            ("soxr HQ", functools.partial(convert_soxr, rate)),
        )
    )
    return ours, theirs


def splits_agree(rate: int, chunks: tuple[int, ...] = (1, 7, 113, 441, 997, 1025)) -> bool:
    """Whether chunks of odd lengths give the very bits that one chunk gives."""
    pcm = _noise(rate, 1003, 5)
    whole = convert_ours(rate, pcm)
    for chunk in chunks:
        resampler = Resampler(rate, RATE_OUT)
        parts = [resampler.process(pcm[at : at + chunk]) for at in range(0, pcm.size, chunk)]
        if np.concatenate([*parts, resampler.flush()]).tobytes() != whole.tobytes():
            return False
    return True


def _mean(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def shortfalls(speeds: list[Speed], qualities: list[tuple[Quality, Quality]]) -> Iterator[str]:
    """What is asked of the resampler and not reached, and by how much."""
    if (mean := _mean([row.alone for row in speeds])) < 1:
        yield f"geometric mean {mean:.2f}, not 1"
    for row in speeds:
        where = f"{row.rate} Hz, {row.chunk} ms"
        if row.alone < 0.8:
            yield f"{where}: {row.alone:.2f} of soxr's speed alone, not 0.8"
        if row.together < 1:
            yield f"{where}: {row.together:.2f} of soxr's speed together, not 1"
    for ours, theirs in qualities:
        if ours.ripple > 0.01:
            yield f"{ours.rate} Hz: ripple {ours.ripple:.4f} dB, not 0.01"
        if ours.alias > -100:
            yield f"{ours.rate} Hz: alias or image {ours.alias:.1f} dB, not -100"
        if ours.signal_to_noise < theirs.signal_to_noise:
            yield f"{ours.rate} Hz: signal to noise {theirs.signal_to_noise - ours.signal_to_noise:.1f} dB under soxr's"
        if not splits_agree(ours.rate):
            yield f"{ours.rate} Hz: chunks of odd lengths give other bits"


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as cache:
        print(f"warm(): {warm_seconds(cache):.2f} s compiling, {warm_seconds(cache):.2f} s from the cache\n")
    warm()
    print(
        f"µs of CPU a chunk, and how many times as fast as soxr HQ; together: {SESSIONS} streams in one call\n\n"
        "| Hz | ms | ours | soxr | alone | ours together | soxr | together |\n|---|---|---|---|---|---|---|---|"
    )
    speeds = [speed(rate, chunk) for rate in RATES for chunk in CHUNKS]
    for row in speeds:
        print(
            f"| {row.rate} | {row.chunk} | {row.ours:.2f} | {row.soxr:.2f} | {row.alone:.2f}"
            f" | {row.ours_together:.2f} | {row.soxr_together:.2f} | {row.together:.2f} |"
        )
    alone, together = _mean([row.alone for row in speeds]), _mean([row.together for row in speeds])
    print(f"\ngeometric mean {alone:.2f} alone, {together:.2f} together\n")
    print(
        f"| Hz | | signal to noise, dB | ripple to {EDGE}, dB | alias or image, dB |\n|---|---|---|---|---|"
    )
    qualities = [measure_quality(rate) for rate in (*RATES, 11025, 24000, 32000, 44101)]
    for pair in qualities:
        for one in pair:
            figures = f"{one.signal_to_noise:.1f} | {one.ripple:.4f} | {one.alias:.1f}"
            print(f"| {one.rate} | {one.name} | {figures} |")
    print("\nFalls short: " + ("; ".join(shortfalls(speeds, qualities)) or "nowhere"))


if __name__ == "__main__":
    main()
