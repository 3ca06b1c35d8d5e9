"""The way into the lane: what a connection's first head decides.

Operations: `open_lane` when the server is made; `Entrance.connection` for each accepted connection, `run` of which
says whether it was served.
Invariants: a connection that is not served here has lost no byte. One that is leaves the lane before its socket
is closed.
Bounded: by the lane's slots (a connection that finds none goes to the HTTP server), `keep_alive_timeout` for the head,
`close_timeout` for the client's side of the ending.
"""

import socket
from collections.abc import Awaitable, Callable

import trio

from engine.config import Config
from engine.listen.ports import ClientSocket
from engine.log import get_logger
from engine.server.connection import TIMED_OUT
from engine.server.lane import Lane, LaneSocket
from engine.server.upgrade import HEAD_LIMIT, Upgrade, accept, peek_head, read_upgrade
from engine.web import LISTEN_PATHS, Visit

__all__ = ["Entrance", "LaneConnection", "Serve", "lane_for", "open_lane"]

log = get_logger(__name__)

Serve = Callable[[ClientSocket, Visit], Awaitable[None]]

SPARE_SLOTS = 64
"""For connections that are being refused, or ending, beside the sessions there may be."""


def lane_for(config: Config) -> Lane:
    """A lane with room for all sessions there may be, each with a vendor's stream and another in its shadow.

    Raises OSError where the system has none for it.
    """
    sessions = config.limits.sessions
    return Lane(
        sessions + SPARE_SLOTS, config.session.message_limit, links=2 * sessions, pause=config.lane_pause
    )


def open_lane(config: Config) -> Lane | None:
    """The server's lane; None where it is off, or, which is logged, cannot be had: then all is for HTTP."""
    if config.lane == "off":
        return None
    try:
        return lane_for(config)
    except OSError as error:
        log.warning("lane.unavailable", error=error.strerror, hint="listen sockets go by HTTP")
        return None


class Entrance:
    """Who comes in by the lane. `serve` has a client's socket until it closes it."""

    def __init__(self, config: Config, serve: Serve, lane: Lane | None = None) -> None:
        self.lane = lane_for(config) if lane is None else lane
        self.serve = serve
        self.head_timeout = config.web.keep_alive_timeout
        self.close_timeout = config.session.close_timeout

    def connection(self, stream: trio.SocketStream, stopping: trio.Event) -> "LaneConnection":
        """An accepted connection; once `stopping` is set its head is no longer waited for."""
        return LaneConnection(self, stream, stopping)


class LaneConnection:
    """One connection, perhaps for the lane."""

    def __init__(self, entrance: Entrance, stream: trio.SocketStream, stopping: trio.Event) -> None:
        self._entrance = entrance
        self._stream = stream
        self._stopping = stopping
        self._laned: LaneSocket | None = None

    async def run(self) -> bool:
        """Serve it to its end; False: it is for the HTTP server, which sees it as it came."""
        with trio.move_on_after(self._entrance.head_timeout) as limit:
            head = await self._peek()
        if limit.cancelled_caught or self._stopping.is_set():
            try:
                await self._dismiss(b"" if self._stopping.is_set() else TIMED_OUT)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                log.debug("lane.gone")
            return True
        upgrade = read_upgrade(head, LISTEN_PATHS) if head is not None else None
        if upgrade is None:
            return False
        self._laned = self._entrance.lane.add(self._stream.socket.fileno())
        if self._laned is None:
            return False
        try:
            await self._serve(self._laned, upgrade)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("lane.gone")
        finally:
            self._laned.remove()
        return True

    async def _peek(self) -> bytes | None:
        head = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._give_up_when_stopping, nursery.cancel_scope)
            head = await peek_head(self._stream.socket, LISTEN_PATHS)
            nursery.cancel_scope.cancel()
        return head

    async def _dismiss(self, answer: bytes) -> None:
        """The head was not whole in time. What came of it is taken: a reset would follow it unread."""
        with trio.move_on_after(self._entrance.close_timeout):
            if answer:
                await self._stream.send_all(answer)
            self._shut()
            while await self._stream.receive_some(HEAD_LIMIT):
                pass

    async def _give_up_when_stopping(self, scope: trio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _serve(self, laned: LaneSocket, upgrade: Upgrade) -> None:
        try:
            peer = str(self._stream.socket.getpeername()[0])
        except OSError as error:
            raise trio.BrokenResourceError("the client went before the handshake") from error
        await accept(self._stream, upgrade)
        try:
            await self._entrance.serve(laned, Visit(upgrade.path, upgrade.query, upgrade.authorization, peer))
        finally:
            with trio.move_on_after(self._entrance.close_timeout, shield=True):
                await laned.finish(self._shut)

    def _shut(self) -> None:
        """End our side of the connection; what was sent before still arrives."""
        try:
            self._stream.socket.shutdown(socket.SHUT_WR)
        except OSError:
            log.debug("lane.gone")

    def abort(self) -> None:
        """Close the socket at once."""
        if self._laned is not None:
            self._laned.remove()
        self._stream.socket.close()
