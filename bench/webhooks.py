"""What audio webhooks cost live streams: the same load on a server whose users have none, and have bad ones.

    python -m bench webhooks [--streams N] [--seconds S] [--rounds R]

In turns, round after round, each with a server of its own that is thrown away: users without a webhook, and users who
each have two for their audio, one at a port where nobody listens and one that answers after 14 seconds. Paced Opus
streams (`listen load`) and the stand-in vendor are the same. Compared are the time from a word to its segment and the
server's CPU and memory. Exit status 1 when a figure must not be believed: generator or vendor used more than 80 % of a
core, or streams were lost.
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
from engine.cli.load_figures import LoadFigures
from engine.cli.load_process import Running, own_server, process
from engine.cli.load_run import LoadPlan, run_load
from engine.cli.status import Failure

__all__ = ["Arm", "main", "measure"]

SLOW = 14.0
"""Seconds until the slow receiver answers."""
SETTLE = 15.0
"""Seconds of load before anything is measured: by then chunks are cut, refused, waited for and tried again."""
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
        assert self.figures.segment is not None, "segments came"
        return self.figures.segment.p99


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


def _line(name: str, arms: Sequence[Arm]) -> str:
    """Medians over the rounds, and the p99 of each."""
    servers = [arm.figures.server for arm in arms if arm.figures.server is not None]
    latencies = [arm.figures.segment for arm in arms if arm.figures.segment is not None]
    if not latencies:
        return f"{name:18} no segment came"
    parts = (
        f"p50 {median(one.p50 for one in latencies):.1f} ms",
        f"p99 {median(one.p99 for one in latencies):.1f} ms ({', '.join(f'{one.p99:.1f}' for one in latencies)})",
        f"{median(one.us_per_stream_second for one in servers):.0f} us CPU a stream-second",
        f"{median(one.kib_per_stream for one in servers):.0f} KiB a stream",
        f"{median(arm.chunks for arm in arms):.0f} chunks",
        f"{median(arm.requests for arm in arms):.0f} requests",
        f"{median(arm.lost for arm in arms):.1f} s never cut",
    )
    return f"{name:18} {', '.join(parts)}"


def main(given: Sequence[str] = ()) -> int:
    """Measure and print. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench webhooks", description="See the module's documentation."
    )
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(given)
    arms: list[Arm] = []
    for number in range(arguments.rounds):
        for webhooks in (False, True) if number % 2 else (True, False):
            print(
                f"round {number + 1}: {'with' if webhooks else 'without'} webhooks",
                file=sys.stderr,
                flush=True,
            )
            arms.append(measure(arguments.streams, arguments.seconds, webhooks=webhooks))
    print("\n".join(machine()))
    print(f"{arguments.streams} streams, {arguments.seconds:g} s, {arguments.rounds} rounds")
    print(_line("without webhooks", [arm for arm in arms if not arm.webhooks]))
    print(_line("dead and slow ones", [arm for arm in arms if arm.webhooks]))
    return int(any(_doubtful(arm) for arm in arms))


def _doubtful(arm: Arm) -> bool:
    try:
        arm.figures.believe()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return True
    return bool(arm.figures.failed)
