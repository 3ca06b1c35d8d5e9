"""The first head of a connection, looked at without taking it: an upgrade for the lane, or somebody else's.

Operations: `peek_head` waits for a head that may be one of `paths`; `read_upgrade` says what it asks for;
`accept` takes it and answers.
Invariants: until `accept` nothing is taken from the socket, so that whoever is not served here can be handed to the
HTTP server as if nobody had looked. What comes behind the head stays in the kernel.
Bounded: `HEAD_LIMIT` bytes, and the time the caller gives.
Anything odd is left to the HTTP server, which has the answers: this reads only handshakes that are all right
(RFC 6455 section 4.2.1). Extensions and subprotocols are never agreed.
"""

import base64
import binascii
import hashlib
import socket
from collections.abc import Sequence

import h11
import msgspec
import trio

__all__ = ["HEAD_LIMIT", "Upgrade", "accept", "peek_head", "read_upgrade"]

HEAD_LIMIT = 16_384
END = b"\r\n\r\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
METHOD = b"GET "


class Upgrade(msgspec.Struct, frozen=True):
    """A WebSocket handshake. `head` are its bytes; `query` what follows the question mark."""

    head: bytes
    path: str
    query: bytes
    authorization: str | None
    key: bytes


async def peek_head(sock: trio.socket.SocketType, paths: Sequence[str]) -> bytes | None:
    """The head of a request for one of `paths`; None as soon as it cannot be one, or the client is gone.

    Waits for as long as a client takes to send it. Cancellation leaves the socket as it was.
    """
    beginnings = [METHOD + path.encode() for path in paths]
    try:
        data = await sock.recv(HEAD_LIMIT, socket.MSG_PEEK)
        while data:
            if not any(_may_be(data, beginning) for beginning in beginnings):
                return None
            end = data.find(END)
            if end >= 0:
                return data[: end + len(END)]
            if len(data) >= HEAD_LIMIT:
                return None
            seen = len(data)
            # Without this the socket stays readable for what was seen already, and the loop spins.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)
            await trio.lowlevel.wait_readable(sock)
            data = await sock.recv(HEAD_LIMIT, socket.MSG_PEEK)
            if len(data) == seen:
                return None  # the client has sent all it will
        return None
    except OSError:
        return None
    finally:
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _may_be(data: bytes, beginning: bytes) -> bool:
    """Whether it is, or may become, that request line; what follows the path is `?`, or a space."""
    if len(data) <= len(beginning):
        return beginning.startswith(data)
    return data.startswith(beginning) and data[len(beginning) : len(beginning) + 1] in (b"?", b" ")


def read_upgrade(head: bytes, paths: Sequence[str]) -> Upgrade | None:
    """What a whole head asks for; None when it is not an upgrade for `paths` without any fault."""
    request = _parse(head)
    if request is None or request.http_version != b"1.1":
        return None
    headers: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        headers.setdefault(name, []).append(value)
    key = headers.get(b"sec-websocket-key", [])
    path, _, query = request.target.partition(b"?")
    fine = (
        request.method == b"GET"
        and path.decode("latin-1") in paths
        and b"websocket" in _tokens(headers, b"upgrade")
        and b"upgrade" in _tokens(headers, b"connection")
        and headers.get(b"sec-websocket-version") == [b"13"]
        and len(headers.get(b"authorization", [])) <= 1
        and not headers.keys() & {b"content-length", b"transfer-encoding", b"expect"}
        and len(key) == 1
        and _is_key(key[0])
    )
    if not fine:
        return None
    authorization = headers[b"authorization"][0].decode("latin-1") if b"authorization" in headers else None
    return Upgrade(head, path.decode("latin-1"), query, authorization, key[0])


def _parse(head: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def _tokens(headers: dict[bytes, list[bytes]], name: bytes) -> set[bytes]:
    return {token.strip().lower() for value in headers.get(name, []) for token in value.split(b",")}


def _is_key(key: bytes) -> bool:
    """Sixteen bytes in base64."""
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


async def accept(stream: trio.SocketStream, upgrade: Upgrade) -> None:
    """Take the head from the socket and answer it. Raises `trio.BrokenResourceError` when nobody is there."""
    left = len(upgrade.head)
    while left:
        taken = await stream.receive_some(left)
        if not taken:
            raise trio.BrokenResourceError("the client went during the handshake")
        left -= len(taken)
    digest = base64.b64encode(hashlib.sha1(upgrade.key + GUID).digest())
    await stream.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )
