"""What the native lane saves: the same sessions by both ways in, interleaved in one run.

    python -m bench.lane [--streams 20,50] [--seconds 4] [--rounds 3] [--codec opus_fs320] [--rate 16000]

Two servers of one process each, alike but for `lane`, with a vendor in the same process that gives one word a second
and takes 20 ms chunks of what it hears: everything is on (session, ring, journal, conversations) but the writes to a
vendor. Paced streams go to one and then to the other, round after round. The figure is CPU of the whole server,
µs a stream-second; "of quart" is the median of the ratios within a round. What else runs on the machine makes both
dearer: use the ratios.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import trio

from bench.endtoend import RECORDING
from engine.cli.load import prepare
from engine.cli.load_run import LoadPlan, run_load
from engine.cli.recording import read
from engine.config import Config, Limits
from engine.server import serve
from engine.testing.scripted import ScriptedVendor, counted_words

WAYS = ("on", "off")
SESSIONS = 10_000


async def _serve(lane: str, folder: str) -> None:
    """A server until its standard input ends; prints its port."""
    limits = Limits(sessions=SESSIONS, sessions_per_user=SESSIONS, connects_per_minute=SESSIONS)
    config = Config(port=0, data_dir=Path(folder), lane="on" if lane == "on" else "off", limits=limits)
    stop = trio.Event()

    async def run(*, task_status: trio.TaskStatus[object]) -> None:
        await serve(
            config,
            vendors=[ScriptedVendor(counted_words(1.0))],
            shutdown=stop,
            task_status=task_status,
        )

    async with trio.open_nursery() as nursery:
        bound = await nursery.start(run)
        print(bound.port, flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        stop.set()


@contextmanager
def _server(lane: str) -> Iterator[tuple[str, int]]:
    """Address and process id."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.lane", "--serve", lane, folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
            port = int(next(line for line in process.stdout if line.strip().isdigit()))
            yield f"ws://127.0.0.1:{port}", process.pid
            process.stdin.close()
            process.wait()


def _plan(codec: str, rate: int) -> LoadPlan:
    """Two streams for a second; who measures has more of them for longer."""
    packets, period = prepare(read(RECORDING, rate=rate, channels=1), codec)
    return LoadPlan(
        url="",
        streams=2,
        seconds=1.0,
        packets=packets,
        period=period,
        codec=codec,
        query={"language": "en", "codec": codec, "sample_rate": rate},
        uid="bench",
        ramp=1.0,
    )


def _cpu(plan: LoadPlan, url: str, pid: int) -> float:
    figures = run_load(msgspec.structs.replace(plan, url=url, pid=pid))
    assert figures.server is not None
    return figures.server.us_per_stream_second


def main(given: Sequence[str] = ()) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.lane", description=__doc__)
    parser.add_argument("--streams", default="20,50")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codec", default="opus_fs320")
    parser.add_argument("--rate", type=int, default=16_000)
    arguments = parser.parse_args(given)
    short = _plan(arguments.codec, arguments.rate)
    print("| streams | lane, µs a stream-second | quart | lane of quart |\n|---:|---:|---:|---:|")
    with ExitStack() as running:
        servers = {way: running.enter_context(_server(way)) for way in WAYS}
        for way in WAYS:
            _cpu(short, *servers[way])
        for streams in map(int, arguments.streams.split(",")):
            plan = msgspec.structs.replace(short, streams=streams, seconds=arguments.seconds)
            rounds = [[_cpu(plan, *servers[way]) for way in WAYS] for _ in range(arguments.rounds)]
            lane, quart = (statistics.median(one[n] for one in rounds) for n in range(2))
            ratio = statistics.median(one[0] / one[1] for one in rounds)
            print(f"| {streams} | {lane:.0f} | {quart:.0f} | {ratio:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        trio.run(_serve, sys.argv[2], sys.argv[3])
    else:
        sys.exit(main(sys.argv[1:]))
