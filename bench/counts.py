"""What a packet costs in countable things: system calls, bytes copied, wake-ups, objects. The same on every machine.

Counted in the native lane, by a Trio instrument, and by the interpreter's number of allocated blocks (objects that
stay: what is freed again within the same stretch does not count). All packets of a batch are there before it is
counted, and the loop has come to rest after it; the figure is the median over the batches, because a batch that was
interrupted for longer than the lane's time limit takes one call more.
"""

import gc
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import trio
from trio.testing import wait_all_tasks_blocked

from bench.sockets import PACKETS_A_CHUNK, SOCKETS, LanedSockets, clients, opus_packets
from engine.audio.codecs import create_decoder
from engine.audio.intake import open_intake
from engine.audio.ring import Ring
from engine.listen import open_session
from engine.server.lane import Lane
from engine.testing.scripted import ScriptedVendor, counted_words
from engine.wire.messages import Segment, encode_segments

__all__ = ["counts"]

BATCHES = 100
RATE = 16_000
CHUNK = RATE // 10
PACKETS_A_SECOND = 50

NATIVE = {
    "epoll_wait": "waits",
    "recv": "receives",
    "sendmsg": "sends",
    "epoll_ctl": "controls",
    "bytes copied": "bytes_copied",
}
"""What the lane counts, and its names for that; a batch is a packet from each of `SOCKETS` sockets."""


def counts() -> dict[str, float]:
    """Everything that is counted, by name."""
    return _native() | _vendors() | trio.run(_woken) | trio.run(_session) | _decoder() | _message()


def _native() -> dict[str, float]:
    """The native call alone: `SOCKETS` sockets with a packet each, again and again."""
    with clients() as senders:
        laned = LanedSockets(senders.servers)
        done = 0

        def batch() -> None:
            nonlocal done
            done += SOCKETS
            senders.send()
            laned.drain(done)

        batch()
        spent = {name: _each(batch, partial(getattr, laned.counts, field)) for name, field in NATIVE.items()}
        kept = _blocks_kept(batch)
    return {f"lane: {name} a batch": count for name, count in spent.items()} | {
        "lane: objects kept a batch": kept
    }


def _vendors() -> dict[str, float]:
    """The same with a vendor behind each socket: a batch is a chunk of 100 ms from each."""
    with clients() as senders, clients() as vendors:
        laned = LanedSockets(senders.servers, vendors.servers)
        done = 0

        def batch() -> None:
            nonlocal done
            for _ in range(PACKETS_A_CHUNK):
                done += SOCKETS
                senders.send()
                laned.drain(done)
            laned.sent()
            vendors.take()

        batch()
        counters = {
            "sendmsg": partial(getattr, laned.counts, "sends"),
            "epoll_ctl": partial(getattr, laned.counts, "controls"),
            "bytes copied": partial(getattr, laned.counts, "bytes_copied"),
            "reports to Python": partial(getattr, laned, "reports"),
        }
        spent = {f"vendors: {name} a batch": _each(batch, counter) for name, counter in counters.items()}
        return spent | {"vendors: objects kept a batch": _blocks_kept(batch)}


def _each(batch: Callable[[], None], counter: Callable[[], int]) -> float:
    """What a batch adds to the counter."""
    added = []
    for _ in range(BATCHES):
        before = counter()
        batch()
        added.append(counter() - before)
    return statistics.median(added)


def _blocks_kept(batch: Callable[[], None]) -> float:
    """Blocks that stay allocated for each of `BATCHES` batches, as far as it is one for every batch."""
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(BATCHES):
        batch()
    gc.collect()
    return max(0, (sys.getallocatedblocks() - before) // BATCHES)


class _Steps(trio.abc.Instrument):
    """Counts the steps of all tasks but one."""

    def __init__(self, but: trio.lowlevel.Task) -> None:
        self.count = 0
        self._but = but

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self._but:
            self.count += 1


async def _woken() -> dict[str, float]:
    """How often the lane's task runs, and how often a session hears of audio: once a chunk, not once a packet."""
    told, steps = 0, _Steps(trio.lowlevel.current_task())
    with ExitStack() as stack:
        senders = stack.enter_context(clients())
        lane = Lane(SOCKETS, 1 << 20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.run)
            for server in senders.servers:
                ring, decoder = Ring(16 * RATE), create_decoder("opus_fs320", RATE)
                intake = open_intake(decoder, ring, margin=0, keepalive=2, alarm=50)
                laned = lane.add(server.fileno())
                assert intake is not None
                assert laned is not None

                def heard(ring: Ring = ring) -> None:
                    nonlocal told
                    told += 1
                    ring.want(ring.write_position + CHUNK)

                ring.want(CHUNK)
                stack.enter_context(laned.decoding(intake, heard, _no_room))
            await wait_all_tasks_blocked()
            trio.lowlevel.add_instrument(steps)
            taken = []
            for _ in range(BATCHES):
                before = steps.count
                senders.send()
                await wait_all_tasks_blocked()
                taken.append(steps.count - before)
            trio.lowlevel.remove_instrument(steps)
            nursery.cancel_scope.cancel()
    chunks = SOCKETS * BATCHES / PACKETS_A_CHUNK
    return {
        "lane: task steps a batch": statistics.median(taken),
        "lane: sessions told a chunk": told / chunks,
    }


async def _no_room(samples: int) -> None:
    raise AssertionError(f"{samples} samples do not fit, where nobody reads")


async def _session() -> dict[str, float]:
    """What a session's own tasks do for a second of audio, packets handed to it one by one."""
    packets = opus_packets()
    seconds = len(packets) // PACKETS_A_SECOND
    async with open_session(ScriptedVendor(counted_words(1.0)), codec="opus_fs320") as session:
        await wait_all_tasks_blocked()
        steps = _Steps(trio.lowlevel.current_task())
        trio.lowlevel.add_instrument(steps)
        taken = []
        for second in range(seconds):
            before = steps.count
            for packet in packets[second * PACKETS_A_SECOND : (second + 1) * PACKETS_A_SECOND]:
                await session.send(packet)
                await wait_all_tasks_blocked()
            taken.append(steps.count - before)
        trio.lowlevel.remove_instrument(steps)
    return {"session: task steps a second": statistics.median(taken)}


def _decoder() -> dict[str, float]:
    """A packet that goes through Python."""
    ring, decoder, packets = Ring(16 * RATE), create_decoder("opus_fs320", RATE), opus_packets()[:50]

    def batch() -> None:
        for packet in packets:
            decoder.decode(packet, ring)

    batch()
    return {"decoder: objects kept a batch": _blocks_kept(batch)}


def _message() -> dict[str, float]:
    segment = Segment(id="0" * 36, text="Ever tried.", start=0, end=1, stt_provider="deepgram")
    return {"JSON: bytes a segment": len(encode_segments([segment]))}
