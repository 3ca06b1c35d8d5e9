"""A WebSocket client for load: non-blocking, on a plain socket, its frames made before the clock runs.

Operations: `connect`, `handshake` and `read` when the socket is ready, `send` with a whole frame, `close`.
Invariants: frames leave in order and whole; `read` gives whole messages, in order. Every packet was masked once, with
a key of its own from the system's randomness, and that frame is sent by all streams: what the key is for, hiding from
proxies what a page chose to send, needs no new key for each of them. Bounded: `UNSENT` bytes that the server has not
read, and one message of `MESSAGE_LIMIT`; beyond either the connection has failed.
Cost: one `send` a frame. `python -m bench endtoend` gives the generator's CPU for each stream-second.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Iterator

from engine._client_connect import Target

__all__ = ["LoadSocket", "Lost", "frame"]

UNSENT = 1 << 20
MESSAGE_LIMIT = 16 << 20
RECEIVE = 1 << 16
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FINAL, MASKED = 0x80, 0x80
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Lost(Exception):
    """The connection is over; the text says how."""


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole frame of a client (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes((FINAL | opcode, MASKED | size))
    elif size < 1 << 16:
        head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8, "big")
    key = os.urandom(4)
    spread = int.from_bytes(key * (size // 4 + 1), "big") >> 8 * (4 - size % 4)
    return head + key + (int.from_bytes(payload, "big") ^ spread).to_bytes(size, "big")


class LoadSocket:
    """One connection. `open` after the handshake. Everything raises Lost once the connection is over."""

    def __init__(self, target: Target, address: tuple[str, int], family: int, token: str | None) -> None:
        self.open = False
        self.unsent = bytearray()
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._fragments = bytearray()
        self._key = base64.b64encode(os.urandom(16))
        self._request = _request(target, self._key, token)
        self._socket.connect_ex(address)
        self.fileno = self._socket.fileno()

    def connected(self) -> None:
        """The socket can be written to for the first time: ask for the upgrade."""
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Lost(f"cannot be reached: {os.strerror(error)}")
        self.send(self._request)

    def send(self, data: bytes) -> None:
        """Write, and keep what does not fit for `resume`."""
        try:
            sent = 0 if self.unsent else self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Lost(f"lost: {error.strerror}") from None
        if sent < len(data):
            self.unsent += memoryview(data)[sent:]
            if len(self.unsent) > UNSENT:
                raise Lost(f"did not read {UNSENT} bytes")

    def resume(self) -> None:
        """Write what is left, as far as it fits."""
        waiting, self.unsent = bytes(self.unsent), bytearray()
        if waiting:
            self.send(waiting)

    def read(self) -> Iterator[bytes]:
        """The text messages that are complete with what has arrived; answers pings."""
        try:
            data = self._socket.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            raise Lost(f"lost: {error.strerror}") from None
        if not data:
            raise Lost("lost: end of file without a close frame")
        self._received += data
        if not self.open and not self._upgraded():
            return
        while (found := self._frame()) is not None:
            opcode, final, payload = found
            if opcode == PING:
                self.send(frame(PONG, payload))
            elif opcode == CLOSE:
                reason = payload[2:].decode(errors="replace")
                raise Lost(f"closed {int.from_bytes(payload[:2], 'big') or 1005} {reason}".rstrip())
            elif opcode != PONG:
                self._fragments += payload
                if final:
                    message, self._fragments = bytes(self._fragments), bytearray()
                    yield message

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _upgraded(self) -> bool:
        head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not end:
            if len(head) > RECEIVE:
                raise Lost("answered the handshake with something else")
            return False
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b":", 1) for line in lines[1:] if b":" in line)
        if lines[0].split()[1:2] != [b"101"]:
            raise Lost(f"refused: {lines[0].decode('latin-1')}")
        expected = base64.b64encode(hashlib.sha1(self._key + _ACCEPT).digest())
        if headers.get(b"sec-websocket-accept", b"").strip() != expected.lower():
            raise Lost("answered the handshake without the right Sec-WebSocket-Accept")
        self._received = bytearray(rest)
        self.open = True
        return True

    def _frame(self) -> tuple[int, bool, bytes] | None:
        data = self._received
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        if size + len(self._fragments) > MESSAGE_LIMIT:
            raise Lost(f"sent a message of more than {MESSAGE_LIMIT} bytes")
        if len(data) < start + size:
            return None
        payload, first = bytes(data[start : start + size]), data[0]
        del data[: start + size]
        return first & 0x0F, bool(first & FINAL), payload


def _request(target: Target, key: bytes, token: str | None) -> bytes:
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [
        f"GET {target.resource} HTTP/1.1",
        f"Host: {host}:{target.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key.decode()}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
