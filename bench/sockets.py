"""Clients that send Opus, and the native lane behind them, without a server and without Trio."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.decode import CASES, frames_of
from engine._native import ffi, lib
from engine.audio.codecs import create_decoder
from engine.audio.intake import open_intake
from engine.audio.ring import Ring
from engine.cli.load_socket import BINARY, frame

__all__ = ["SOCKETS", "Clients", "LanedSockets", "clients", "opus_packets"]

SOCKETS = 16
RATE = 16_000


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
    """A native lane whose sockets' Opus is decoded into a ring each."""

    def __init__(self, servers: Sequence[socket.socket]) -> None:
        error = ffi.new("int *")
        self._lane = ffi.gc(lib.lane_open(len(servers), 1 << 20, error), lib.lane_close)
        self._kept: list[Any] = []
        self.counts = lib.lane_counted(self._lane)
        for server in servers:
            ring, decoder = Ring(16 * RATE), create_decoder("opus_fs320", RATE)
            intake = open_intake(decoder, ring, margin=0, keepalive=2, alarm=50)
            assert intake is not None
            slot = lib.lane_add(self._lane, server.fileno())
            lib.lane_decode(self._lane, slot, intake.native)
            lib.lane_read(self._lane, slot, lib.LANE_ALL)
            self._kept += [ring, decoder, intake]

    def drain(self, packets: int) -> None:
        """Until so many packets, of all sockets since the beginning, are decoded."""
        run, lane, counts = lib.lane_run, self._lane, self.counts
        while counts.decoded < packets:
            run(lane)
