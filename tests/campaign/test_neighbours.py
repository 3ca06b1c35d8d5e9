"""What one bad client of five hundred does to the others' 99th percentile; to `neighbours.md`.

Each kind of bad client comes and goes beside the same crowd, in turn with as long a time without it, and its ratio is
that of the two times beside each other. On more than one core the server has the first to itself, and the bad client
gives way to the crowd on the others: it would not be on the server's machine.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from bench.interleaved import median_interval
from engine.cli.load_figures import machine_cpu, usage_of
from tests.campaign.crowd import Crowd
from tests.campaign.neighbours import KINDS
from tests.e2e.process import Process, started_anew
from tests.patience import PATIENCE

pytestmark = pytest.mark.campaign

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("neighbours.md")
CLIENTS = int(os.environ.get("NEIGHBOURS_CLIENTS", "500"))
RUNS = 15
MOST_RUNS = 60
"""`RUNS` more, up to this, while the median's interval is on both sides of `UNCHANGED`."""
SURENESS = 1.28
"""Standard deviations of the median's rank: at either end of the interval, a tenth of such medians are beyond it."""
WINDOW = 5.0
"""Seconds that are measured: 625 words, of which the 7th slowest counts. About twice a minute something makes some 20
words late at once, bad client or not: it is in the figures of few short times, and so not in their median."""
SETTLE = 0.5
"""Seconds before them that are not."""
UNCHANGED = 1.1
BUSY = 0.8
"""Of a core, from which on the crowd's figures would be its own."""
OTHERS = 0.3
"""Cores that other programs may use meanwhile."""
SCRIPT = {"SCRIPT_WORD_SECONDS": "4.0", "SCRIPT_CHUNK_SECONDS": "0.5", "LISTEN_USAGE_INTERVAL": "60"}
"""What `crowd` expects; a word is heard in the packet that ends it. Usage is counted as often as by default: every
second of 500 sessions, as other tests have it, moves the 99th percentile by more than what is measured."""


class Window(msgspec.Struct, frozen=True):
    """A time that is measured, by CLOCK_MONOTONIC."""

    began: float
    ended: float
    cpu: float
    busy: float
    """Cores in use: by the server, and by everything on the machine."""

    def late(self, crowd: Crowd) -> list[float]:
        return sorted(one.late for one in crowd.heard if self.began <= one.at < self.ended)


class Pair(msgspec.Struct, frozen=True):
    """Percentiles in ms without and with the bad client."""

    without: tuple[float, float]
    beside: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Of the 99th."""
        return self.beside[1] / self.without[1]


class Row(msgspec.Struct, frozen=True):
    """One kind of bad client."""

    kind: str
    pairs: list[Pair]
    cpu: list[tuple[float, float]]
    """Shares of a core, of each pair: the server's without and beside it."""
    crowd: float
    """The crowd's, at its most."""

    @property
    def ratios(self) -> list[float]:
        """In rising order."""
        return sorted(pair.ratio for pair in self.pairs)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def is_sure(self) -> bool:
        low, high = median_interval(self.ratios, SURENESS)
        return high <= UNCHANGED or low > UNCHANGED

    def with_more(self, more: "Row") -> "Row":
        """Of the same kind."""
        return Row(self.kind, self.pairs + more.pairs, self.cpu + more.cpu, max(self.crowd, more.crowd))


def percentiles(late: Sequence[float]) -> tuple[float, float]:
    """50th and 99th, in ms."""
    return 1000 * late[len(late) // 2], 1000 * late[int(0.99 * len(late))]


@asynccontextmanager
async def beside(*module: str, nice: int = 0) -> AsyncIterator[trio.Process]:
    """A module in a process, on other cores than the server's; killed at the end of the block."""
    cores = os.sched_getaffinity(0)
    others = cores - {min(cores)} or cores

    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        os.sched_setaffinity(process.pid, others)
        os.setpriority(os.PRIO_PROCESS, process.pid, nice)
        yield process
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()


async def output(process: trio.Process, end: bytes = b"") -> bytes:
    """All it prints up to `end`, or to the end of it."""
    assert process.stdout is not None
    data = b""
    while not end or not data.endswith(end):
        more = await process.stdout.receive_some()
        if not more:
            assert not end, "the process ended too early"
            return data
        data += more
    return data


def cpu_seconds(server: Process) -> float:
    """So far."""
    return usage_of(server.pid, memory=False).cpu_seconds


async def measured(server: Process, seconds: float = WINDOW) -> Window:
    await trio.sleep(SETTLE)
    began, cpu, busy = time.monotonic(), cpu_seconds(server), machine_cpu()
    await trio.sleep(seconds)
    ended = time.monotonic()
    seconds = ended - began
    cpu, busy = cpu_seconds(server) - cpu, machine_cpu() - busy
    return Window(began, ended, cpu / seconds, busy / seconds)


async def measure(server: Process, kind: str) -> Row:
    """One kind, `RUNS` times, beside a crowd of its own."""
    windows: list[tuple[Window, Window]] = []
    async with beside("tests.campaign.crowd", str(server.port), str(CLIENTS - 1), kind) as crowding:
        with trio.fail_after(2 * PATIENCE):
            await output(crowding, b"ready\n")
        for run in range(RUNS):
            if run % 2:
                windows.append((await measured(server), await measured_beside(server, kind)))
            else:
                with_it = await measured_beside(server, kind)
                windows.append((await measured(server), with_it))
        assert crowding.stdin is not None
        await crowding.stdin.aclose()
        with trio.fail_after(PATIENCE):
            crowd = msgspec.json.decode(await output(crowding), type=Crowd)
    assert server.log.troubles() == []
    others = (
        statistics.median(without.busy - without.cpu for without, _ in windows) - crowd.cpu / crowd.seconds
    )
    assert others < OTHERS, f"other programs use {others:.1f} cores: the figures would be theirs"
    assert min(crowd.words) >= max(crowd.words) - 2, "some clients' words did not come"
    assert crowd.cpu / crowd.seconds < BUSY, "the crowd is too busy for its figures to be the server's"
    pairs = [
        Pair(percentiles(without.late(crowd)), percentiles(beside.late(crowd))) for without, beside in windows
    ]
    shares = [(without.cpu, beside.cpu) for without, beside in windows]
    return Row(kind.replace("_", " "), pairs, shares, crowd.cpu / crowd.seconds)


async def measured_beside(server: Process, kind: str) -> Window:
    async with beside("tests.campaign.neighbours", kind, str(server.port), nice=19):
        window = await measured(server)
    began = len(server.log.all("session.began"))
    with trio.fail_after(2 * PATIENCE):  # what it left behind is not to be in the next window
        await server.log.until("session.ended", count=began - (CLIENTS - 1))
    return window


async def test_a_bad_client_of_five_hundred_leaves_the_others_latency_as_it_was(tmp_path: Path) -> None:
    rows: list[Row] = []
    async with started_anew(tmp_path, **SCRIPT, LISTEN_LIMITS_SESSIONS=2 * CLIENTS) as server:
        os.sched_setaffinity(server.pid, {min(os.sched_getaffinity(0))})
        for kind in KINDS:
            row = await measure(server, kind)
            while not row.is_sure and len(row.pairs) < MOST_RUNS:
                row = row.with_more(await measure(server, kind))
            rows.append(row)
            TABLE.write_text(table(rows))
        assert await server.terminate() == 0
    print(f"\n{table(rows)}")
    assert {row.kind: row.ratio for row in rows if row.ratio > UNCHANGED} == {}


def table(rows: Sequence[Row]) -> str:
    """A line for each kind."""
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    lines = [
        "# Bad neighbours",
        "",
        f"{when} UTC, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}. "
        f"{CLIENTS} clients over the native lane, PCM16 in packets of 100 ms, a word every 4 s each; one of them is "
        f"as the first column says. {WINDOW:g} s without it and {WINDOW:g} s beside it, in turn, {RUNS} times; "
        f"as often again, {MOST_RUNS} times at most, until the median's 80 % interval is on one side of {UNCHANGED:g}.",
        "",
        "Medians: ms from when the packet that ends a word was due to the word; shares of a core.",
        "",
        "| one client | runs | p50 without / beside | p99 without / beside | ratio of p99 (80 %; least to most) "
        "| server's CPU without / beside | crowd's CPU |",
        "|---|---:|---|---|---|---|---|",
    ]
    for row in rows:
        middle = [
            [
                statistics.median(getattr(pair, arm)[which] for pair in row.pairs)
                for arm in ("without", "beside")
            ]
            for which in (0, 1)
        ]
        ratios = row.ratios
        low, high = median_interval(ratios, SURENESS)
        cpu = [statistics.median(shares) for shares in zip(*row.cpu, strict=True)]
        lines.append(
            f"| {row.kind} | {len(ratios)} "
            f"| {middle[0][0]:.1f} / {middle[0][1]:.1f} | {middle[1][0]:.1f} / {middle[1][1]:.1f} "
            f"| {row.ratio:.2f} ({low:.2f} to {high:.2f}; {ratios[0]:.2f} to {ratios[-1]:.2f}) "
            f"| {cpu[0]:.2f} / {cpu[1]:.2f} | {row.crowd:.2f} |"
        )
    return "\n".join(lines) + "\n"
