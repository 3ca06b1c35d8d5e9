"""Clients that send Opus, the native lane behind them, and vendors behind that, without a server and without Trio."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from bench.decode import CASES, frames_of
from engine._native import ffi, lib
from engine.audio.codecs import create_decoder
from engine.audio.gate import EnergyGate
from engine.audio.intake import open_intake
from engine.audio.pump import Pump
from engine.audio.ring import Cursor, Ring
from engine.cli.load_socket import BINARY, frame

__all__ = ["PACKETS_A_CHUNK", "SOCKETS", "Clients", "LanedSockets", "clients", "opus_packets"]

SOCKETS = 16
RATE = 16_000
CHUNK = RATE // 10
PACKETS_A_CHUNK = 5
NO_LIMIT = 1 << 62


def opus_packets() -> list[bytes]:
    """A reading of 7 s in packets of 20 ms."""
    return frames_of(next(case for case in CASES if case.codec == "opus_fs320"))


class Clients:
    """Connected sockets; `servers` are the ends that a server would have."""

    def __init__(self, pairs: Sequence[tuple[socket.socket, socket.socket]]) -> None:
        self.servers = [server for _, server in pairs]
        self._clients = [client for client, _ in pairs]
        self._frames = [frame(BINARY, packet) for packet in opus_packets()]
        self._sent = 0

    def take(self) -> None:
        """What was sent to the clients' ends, if anything, thrown away."""
        for client in self._clients:
            with suppress(BlockingIOError):
                client.recv(1 << 20, socket.MSG_DONTWAIT)

    def send(self) -> None:
        """The next packet of 20 ms, to each."""
        data = self._frames[self._sent % len(self._frames)]
        self._sent += 1
        for client in self._clients:
            client.send(data)


@contextmanager
def clients(count: int = SOCKETS) -> Iterator[Clients]:
    """So many, closed with the block."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(count)]
        for one in [one for pair in pairs for one in pair]:
            stack.enter_context(one)
        yield Clients(pairs)


class LanedSockets:
    """A native lane whose sockets' Opus is decoded into a ring each, and goes on to a vendor each where there are any.

    What goes there are messages of 100 ms, however busy the thread is.
    """

    def __init__(self, servers: Sequence[socket.socket], vendors: Sequence[socket.socket] = ()) -> None:
        error = ffi.new("int *")
        self._lane = ffi.gc(lib.lane_open(len(servers) + len(vendors), 1 << 20, error), lib.lane_close)
        self._kept: list[Any] = []
        self._rings: list[Ring] = []
        self._pumps: list[tuple[Cursor, Pump]] = []
        self.reports = 0
        self.counts = lib.lane_counted(self._lane)
        for server in servers:
            ring, decoder = Ring(16 * RATE), create_decoder("opus_fs320", RATE)
            intake = open_intake(decoder, ring, margin=0, keepalive=2, alarm=50)
            assert intake is not None
            slot = lib.lane_add(self._lane, server.fileno())
            lib.lane_decode(self._lane, slot, intake.native)
            lib.lane_read(self._lane, slot, lib.LANE_ALL)
            self._kept += [ring, decoder, intake]
            self._rings.append(ring)
        for ring, vendor in zip(self._rings, vendors, strict=False):
            self._pump(ring, vendor)

    def _pump(self, ring: Ring, vendor: socket.socket) -> None:
        slot = lib.lane_dial(self._lane, vendor.fileno(), b"", 0)
        lib.lane_read(self._lane, slot, lib.LANE_ALL)
        cursor, gate = ring.cursor("speech to text"), EnergyGate()
        pump = Pump(ring, cursor, 0)
        pump.native.gate = gate.native
        pump.native.least = pump.native.most = CHUNK
        pump.native.credit = pump.native.tell = pump.native.burst_ns = NO_LIMIT
        lib.lane_pump_open(self._lane, pump.native, slot)
        self._kept += [gate, pump]
        self._pumps.append((cursor, pump))

    def sent(self) -> None:
        """What went to vendors need not be kept in the rings."""
        for cursor, pump in self._pumps:
            cursor.seek(pump.native.position)

    def drain(self, packets: int) -> None:
        """Until so many packets, of all sockets since the beginning, are decoded."""
        run, lane, counts = lib.lane_run, self._lane, self.counts
        while counts.decoded < packets:
            self.reports += run(lane)
