"""What a vendor's result costs, from its message at the lane to the segment at the client's socket.

    python -m bench results [--sessions N] [--rounds N] [--profile]

All that `listen serve` runs between the two is here, in one process: lane, session, merging, journal, database. Each
session has a client that sends a second of Opus, and a vendor that then says what it heard, as Deepgram does. Counted
is the CPU of those steps of the loop in which results are taken (an instrument reads the thread's clock before and
after each), the system calls in them included; the sockets are of the kind that costs least. `--profile` prints the
functions in which the time goes instead, which it makes slower.
"""

import argparse
import cProfile
import json
import pstats
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import trio

from bench.sockets import opus_packets
from engine.cli.load_socket import BINARY, frame
from engine.config import Config, Limits, Stt
from engine.listen import ListenService
from engine.server.http import bind
from engine.server.lane import Lane
from engine.server.parts import Parts
from engine.server.serving import Serving
from engine.server.vendor_lane import VendorSocket
from engine.stt.deepgram import TRAITS, DeepgramProtocol
from engine.stt.protocol import Endpoint
from engine.stt.stream import StreamingVendor, StreamLimits
from engine.stt.transport import Connection, Request
from engine.transcript.merge import FULL_TEXT
from engine.wire.parameters import ListenParameters

__all__ = ["by_hand", "results"]

Opened = tuple[trio.lowlevel.TrioToken, "Results", trio.Event]

RECEIVING = "engine.stt._stream.Stream._receive"
PACKETS_A_SECOND = 50
WORDS = ("ever", "tried", "failed.")
MOST_OF_A_SECOND = 2 * 16_000 * 7 // 8
TEXT = 0x81
RECEIVE = 1 << 20
TAKEN = 10.0
"""Seconds within which a client or a vendor is sent what it waits for."""


class _Unpaced(DeepgramProtocol):
    """Deepgram's, whose audio may come late, and as fast as it can be decoded."""

    traits = msgspec.structs.replace(TRAITS, pace=1e6, first_audio=None)


class Steps(trio.abc.Instrument):
    """CPU of the steps of one kind of task, and how many there were."""

    def __init__(self, name: str, profile: cProfile.Profile | None = None) -> None:
        self.count = self.nanoseconds = 0
        self._name = name
        self._profile = profile
        self._began = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument."""
        if task.name == self._name:
            if self._profile is not None:
                self._profile.enable()
            self._began = time.thread_time_ns()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See trio.abc.Instrument."""
        if task.name == self._name:
            self.nanoseconds += time.thread_time_ns() - self._began
            self.count += 1
            if self._profile is not None:
                self._profile.disable()


class _Line:
    """A `Transport` to vendors at the other end of socket pairs."""

    def __init__(self, lane: Lane) -> None:
        self.vendors: list[socket.socket] = []
        self._lane = lane

    @asynccontextmanager
    async def connect(self, request: Request) -> AsyncIterator[Connection]:
        """See `Transport`."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            connection = self._lane.dial(VendorSocket, ours.fileno(), b"")
            assert connection is not None
            self.vendors.append(theirs)
            try:
                yield connection
            finally:
                connection.remove()


def result(second: int) -> bytes:
    """A frame with what Deepgram says of a second, three words of it."""
    words = [
        {
            "word": word.strip("."),
            "start": second + (number + 0.1) / len(WORDS),
            "end": second + (number + 0.9) / len(WORDS),
            "confidence": 0.99,
            "speaker": 0,
            "punctuated_word": word,
        }
        for number, word in enumerate(WORDS)
    ]
    said = {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 1.0,
        "start": float(second),
        "is_final": True,
        "speech_final": True,
        "from_finalize": False,
        "channel": {"alternatives": [{"transcript": " ".join(WORDS), "confidence": 0.99, "words": words}]},
        "metadata": {
            "request_id": "0b9a2c9e-52d0-4fb0-bd7c-8b0b4cf8be0a",
            "model_info": {"name": "nova-3", "version": "2025-04-17.21547", "arch": "nova-3"},
            "model_uuid": "40bd3654-e622-47c4-a111-63a61b23bfe8",
        },
    }
    payload = json.dumps(said).encode()
    return bytes((TEXT, 126)) + len(payload).to_bytes(2, "big") + payload


class Streams:
    """So many sessions at once. `clients` and `vendors` are the other ends of their sockets."""

    def __init__(self, clients: Sequence[socket.socket], vendors: Sequence[socket.socket]) -> None:
        self._clients = clients
        self._vendors = vendors
        packets = opus_packets()
        frames = [frame(BINARY, packet) for packet in packets]
        self._seconds = [
            b"".join(frames[at : at + PACKETS_A_SECOND])
            for at in range(0, len(frames) - PACKETS_A_SECOND, PACKETS_A_SECOND)
        ]
        self._second = 0

    async def turn(self) -> None:
        """For each session in turn: a second more of audio goes to its vendor, and what that says to its client.

        So what results need is not in the caches still from the one before, as it is not where audio of others came
        between them.
        """
        said = result(self._second)
        audio = self._seconds[self._second % len(self._seconds)]
        self._second += 1
        for client, vendor in zip(self._clients, self._vendors, strict=True):
            client.send(audio)
            heard = 0
            while heard < MOST_OF_A_SECOND:  # less than a message waits for more
                heard += len(await _next(vendor))
            vendor.send(said)
            await _until(client, b'"text"')


async def _next(end: socket.socket) -> bytes:
    """What was sent to this end, once there is something."""
    with trio.fail_after(TAKEN):
        await trio.lowlevel.wait_readable(end)
    return end.recv(RECEIVE)


async def _until(client: socket.socket, sign: bytes) -> None:
    """Take what the client was sent, until `sign` is in it."""
    received = b""
    while sign not in received:
        received += await _next(client)


@asynccontextmanager
async def streams(count: int, folder: Path) -> AsyncIterator[Streams]:
    """So many sessions, open and listened to, with their data in `folder`."""
    config = Config(
        port=0,
        lane="off",  # the sockets here are in one of their own
        data_dir=folder,
        limits=Limits(sessions=count),
        stt=Stt(connects_per_second=10_000),
    )
    lane = Lane(count, 1 << 20, links=count)
    line = _Line(lane)
    vendor = StreamingVendor(
        name="dg-nova-3",
        provider="deepgram",
        speaks=lambda language: True,
        protocol=lambda options: _Unpaced(options, Endpoint("ws://vendor", "key", "nova-3")),
        transport=line,
        limits=StreamLimits(),
    )
    async with _service(config, vendor) as service, trio.open_nursery() as nursery:
        nursery.start_soon(lane.run)
        with ExitStack() as opened:
            clients = []
            for number in range(count):
                client, server = (opened.enter_context(one) for one in socket.socketpair())
                server.setblocking(False)
                laned = lane.add(server.fileno())
                assert laned is not None
                parameters = ListenParameters(codec="opus_fs320", sample_rate=16_000)
                nursery.start_soon(service.serve, laned, parameters, f"user-{number}")
                clients.append(client)
                await _until(client, b'"ready"')  # one by one, so that each has the vendor of its number
            yield Streams(clients, line.vendors)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def _service(config: Config, vendor: StreamingVendor) -> AsyncIterator[ListenService]:
    """A server's sessions; nobody comes in by its port."""
    parts = await Parts.open(config, [vendor])
    async with trio.open_nursery() as nursery:
        await nursery.start(Serving(parts).run, partial(bind, config.host, config.port), trio.Event())
        yield parts.sessions
        nursery.cancel_scope.cancel()


class Results:
    """Sessions that take a result each, again and again."""

    def __init__(self, streams: Streams, profile: cProfile.Profile | None = None) -> None:
        self._streams = streams
        self._profile = profile

    async def turn(self) -> Steps:
        """What taking one result in each session took."""
        steps = Steps(RECEIVING, self._profile)
        trio.lowlevel.add_instrument(steps)
        await self._streams.turn()
        trio.lowlevel.remove_instrument(steps)
        return steps


@contextmanager
def results(count: int, profile: cProfile.Profile | None = None) -> Iterator[Callable[[], float]]:
    """`count` sessions on a loop in a thread; a call has each take a result and gives the nanoseconds for one."""
    opened = Future[Opened]()

    async def run() -> None:
        over = trio.Event()
        async with streams(count, Path(folder)) as sessions:
            opened.set_result((trio.lowlevel.current_trio_token(), Results(sessions, profile), over))
            await over.wait()

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        running = thread.submit(trio.run, run)
        running.add_done_callback(partial(_fail, opened))
        token, taking, over = opened.result()

        def turn() -> float:
            steps = trio.from_thread.run(taking.turn, trio_token=token)
            return steps.nanoseconds / count

        try:
            yield turn
        finally:
            trio.from_thread.run_sync(over.set, trio_token=token)
            running.result()


def _fail(opened: Future[Opened], run: Future[None]) -> None:
    """Whoever waits for the sessions to be opened learns why they were not."""
    if not opened.done():
        opened.set_exception(run.exception() or RuntimeError("the loop ended"))


@contextmanager
def by_hand() -> Iterator[Callable[[], None]]:
    """The least that does the same: read the message, join the text, write it to a file, send it."""
    said = result(0)[4:]
    text = ""
    with tempfile.TemporaryFile(buffering=0) as journal, ExitStack() as opened:
        ours, theirs = (opened.enter_context(one) for one in socket.socketpair())

        def take() -> None:
            nonlocal text
            alternative = json.loads(said)["channel"]["alternatives"][0]
            text = f"{text} {alternative['transcript']}"[-FULL_TEXT:]
            segment = {"id": "0", "text": text, "start": 0.0, "end": alternative["words"][-1]["end"]}
            message = json.dumps([segment]).encode()
            journal.write(message)
            ours.send(message)
            theirs.recv(RECEIVE)

        yield take


def main(given: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench results", description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args(given)
    profile = cProfile.Profile() if arguments.profile else None
    with results(arguments.sessions, profile) as turn:
        turn()
        taken = sorted(turn() / 1000 for _ in range(arguments.rounds))
    print(
        f"{statistics.median(taken):.1f} µs a result ({taken[0]:.1f} to {taken[-1]:.1f}), "
        f"{arguments.sessions} sessions"
    )
    if profile is not None:
        pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(60)


if __name__ == "__main__":
    main(sys.argv[1:])
