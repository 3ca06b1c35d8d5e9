"""A vendor that costs little, in a process of its own: Deepgram's /v1/listen as far as measuring a server needs it.

    python -m engine.cli.load_vendor [SPOKEN PERIOD]     prints its port, serves until standard input ends

It answers each full second of a connection's audio (16 kHz, 16 bit) with one final of one word that says where and
when: `p7t123456a40.` = second 7 was complete at 123456 µs of the monotonic clock, by a message with 40 ms of audio
after it. `Finalize` and `CloseStream` are answered as the vendor does; anything else is taken and ignored. With SPOKEN
and PERIOD people do not talk all the time: only what begins in the first SPOKEN of each PERIOD seconds is a word,
`w4t123456.`, as long as its result. Results are then 0.6 to 1.4 s long, by chance, alike for the same number of
connection: their ends are nowhere in particular in the messages that the audio came in, and no word says which second
it was (a connection's seconds may not be the client's, where something was played before).
Invariants: answers leave in the order of the audio. Bounded: per connection one frame of `FRAME_LIMIT`; a connection
that does not take its answers at once is closed, because what were measured then is not the server.
Cost: one receive and one step of Python a frame; audio is counted, not unmasked.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import random
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator

__all__ = ["VendorStream", "serve"]

FRAME_LIMIT = 1 << 20
RECEIVE = 1 << 18
SECOND = 32_000
MILLISECOND = SECOND // 1000
LENGTHS = 19_200, 44_802
"""Bytes of a result where people talk for a part of the time."""
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)


class Over(Exception):
    """The connection is over."""


class VendorStream:
    """One connection, without I/O: what came goes in, what to send comes out."""

    def __init__(self, spoken: int = 0, period: int = 0, number: int = 0) -> None:
        """Without `period` each second has a word. `number`: of the connection."""
        self._spoken, self._period = spoken, period
        self._chance = random.Random(number)
        self._said_to = self._says_at = 0
        self._received = bytearray()
        self._open = False
        self._audio = 0
        self._seconds = 0

    def take(self, data: bytes) -> Iterator[bytes]:
        """What to answer. Raises Over when nothing follows."""
        self._received += data
        if not self._open:
            head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
            if not end:
                return
            yield _accepted(head)
            self._open, self._received = True, bytearray(rest)
        for opcode, key, payload in self._frames():
            if opcode == BINARY:
                yield from self._hear(len(payload))
            elif opcode == CLOSE:
                raise Over
            else:
                yield from self._said(opcode, _unmasked(key, payload))

    def _frames(self) -> Iterator[tuple[int, bytes, bytes]]:
        data, at = bytes(self._received), 0
        while len(data) >= at + 2:
            size, start = data[at + 1] & 0x7F, at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if size > FRAME_LIMIT:
                raise Over
            if len(data) < start + 4 + size:
                break
            yield data[at] & 0x0F, data[start : start + 4], data[start + 4 : start + 4 + size]
            at = start + 4 + size
        del self._received[:at]

    def _hear(self, size: int) -> Iterator[bytes]:
        self._audio += size
        if self._period:
            yield from self._talk()
            return
        while self._audio >= (self._seconds + 1) * SECOND:
            self._seconds += 1
            after = (self._audio - self._seconds * SECOND) // MILLISECOND
            word = f"p{self._seconds}t{time.monotonic_ns() // 1000}a{after}."
            yield _result(self._seconds - 1, self._seconds, word)

    def _talk(self) -> Iterator[bytes]:
        self._says_at = self._says_at or self._chance.randrange(*LENGTHS, 2)
        while self._audio >= self._says_at:
            start, end = self._said_to / SECOND, self._says_at / SECOND
            self._seconds += 1
            spoken = start % self._period < self._spoken
            word = f"w{self._seconds}t{time.monotonic_ns() // 1000}." if spoken else ""
            self._said_to, self._says_at = self._says_at, self._says_at + self._chance.randrange(*LENGTHS, 2)
            yield _result(start, end, word, length=end - start)

    def _said(self, opcode: int, payload: bytes) -> Iterator[bytes]:
        if opcode == PING:
            yield _frame(PONG, payload)
        elif b'"Finalize"' in payload:
            start = self._said_to / SECOND if self._period else self._seconds
            self._said_to = self._audio
            yield _result(start, self._audio / SECOND, "", finalized=True)
        elif b'"CloseStream"' in payload:
            yield _frame(TEXT, b'{"type":"Metadata","request_id":"load"}')
            yield _frame(CLOSE, (1000).to_bytes(2, "big"))


def _accepted(head: bytes) -> bytes:
    key = _KEY.search(head)
    if key is None:
        raise Over
    accept = base64.b64encode(hashlib.sha1(key[1] + _ACCEPT).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _unmasked(key: bytes, payload: bytes) -> bytes:
    return bytes(byte ^ key[at & 3] for at, byte in enumerate(payload))


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    head = (
        bytes((0x80 | opcode, size)) if size < 126 else bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    )
    return head + payload


def _result(start: float, end: float, word: str, *, finalized: bool = False, length: float = 0.5) -> bytes:
    said = {"word": word, "punctuated_word": word, "start": end - length, "end": end, "confidence": 0.99}
    alternative = {"transcript": word, "confidence": 0.99, "words": [said] if word else []}
    result = {
        "type": "Results",
        "channel_index": [0, 1],
        "start": start,
        "duration": end - start,
        "is_final": True,
        "speech_final": True,
        "from_finalize": finalized,
        "channel": {"alternatives": [alternative]},
        "metadata": {
            "request_id": "load",
            "model_info": {"name": "nova-3", "version": "load", "arch": "nova-3"},
        },
    }
    return _frame(TEXT, json.dumps(result).encode())


def serve(listener: socket.socket, spoken: int = 0, period: int = 0) -> None:
    """All connections, until standard input ends; see `VendorStream`."""
    numbers = itertools.count()
    with selectors.EpollSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    ready.register(
                        connection, selectors.EVENT_READ, VendorStream(spoken, period, next(numbers))
                    )
                elif isinstance(key.fileobj, socket.socket):
                    _serve(ready, key.fileobj, key.data)


def _serve(ready: selectors.BaseSelector, connection: socket.socket, stream: VendorStream) -> None:
    try:
        data = connection.recv(RECEIVE)
        for answer in stream.take(data):
            if connection.send(answer) != len(answer):
                raise Over
        over = not data
    except (OSError, Over):
        over = True
    if over:
        ready.unregister(connection)
        connection.close()


def main() -> None:
    """Serve on a free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, *map(int, sys.argv[1:3]))


if __name__ == "__main__":
    main()
