"""A WebSocket client that sends and shows exactly what is on the wire (RFC 6455), well behaved or not."""

import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.patience import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """One frame, masked as a client must."""
    head = bytes([opcode | (0x80 if fin else 0)])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = mask * (len(payload) // 4 + 1)
    masked_payload = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return head + mask + masked_payload.to_bytes(len(payload), "big")


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def handshake(path: str = "/", *headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reset(sock: socket.socket | trio.socket.SocketType) -> None:
    """Go without a word: what is not sent is thrown away, the other side gets RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class RawClient:
    """A connection; every wait has a limit."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, *data: bytes) -> None:
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(b"".join(data))

    def reset(self) -> None:
        """See `reset`."""
        reset(self.stream.socket)

    async def read_head(self) -> str:
        """The head of an HTTP response."""
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head.decode()

    async def read_body(self, length: int) -> bytes:
        return await self._take(length)

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload."""
        first, second = await self._take(2)
        opcode, length = first & 0x0F, second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._take(8))
        return opcode, await self._take(length)

    async def read_close(self) -> tuple[int, str]:
        """Code and reason of the close frame; fails when something else comes."""
        opcode, payload = await self.read_frame()
        assert opcode == CLOSE, f"opcode {opcode}, payload {payload[:50]!r}"
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    async def read_end(self) -> bytes:
        """What still comes before the other side closes the connection."""
        with trio.fail_after(PATIENCE):
            while chunk := await self.stream.receive_some(65536):
                self._buffer += chunk
        return self._buffer

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def _more(self) -> None:
        with trio.fail_after(PATIENCE):
            chunk = await self.stream.receive_some(65536)
        assert chunk, "the connection was closed"
        self._buffer += chunk


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[RawClient]:
    """A TCP connection."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        yield RawClient(stream)


@asynccontextmanager
async def websocket(port: int, path: str = "/", *headers: str) -> AsyncIterator[RawClient]:
    """A WebSocket after the handshake."""
    async with connect(port) as client:
        await client.send(handshake(path, *headers))
        assert "101" in (await client.read_head()).splitlines()[0]
        yield client
