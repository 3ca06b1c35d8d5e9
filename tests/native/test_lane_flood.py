"""Who sends more than the lane reads in its turn: he sits out, others are heard, nothing of his is lost."""

import select
import socket
from typing import NamedTuple

from engine._native import lib
from tests.native.lanes import Laned, Report
from tests.native.test_frame import TEXT, frame
from tests.patience import PATIENCE

SAID = b"x" * 1000


class Flood(NamedTuple):
    """A client, how many texts it sent, and the reports of the one part of a call that it has had."""

    slot: int
    client: socket.socket
    sent: int
    heard: list[Report]


def test_a_flood_of_one_does_not_hold_the_call(laned: Laned) -> None:
    _, client = laned.connect()
    other, quiet = laned.connect()
    flood = frame(TEXT, b"x" * 10) * 4000
    client.sendall(flood)
    quiet.sendall(frame(TEXT, b"me too"))
    seen = laned.run() + laned.run()
    assert (other, lib.LANE_TEXT, 0, b"me too") in seen
    assert len(seen + laned.all()) == 4001
    assert not laned.readable()


def flooded(laned: Laned) -> Flood:
    """By one who has so many texts in its socket that a part of them fills the lane's buffer."""
    slot, client = laned.connect()
    client.setblocking(False)
    text, sent = frame(TEXT, SAID), 0
    laned.servers[slot].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    while sent < 3 * lib.LANE_CHUNK // len(text):
        assert client.send(text) == len(text)
        sent += 1
    return Flood(slot, client, sent, laned.run())


def test_who_fills_the_buffer_sits_out_and_is_heard_whole(laned: Laned) -> None:
    slot, client, sent, heard = flooded(laned)
    counts = lib.lane_counted(laned.lane)
    assert (counts.sat_out, counts.receives) == (1, 1)
    heard += laned.all()
    assert [one[:2] for one in heard] == [(slot, lib.LANE_TEXT)] * sent
    assert counts.sat_out > 1
    client.send(frame(TEXT, b"more"))
    assert laned.all() == [(slot, lib.LANE_TEXT, 0, b"more")]


def test_who_floods_for_long_is_heard_whole_in_short_parts(laned: Laned) -> None:
    slot, client, sent, heard = flooded(laned)
    counts = lib.lane_counted(laned.lane)
    unsent = b""
    while counts.sat_out < 2 * lib.LANE_FLOODS:
        while select.select([], [client], [], 0)[1]:
            sent += not unsent
            unsent = unsent or frame(TEXT, SAID)
            unsent = unsent[client.send(unsent) :]
        assert select.select([lib.lane_fd(laned.lane)], [], [], PATIENCE)[0]
        heard += laned.run()
    client.setblocking(True)
    client.sendall(unsent)
    heard += laned.all()
    assert heard == [(slot, lib.LANE_TEXT, 0, SAID)] * sent
    client.send(frame(TEXT, b"more"))
    assert laned.run() == [(slot, lib.LANE_TEXT, 0, b"more")]


def test_who_sits_out_may_be_held_meanwhile(laned: Laned) -> None:
    slot, _, sent, heard = flooded(laned)
    lib.lane_read(laned.lane, slot, lib.LANE_HOLD)
    assert laned.all() == []
    lib.lane_read(laned.lane, slot, lib.LANE_ALL)
    assert len(heard + laned.all()) == sent


def test_a_slot_of_one_who_sat_out_is_another_clients_at_once(laned: Laned) -> None:
    slot = flooded(laned).slot
    lib.lane_remove(laned.lane, slot)
    laned.servers.pop(slot).close()
    again, client = laned.connect()
    assert again == slot
    client.send(frame(TEXT, b"hello"))
    assert laned.all() == [(slot, lib.LANE_TEXT, 0, b"hello")]
