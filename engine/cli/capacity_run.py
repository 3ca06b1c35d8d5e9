"""Measures what one process of `listen serve` carries on this machine: what `listen doctor --capacity` does.

A server of its own (default configuration, but for what is given) and a vendor that costs little run as processes;
paced Opus streams of made-up speech go in, in rising number. Which number is tried next follows from the CPU of the
last one, so that few are needed: a minute or two in all. Load, pace and what counts as carried are
those of `listen bench endtoend`, so that the two can be compared.
"""

from __future__ import annotations

import datetime
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine._config_sections import MOST_SESSIONS
from engine.capacity import Capacity, processor
from engine.cli.load_figures import LoadFigures, usage_of
from engine.cli.load_process import Running, own_server, process
from engine.cli.load_run import UNENDING, LoadPlan, ramp_of, run_load
from engine.cli.status import Failure
from engine.config import Config

__all__ = ["LIMIT_MS", "capacity_of", "made_up_speech", "measure_capacity", "most_streams"]

LIMIT_MS = 250.0
"""p99 from the packet with a word's end to its segment, within which a number of streams counts as carried."""

FIRST = 32
"""Streams to begin with."""

FULL = 0.95
"""Share of a core up to which the server is loaded on purpose."""

CLOSE = 1.1
"""The search ends when the next number would not be this much larger than the largest that was kept."""

SECONDS = 5.0
SETTLE = 1.0
TAIL = 1.0
RATE = 16_000
RING_KIB = RATE * 2 / 1024
"""A second of a ring."""

_runs = itertools.count()

Measure = Callable[[int], LoadFigures]
Tell = Callable[[str], None]


def measure_capacity(config: Config, tell: Tell, limit_ms: float = LIMIT_MS) -> Capacity:
    """A minute or two of load on a server that takes `config`'s way in. Raises Failure where it cannot be measured.

    `tell` is given a line for each number of streams; those with a p99 within `limit_ms` count as carried.
    """
    with _running(config) as (server, vendor):
        tell("warming up")
        run_load(_plan(2, server, vendor, seconds=1.0))
        idle = usage_of(server.pid)

        def measure(count: int) -> LoadFigures:
            figures = run_load(_plan(count, server, vendor, seconds=SECONDS))
            tell(_line(figures))
            return figures

        tried = most_streams(measure, limit_ms, _descriptors())
        return capacity_of(tried, idle.pss_kib, config.session.ring_seconds, limit_ms)


@contextmanager
def _running(config: Config) -> Iterator[tuple[Running, Running]]:
    kernels = Path(os.environ.get("NUMBA_CACHE_DIR") or config.data_dir / "numba")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="listen-capacity-")))
        vendor = stack.enter_context(process("vendor", [sys.executable, "-m", "engine.cli.load_vendor"]))
        server = stack.enter_context(process("server", *own_server(vendor.url, folder, kernels, config.lane)))
        yield server, vendor


def _plan(count: int, server: Running, vendor: Running, *, seconds: float) -> LoadPlan:
    """So many streams of made-up speech."""
    packets, period = _packets()
    return LoadPlan(
        url=server.url,
        streams=count,
        seconds=seconds,
        packets=packets,
        period=period,
        codec="opus_fs320",
        query={"language": "en", "codec": "opus_fs320", "sample_rate": RATE, **UNENDING},
        uid=f"capacity-{next(_runs)}",  # else the last run's conversations would go on
        ramp=ramp_of(count),
        settle=SETTLE,
        tail=TAIL,
        pid=server.pid,
        vendor_pid=vendor.pid,
    )


def _packets() -> tuple[list[bytes], float]:
    from engine.cli.load import prepare
    from engine.cli.recording import Recording

    return prepare(Recording(made_up_speech(10.0)[:, np.newaxis], RATE), "opus_fs320")


def made_up_speech(seconds: float) -> NDArray[np.int16]:
    """What costs a decoder as much as speech: a voice's pulses and breath, in syllables and pauses, 16 kHz."""
    at = np.arange(int(seconds * RATE)) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * at)) / RATE
    voice = sum(np.sin(n * pitch) / n for n in range(1, 25))
    breath = np.random.default_rng(1).normal(0, 0.3, at.size)
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * at) + 0.4, 0, 1) * (np.sin(2 * np.pi * 0.3 * at) > -0.7)
    signal: NDArray[np.int16] = ((voice + breath) * syllables * 4000).astype(np.int16)
    return signal


def most_streams(measure: Measure, limit_ms: float, most: int) -> list[LoadFigures]:
    """Measure up to the largest number of streams, at most `most`, whose p99 is within the limit; what was measured.

    The next number is as many as would use up a core if each cost what it does now; after one that was too many, half
    way back. One measurement decides nothing: a number is too many when it was so twice. A number at which generator or
    vendor were themselves too busy counts as too many.
    """
    kept, fails, tried, number = 0, most + 1, list[LoadFigures](), min(FIRST, most)

    def carried() -> bool:
        tried.append(measure(number))
        return tried[-1].keeps(limit_ms) and _believed(tried[-1])

    while kept * CLOSE < number < fails:
        wanted = fails
        if carried() or (_believed(tried[-1]) and carried()):
            kept, wanted = number, _full(tried[-1])
        else:
            fails = number
        number = wanted if wanted < fails else most if fails > most else (kept + fails) // 2
    return tried


def _full(figures: LoadFigures) -> int:
    """Streams that use up a core if each costs what it does in these figures."""
    assert figures.server is not None
    return int(figures.streams * FULL / max(figures.server.core_share, 0.001))


def _believed(figures: LoadFigures) -> bool:
    try:
        figures.believe()
    except Failure:
        return False
    return True


def capacity_of(
    tried: list[LoadFigures], idle_kib: int, ring_seconds: int, limit_ms: float = LIMIT_MS
) -> Capacity:
    """The figure from what was measured. Raises Failure when not even the first number was carried.

    Memory is that of the first number, after which rings are used again; what was not yet touched of a ring of
    `ring_seconds` s is added, because it will be. A server that gave memory back meanwhile seems to have grown by less
    than what was touched of the rings: then that is the figure.
    """
    kept = [one for one in tried if one.keeps(limit_ms) and _believed(one)]
    if not kept:
        raise Failure(
            f"{tried[-1].streams} streams are too many for a p99 within {limit_ms:g} ms ({_line(tried[-1])}): "
            "measure again when the machine has nothing else to do"
        )
    best, first = max(kept, key=lambda one: one.streams), tried[0]
    assert best.server is not None
    assert best.segment is not None
    assert first.server is not None
    touched = SETTLE + first.seconds + TAIL
    grown = (first.server.pss_kib - idle_kib) / first.streams
    kib = max(grown, min(touched, ring_seconds) * RING_KIB) + max(0.0, ring_seconds - touched) * RING_KIB
    return Capacity(
        streams=best.streams,
        us_per_stream_second=best.server.us_per_stream_second,
        mib_per_stream=round(kib / 1024, 2),
        limit_ms=limit_ms,
        p99_ms=best.segment.p99,
        others_cores=max(one.others_core_share for one in tried),
        processor=processor(),
        cores=os.cpu_count() or 1,
        measured=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _line(figures: LoadFigures) -> str:
    cpu = f"{figures.server.core_share:.0%} of a core" if figures.server else "CPU unknown"
    p99 = f"p99 {figures.segment.p99:.0f} ms" if figures.segment else "no segment came"
    lost = f", {figures.missing} of {figures.expected} words missing" if figures.missing else ""
    return f"{figures.streams} streams: {cpu}, {p99}{lost}"


def _descriptors() -> int:
    """Streams that the generator may have open, beside what it needs itself."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return MOST_SESSIONS if hard == resource.RLIM_INFINITY else max(FIRST, min(MOST_SESSIONS, hard // 4))
