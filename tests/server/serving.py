"""Real servers for tests."""

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trio

from engine.config import Config, Session, Web
from engine.server.entrance import Entrance, Serve
from engine.server.http import HttpServer, bind
from tests.patience import PATIENCE


def config(*, keep_alive_timeout: float = 60.0, **session: Any) -> Config:
    """Waits that are long, but where a test has to see the end of one."""
    limits = Session(**{"close_timeout": 60.0, **session})
    return Config(session=limits, web=Web(keep_alive_timeout=keep_alive_timeout))


class Serving:
    """A running server."""

    def __init__(self, http: HttpServer, port: int, nursery: trio.Nursery) -> None:
        self.http = http
        self.port = port
        self.nursery = nursery

    async def without_connections(self) -> None:
        """Wait until no connection is served any more."""
        with trio.fail_after(PATIENCE):
            await self.http.until_empty()


@asynccontextmanager
async def serving(
    app: Any, settings: Config | None = None, laned: Serve | None = None
) -> AsyncIterator[Serving]:
    """`app` behind our server on a free port, with `laned` for what the lane takes; cancelled at the end."""
    settings = settings or config()
    entrance = Entrance(settings, laned) if laned is not None else None
    http = HttpServer(app, settings, entrance)
    listeners = await bind("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(http.run, listeners)
        yield Serving(http, listeners[0].socket.getsockname()[1], nursery)
        nursery.cancel_scope.cancel()


class WebSocketApp:
    """An ASGI application that accepts WebSockets and then does what `behaviour` does.

    `events` gets what it received; `ended` is set when a handler ends, `failed` is what ended it.
    """

    def __init__(self, behaviour: Any) -> None:
        self.behaviour = behaviour
        self.events: list[dict[str, Any]] = []
        self.ended = trio.Event()
        self.failed: BaseException | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return

        async def recorded() -> dict[str, Any]:
            event: dict[str, Any] = await receive()
            self.events.append(event)
            return event

        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept", "headers": []})
        try:
            await self.behaviour(recorded, send)
        except BaseException as error:
            self.failed = error
            raise
        finally:
            self.ended.set()

    async def wait_ended(self) -> None:
        with trio.fail_after(PATIENCE):
            await self.ended.wait()

    @property
    def messages(self) -> list[bytes | str]:
        """What the client sent."""
        return [
            event["bytes"] if event["bytes"] is not None else event["text"]
            for event in self.events
            if event["type"] == "websocket.receive"
        ]

    @property
    def disconnect_code(self) -> int:
        (code,) = [event["code"] for event in self.events if event["type"] == "websocket.disconnect"]
        return int(code)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def receive_all(receive: Any, send: Any) -> None:
    """Receive until the client is gone."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Inside, this process can open nothing: more than it has is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
