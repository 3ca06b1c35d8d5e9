"""Resampling against soxr HQ (`soxr.ResampleStream`, int16 in and out), in the same run, chunk by chunk.

Speed: the two take turns; medians, and the geometric mean of soxr's time over ours. Quality: `resample_quality`.
Run `python -m bench.resample`.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import soxr

from bench import resample_quality as quality
from engine.audio.resample import Resampler, warm

RATE_OUT = 16000
RATES = (8000, 44100, 48000)
CHUNKS = (10, 20, 100)  # ms
ROUNDS = 60
EDGE = 0.91

Samples = quality.Samples
stream: Any = soxr.ResampleStream


class Speed(NamedTuple):
    """Median µs of a call, ours and soxr's."""

    rate: int
    chunk: int
    ours: float
    soxr: float

    @property
    def ratio(self) -> float:
        """How many times faster we are."""
        return self.soxr / self.ours


def _timed(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats * 1e6


def speed(rate: int, chunk: int, rounds: int = ROUNDS) -> Speed:
    """Both on the same chunk of noise."""
    pcm = (np.random.default_rng(1).standard_normal(rate * chunk // 1000) * 3000).astype(np.int16)
    ours = Resampler(rate, RATE_OUT)
    theirs = stream(rate, RATE_OUT, 1, dtype="int16", quality="HQ")
    out = np.empty(ours.max_output(pcm.size), dtype=np.int16)
    repeats = 20 + 2000 // chunk
    times = [
        (
            _timed(lambda: ours.process_into(pcm, out), repeats),
            _timed(lambda: theirs.resample_chunk(pcm), repeats),
        )
        for _ in range(rounds)
    ]
    return Speed(rate, chunk, *(float(np.median(column)) for column in zip(*times, strict=True)))


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


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as cache:
        print(f"warm(): {warm_seconds(cache):.2f} s compiling, {warm_seconds(cache):.2f} s from the cache\n")
    warm()
    print("| Hz | ms | ours, µs | soxr HQ, µs | times as fast |\n|---|---|---|---|---|")
    speeds = [speed(rate, chunk) for rate in RATES for chunk in CHUNKS]
    for row in speeds:
        print(f"| {row.rate} | {row.chunk} | {row.ours:.2f} | {row.soxr:.2f} | {row.ratio:.2f} |")
    print(f"\ngeometric mean {np.exp(np.mean(np.log([row.ratio for row in speeds]))):.2f}\n")
    print(
        f"| Hz | | signal to noise, dB | ripple to {EDGE}, dB | alias or image, dB |\n|---|---|---|---|---|"
    )
    for rate in (*RATES, 11025, 24000, 32000, 44101):
        for name, convert in (("ours", convert_ours), ("soxr HQ", convert_soxr)):
            through = functools.partial(convert, rate)
            figures = (
                quality.signal_to_noise(through, rate, RATE_OUT),
                quality.ripple(through, rate, RATE_OUT, EDGE),
                quality.alias(through, rate, RATE_OUT, EDGE),
            )
            print(f"| {rate} | {name} | {figures[0]:.1f} | {figures[1]:.4f} | {figures[2]:.1f} |")


if __name__ == "__main__":
    main()
