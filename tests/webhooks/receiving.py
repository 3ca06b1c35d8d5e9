"""Receivers of webhooks on real sockets: each remembers what it got, and behaves as it is told."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h11
import trio
import trustme

from tests.patience import PATIENCE


@dataclass(frozen=True)
class Received:
    """One request. `query` is the target's, as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answer` is given each request and the connection, and answers or does not."""

    answer: "Behaviour"
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    scheme: str = "http"
    news: trio.Event = field(default_factory=trio.Event)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def until(self, count: int) -> None:
        """Wait until so many requests have come."""
        with trio.fail_after(PATIENCE):
            while len(self.requests) < count:
                self.news = trio.Event()
                await self.news.wait()


class Connection:
    """One connection of a receiver, on which behaviours answer."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.SERVER)

    async def receive(self) -> Received | None:
        """The next request, or None when there is none any more."""
        head, body = None, bytearray()
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(bytes(await self.stream.receive_some(65536)))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                headers = {name.decode().lower(): value.decode() for name, value in head.headers}
                return Received(head.method.decode(), head.target.decode(), headers, bytes(body))
            else:
                return None

    async def send(
        self, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer."""
        await self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        await self.data(body)
        await self.stream.send_all(self.http.send(h11.EndOfMessage()) or b"")

    async def head(self, status: int, headers: Mapping[str, str]) -> None:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.stream.send_all(self.http.send(h11.Response(status_code=status, headers=sent)) or b"")

    async def data(self, body: bytes) -> None:
        await self.stream.send_all(self.http.send(h11.Data(body)) or b"")


Behaviour = Callable[[Connection, Received], Awaitable[None]]


def answering(*statuses: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    """These statuses in turn, the last of them for ever."""
    left = list(statuses or (200,))

    async def answer(connection: Connection, _request: Received) -> None:
        await connection.send(left.pop(0) if len(left) > 1 else left[0], body, headers)

    return answer


async def hanging(_connection: Connection, _request: Received) -> None:
    """Never answers."""
    await trio.sleep_forever()


async def cutting(connection: Connection, _request: Received) -> None:
    """Closes without an answer."""
    await connection.stream.aclose()


def large(size: int) -> Behaviour:
    """200, and so many bytes, as long as somebody takes them."""

    async def answer(connection: Connection, _request: Received) -> None:
        await connection.head(200, {"Content-Length": str(size)})
        for _ in range(size // 65536):
            await connection.data(bytes(65536))

    return answer


@asynccontextmanager
async def receiver(
    answer: Behaviour | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver on a free port; answers 200 unless told otherwise."""
    made = Receiver(answer or answering(200), scheme="http" if tls is None else "https")

    async def serve(stream: trio.abc.Stream) -> None:
        made.connections += 1
        client_closes = (trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError)
        with suppress(*client_closes):
            await _serve(made, Connection(stream if tls is None else _secured(stream, tls)))

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        made.port = listeners[0].socket.getsockname()[1]
        await nursery.start(partial(trio.serve_listeners, serve, listeners))
        yield made
        nursery.cancel_scope.cancel()


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, str]:
    """What a server of that name shows, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return context, str(file)


def _secured(stream: trio.abc.Stream, context: ssl.SSLContext) -> trio.abc.Stream:
    return trio.SSLStream(stream, context, server_side=True, https_compatible=True)


async def _serve(made: Receiver, connection: Connection) -> None:
    while (request := await connection.receive()) is not None:
        made.requests.append(request)
        made.open += 1
        made.most_open = max(made.most_open, made.open)
        made.news.set()
        try:
            await made.answer(connection, request)
        finally:
            made.open -= 1
        if connection.http.our_state is h11.MUST_CLOSE or connection.http.their_state is h11.MUST_CLOSE:
            break
        connection.http.start_next_cycle()
    await connection.stream.aclose()
