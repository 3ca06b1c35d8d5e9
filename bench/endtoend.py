"""CPU, memory and latency of whole servers under the same load, in one run.

    python -m bench.endtoend [--streams 20,50,100] [--seconds 4] [--rounds 2] [--stacks ours,uvicorn] [--largest 1000]

Paced Opus streams (20 ms packets, `listen load`) go to each server in turn, round after round; all of them send what
they decode to one vendor on this machine, which answers once a second a stream. Compared are the bare C loop (the
limit), `listen serve` with everything on, and FastAPI on uvicorn as the Omi backend is built (`bench.peer_uvicorn`).
`--largest MS` also looks for the number of streams, up to `MOST`, that each server carries with a p99 from packet
to segment within MS, and measures it at 70 % of that. Figures are medians over the rounds; "of C" is the median of
the ratios within a round, with the lowest and the highest; "others" is what the rest of the machine used. Memory is
what was touched so far: a ring of 16 s is full after 16 s. Exit status 1 when generator or vendor used more than 80
% of a core anywhere, or a server lost words or streams: such a figure is marked.
"""

import argparse
import importlib.util
import platform
import statistics
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.load.stacks import STACKS, stacks
from engine.cli.load import prepare
from engine.cli.load_figures import Latency, LoadFigures, largest, usage_of
from engine.cli.load_process import Running
from engine.cli.load_run import LoadPlan, run_load
from engine.cli.recording import read
from engine.cli.status import Failure

RECORDING = Path(__file__).parents[1] / "tests" / "audio" / "austen-0870.wav"
LIMIT = "C limit"
MOST = 2000
LEISURE = 0.7
"""Share of the largest number of streams at which latency is measured."""
LOST = 0.01
"""Share of words that may be missing from a server that keeps up."""


class Measured(NamedTuple):
    """One stack at one number of streams, once."""

    stack: str
    figures: LoadFigures
    kib_per_stream: float

    @property
    def cpu(self) -> float:
        """µs of CPU a stream-second."""
        return self.figures.server.us_per_stream_second if self.figures.server else 0.0

    @property
    def doubt(self) -> str:
        """Why the figure must not be believed; empty when it may."""
        try:
            self.figures.believe()
        except Failure as failure:
            return str(failure)
        figures = self.figures
        if figures.failed or not figures.expected or figures.missing > LOST * figures.expected:
            return (
                f"{figures.missing} of {figures.expected} words missing, failed: {figures.failed or 'none'}"
            )
        return ""


def measure(plan: LoadPlan, stack: Running, vendor: Running) -> Measured:
    """Load one stack."""
    plan = msgspec.structs.replace(plan, url=stack.url, pid=stack.pid, vendor_pid=vendor.pid)
    figures = run_load(plan)
    assert figures.server is not None
    added = figures.server.pss_kib - stack.idle.pss_kib
    return Measured(stack.name, figures, added / plan.streams)


@cache
def _speech() -> tuple[list[bytes], float]:
    return prepare(read(RECORDING, rate=16_000, channels=1), "opus_fs320")


def plan_of(count: int, seconds: float) -> LoadPlan:
    """What is sent, to nobody yet."""
    packets, period = _speech()
    plan = LoadPlan(
        url="",
        streams=count,
        seconds=seconds,
        packets=packets,
        period=period,
        codec="opus_fs320",
        query={"language": "en", "codec": "opus_fs320", "sample_rate": 16_000},
    )
    return _of(plan, count)


def _of(plan: LoadPlan, count: int) -> LoadPlan:
    return msgspec.structs.replace(plan, streams=count, uid=f"load-{count}", ramp=max(1.0, count / 100))


def rows(measured: Sequence[Measured], counts: Sequence[int], names: Sequence[str]) -> list[str]:
    """The table, in Markdown."""
    lines = [
        "| streams | stack | CPU, µs a stream-second | of C | due to segment, ms: p50, p99, p99.9 "
        "| to vendor: p99 | to client: p99 | PSS, KiB a stream | others, cores | |",
        "|---:|---|---:|---:|---|---:|---:|---:|---:|---|",
    ]
    for count in counts:
        of_count = [one for one in measured if one.figures.streams == count]
        limits = [one.cpu for one in of_count if one.stack == LIMIT]
        for name in names:
            lines.append(_row(count, [one for one in of_count if one.stack == name], limits))
    return lines


def _warm(stack: Running, vendor: Running) -> Running:
    """The same after its first sessions: what they load is not theirs."""
    measure(plan_of(2, 1.0), stack, vendor)
    return stack._replace(idle=usage_of(stack.pid))


def sustained(plan: LoadPlan, stack: Running, vendor: Running, limit_ms: float) -> tuple[int, Measured]:
    """The largest number of streams with a p99 within the limit, and the figures at `LEISURE` of it.

    Raises Failure when generator or vendor are the limit.
    """

    def figures(count: int) -> LoadFigures:
        return measure(_of(plan, count), stack, vendor).figures

    most, _ = largest(figures, MOST, limit_ms)
    return most, measure(_of(plan, max(1, int(most * LEISURE))), stack, vendor)


def _row(count: int, rounds: Sequence[Measured], limits: Sequence[float]) -> str:
    cpu = statistics.median(one.cpu for one in rounds)
    ratios = [one.cpu / limit for one, limit in zip(rounds, limits, strict=False) if limit]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
    if len(ratios) > 1:
        ratio += f" ({min(ratios):.2f} to {max(ratios):.2f})"
    segment = [_median([one.figures.segment for one in rounds], which) for which in ("p50", "p99", "p999")]
    vendor = _median([one.figures.to_vendor for one in rounds], "p99")
    client = _median([one.figures.to_client for one in rounds], "p99")
    memory = max(one.kib_per_stream for one in rounds)
    others = max(one.figures.others_core_share for one in rounds)
    doubt = "doubtful" if any(one.doubt for one in rounds) else ""
    return (
        f"| {count} | {rounds[0].stack} | {cpu:.0f} | {ratio} | {', '.join(segment)} | {vendor} | {client} "
        f"| {memory:.0f} | {others:.2f} | {doubt} |"
    )


def _median(of: Sequence[Latency | None], which: str) -> str:
    values = [getattr(one, which) for one in of if one is not None]
    return f"{statistics.median(values):.1f}" if values else "–"


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.endtoend", description="See the module's documentation."
    )
    parser.add_argument("--streams", default="20,50,100")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--largest", type=float, metavar="MS")
    parser.add_argument("--stacks", default=",".join(STACKS))
    return parser.parse_args(given)


def wanted(stacks: str) -> list[str]:
    """The names in a list of them, without those whose packages are missing, which is said."""
    names = [name.strip() for name in stacks.split(",")]
    if "uvicorn" in names and not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))):
        print("fastapi and uvicorn are not installed (pip install 'listen-engine[bench]'): no uvicorn peer")
        names.remove("uvicorn")
    return names


def main(given: Sequence[str] = ()) -> int:
    """Print the tables. Returns the exit status."""
    arguments = _arguments(given)
    counts = sorted(map(int, arguments.streams.split(",")))
    names = wanted(arguments.stacks)
    print(
        f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}\n"
    )
    with stacks(names) as (vendor, started):
        running = {name: _warm(stack, vendor) for name, stack in started.items()}
        measured = _same_numbers(running, vendor, arguments)
        print("\n".join(rows(measured, counts, names)), flush=True)
        doubts = [
            f"{one.stack} at {one.figures.streams} streams: {one.doubt}" for one in measured if one.doubt
        ]
        if arguments.largest is not None:
            doubts += _largest_numbers(running, vendor, arguments)
    for doubt in doubts:
        print(f"doubtful: {doubt}")
    return int(bool(doubts))


def _same_numbers(
    running: dict[str, Running], vendor: Running, arguments: argparse.Namespace
) -> list[Measured]:
    """All stacks in turn. Streams in rising number: what a server keeps from one load it needs for the next anyway."""
    return [
        measure(plan_of(count, arguments.seconds), stack, vendor)
        for count in sorted(map(int, arguments.streams.split(",")))
        for _ in range(arguments.rounds)
        for stack in running.values()
    ]


def _largest_numbers(
    running: dict[str, Running], vendor: Running, arguments: argparse.Namespace
) -> list[str]:
    """Print each stack's largest number and its figures below that; what must not be believed."""
    limit_ms, doubts = arguments.largest, []
    print(
        f"\nLargest number of streams with a p99 within {limit_ms:g} ms, and each at {LEISURE:.0%} of its own:\n"
    )
    for name, stack in running.items():
        try:
            most, leisurely = sustained(plan_of(1, arguments.seconds), stack, vendor, limit_ms)
        except Failure as failure:
            doubts.append(f"{name}: {failure}")
            continue
        count = leisurely.figures.streams
        print(f"{name}: {most}\n")
        print("\n".join(rows([leisurely], [count], [name])), end="\n\n", flush=True)
        if leisurely.doubt:
            doubts.append(f"{name} at {count} streams: {leisurely.doubt}")
    return doubts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
