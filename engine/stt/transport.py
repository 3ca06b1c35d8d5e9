"""The line to a vendor: one WebSocket, as little of it as a vendor needs.

`engine.stt.websocket` is the real one, over trio-websocket. Whatever goes wrong below becomes one of three
exceptions here, so that vendors and failover know nothing of sockets.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NoReturn, Protocol, runtime_checkable

import msgspec

from engine.audio.pump import Pump


class Request(msgspec.Struct, frozen=True):
    """What to connect to: a `ws://` or `wss://` URL with its query, and headers."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()


class ConnectFailed(Exception):
    """No connection came about: name resolution, TCP, TLS, or no answer in time."""


class Refused(Exception):
    """The server answered the handshake with an HTTP status instead of an upgrade. Header names in lower case."""

    def __init__(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        super().__init__(f"the handshake was refused with HTTP {status}")
        self.status = status
        self.headers = dict(headers)
        self.body = body


class ConnectionLost(Exception):
    """The connection is over: `code` and `reason` of the close frame; 1006 when there was none."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the connection was closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class Connection(Protocol):
    """An open WebSocket. One task may receive while others send; sends are not mixed up."""

    async def send(self, message: bytes | str) -> None:
        """Send one message, binary or text. Raises `ConnectionLost`. Cancelled, the connection is unusable."""
        ...

    async def receive(self) -> bytes | str:
        """The next message. Raises `ConnectionLost` after the last one. Cancellation loses nothing."""
        ...

    async def ping(self) -> None:
        """Send a ping and wait for its pong. Raises `ConnectionLost`."""
        ...


@runtime_checkable
class PumpingConnection(Connection, Protocol):
    """A connection that can send audio without anybody being woken for it."""

    async def pump(self, pump: Pump) -> None:
        """Send what comes into the pump's ring, in binary messages, until the pump is stopped by either side.

        Cancelled, it has stopped too; what was sent is in the pump's `position`. Whether the connection is lost is
        for `receive` to say.
        """
        ...


@runtime_checkable
class PromptConnection(Connection, Protocol):
    """A connection that can hand messages on where it finds them, without a task being woken for each."""

    async def receive_each(self, take: Callable[[bytes | str], None]) -> NoReturn:
        """Call `take` with each message, in order, in the caller's context but between any two awaits of its task.

        Raises `ConnectionLost` after the last one, and what `take` raises, after which it is called no more. Cancelled,
        nothing is lost: what was not taken is there for `receive`.
        """
        ...


class Transport(Protocol):
    """Makes connections."""

    def connect(self, request: Request) -> AbstractAsyncContextManager[Connection]:
        """A connection, closed (within a time limit) at the end of the block.

        Entering raises `ConnectFailed` or `Refused`; it has no time limit of its own.
        """
        ...
