"""HTTP/1.1 on a Trio stream for a stand-in that must be able to break it: h11, and the bytes in our own hands."""

from collections.abc import Awaitable, Callable, Sequence

import h11
import trio

from engine.testing.openai_faults import Wrong

BODY_LIMIT = 32 * 1024 * 1024
RECEIVE = 65536
PIECE = 7
"""Bytes of a piece where a stream comes in odd ones."""


class Gone(Exception):
    """The client has left, or sent what is no HTTP."""


class Exchange:
    """One request, and how it is answered."""

    def __init__(
        self, http: "_Http", path: str, headers: dict[str, str], body: bytes, method: str = "POST"
    ) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.method = method
        self._http = http

    @property
    def wants_events(self) -> bool:
        """Whether a stream was asked for."""
        return b'"stream":true' in self.body.replace(b" ", b"")

    async def answer(
        self,
        status: int,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        wrong: Wrong | None = None,
    ) -> None:
        """A whole answer; half of it where it is cut or stalls."""
        length = [("content-type", "application/json"), ("content-length", str(len(body)))]
        await self._http.begin(status, [*length, *headers])
        if wrong in (Wrong.CUT, Wrong.STALL):
            await self._http.send(body[: len(body) // 2])
            await self._fail(wrong)
            return
        await self._http.send(body)
        await self._http.end()

    async def stream(self, data: Sequence[str], wrong: Wrong | None, pause: float = 0.0) -> None:
        """An answer of server-sent events, `pause` seconds after each."""
        await self._http.begin(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
        for number, one in enumerate(data):
            if wrong in (Wrong.CUT, Wrong.STALL) and number == len(data) // 2:
                await self._fail(wrong)
                return
            if wrong is Wrong.ODD_PIECES:
                await self._oddly(f": a comment\r\nevent: message\r\ndata: {one}\r\n\r\n".encode())
            else:
                await self._http.send(f"data: {one}\n\n".encode())
            await trio.sleep(pause)
        await self._http.end()

    async def drop(self) -> None:
        """The connection ends."""
        raise Gone

    async def until_gone(self) -> None:
        """Nothing is said until the client leaves."""
        await self._http.until_gone()
        raise Gone

    async def _fail(self, wrong: Wrong) -> None:
        await (self.drop() if wrong is Wrong.CUT else self.until_gone())

    async def _oddly(self, written: bytes) -> None:
        for at in range(0, len(written), PIECE):
            await self._http.send(written[at : at + PIECE])


async def converse(stream: trio.abc.Stream, respond: Callable[[Exchange], Awaitable[None]]) -> None:
    """Answer the requests on `stream` until the client leaves or an answer breaks the connection."""
    http = _Http(stream)
    try:
        while True:
            await respond(await http.request())
            http.again()
    except (Gone, h11.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
        return


class _Http:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._connection = h11.Connection(h11.SERVER)

    async def request(self) -> Exchange:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._connection.next_event()
            if event is h11.NEED_DATA:
                self._connection.receive_data(bytes(await self._stream.receive_some(RECEIVE)))
            elif isinstance(event, h11.Request):
                head = event
                if self._connection.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    await self._write(self._connection.send(go_on))
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_LIMIT:
                    raise Gone
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
                path = head.target.decode("latin-1").partition("?")[0]
                return Exchange(self, path, headers, bytes(body), head.method.decode())
            else:
                raise Gone

    async def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        await self._write(self._connection.send(h11.Response(status_code=status, headers=list(headers))))

    async def send(self, data: bytes) -> None:
        await self._write(self._connection.send(h11.Data(data=data)))

    async def end(self) -> None:
        await self._write(self._connection.send(h11.EndOfMessage()))

    def again(self) -> None:
        """Ready for the next request on the connection. Raises `Gone` when it is to be closed."""
        if self._connection.our_state is not h11.DONE or self._connection.their_state is not h11.DONE:
            raise Gone
        self._connection.start_next_cycle()

    async def until_gone(self) -> None:
        while await self._stream.receive_some(RECEIVE):
            pass

    async def _write(self, data: bytes | None) -> None:
        if data:
            await self._stream.send_all(data)
