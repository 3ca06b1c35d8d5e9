"""Decoding in a thread: in order, several sessions in one hop, and never two at once with one decoder."""

from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

import numpy as np
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.audio.aac import AdtsDecoder
from engine.audio.decoder import Decoded, Payload, Unpacked
from engine.audio.ring import Ring
from engine.listen.unpacking import HOP_PIECES, Unpacking
from engine.off_loop import worker_threads
from tests.audio_room.streams import heard, packets, speech

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Gate:
    """A way off the loop that waits until it is opened, and remembers how many pieces each hop took."""

    def __init__(self) -> None:
        self.open = trio.Event()
        self.hops: list[int] = []

    async def __call__(self, fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
        pieces = next(iter(args))
        assert isinstance(pieces, Sequence)
        self.hops.append(len(pieces))
        await self.open.wait()
        return fn(*args)


class Echo(AdtsDecoder):
    """Gives each byte back as a sample; fails on b"bad"."""

    def __init__(self) -> None:
        super().__init__(16_000)
        self.order: list[bytes] = []

    def unpack(self, payload: Payload) -> Unpacked:
        if payload == b"bad":
            raise MemoryError("no memory")
        self.order.append(bytes(payload))
        pcm = np.frombuffer(payload, np.uint8).astype(np.int16)
        return Unpacked(pcm, Decoded(pcm.size))


async def test_sessions_that_wait_together_share_a_hop() -> None:
    gate = Gate()
    unpacking = Unpacking(gate, 1)
    given: list[int] = []

    async def session(number: int) -> None:
        unpacked = await unpacking.unpack(Echo(), bytes([number]))
        given.append(int(unpacked.pcm[0]))

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(session, number)
        await wait_all_tasks_blocked()
        for number in range(5, 5 + HOP_PIECES + 3):
            nursery.start_soon(session, number)
        await wait_all_tasks_blocked()
        statistics = unpacking.statistics()
        assert (statistics.running, statistics.waiting) == (1, HOP_PIECES + 3)
        gate.open.set()
    assert gate.hops == [5, HOP_PIECES, 3]
    assert sorted(given) == list(range(5 + HOP_PIECES + 3))
    statistics = unpacking.statistics()
    assert (statistics.pieces, statistics.hops, statistics.running, statistics.waiting) == (
        len(given),
        3,
        0,
        0,
    )


async def test_so_many_hops_are_under_way_as_are_allowed() -> None:
    gate = Gate()
    unpacking = Unpacking(gate, 2)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(unpacking.unpack, Echo(), b"x")
            await wait_all_tasks_blocked()
        assert gate.hops == [1, 1]
        gate.open.set()
    assert gate.hops == [1, 1, 1]


async def test_the_pieces_of_a_stream_keep_their_order() -> None:
    unpacking = Unpacking(worker_threads(4), 4)
    decoders = [Echo() for _ in range(20)]

    async def session(decoder: Echo) -> None:
        for number in range(50):
            await unpacking.unpack(decoder, bytes([number]))

    async with trio.open_nursery() as nursery:
        for decoder in decoders:
            nursery.start_soon(session, decoder)
    assert all(decoder.order == [bytes([number]) for number in range(50)] for decoder in decoders)
    assert unpacking.statistics().hops < 20 * 50 / 2


async def test_a_session_that_is_cancelled_waits_until_its_decoder_is_free() -> None:
    gate = Gate()
    unpacking = Unpacking(gate, 1)
    decoders = [Echo(), Echo(), Echo()]
    over: list[int] = []

    async def session(number: int, scope: trio.CancelScope) -> None:
        with scope:
            await unpacking.unpack(decoders[number], b"x")
            over.append(number)

    scopes = [trio.CancelScope() for _ in decoders]
    async with trio.open_nursery() as nursery:
        for number, scope in enumerate(scopes):
            nursery.start_soon(session, number, scope)
            await wait_all_tasks_blocked()
        for scope in scopes:  # one leads a hop, two wait
            scope.cancel()
        await wait_all_tasks_blocked()
        assert over == []
        gate.open.set()
    assert sorted(over) == [0, 1, 2]
    assert all(decoder.order == [b"x"] for decoder in decoders)


async def test_a_decoder_that_fails_is_its_own_sessions_trouble() -> None:
    gate = Gate()
    unpacking = Unpacking(gate, 1)
    failed = 0

    async def session(payload: bytes) -> None:
        nonlocal failed
        if payload == b"bad":
            with pytest.raises(MemoryError, match="no memory"):
                await unpacking.unpack(Echo(), payload)
            failed += 1
        else:
            assert (await unpacking.unpack(Echo(), payload)).done.samples == 4

    async with trio.open_nursery() as nursery:
        for payload in (b"good", b"bad", b"good", b"bad"):
            nursery.start_soon(session, payload)
        await wait_all_tasks_blocked()
        gate.open.set()
    assert failed == 2


async def test_when_the_hop_itself_fails_everybody_in_it_hears_of_it_and_the_next_goes_on() -> None:
    broken = True

    async def off_loop(fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
        await trio.lowlevel.checkpoint()
        if broken:
            raise OSError("no thread can be started")
        return fn(*args)

    unpacking = Unpacking(off_loop, 1)

    async def session() -> None:
        with pytest.raises(OSError, match="no thread"):
            await unpacking.unpack(Echo(), b"x")

    async with trio.open_nursery() as nursery:
        for _ in range(HOP_PIECES + 5):
            nursery.start_soon(session)
    broken = False
    assert (await unpacking.unpack(Echo(), b"x")).done.samples == 1


async def test_aac_through_threads_is_what_it_is_without() -> None:
    unpacking = Unpacking(worker_threads(2), 2)
    rates = (8000, 16_000, 44_100, 48_000)
    rings = {rate: Ring(10 * 16_000) for rate in rates}
    pcm = speech()

    async def session(rate: int) -> None:
        decoder = AdtsDecoder(16_000)
        for packet in packets("aac", pcm, rate):
            unpacked = await unpacking.unpack(decoder, packet)
            rings[rate].write(unpacked.pcm)
        decoder.flush(rings[rate])

    async with trio.open_nursery() as nursery:
        for rate in rates:
            nursery.start_soon(session, rate)
    for rate, ring in rings.items():
        expected, decoder = Ring(10 * 16_000), AdtsDecoder(16_000)
        for packet in packets("aac", pcm, rate):
            decoder.decode(packet, expected)
        decoder.flush(expected)
        assert heard(ring).tobytes() == heard(expected).tobytes()
