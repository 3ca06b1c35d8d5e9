"""Packets that gather in the kernel while the lane is busy: how many, for how long, and when none do."""

import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from engine._native import ffi, lib
from engine.audio.ring import Ring
from tests.native.lanes import Laned, received
from tests.native.test_frame import BINARY, PING, PONG, TEXT, frame

PACKET = 320
"""Samples, and half the bytes."""
WIRE = 2 * PACKET + 8
CHUNK = 5 * PACKET
BUSY = 1000


class Gathering(Laned):
    """A busy lane with one TCP client, of whose audio another chunk is wanted in the ring."""

    def __init__(self) -> None:
        super().__init__()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname())
            self.server, _ = listener.accept()
        self.client.settimeout(10)
        self.slot = lib.lane_add(self.lane, self.server.fileno())
        self.servers[self.slot] = self.server
        self.ring = Ring(16 * 16_000)
        self.intake: Any = self.decode(self.slot, self.ring)
        lib.lane_read(self.lane, self.slot, lib.LANE_ALL)
        self.counts = lib.lane_counted(self.lane)
        self.say()
        self.turn(load=0)  # the first is always told of
        self.ring.want(PACKET + CHUNK)

    def turn(self, load: int = BUSY) -> list[tuple[int, int, int, bytes]]:
        """Wait until there is something to do, and do it at such a load."""
        assert select.select([lib.lane_fd(self.lane)], [], [], 10)[0]
        self.counts.load = load
        return self.run()

    def say(self, packets: int = 1) -> None:
        self.client.sendall(frame(BINARY, bytes(2 * PACKET)) * packets)

    @property
    def lowat(self) -> int:
        return self.server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


@pytest.fixture(name="gathering")
def _gathering() -> Iterator[Gathering]:
    gathering = Gathering()
    yield gathering
    gathering.close()
    gathering.client.close()


def test_a_busy_lane_is_not_woken_before_the_packets_that_are_wanted(gathering: Gathering) -> None:
    gathering.say()
    assert gathering.turn() == []
    assert 3 * WIRE < gathering.lowat <= 4 * WIRE
    gathering.say(4)
    assert gathering.turn() == [(gathering.slot, lib.LANE_AUDIO, 0, b"")]
    assert gathering.ring.write_position == PACKET + CHUNK
    assert gathering.counts.receives == 3
    assert gathering.lowat == 1  # nothing is wanted any more


def test_when_idle_each_packet_is_received_as_it_comes(gathering: Gathering) -> None:
    gathering.say()
    gathering.turn(load=lib.LANE_IDLE)
    assert gathering.lowat == 1


def test_what_does_not_come_in_time_is_not_waited_for(gathering: Gathering) -> None:
    gathering.say()
    gathering.turn()
    gathering.say()
    while gathering.ring.write_position < 3 * PACKET:
        gathering.turn()
    assert gathering.counts.overdue == 1
    assert gathering.lowat > 1  # three packets are still wanted
    while gathering.lowat > 1:
        gathering.turn()
    gathering.say()
    gathering.turn()
    assert gathering.ring.write_position == 4 * PACKET


def test_small_packets_after_large_ones_are_heard_when_they_are_due(gathering: Gathering) -> None:
    gathering.say()
    gathering.turn()
    gathering.client.sendall(frame(BINARY, bytes(4)) + frame(TEXT, b"enough"))
    found = gathering.turn()
    while not found:
        found = gathering.turn()
    assert found == [(gathering.slot, lib.LANE_TEXT, 0, b"enough")]


@pytest.mark.parametrize("change", ["hold", "shut", "decode", "remove"])
def test_what_ends_the_wish_for_audio_ends_the_waiting(gathering: Gathering, change: str) -> None:
    gathering.say()
    gathering.turn()
    assert gathering.lowat > 1
    if change == "hold":
        lib.lane_read(gathering.lane, gathering.slot, lib.LANE_HOLD)
    elif change == "shut":
        lib.lane_shut(gathering.lane, gathering.slot, 1000, b"", 0)
    elif change == "decode":
        lib.lane_decode(gathering.lane, gathering.slot, ffi.NULL)
    else:
        lib.lane_remove(gathering.lane, gathering.slot)
        assert lib.lane_add(gathering.lane, gathering.server.fileno()) == gathering.slot
        lib.lane_read(gathering.lane, gathering.slot, lib.LANE_ALL)
        gathering.client.sendall(frame(TEXT, b"long enough") * 200)
        assert len(gathering.turn()) == 200
        return
    assert gathering.lowat == 1


def test_the_client_that_goes_meanwhile_is_noticed_at_once(gathering: Gathering) -> None:
    gathering.say()
    gathering.turn()
    gathering.client.close()
    assert gathering.turn()[-1][1] == lib.LANE_ENDED
    assert gathering.lowat == 1  # and it is not looked at again


def test_a_ping_is_answered_all_the_same(gathering: Gathering) -> None:
    gathering.say()
    gathering.turn()
    gathering.client.sendall(frame(PING, b"?"))
    while gathering.counts.sends == 0:
        gathering.turn()
    assert received(gathering.client, 3) == frame(PONG, b"?", mask=b"")


def test_where_the_kernel_does_not_gather_nothing_is_waited_for() -> None:
    laned = Laned()
    slot, client = laned.connect()
    ring = Ring(16 * 16_000)
    laned.decode(slot, ring)
    lib.lane_read(laned.lane, slot, lib.LANE_ALL)
    for _ in range(2):
        client.sendall(frame(BINARY, bytes(2 * PACKET)))
        lib.lane_counted(laned.lane).load = BUSY
        laned.run()
        ring.want(CHUNK)
    assert lib.lane_counted(laned.lane).settings == 0
    lib.lane_close(laned.lane)
    laned.servers[slot].close()
