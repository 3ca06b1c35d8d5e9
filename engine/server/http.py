"""Accepting connections and serving an ASGI application on them, in this process's Trio loop.

`HttpServer.run` nests three nurseries: the application's lifespan around the connections around the accept
loop, so that a drain is: cancel the innermost, let the connections finish, end the lifespan. Nothing bounds
the number of connections but the file limit (Trio's accept loop waits when it is reached); what they may do
is bounded by the timeouts in `ServerConfig` and by the session limits behind them.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import trio
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app

from engine.config import Config
from engine.log import get_logger
from engine.server.connection import Connection, ServerConfig
from engine.server.entrance import Entrance, LaneConnection

__all__ = ["BindError", "HttpServer", "bind"]

log = get_logger(__name__)


class BindError(Exception):
    """The address cannot be listened on; the text names it and what to change."""


async def bind(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on every address of `host` (port 0: on the first, any free port). Raises `BindError`."""
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise BindError(_why(host, port, error)) from error
    if port == 0:
        for extra in listeners[1:]:
            await extra.aclose()
        del listeners[1:]
    return listeners


def _why(host: str, port: int, error: OSError) -> str:
    code = error.errno or getattr(error.__cause__, "errno", None)
    if code == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is already in use: stop what listens there, or set LISTEN_PORT to another"
        )
    if code == errno.EACCES:
        return f"port {port} on {host} needs privileges: set LISTEN_PORT to one above 1023"
    return f"cannot listen on host {host!r}, port {port} ({error}): check LISTEN_HOST and LISTEN_PORT"


class HttpServer:
    """Serves `app` on listeners given to `run`, but for the connections that the `entrance` takes."""

    def __init__(self, app: ASGIFramework, config: Config, entrance: Entrance | None = None) -> None:
        self._config = _server_config(config)
        self._app = wrap_app(app, config.web.body_limit, "asgi")
        self._entrance = entrance
        self._context = WorkerContext(None)
        self._state: dict[str, Any] = {}
        self._accepting = trio.CancelScope()
        self._stopping = trio.Event()
        self._cut_at = float("inf")
        self._grace = config.session.close_timeout
        self._left = trio.Event()
        self.ended = trio.Event()
        self.connections: set[Connection | LaneConnection] = set()

    async def run(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stop`, and then until the connections have ended or are cut.

        Cancellation cuts every connection. A connection that is cut has `close_timeout` to say so to its
        client. The listeners are closed on the way out; then `ended` is set.
        """
        lifespan = Lifespan(self._app, self._config, self._state)
        try:
            async with trio.open_nursery() as lifespan_nursery:
                await lifespan_nursery.start(lifespan.handle_lifespan)
                await lifespan.wait_for_startup()
                if self._entrance is not None:
                    lifespan_nursery.start_soon(self._entrance.lane.run)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._accept, listeners, nursery)
                    task_status.started()
                    await self._serve_until_stopped(nursery.cancel_scope)
                await lifespan.wait_for_shutdown()
                lifespan_nursery.cancel_scope.cancel()
        finally:
            for listener in listeners:
                listener.socket.close()
            self.ended.set()

    async def _serve_until_stopped(self, connections: trio.CancelScope) -> None:
        try:
            await self._stopping.wait()
            await self._context.terminated.set()
            with trio.move_on_at(self._cut_at):
                await self.until_empty()
        finally:
            connections.cancel()
            with trio.move_on_after(self._grace, shield=True):
                await self.until_empty()
            for connection in self.connections:
                connection.abort()

    async def until_empty(self) -> None:
        """Wait until no connection is open."""
        while self.connections:
            self._left = trio.Event()
            await self._left.wait()

    def stop_accepting(self) -> None:
        """New connections are refused by the kernel from now on; those that are open are served."""
        self._accepting.cancel()

    def stop(self, cut_at: float, grace: float) -> None:
        """Idle connections end now, the others after what they do, or are cut at `cut_at` (Trio's clock).

        Those that are cut have `grace` seconds to say so to their client.
        """
        self.stop_accepting()
        self._cut_at = cut_at
        self._grace = grace
        self._stopping.set()

    async def _accept(self, listeners: list[trio.SocketListener], nursery: trio.Nursery) -> None:
        with self._accepting:
            await trio.serve_listeners(self._serve, listeners, handler_nursery=nursery)
        for listener in listeners:
            listener.socket.close()

    async def _serve(self, stream: trio.SocketStream) -> None:
        """One connection. A fault in it is logged and ends it, never the server."""
        try:
            if self._entrance is not None:
                laned = self._entrance.connection(stream, self._stopping)
                with self._counted(laned):
                    if await laned.run():
                        return
            # hypercorn takes plain streams as well as the TLS streams its annotation names
            state, tls = (
                ConnectionState(self._state.copy()),
                cast("trio.SSLStream[trio.SocketStream]", stream),
            )
            connection = Connection(self._app, self._config, self._context, state, tls)
            with self._counted(connection):
                await connection.run()
        except Exception:
            log.exception("connection.failed")

    @contextmanager
    def _counted(self, connection: Connection | LaneConnection) -> Iterator[None]:
        self.connections.add(connection)
        try:
            yield
        finally:
            self.connections.discard(connection)
            self._left.set()


def _server_config(config: Config) -> ServerConfig:
    server = ServerConfig()
    server.accesslog = None
    server.errorlog = logging.getLogger("hypercorn.error")
    server.include_server_header = False
    server.keep_alive_timeout = config.web.keep_alive_timeout
    server.websocket_max_message_size = config.session.message_limit
    server.write_timeout = config.session.client_write_timeout
    server.close_timeout = config.session.close_timeout
    return server
