"""A lane with clients at the other ends of socket pairs."""

import select
import socket
from typing import Any

from engine._native import ffi, lib
from engine.audio.ring import Ring

LIMIT = 1 << 20

Report = tuple[int, int, int, bytes]
"""Slot, kind, code and data."""


class Laned:
    """A lane, and the clients of it."""

    def __init__(self) -> None:
        error = ffi.new("int *")
        self.lane = lib.lane_open(8, LIMIT, error)
        assert error[0] == 0
        self.kept: list[object] = []
        self.servers: dict[int, socket.socket] = {}
        self._sat_out = 0

    def connect(self, how: int | None = None) -> tuple[int, socket.socket]:
        client, server = socket.socketpair()
        slot = lib.lane_add(self.lane, server.fileno())
        self.servers[slot] = server
        lib.lane_read(self.lane, slot, lib.LANE_ALL if how is None else how)
        client.settimeout(10)
        self.kept.append(client)
        return slot, client

    def decode(self, slot: int, ring: Ring, *, piece: int = 31992, margin: int = 0) -> Any:
        """Binary messages are 16-bit samples for `ring`."""
        intake = ffi.new("lane_intake *")
        codec = ffi.gc(lib.codec_open_pcm(16, 1), lib.codec_close)
        intake.codec, intake.ring = codec, ring._native()
        intake.piece_bytes, intake.margin, intake.keepalive, intake.alarm = piece, margin, 2, 50
        self.kept += [intake, codec, ring]
        lib.lane_decode(self.lane, slot, intake)
        return intake

    def run(self) -> list[Report]:
        """The reports of one call."""
        found = []
        for number in range(lib.lane_run(self.lane)):
            report = lib.lane_reports(self.lane)[number]
            data = bytes(ffi.buffer(report.data, report.bytes)) if report.data != ffi.NULL else b""
            found.append((report.slot, report.kind, report.code, data))
        return found

    def readable(self) -> bool:
        """Whether there is something to do."""
        return bool(select.select([lib.lane_fd(self.lane)], [], [], 0)[0])

    def all(self) -> list[Report]:
        """Reports until there is nothing to do, and nobody sits out any more."""
        found = []
        while self.readable() or self._waited():
            found += self.run()
        return found

    def close(self) -> None:
        """The lane, and the server ends."""
        lib.lane_close(self.lane)
        for server in self.servers.values():
            server.close()

    def _waited(self) -> bool:
        """Whether somebody sat out since this was asked last; their time is over then."""
        before, self._sat_out = self._sat_out, lib.lane_counted(self.lane).sat_out
        return before < self._sat_out and bool(select.select([lib.lane_fd(self.lane)], [], [], 0.1)[0])


def received(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += client.recv(count - len(data))
    return data
