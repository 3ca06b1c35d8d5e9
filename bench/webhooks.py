"""What audio webhooks cost live streams: the same load on a server whose users have none, and have bad ones.

    python -m bench webhooks [--streams N] [--seconds S] [--rounds R]

In turns, round after round, each with a server of its own that is thrown away: users without a webhook, and users who
each have two for their audio, one at a port where nobody listens and one that answers after 14 seconds. Paced Opus
streams (`listen load`) and the stand-in vendor are the same. Compared are the time from a word to its segment and the
server's CPU and memory. Server, generator, vendor and receiver share the machine: with two cores 100 streams leave room
that latencies mean something, and nothing else may run. Exit status 1 when a figure must not be believed: generator or
vendor used more than 80 % of a core, or streams were lost.
"""

import argparse
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx2
import msgspec

from bench.endtoend import plan_of
from bench.load.stacks import KERNELS, ROOT, compile_program
from bench.machine import machine
from engine.cli.load_figures import LoadFigures, Process
from engine.cli.load_process import Running, own_server, process
from engine.cli.load_run import LoadPlan, run_load
from engine.cli.status import Failure

__all__ = ["Arm", "Pair", "main", "measure", "measure_pair"]

SLOW = 14.0
"""Seconds until the slow receiver answers."""
SETTLE = 25.0
"""Seconds of load before anything is measured: by then chunks are cut, refused, waited for and tried again, and the
dead endpoints are in their pause."""
CHUNK_SECONDS = 5
TOLD = {"triggers_on": "audio_bytes"}
APP: dict[str, object] = {
    "name": "Slow",
    "description": "Answers after a while.",
    "author": "bench",
    "category": "utilities",
    "private": False,
    "capabilities": ["external_integration"],
}
WEBHOOK = "/v1/users/developer/webhook/audio_bytes"


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One run. `chunks` were cut, `lost` seconds never were, and `requests` made of them."""

    webhooks: bool
    figures: LoadFigures
    chunks: float
    lost: float
    requests: float

    @property
    def p99(self) -> float:
        """Of the time from a word to its segment, in ms. Raises Failure when no segment came."""
        if self.figures.segment is None:
            raise Failure("no segment came")
        return self.figures.segment.p99

    @property
    def parts(self) -> str:
        """Where the time went, and who else was busy."""
        figures = self.figures
        told = {
            "all": figures.segment,
            "to vendor": figures.to_vendor,
            "to client": figures.to_client,
            "generator late": figures.late,
        }
        times = [f"{name} {of.p50:.1f}/{of.p99:.1f}/{of.max:.0f}" for name, of in told.items() if of]
        shares = f"cores: server {self.used.core_share:.2f}, generator {figures.generator_core_share:.2f}"
        return (
            f"p50/p99/max ms: {', '.join(times)}; {shares}, others {figures.others_core_share:.2f}; "
            f"{figures.missing} of {figures.expected} words missing"
        )

    @property
    def used(self) -> Process:
        """By the server."""
        assert self.figures.server is not None, "we started it"
        return self.figures.server


def measure(streams: int, seconds: float, *, webhooks: bool) -> Arm:
    """Start everything, load it, and end it."""
    with _running(webhooks) as (server, vendor, slow):
        run_load(_plan(2, 1.0, server, vendor))  # what the first sessions load is not the others'
        plan = _plan(streams, seconds, server, vendor)
        if webhooks:
            _turn_on(server, [f"{plan.uid}-{number}" for number in range(streams)], slow)
        figures = run_load(msgspec.structs.replace(plan, settle=SETTLE))
        counted = _counted(server)
    return Arm(
        webhooks=webhooks,
        figures=figures,
        chunks=counted["listen_webhook_chunks_total"],
        lost=counted["listen_webhook_audio_lost_seconds_total"],
        requests=counted["listen_webhook_requests_total"],
    )


def _plan(streams: int, seconds: float, server: Running, vendor: Running) -> LoadPlan:
    plan = plan_of(streams, seconds)
    return msgspec.structs.replace(plan, url=server.url, pid=server.pid, vendor_pid=vendor.pid)


@contextmanager
def _running(webhooks: bool) -> Iterator[tuple[Running, Running, Running]]:
    """A server, its vendor, and the slow receiver, which is there in either case."""
    receiver = [sys.executable, "-m", "bench.slow_receiver", str(SLOW)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            process("vendor", [str(compile_program("vendor", folder))]) as vendor,
            process("receiver", receiver, folder=ROOT) as slow,
        ):
            command, environ = own_server(vendor.url, folder / "data", KERNELS, "on")
            environ |= {"LISTEN_WEBHOOK_ALLOW": "127.0.0.0/8", "LISTEN_WEB_REQUESTS_PER_MINUTE": "100000"}
            with process("with webhooks" if webhooks else "without", command, environ, ROOT) as server:
                yield server, vendor, slow


def _turn_on(server: Running, users: Sequence[str], slow: Running) -> None:
    """Two webhooks for the audio of each user: one at a port where nobody listens, and a slow app's."""
    with httpx2.Client(base_url=server.url.replace("ws", "http", 1), timeout=60) as http:

        def post(path: str, uid: str, body: object = None, **query: str) -> httpx2.Response:
            return http.post(path, params={"uid": uid, **query}, json=body).raise_for_status()

        url = slow.url.replace("ws", "http", 1) + "/slow"
        app = post("/v1/apps", "maker", APP | {"external_integration": TOLD | {"webhook_url": url}})
        for uid in users:
            post(WEBHOOK, uid, {"url": f"http://127.0.0.1:{_nobody()}/dead,{CHUNK_SECONDS}"})
            post("/v1/apps/enable", uid, app_id=app.json()["app_id"])


def _nobody() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
    return port


def _counted(server: Running) -> dict[str, float]:
    """Each metric, its labels added up."""
    text = httpx2.get(server.url.replace("ws", "http", 1) + "/metrics", timeout=60).text
    sums: dict[str, float] = {"listen_webhook_requests_total": 0.0}
    for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", text, flags=re.MULTILINE):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


class Pair(msgspec.Struct, frozen=True):
    """One round: a run without webhooks, and one with bad ones."""

    without: Arm
    bad: Arm

    @property
    def p99(self) -> float:
        """The latency's ratio."""
        return self.bad.p99 / self.without.p99

    @property
    def cpu(self) -> float:
        """The ratio of the server's CPU."""
        return self.bad.used.us_per_stream_second / self.without.used.us_per_stream_second

    @property
    def kib(self) -> float:
        """What webhooks add to a stream's memory."""
        return self.bad.used.kib_per_stream - self.without.used.kib_per_stream

    def __str__(self) -> str:
        one, two = self.without, self.bad
        return (
            f"p99 {one.p99:.1f} and {two.p99:.1f} ms, ratio {self.p99:.2f}; "
            f"CPU {one.used.us_per_stream_second:.0f} and {two.used.us_per_stream_second:.0f} us a stream-second, "
            f"ratio {self.cpu:.2f}; memory {one.used.kib_per_stream:.0f} and {two.used.kib_per_stream:.0f} KiB a "
            f"stream; {two.chunks:.0f} chunks, {two.requests:.0f} requests, {two.lost:.1f} s never cut\n"
            f"  without: {one.parts}\n  with: {two.parts}"
        )


def measure_pair(streams: int, seconds: float, number: int) -> Pair:
    """Both runs, in an order that changes with the round's `number`."""
    arms: dict[bool, Arm] = {}
    for webhooks in (False, True) if number % 2 else (True, False):
        print(
            f"round {number + 1}: {'with' if webhooks else 'without'} webhooks", file=sys.stderr, flush=True
        )
        arms[webhooks] = measure(streams, seconds, webhooks=webhooks)
    return Pair(arms[False], arms[True])


def main(given: Sequence[str] = ()) -> int:
    """Measure and print. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench webhooks", description="See the module's documentation."
    )
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(given)
    print("\n".join(machine()))
    print(
        f"{arguments.streams} streams, {arguments.seconds:g} s, {arguments.rounds} rounds; without and with webhooks:"
    )
    pairs: list[Pair] = []
    for number in range(arguments.rounds):
        pairs.append(measure_pair(arguments.streams, arguments.seconds, number))
        print(f"round {number + 1}: {pairs[-1]}", flush=True)
    print(
        f"medians: p99 {median(pair.p99 for pair in pairs):.2f} times, CPU {median(pair.cpu for pair in pairs):.2f}"
        f" times, memory {median(pair.kib for pair in pairs):+.0f} KiB a stream"
    )
    doubts = [_doubtful(arm) for pair in pairs for arm in (pair.without, pair.bad)]
    return int(any(doubts))


def _doubtful(arm: Arm) -> bool:
    try:
        arm.figures.believe()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return True
    return bool(arm.figures.failed)
