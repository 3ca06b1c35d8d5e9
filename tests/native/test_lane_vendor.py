"""Vendors' connections in the lane: what they say is handed up, and audio goes to them from a ring, without Python."""

import select
import socket
import struct
from collections.abc import Iterator
from time import monotonic_ns
from typing import Any

import numpy as np
import pytest
from wsproto.frame_protocol import FrameProtocol, Opcode

from engine._native import lib
from engine.audio.gate import EnergyGate
from engine.audio.pump import Pump
from engine.audio.ring import Ring
from tests.native.lanes import Laned, received
from tests.native.test_frame import BINARY, CLOSE, PING, PONG, TEXT, frame

LIMIT = 1 << 20
NO_LIMIT = 1 << 62


class Vendored(Laned):
    """A lane, and the vendors of it."""

    def dial(self, rest: bytes = b"") -> tuple[int, socket.socket]:
        vendor, ours = socket.socketpair()
        slot = lib.lane_dial(self.lane, ours.fileno(), rest, len(rest))
        self.servers[slot] = ours
        lib.lane_read(self.lane, slot, lib.LANE_ALL)
        vendor.settimeout(10)
        self.kept.append(vendor)
        return slot, vendor

    def pump(self, slot: int, ring: Ring, *, least: int = 320, most: int = 1600, **native: int) -> Pump:
        """A pump from the beginning of `ring`."""
        pump = Pump(ring, ring.cursor("speech to text"), 0)
        gate = EnergyGate()
        pump.native.gate, pump.native.least, pump.native.most = gate.native, least, most
        pump.native.credit, pump.native.tell, pump.native.burst_ns = NO_LIMIT, NO_LIMIT, NO_LIMIT
        for name, value in native.items():
            setattr(pump.native, name, value)
        lib.lane_pump_open(self.lane, pump.native, slot)
        self.kept += [pump, gate]
        return pump

    def write(self, ring: Ring, pump: Pump, pcm: np.ndarray[Any, Any]) -> None:
        ring.write(pcm.astype(np.int16))
        lib.lane_pump_run(self.lane, pump.native)


@pytest.fixture(name="vendored")
def _vendored() -> Iterator[Vendored]:
    vendored = Vendored()
    yield vendored
    vendored.close()


def messages_in(data: bytes) -> list[bytes]:
    """What a server reads; a wrong frame, or one that is not masked, is an error."""
    protocol = FrameProtocol(client=False, extensions=[])
    protocol.receive_bytes(data)
    found: list[bytes] = []
    for one in protocol.received_frames():
        assert one.opcode is Opcode.BINARY
        assert one.message_finished
        payload: Any = one.payload
        found.append(bytes(payload))
    return found


def heard(vendor: socket.socket) -> list[bytes]:
    """Messages that are there."""
    data = b""
    while select.select([vendor], [], [], 0)[0] and (more := vendor.recv(1 << 20)):
        data += more
    return messages_in(data)


def ramp(start: int, end: int) -> np.ndarray[Any, Any]:
    return np.arange(start, end) % 30_000


def loud(count: int) -> np.ndarray[Any, Any]:
    return np.arange(count) % 107 * 80 - 4000


def test_what_a_vendor_says_is_handed_up_and_its_pings_are_answered_masked(vendored: Vendored) -> None:
    slot, vendor = vendored.dial(frame(TEXT, b"with the handshake", mask=b"")[:9])
    vendor.sendall(frame(TEXT, b"with the handshake", mask=b"")[9:] + frame(PING, b"?", mask=b""))
    vendor.sendall(frame(BINARY, b"b", mask=b"") + frame(PONG, b"!", mask=b""))
    assert vendored.all() == [
        (slot, lib.LANE_TEXT, 0, b"with the handshake"),
        (slot, lib.LANE_BINARY, 0, b"b"),
        (slot, lib.LANE_PONG, 0, b"!"),
    ]
    assert lib.lane_counted(vendored.lane).vendor_messages == 2
    head = received(vendor, 7)
    assert head[:2] == bytes([0x80 | PONG, 0x80 | 1])
    assert head[6] ^ head[2] == ord("?")


def test_what_vendors_say_is_told_before_anything_of_clients_is_decoded(vendored: Vendored) -> None:
    client_slot, client = vendored.connect()
    ring = Ring(16_000)
    intake = vendored.decode(client_slot, ring)
    slot, vendor = vendored.dial()
    counts = lib.lane_counted(vendored.lane)
    client.sendall(frame(BINARY, bytes(3200)))
    vendor.sendall(frame(TEXT, b"one", mask=b""))
    assert vendored.run() == [(slot, lib.LANE_TEXT, 0, b"one")]
    assert (counts.vendors_only, counts.ready, intake.packets) == (1, lib.LANE_EVENTS, 0)
    vendor.sendall(frame(TEXT, b"two", mask=b""))
    assert vendored.run() == [(slot, lib.LANE_TEXT, 0, b"two"), (client_slot, lib.LANE_AUDIO, 0, b"")]
    assert (counts.vendors_only, intake.packets) == (0, 1), "nobody talks so much that clients are not heard"


def test_a_turn_begins_with_the_call_for_vendors(vendored: Vendored) -> None:
    _, vendor = vendored.dial()
    vendor.sendall(frame(TEXT, b"one", mask=b""))
    vendored.run()
    begun = monotonic_ns()
    assert select.select([lib.lane_rest(vendored.lane, 60_000_000, 0)], [], [], 10)[0]
    vendored.run()
    over = lib.lane_rest(vendored.lane, monotonic_ns() - begun, 0)
    assert select.select([over], [], [], 0.03)[0], "it counts from the first call, not from the second"


def test_a_rest_can_be_ended_by_what_a_vendor_says_and_not_by_a_client(vendored: Vendored) -> None:
    client_slot, client = vendored.connect()
    vendored.decode(client_slot, Ring(16_000))
    _, vendor = vendored.dial()
    vendored.run()
    hour = 3600 * 10**9
    client.sendall(frame(BINARY, bytes(3200)))
    assert select.select([lib.lane_fd(vendored.lane)], [], [], 10)[0]
    assert not select.select([lib.lane_rest(vendored.lane, hour, 1)], [], [], 0)[0]
    vendor.sendall(frame(TEXT, b"one", mask=b""))
    assert select.select([lib.lane_rest(vendored.lane, hour, 1)], [], [], 10)[0]
    assert not select.select([lib.lane_rest(vendored.lane, hour, 0)], [], [], 0)[0]
    vendored.run()
    assert not select.select([lib.lane_rest(vendored.lane, hour, 1)], [], [], 0)[0], "it has been heard"
    assert select.select([lib.lane_rest(vendored.lane, 1, 1)], [], [], 10)[0], "the time ends it, too"


def test_a_vendor_that_masks_breaks_the_protocol(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    vendor.sendall(frame(TEXT, b"masked"))
    assert vendored.all() == [(slot, lib.LANE_EXPELLED, 1002, b"")]


def test_how_a_vendor_closes_is_told_with_its_reason(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    vendor.sendall(frame(CLOSE, struct.pack("!H", 1011) + b"no more", mask=b""))
    assert vendored.all() == [(slot, lib.LANE_CLOSED, 1011, b"no more")]


def test_a_vendor_that_goes_without_a_word_is_1006(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    vendor.close()
    assert vendored.all() == [(slot, lib.LANE_CLOSED, 1006, b""), (slot, lib.LANE_ENDED, 0, b"")]


def test_keys_are_never_the_same_in_a_row(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    keys = set()
    for _ in range(200):
        assert lib.lane_send(vendored.lane, slot, lib.FRAME_TEXT, b"", 0) == lib.LANE_WROTE
        keys.add(received(vendor, 6)[2:])
    assert len(keys) > 190


@pytest.mark.parametrize("size", [0, 1, 7, 8, 125, 126, 65_535, 65_536, 300_000])
def test_a_message_to_a_vendor_is_what_was_sent(vendored: Vendored, size: int) -> None:
    slot, vendor = vendored.dial()
    vendor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    vendored.servers[slot].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    data = bytes(n % 251 for n in range(size))
    assert lib.lane_send(vendored.lane, slot, lib.FRAME_BINARY, data, size) == lib.LANE_WROTE
    assert heard(vendor) == [data]


def test_what_a_client_says_goes_to_the_vendor_in_the_same_call(vendored: Vendored) -> None:
    client_slot, client = vendored.connect()
    slot, vendor = vendored.dial()
    ring = Ring(16_000)
    vendored.decode(client_slot, ring)
    ring._native().wanted = NO_LIMIT
    pump = vendored.pump(slot, ring)
    for start in range(0, 1600, 160):
        client.sendall(frame(BINARY, ramp(start, start + 160).astype("<i2").tobytes()))
        assert vendored.run() == []
    messages = heard(vendor)
    assert [len(message) // 2 for message in messages] == [320] * 5
    assert b"".join(messages) == ramp(0, 1600).astype("<i2").tobytes()
    assert (pump.position, pump.native.messages) == (1600, 5)
    counts = lib.lane_counted(vendored.lane)
    assert (counts.vendor_frames, counts.vendor_samples) == (5, 1600)


def test_windows_over_the_end_of_the_ring_are_sent_whole(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    ring = Ring(4096)
    pump = vendored.pump(slot, ring, least=1000)
    for start in range(0, 20_000, 1000):
        vendored.write(ring, pump, ramp(start, start + 1000))
        pump.native.cursor.position = pump.position
    assert b"".join(heard(vendor)) == ramp(0, 20_000).astype("<i2").tobytes()


def test_messages_grow_with_the_load_between_their_bounds(vendored: Vendored) -> None:
    slot, _ = vendored.dial()
    pump = vendored.pump(slot, Ring(16_000))
    sizes = [lib.lane_pump_chunk(pump.native, load) for load in range(0, 1100, 10)]
    assert sizes[0] == lib.lane_pump_chunk(pump.native, lib.LANE_IDLE) == 320
    assert sizes[-1] == lib.lane_pump_chunk(pump.native, lib.LANE_BUSY) == 1600
    assert sizes == sorted(sizes)


def test_what_is_behind_goes_in_the_longest_messages(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    ring = Ring(16_000)
    pump = vendored.pump(slot, ring)
    vendored.write(ring, pump, ramp(0, 5000))
    assert [len(message) // 2 for message in heard(vendor)] == [1600, 1600, 1600]
    assert pump.position == 4800


def test_a_vendor_that_does_not_read_stops_the_pump_and_loses_nothing(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    vendored.servers[slot].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ring = Ring(64_000)
    pump = vendored.pump(slot, ring)
    vendored.write(ring, pump, ramp(0, 60_000))
    assert pump.native.stopped == lib.PUMP_BLOCKED
    assert 0 < pump.position < 60_000
    sent = pump.position
    vendored.write(ring, pump, ramp(60_000, 62_000))
    assert pump.position == sent, "it is not run again"
    got = b""
    while len(messages_in(got)) < pump.native.messages:
        got += vendor.recv(1 << 16)
        vendored.all()
    assert b"".join(messages_in(got)) == ramp(0, sent).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("native", "why", "messages"),
    [
        ({"credit": 2}, lib.PUMP_CREDIT, 2),
        ({"burst_ns": 0, "sample_ns": 10**9}, lib.PUMP_RUNS, 1),
        ({"held": 1}, lib.PUMP_RUNS, 0),
    ],
    ids=["the window", "the pace", "being held"],
)
def test_a_pump_sends_no_more_than_it_may(
    vendored: Vendored, native: dict[str, int], why: int, messages: int
) -> None:
    slot, vendor = vendored.dial()
    ring = Ring(16_000)
    pump = vendored.pump(slot, ring, **native)
    vendored.write(ring, pump, ramp(0, 8000))
    assert (pump.native.stopped, pump.native.messages, len(heard(vendor))) == (why, messages, messages)
    assert pump.position == 1600 * messages


def test_audio_that_was_moved_out_of_the_ring_is_not_sent_from_it(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    ring = Ring(16_000)
    pump = vendored.pump(slot, ring, held=1)
    vendored.write(ring, pump, ramp(0, 8000))
    pump.native.cursor.position = 1
    pump.native.held = 0
    lib.lane_pump_run(vendored.lane, pump.native)
    assert (pump.native.stopped, pump.position, heard(vendor)) == (lib.PUMP_PASSED, 0, [])


def test_a_pump_whose_vendor_has_gone_stops(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    ring = Ring(16_000)
    pump = vendored.pump(slot, ring)
    vendor.close()
    vendored.all()
    vendored.write(ring, pump, ramp(0, 8000))
    assert (pump.native.stopped, pump.position) == (lib.PUMP_GONE, 0)


def test_a_pump_does_not_write_to_who_has_its_slot_now(vendored: Vendored) -> None:
    slot, _ = vendored.dial()
    ring = Ring(16_000)
    pump = vendored.pump(slot, ring)
    lib.lane_remove(vendored.lane, slot)
    again, other = vendored.dial()
    assert again == slot
    vendored.write(ring, pump, ramp(0, 8000))
    assert (pump.native.stopped, heard(other)) == (lib.PUMP_GONE, [])


def test_it_is_told_how_far_a_pump_is_and_that_it_has_stopped(vendored: Vendored) -> None:
    client_slot, client = vendored.connect()
    slot, _ = vendored.dial()
    ring = Ring(16_000)
    vendored.decode(client_slot, ring)
    ring._native().wanted = NO_LIMIT
    pump = vendored.pump(slot, ring, tell=640, credit=3)
    said = frame(BINARY, ramp(0, 320).astype("<i2").tobytes())
    found = []
    for packet in range(1, 6):
        client.sendall(said)
        reports = vendored.run()
        while ring.write_position < 320 * packet:  # the kernel may take its time
            reports += vendored.run()
        found.append(reports)
    told, stopped = [(slot, lib.LANE_PUMPED, why, b"") for why in (lib.PUMP_RUNS, lib.PUMP_CREDIT)]
    assert found == [[], [told], [], [stopped], []]
    assert pump.position == 960


def test_it_is_known_when_what_was_sent(vendored: Vendored) -> None:
    slot, vendor = vendored.dial()
    ring = Ring(64_000)
    pump = vendored.pump(slot, ring)
    assert pump.sent_at(1) is None
    times = []
    for _ in range(lib.PUMP_LOG + 50):
        vendored.write(ring, pump, np.zeros(320))
        pump.native.cursor.position = pump.position
        times.append(pump.native.sent_ns)
        heard(vendor)
    for message in range(51, len(times)):
        end = 320 * (message + 1)
        assert pump.sent_at(end) == pump.sent_at(end - 319) == times[message]
    assert pump.sent_at(320 * 49) is None
    assert pump.sent_at(pump.position + 1) is None


def test_speech_is_heard_in_what_is_sent(vendored: Vendored) -> None:
    slot, _ = vendored.dial()
    ring = Ring(160_000)
    pump = vendored.pump(slot, ring)
    vendored.write(ring, pump, np.zeros(32_000))
    assert (pump.native.speaking, pump.native.speech_until, pump.native.speech_ns) == (0, 0, 0)
    vendored.write(ring, pump, loud(1600))
    assert (pump.native.speaking, pump.native.speech_until) == (1, 33_600)
    assert pump.native.speech_ns > 0
    vendored.write(ring, pump, np.zeros(32_000))
    assert (pump.native.speaking, pump.position) == (0, 65_600)
    assert 33_600 <= pump.native.speech_until < 65_600


def test_a_closed_pump_is_not_run_by_what_comes(vendored: Vendored) -> None:
    client_slot, client = vendored.connect()
    slot, vendor = vendored.dial()
    ring = Ring(16_000)
    vendored.decode(client_slot, ring)
    ring._native().wanted = NO_LIMIT
    pump = vendored.pump(slot, ring)
    lib.lane_pump_close(pump.native)
    client.sendall(frame(BINARY, bytes(6400)))
    assert vendored.all() == []
    assert (ring.write_position, pump.position, heard(vendor)) == (3200, 0, [])
