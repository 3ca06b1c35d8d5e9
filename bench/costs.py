"""Where a server's CPU goes, task by task: `listen serve` with a clock on every step that its loop makes.

    python -m bench.costs     as `listen serve`, configured by the environment; a line on standard input is answered
                              with what was counted since the start, as one line of JSON

A Trio instrument reads the thread's CPU clock (CLOCK_THREAD_CPUTIME_ID) before and after each step of a task; what a
step costs includes the system calls made in it. The lane's native call has a row of its own, and so have vendors'
messages, which are handled in the lane's turn. What the clock itself takes is measured first and taken off. The loop's
own part is the thread's CPU without the steps; other threads are the process without it.
"""

import gc
import resource
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import trio

from bench.bare import BareLoop
from bench.sockets import opus_packets
from engine.cli.load_figures import LoadFigures
from engine.config import load_config
from engine.server import Bound, lane, serve
from engine.stt._stream import Stream

__all__ = ["Costs", "Counted", "table"]

SMALL = 0.005
"""Share of the whole below which tasks are put together."""

NATIVE = "the lane's native call: receive, unmask, decode, send on"

RESULT = "a vendor's message: words, merge, journal, on to the client"

TAKES = "_on_message"
"""What a stream does with a message."""

NOW = frozenset({"connections", "links", "slots", "load"})
"""What a lane's statistics say of the moment; the others grow."""


class Counted(msgspec.Struct, frozen=True):
    """Since the start: steps and nanoseconds of tasks by name; CPU ns of the loop's thread and of the process."""

    steps: dict[str, int]
    nanoseconds: dict[str, int]
    loop: int
    process: int
    kernel: int
    calls: dict[str, int]

    def since(self, start: "Counted") -> "Counted":
        """What came between the two."""

        def less(end: Mapping[str, int], begin: Mapping[str, int]) -> dict[str, int]:
            return {name: count - begin.get(name, 0) for name, count in end.items()}

        return Counted(
            less(self.steps, start.steps),
            less(self.nanoseconds, start.nanoseconds),
            self.loop - start.loop,
            self.process - start.process,
            self.kernel - start.kernel,
            less(self.calls, start.calls),
        )


class Costs(trio.abc.Instrument):
    """Counts every step of every task."""

    def __init__(self) -> None:
        self._steps: defaultdict[str, int] = defaultdict(int)
        self._taken: defaultdict[str, int] = defaultdict(int)
        self._began = time.thread_time_ns()  # of the step in which this is added
        self._elsewhere = 0
        self._own = _cost_of_the_clock()
        self._loop = time.pthread_getcpuclockid(threading.get_ident())

    def clock(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; what it takes is counted under `name` and not under the task that calls it.

        Functions that are clocked do not call each other.
        """

        def clocked(*arguments: Any) -> Any:
            began = time.thread_time_ns()
            result = call(*arguments)
            taken = time.thread_time_ns() - began
            self._elsewhere += taken + self._own
            self._steps[name] += 1
            self._taken[name] += taken - self._own
            return result

        return clocked

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument."""
        self._began = time.thread_time_ns()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument."""
        taken = time.thread_time_ns() - self._began - self._elsewhere
        self._elsewhere = 0
        self._steps[task.name] += 1
        self._taken[task.name] += taken - self._own

    def counted(self) -> Counted:
        """Everything so far. May be called by any thread."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        calls: defaultdict[str, int] = defaultdict(int)
        for one in _lanes():
            for name, count in msgspec.structs.asdict(one.statistics()).items():
                calls[name] += 0 if name in NOW else count
        return Counted(
            dict(self._steps),
            dict(self._taken),
            time.clock_gettime_ns(self._loop),
            time.process_time_ns(),
            int(usage.ru_stime * 1e9),
            dict(calls),
        )


@cache
def _lanes() -> list[lane.Lane]:
    """Those of this process; there is no other way to them from outside. Looked for once, when there is load."""
    gc.unfreeze()  # get_objects leaves out what was frozen at start, lanes among it
    found = [
        one for one in gc.get_objects() if type(one) is lane.Lane
    ]  # isinstance asks dead weak proxies, too
    gc.freeze()
    return found


def _cost_of_the_clock(times: int = 2000) -> int:
    """Nanoseconds that a step without content is measured to take."""
    taken = []
    for _ in range(times):
        began = time.thread_time_ns()
        taken.append(time.thread_time_ns() - began)
    return sorted(taken)[times // 2]


def table(counted: Counted, figures: LoadFigures, limit_us: float) -> list[str]:
    """µs and steps for each stream-second, in Markdown; `limit_us` is what the bare loop in C took in the same run."""
    seconds = figures.stream_seconds
    parts = sorted(_parts(counted), key=lambda part: -part[2])
    lines = ["| what | steps a stream-second | µs a stream-second |", "|---|---:|---:|"]
    for name, steps, nanoseconds in parts:
        times = f"{steps / seconds:.1f}" if steps else ""
        lines.append(f"| {name} | {times} | {nanoseconds / 1000 / seconds:.0f} |")
    whole, kernel = (value / 1000 / seconds for value in (counted.process, counted.kernel))
    lines.append(f"| together (of which in the kernel: {kernel:.0f}) | | {whole:.0f} |")
    calls = ", ".join(f"{name} {count / seconds:.1f}" for name, count in counted.calls.items() if count)
    return [
        *lines,
        "",
        f"libopus alone, in a loop in C, takes {_libopus():.0f} µs for a stream-second on this machine.",
        f"The lane's own counts, a stream-second: {calls}.",
        *_needed(parts, seconds, whole, limit_us),
    ]


def _parts(counted: Counted) -> Iterator[tuple[str, int, int]]:
    """Name, steps, nanoseconds."""
    rest_steps = rest = 0
    for name, taken in counted.nanoseconds.items():
        steps = counted.steps[name]
        if taken >= SMALL * counted.process:
            yield name.removeprefix("engine."), steps, taken
        else:
            rest_steps, rest = rest_steps + steps, rest + taken
    yield "all other tasks", rest_steps, rest
    yield (
        "Trio's loop: waiting for sockets, timers, scheduling",
        0,
        counted.loop - sum(counted.nanoseconds.values()),
    )
    yield "other threads: journals, database", 0, counted.process - counted.loop


def _libopus() -> float:
    """µs for the decoder's part of a stream-second, the median of some passes."""
    packets, bare = opus_packets(), BareLoop("opus_fs320")
    passes = [bare.nanoseconds(packets) / len(packets) for _ in range(9)]
    return statistics.median(passes) * 50 / 1000


def _needed(
    parts: Sequence[tuple[str, int, int]], seconds: float, whole: float, limit_us: float
) -> Iterator[str]:
    target = 1.25 * limit_us
    if 0 < target < whole:
        largest = "; ".join(f"{name}: {taken / 1000 / seconds:.0f}" for name, _, taken in parts[:3])
        yield (
            f"The clock's run used {whole:.0f} µs, 1.25 times the limit is {target:.0f}: {whole - target:.0f} µs would "
            f"have to go. The largest parts are {largest}."
        )


def main() -> None:
    """Serve until told to stop."""
    trio.run(_main)


async def _main() -> None:
    costs = Costs()
    trio.lowlevel.add_instrument(costs)
    names = vars(lane)
    names["lib"] = _Library(names["lib"], costs.clock(NATIVE, names["lib"].lane_run))
    setattr(Stream, TAKES, costs.clock(RESULT, getattr(Stream, TAKES)))
    threading.Thread(target=_answer, args=(costs,), daemon=True).start()
    await serve(load_config(), task_status=_Announcement())


class _Library:
    """The native library with another `lane_run`; what has been asked for once is an attribute from then on."""

    def __init__(self, native: Any, lane_run: Callable[..., Any]) -> None:
        self._native = native
        self.lane_run = lane_run

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._native, name)
        setattr(self, name, value)
        return value


class _Announcement:
    def started(self, bound: Bound | None = None) -> None:
        """Called once, by the server."""
        assert bound is not None
        print(bound.port, flush=True)


def _answer(costs: Costs) -> None:
    for _ in sys.stdin:
        print(msgspec.json.encode(costs.counted()).decode(), flush=True)


if __name__ == "__main__":
    main()
