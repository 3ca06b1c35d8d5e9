"""How a client's connection comes about and what can go wrong on the way, for `engine.client`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import trio
import trio_websocket

from engine.watched_stream import WatchedStream
from engine.wire.messages import ErrorEvent

MESSAGE_LIMIT = 16 * 1024 * 1024
PATH = "/v4/listen"

Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class ConnectFailed(Exception):
    """No connection came about: refused, not found, not a WebSocket, closed, or too slow. Nothing was sent."""


class AddressError(ValueError):
    """A URL that does not say where to connect to; the text says what it should look like."""


class ListenClosed(Exception):
    """The connection is closed. `code` and `reason` are the close frame's; 1006 when there was none.

    `error` is what the server said was wrong before it closed, if it did.
    """

    def __init__(self, code: int, reason: str, error: ErrorEvent | None = None) -> None:
        said = error.message if error else reason
        super().__init__(f"the connection is closed ({code}{': ' + said if said else ''})")
        self.code = code
        self.reason = reason
        self.error = error


class Target(msgspec.Struct, frozen=True):
    """Where to connect to and what to ask for there."""

    host: str
    port: int
    tls: bool
    resource: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.tls else 'ws'}://{host}:{self.port}"

    @classmethod
    def of(cls, url: str, query: Mapping[str, str | int | bool]) -> Target:
        """Take a URL apart and add the query to its own. Raises AddressError."""
        wrong = f"url {url!r} is no WebSocket address: use ws://host:port or wss://host"
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise AddressError(f"{wrong} ({error})") from None
        if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
            raise AddressError(wrong)
        tls = parts.scheme in ("wss", "https")
        path = parts.path if parts.path not in ("", "/") else PATH
        texts = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()
        }
        pairs = [*parse_qsl(parts.query, keep_blank_values=True), *texts.items()]
        return cls(parts.hostname, port or (443 if tls else 80), tls, f"{path}?{urlencode(pairs)}")


async def connect(target: Target, timeout: float) -> Stream:
    """Open TCP, and TLS over it. Raises ConnectFailed."""
    try:
        with trio.fail_after(timeout):
            if not target.tls:
                return await trio.open_tcp_stream(target.host, target.port)
            secured = await trio.open_ssl_over_tcp_stream(target.host, target.port, https_compatible=True)
            return await _secure(secured, target)
    except trio.TooSlowError:
        raise ConnectFailed(f"{target} did not take the connection within {timeout:g} s") from None
    except OSError as error:
        raise ConnectFailed(f"{target} cannot be reached: {_why(error)}") from error


async def handshake(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    target: Target,
    headers: list[tuple[bytes, bytes]],
    timeout: float,
) -> trio_websocket.WebSocketConnection:
    """Open the WebSocket; its reader runs in `nursery`, which `unwrapped` explains when it fails.

    Raises ConnectFailed when it takes too long, or the server leaves.
    """
    watched = WatchedStream(stream)
    try:
        with trio.fail_after(timeout), watched.until_end():
            return await trio_websocket.wrap_client_stream(
                nursery,
                watched,  # type: ignore[arg-type]  # any Trio stream will do
                f"{target.host}:{target.port}",
                target.resource,
                extra_headers=headers,
                message_queue_size=64,
                max_message_size=MESSAGE_LIMIT,
            )
    except trio.TooSlowError:
        message = f"{target} did not finish the WebSocket handshake within {timeout:g} s"
        raise ConnectFailed(message) from None
    raise ConnectFailed(f"{target} closed the connection during the WebSocket handshake")


async def _secure(stream: trio.SSLStream[trio.SocketStream], target: Target) -> Stream:
    # Left to the first write, a failure would only show as a WebSocket handshake that never ends.
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise ConnectFailed(f"{target} failed the TLS handshake: {error.__cause__ or error}") from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


def _why(error: OSError) -> str:
    """The system's words for it; of several addresses that were tried, Trio keeps the errors as the cause."""
    errors = [error, error.__cause__, *getattr(error.__cause__, "exceptions", ())]
    numbers = {one.errno for one in errors if isinstance(one, OSError) and one.errno and one.errno > 0}
    return ", ".join(sorted(map(os.strerror, numbers))) or error.strerror or str(error)


def unwrapped(group: BaseExceptionGroup[BaseException], target: Target) -> BaseException:
    """The one thing that went wrong, out of the nursery's group; the group itself when there are more."""
    leaves = [error for error in _leaves(group) if not isinstance(error, trio.Cancelled)]
    if not leaves:
        return next(_leaves(group))
    if len(leaves) > 1:
        return group
    error = leaves[0]
    if isinstance(error, trio_websocket.ConnectionRejected):
        hint = " (no /v4/listen there?)" if error.status_code == 404 else ""
        return ConnectFailed(f"{target} refused the WebSocket with HTTP status {error.status_code}{hint}")
    if isinstance(error, trio_websocket.ConnectionClosed):
        return ListenClosed(1006, "protocol error")
    return error


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
