"""A client that does not behave, in a process of its own, until it is killed.

    python -m tests.campaign.neighbours KIND PORT

What floods sends as fast as the server takes it, unless its name says how fast. What is sent to it is read, but by
the one that never reads.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from tests.server.raw import BINARY, PING, TEXT, frame, handshake, reset

GOES_ON = 0
PACKET = frame(BINARY, bytes(3200))
"""100 ms."""
TOGETHER = 20_000
"""Frames made once and sent again and again."""


def _connect(port: int, *, reads: bool = True) -> socket.socket:
    sock = socket.socket()
    if not reads:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    sock.connect(("127.0.0.1", port))
    sock.sendall(handshake("/v4/listen?uid=neighbour&codec=pcm16&sample_rate=16000"))
    if reads:
        threading.Thread(target=_read, args=(sock,), daemon=True).start()
    return sock


def _read(sock: socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except OSError:
        return


def _flood(port: int, block: bytes) -> NoReturn:
    sock = _connect(port)
    while True:
        sock.sendall(block)


def is_killed(port: int) -> NoReturn:
    """Twenty times a second, in mid-frame."""
    while True:
        sock = _connect(port, reads=False)
        sock.sendall(PACKET * 10 + PACKET[:1000])
        reset(sock)
        time.sleep(0.05)


def never_reads(port: int) -> NoReturn:
    """Says much that is answered. Dropped, it comes back."""
    asking = frame(TEXT, b'{"type":"suggested_transcript","segments":[]}') * 100
    while True:
        sock = _connect(port, reads=False)
        try:
            while True:
                sock.sendall(PACKET + asking)
        except OSError:
            sock.close()


def never_writes(port: int) -> NoReturn:
    """One stops within its head, one within a frame."""
    half = socket.create_connection(("127.0.0.1", port))
    half.sendall(handshake("/v4/listen?uid=neighbour")[:60])
    sock = _connect(port)
    sock.sendall(PACKET[:1000])
    while True:
        time.sleep(3600)


def ten_times_real_time(port: int) -> NoReturn:
    """Audio, steadily."""
    sock = _connect(port)
    began, sent = time.monotonic(), 0
    while True:
        sock.sendall(PACKET)
        sent += 1
        time.sleep(max(0.0, began + sent / 100 - time.monotonic()))


def tiny_frames(port: int) -> NoReturn:
    """Two samples each."""
    _flood(port, frame(BINARY, bytes(4)) * TOGETHER)


def pings(port: int) -> NoReturn:
    """Each is to be answered."""
    _flood(port, frame(PING, b"?") * TOGETHER)


def fragments_of_one_byte(port: int) -> NoReturn:
    """Messages of 20,000 fragments."""
    middle = frame(GOES_ON, b"\0", fin=False) * (TOGETHER - 2)
    _flood(port, frame(BINARY, b"\0", fin=False) + middle + frame(GOES_ON, b"\0"))


KINDS: dict[str, Callable[[int], NoReturn]] = {
    kind.__name__: kind
    for kind in (
        is_killed,
        never_reads,
        never_writes,
        ten_times_real_time,
        tiny_frames,
        pings,
        fragments_of_one_byte,
    )
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]))
