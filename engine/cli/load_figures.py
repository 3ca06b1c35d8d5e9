"""What `listen load` measured, and what it takes to believe it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.cli.status import Failure

__all__ = [
    "Latency",
    "LimitElsewhere",
    "LoadFigures",
    "Process",
    "Usage",
    "largest",
    "latency",
    "machine_cpu",
    "usage_of",
    "used",
]

BUSIEST = 0.8
"""Share of a core above which a generator or a vendor measures itself."""

MISSING = 0.001
"""Share of expected results that may be missing from streams that keep up."""

_COUNTED = ("Pss_Anon:", "Pss_Shmem:")
"""Not files: a process's share of a library grows when another program that has it loaded ends."""

_TICKS = os.sysconf("SC_CLK_TCK")

FIRST = 16
"""Streams to begin with when looking for the largest number."""

PRECISION = 0.05
"""How closely the largest number of streams is looked for."""


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds; `count` of them."""

    count: int
    p50: float
    p99: float
    p999: float
    max: float


class Usage(msgspec.Struct, frozen=True):
    """A process and its children so far: CPU seconds, and KiB of memory of its own, shared pages by their share."""

    cpu_seconds: float
    pss_kib: int


class Process(msgspec.Struct, frozen=True):
    """What a process used in the measured time. Memory is what was added since before the first stream."""

    cpu_seconds: float
    core_share: float
    us_per_stream_second: float
    pss_kib: int
    kib_per_stream: float


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Counts and latencies are of the measured time only, `failed` of all of it.

    `segment` counts from when the frame with a word's end was due to the segment's arrival; where a stand-in's words
    carry their time, `to_vendor` and `to_client` are its two parts, and `missing` are words that did not come. A server
    gathers packets for a message to its vendor; `beyond_message` is what it takes beyond that: it counts from when the
    last packet of the message was written (packets that were late and went with those after them count as these).
    `late` is how long after its time a frame was written: the generator's own fault, and part of `segment`, not of
    `beyond_message`.
    `others_core_share` is what everything else on this machine used, in cores (a server whose pid was not given is one
    of them): latencies mean little where that leaves no core free.
    """

    streams: int
    seconds: float
    codec: str
    sent_frames: int
    stream_seconds: float
    messages: int
    segments: int
    failed: dict[str, int]
    expected: int
    missing: int
    late: Latency | None
    segment: Latency | None
    to_vendor: Latency | None
    beyond_message: Latency | None = None
    to_client: Latency | None
    generator_core_share: float
    others_core_share: float
    server: Process | None
    vendor: Process | None

    def believe(self) -> None:
        """Raises Failure when the figures would be those of the generator or of the vendor."""
        shares = {
            "the generator": self.generator_core_share,
            "the vendor": self.vendor.core_share if self.vendor else 0.0,
        }
        for who, share in shares.items():
            if share > BUSIEST:
                raise Failure(
                    f"{who} itself used {share:.0%} of a core (accepted: {BUSIEST:.0%}) at {self.streams} streams: "
                    "the figures would be its own"
                )

    def keeps(self, limit_ms: float) -> bool:
        """Whether every stream lived, and the segments' p99 is within `limit_ms`."""
        whole = not self.failed and self.missing <= MISSING * self.expected
        return whole and self.segment is not None and self.segment.p99 <= limit_ms


def latency(seconds: Sequence[float]) -> Latency | None:
    """Of all the values, in seconds; None without any. Percentiles are values that occurred (nearest rank)."""
    if not seconds:
        return None
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 3)

    return Latency(len(ordered), rank(0.5), rank(0.99), rank(0.999), rank(1))


class LimitElsewhere(Failure):
    """More streams could not be measured, because generator or vendor would be the limit; `kept` were carried."""

    def __init__(self, message: str, kept: int) -> None:
        super().__init__(message)
        self.kept = kept


def largest(
    measure: Callable[[int], LoadFigures], streams: int, limit_ms: float, *, first: int = FIRST
) -> tuple[int, list[LoadFigures]]:
    """The largest number of streams, at most `streams`, whose p99 is within the limit, and what was measured.

    From `first`, twice as many each time until they are too many (far too many would leave a server ill for the next
    try), then by bisection, to one part in twenty. One measurement decides nothing: a number counts as too many
    when it failed twice, and the one that is found is confirmed by another, or lowered. 0 when a single stream fails.
    Raises LimitElsewhere where `believe` does not hold.
    """
    kept, fails, number, tried = 0, streams + 1, min(first, streams), list[LoadFigures]()

    def keeps(number: int) -> bool:
        tried.append(measure(number))
        try:
            tried[-1].believe()
        except Failure as failure:
            raise LimitElsewhere(f"{failure} ({kept} streams were carried)", kept) from None
        return tried[-1].keeps(limit_ms)

    while fails - kept > max(1, int(kept * PRECISION)):
        if keeps(number) or keeps(number):
            kept = number
        else:
            fails = number
        number = (kept + fails) // 2 if fails <= streams else min(2 * number, streams)
    while kept and not (keeps(kept) or keeps(kept)):
        kept = min(kept - 1, int(kept * (1 - PRECISION)))
    return kept, tried


def usage_of(pid: int, *, memory: bool = True) -> Usage:
    """What a process and its children have used (Linux, /proc). Raises Failure when it cannot be read.

    Children that end meanwhile do not count. Without `memory` that is 0 and the call takes microseconds: the kernel
    walks all pages to count them.
    """
    cpu, pss = 0.0, 0
    for one in _family(pid):
        try:
            spent = time.clock_gettime(_cpu_clock(one))
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text() if memory else ""
        except OSError:
            if one != pid:
                continue
            raise Failure(f"pid {pid} cannot be read: a live process of yours is needed (Linux)") from None
        cpu += spent
        pss += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith(_COUNTED))
    return Usage(cpu, pss)


def _cpu_clock(pid: int) -> int:
    """The clock of the CPU time of another process, to the nanosecond: /proc counts ticks of 10 ms (Linux ABI)."""
    return ~pid << 3 | 2


def machine_cpu() -> float:
    """CPU seconds that this machine has been busy, all cores together (Linux, /proc/stat)."""
    user, nice, system, _, _, interrupts, soft, stolen = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + interrupts + soft + stolen) / _TICKS


def used(memory: tuple[int, int], begin: Usage, end: Usage, figures: tuple[int, float, float]) -> Process:
    """Between `begin` and `end`; `memory` (KiB) is that before the first stream and that with all of them.

    `figures` are the streams, the seconds, and the stream-seconds.
    """
    streams, seconds, stream_seconds = figures
    cpu = end.cpu_seconds - begin.cpu_seconds
    return Process(
        cpu_seconds=round(cpu, 3),
        core_share=round(cpu / seconds, 4),
        us_per_stream_second=round(cpu * 1e6 / stream_seconds, 1) if stream_seconds else 0.0,
        pss_kib=memory[1],
        kib_per_stream=round((memory[1] - memory[0]) / streams, 1),
    )


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        found += _children(parent)
    return found


def _children(pid: int) -> Iterator[int]:
    """None of a process, or of a thread of it, that has ended."""
    with suppress(OSError):
        for thread in list(Path(f"/proc/{pid}/task").iterdir()):
            with suppress(OSError):
                yield from map(int, (thread / "children").read_text().split())
