"""CPU, memory and latency of whole servers under the same load, in one run.

    listen bench endtoend            python -m bench endtoend [OPTIONS]

Paced Opus streams (20 ms packets, `listen load`) go to each server in turn, round after round; all of them send what
they decode to one vendor on this machine, which answers once a second a stream. Compared are the bare C loop (the
limit), `listen serve` with everything on, by the native lane (also with its vendor behind TLS, up to `SECURED_MOST`
streams) and by Quart, and FastAPI on uvicorn as the Omi backend is built (`bench.peer_uvicorn`). Then, with
`--largest MS`, the number of streams up to `MOST` that each server carries with a p99 from packet to segment within MS,
and each at 70 % of that, both just started; and where the lane's CPU goes (`bench.costs`), at each number from
`DETAILED` on. What `listen doctor --capacity` says of this machine, for the same p99, is asked right after the most
that the lane carries: a machine is not the same an hour later. The report is written by `bench.report`.

Where a server lost words or streams, that number was too many for it, which is marked. Exit status 1 when a figure must
not be believed: generator or vendor used more than 80 % of a core.
"""

import argparse
import importlib.util
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import msgspec

from bench.costs import Counted
from bench.load.stacks import COSTS, SECURED, STACKS, Stacks, Vendors, stacks
from bench.machine import machine
from bench.report import Measured, Report, Sustained, write
from engine.capacity import Capacity
from engine.cli.capacity_run import LIMIT_MS, measure_capacity
from engine.cli.load import prepare
from engine.cli.load_figures import LimitElsewhere, LoadFigures, Usage, largest, usage_of
from engine.cli.load_process import Running
from engine.cli.load_run import UNENDING, LoadPlan, ramp_of, run_load
from engine.cli.recording import read
from engine.config import load_config

RECORDING = Path(__file__).parents[1] / "tests" / "audio" / "austen-0870.wav"
MOST = 2000
LEISURE = 0.7
"""Share of the largest number of streams at which latency is measured."""

SECURED_MOST = 200
"""Streams beyond which the process that speaks TLS for the vendor would be the limit."""

DETAILED = 200
"""Streams from which on it is told where the CPU goes."""

SETTLING = 6
"""Readings of a server's memory, half a second apart, of which none may be less than the one before them."""


_runs = itertools.count()


def measure(plan: LoadPlan, stack: Running, vendors: Vendors) -> Measured:
    """Load one stack."""
    plan = msgspec.structs.replace(plan, url=stack.url, pid=stack.pid, vendor_pid=vendors.of(stack.name).pid)
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
        query={"language": "en", "codec": "opus_fs320", "sample_rate": 16_000, **UNENDING},
    )
    return _of(plan, count)


def _of(plan: LoadPlan, count: int) -> LoadPlan:
    """So many streams of users of their own: who was there a moment ago would go on with that conversation."""
    return msgspec.structs.replace(plan, streams=count, uid=f"load-{next(_runs)}", ramp=ramp_of(count))


def _warm(stack: Running, vendors: Vendors) -> Running:
    """The same after its first sessions: what they load is not theirs."""
    measure(plan_of(2, 1.0), stack, vendors)
    return stack._replace(idle=_settled(stack.pid))


def _settled(pid: int) -> Usage:
    """What a process uses when it no longer gives memory back: servers do so some time after their last session."""
    least = usage_of(pid)
    falling = SETTLING
    while falling:
        time.sleep(0.5)
        now = usage_of(pid)
        falling = SETTLING if now.pss_kib < least.pss_kib else falling - 1
        least = min(least, now, key=lambda usage: usage.pss_kib)
    return least


def most_carried(
    plan: LoadPlan, stack: Running, vendors: Vendors, limit_ms: float, first: int
) -> tuple[int, str]:
    """The largest number of streams with a p99 within the limit, looked for from `first`.

    Where generator or vendor are the limit: the largest that was carried before they were, and what they said.
    """

    def figures(count: int) -> LoadFigures:
        return measure(_of(plan, count), stack, vendors).figures

    try:
        return largest(figures, MOST, limit_ms, first=first)[0], ""
    except LimitElsewhere as limit:
        return limit.kept, str(limit)


@contextmanager
def _just_started(name: str, all_stacks: Stacks) -> Iterator[Running]:
    """A server that has kept nothing of anybody before."""
    with all_stacks.start(name) as fresh:
        yield _warm(fresh, all_stacks.vendors)


def _leisurely(name: str, all_stacks: Stacks, most: int, arguments: argparse.Namespace) -> list[Measured]:
    """`LEISURE` of the most, round after round, each with a server of its own."""
    measured, count = [], int(most * LEISURE)
    for number in range(arguments.rounds if count else 0):
        print(f"{name} just started, {count} streams, round {number + 1}", file=sys.stderr, flush=True)
        with _just_started(name, all_stacks) as server:
            measured.append(measure(plan_of(count, arguments.seconds), server, all_stacks.vendors))
    return measured


def _same_numbers(
    running: dict[str, Running], vendors: Vendors, counts: Sequence[int], arguments: argparse.Namespace
) -> tuple[list[Measured], list[str]]:
    """All stacks in turn, in rising number of streams; and what was left out, because fewer were too many already."""
    measured, left_out = list[Measured](), list[str]()
    for count in counts:
        able = {
            name: stack
            for name, stack in running.items()
            if not any(one.stack == name and one.overload for one in measured)
            and not (name == SECURED and count > SECURED_MOST)
        }
        left_out += [f"{name} at {count} streams" for name in running.keys() - able.keys() - {SECURED}]
        for number in range(arguments.rounds):
            for name, stack in able.items():
                print(f"{count} streams, round {number + 1}: {name}", file=sys.stderr, flush=True)
                measured.append(measure(plan_of(count, arguments.seconds), stack, vendors))
    return measured, left_out


def _largest_numbers(
    all_stacks: Stacks, measured: Sequence[Measured], arguments: argparse.Namespace
) -> dict[str, tuple[int, str]]:
    """What `most_carried` finds of each stack, the lane the last."""
    found, plan = {}, plan_of(1, arguments.seconds)
    names = dict.fromkeys(one.stack for one in measured if one.stack != SECURED)
    for name in sorted(names, key="lane".__eq__):
        cheapest = min(one.cpu for one in measured if one.stack == name)
        first = max(1, int(0.5e6 / cheapest)) if cheapest else 1  # half a core
        print(f"the most that {name} carries, from {first}", file=sys.stderr, flush=True)
        with _just_started(name, all_stacks) as server:
            found[name] = most_carried(plan, server, all_stacks.vendors, arguments.largest, first)
    return found


def _costs(vendors: Vendors, stack: Running, count: int, seconds: float) -> tuple[Counted, LoadFigures]:
    """Where the CPU went, between the edges of the measured time."""
    print(f"where the CPU goes, at {count} streams", file=sys.stderr, flush=True)
    answers: list[Counted] = []

    def ask() -> None:
        answers.append(msgspec.json.decode(stack.ask(), type=Counted))

    plan = plan_of(count, seconds)
    figures = run_load(
        msgspec.structs.replace(plan, url=stack.url, pid=stack.pid, vendor_pid=vendors.of(stack.name).pid),
        ask,
    )
    return answers[1].since(answers[0]), figures


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench endtoend", description="See the module's documentation."
    )
    parser.add_argument("--streams", default="50,200,500")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--largest", type=float, metavar="MS")
    parser.add_argument("--stacks", default=",".join(STACKS))
    parser.add_argument("--report", type=Path, default=Path(__file__).parent / "report", metavar="DIR")
    return parser.parse_args(given)


def wanted(stacks: str) -> list[str]:
    """The names in a list of them, without those whose packages are missing, which is said."""
    names = [name.strip() for name in stacks.split(",")]
    if "uvicorn" in names and not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))):
        print("fastapi and uvicorn are not installed (pip install 'listen-engine[bench]'): no uvicorn peer")
        names.remove("uvicorn")
    if SECURED in names and importlib.util.find_spec("trustme") is None:
        print(f"trustme is not installed (pip install 'listen-engine[bench]'): no {SECURED}")
        names.remove(SECURED)
    return names


def run(arguments: argparse.Namespace) -> Report:
    """Measure everything that was asked for."""
    counts = sorted(map(int, arguments.streams.split(",")))
    names, described = wanted(arguments.stacks), machine()
    with stacks([*names, COSTS] if "lane" in names else names) as all_stacks:
        vendors = all_stacks.vendors
        running = {name: _warm(stack, vendors) for name, stack in all_stacks.running.items()}
        clocked = running.pop(COSTS, None)
        measured, left_out = _same_numbers(running, vendors, counts, arguments)
        most = _largest_numbers(all_stacks, measured, arguments) if arguments.largest else {}
        capacity = _capacity(arguments.largest or LIMIT_MS) if "lane" in names else None
        found = {
            name: Sustained(count, elsewhere, _leisurely(name, all_stacks, count, arguments))
            for name, (count, elsewhere) in sorted(most.items(), key=lambda one: names.index(one[0]))
        }
        numbers = _carried(measured) if clocked else []
        costs = [_costs(vendors, clocked, count, arguments.seconds) for count in numbers if clocked]
    return Report(described, counts, names, measured, left_out, arguments.largest, found, costs, capacity)


def _capacity(limit_ms: float) -> Capacity:
    """What the doctor finds."""
    print("listen doctor --capacity", file=sys.stderr, flush=True)
    return measure_capacity(load_config(), partial(print, file=sys.stderr, flush=True), limit_ms)


def _carried(measured: Sequence[Measured]) -> list[int]:
    """The numbers at which the lane lost nothing, from `DETAILED` on; or their largest, or the smallest of all."""
    lane = [one for one in measured if one.stack == "lane"]
    counts = {one.figures.streams for one in lane}
    kept = sorted(counts - {one.figures.streams for one in lane if one.doubt or one.overload})
    return [count for count in kept if count >= DETAILED] or kept[-1:] or [min(counts)]


def main(given: Sequence[str] = ()) -> int:
    """Measure, write the report and print it. Returns the exit status."""
    arguments = _arguments(given)
    report = run(arguments)
    print(write(report, arguments.report))
    return int(bool(report.doubts()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
