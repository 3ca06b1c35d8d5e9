"""Calls to a server that speaks OpenAI's protocol: turns, time limits, retries, and whose fault a failure is.

Operations: `post` gives a whole answer, `events` opens a stream of server-sent events; `open_model_server` makes and
closes the connections.
Invariants: a try is made again only while nothing of its answer has been handed on, and only for what may pass
(connection, time, 408, 409, 429, 5xx); a vendor's `Retry-After` is kept to. A turn is held while waiting between
tries, because such limits are the account's: others would only run into them too. Redirects are not followed.
Bounded: `concurrency` calls at once, `queue_limit` waiting, an answer by `ANSWER_LIMIT` bytes, each call by
`total_timeout` with everything in it. Waits are on Trio's clock; a `Retry-After` that is a date is read against the
wall clock.
Cancellation: closes the connection; the vendor may have worked, and been paid, for nothing.
Cost: one connection per call at a time, kept alive between calls.
Known doubts: a vendor that trickles whole events for ever is only ended by `total_timeout`.
"""

import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Generic, TypeVar

import httpx2
import msgspec
import trio

from engine._config_models import OPENAI_URL, Llm
from engine.conversation.llm.failures import failure, has_asked_to_wait
from engine.conversation.llm.metrics import LlmMeter, NoMeter
from engine.conversation.llm.port import LlmError, LlmRefused, LlmUnavailable
from engine.stt.backoff import Backoff

__all__ = ["ANSWER_LIMIT", "ModelServer", "ModelServerStatistics", "open_model_server"]

ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of one answer, uncompressed; 64 embeddings of 3,072 numbers are about 4 MB of JSON."""

T = TypeVar("T")


class ModelServerStatistics(msgspec.Struct, frozen=True):
    """`calls` counts calls that ended; `retries` tries made again within them."""

    in_flight: int
    waiting: int
    calls: int
    failures: int
    retries: int


class ModelServer:
    """One server under one key. Made by `open_model_server`."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        settings: Llm,
        *,
        base_url: str,
        meter: LlmMeter,
        rng: random.Random | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.meter = meter
        self._http = http
        self._settings = settings
        self._base_url = base_url.rstrip("/")
        self._rng = rng
        self._wall_clock = wall_clock
        self._turns = trio.CapacityLimiter(settings.concurrency)
        self._calls = 0
        self._failures = 0
        self._retries = 0

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's own server, whose newer models refuse what older servers want."""
        return self._base_url == OPENAI_URL

    def statistics(self) -> ModelServerStatistics:
        """Counts since it was made, and what is going on now."""
        turns = self._turns.statistics()
        return ModelServerStatistics(
            turns.borrowed_tokens, turns.tasks_waiting, self._calls, self._failures, self._retries
        )

    async def post(self, call: str, path: str, body: Any, read: Callable[[bytes], T]) -> T:
        """The whole answer to `body` as JSON, sent to `path` (`/embeddings`), as `read` reads it. Raises `LlmError`.

        `read` may raise it too: an `LlmUnavailable` from it is a reason for another try.
        """
        content = msgspec.json.encode(body)

        async def once() -> T:
            response = await self._send(path, content, "application/json")
            async with aclosing(response):
                return read(await self._read(response))

        async with self._turn(call):
            return await self._until_it_works(once)

    @asynccontextmanager
    async def events(
        self, call: str, path: str, body: Any, read: Callable[[str], T]
    ) -> AsyncIterator["EventStream[T]"]:
        """The server-sent events that answer `body`, the data of each as `read` reads it.

        The first has come on entering. Raises `LlmError`, there and from the iterator. The whole block has
        `total_timeout`: whoever takes longer over the events is cancelled, and `LlmUnavailable` raised.
        """
        content = msgspec.json.encode(body)

        async def once() -> EventStream[T]:
            stream = EventStream(await self._send(path, content, "text/event-stream"), self._settings, read)
            try:
                await stream.begin()
            except BaseException:
                await stream.aclose()
                raise
            return stream

        async with self._turn(call), aclosing(await self._until_it_works(once)) as stream:
            yield stream

    @asynccontextmanager
    async def _turn(self, call: str) -> AsyncIterator[None]:
        if self._turns.statistics().tasks_waiting >= self._settings.queue_limit and not self._free():
            self.meter.finished(call, "busy", 0.0)
            raise LlmUnavailable(f"{self._settings.queue_limit} calls wait already (llm.queue_limit)", "busy")
        begun, outcome = trio.current_time(), "cancelled"  # whatever else ends it is not the vendor's doing
        total = self._settings.total_timeout
        try:
            with trio.move_on_after(total) as scope:
                async with self._turns:
                    yield
            if scope.cancelled_caught:
                raise LlmUnavailable(f"no whole answer in {total:g} s (llm.total_timeout)", "timeout")
            outcome = "ok"
        except LlmError as error:
            outcome = error.outcome
            self._failures += 1
            raise
        finally:
            self._calls += 1
            self.meter.finished(call, outcome, trio.current_time() - begun)

    def _free(self) -> bool:
        return self._turns.available_tokens > 0

    async def _until_it_works(self, once: Callable[[], Awaitable[T]]) -> T:
        settings = self._settings
        backoff = Backoff(settings.retry_initial, settings.retry_limit, self._rng)
        left = settings.retries
        while True:
            try:
                return await once()
            except LlmUnavailable as error:
                wait = max(backoff.next(), error.retry_after or 0.0)
                if not left or wait > settings.retry_limit:
                    raise
                self.meter.retried(error.outcome)
            left -= 1
            self._retries += 1
            await trio.sleep(wait)

    async def _send(self, path: str, body: bytes, accepted: str) -> httpx2.Response:
        """A response that says 2xx, its body not yet read."""
        headers = {"Content-Type": "application/json", "Accept": accepted}
        request = self._http.build_request("POST", self._base_url + path, content=body, headers=headers)
        limit = self._settings.first_byte_timeout
        try:
            with trio.move_on_after(limit):
                response = await self._http.send(request, stream=True)
                if response.is_success:
                    return response
                async with aclosing(response):
                    text = await self._read(response)
                asked = has_asked_to_wait(response.headers, self._wall_clock())
                raise failure(response.status_code, text, asked)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise LlmUnavailable(f"{self._base_url}: no connection ({error})", "connect") from error
        except httpx2.RequestError as error:
            raise _broke_off(error) from error
        raise LlmUnavailable(f"no answer in {limit:g} s (llm.first_byte_timeout)", "timeout")

    async def _read(self, response: httpx2.Response) -> bytes:
        read = bytearray()
        chunks = response.aiter_bytes()
        async with aclosing(chunks):
            while chunk := await _next_in_time(chunks, self._settings.gap_timeout):
                read += chunk
                if len(read) > ANSWER_LIMIT:
                    raise LlmRefused(f"an answer of more than {ANSWER_LIMIT} bytes", "broken")
        return bytes(read)


class EventStream(Generic[T]):
    """What the events of one answer say; ends where the answer does."""

    def __init__(self, response: httpx2.Response, settings: Llm, read: Callable[[str], T]) -> None:
        self._response = response
        self._settings = settings
        self._read = read
        self._first: list[T] = []
        self._data = _data_of(response)
        self._characters = 0

    async def begin(self) -> None:
        """Wait for the first event. Raises `LlmError` when none comes, or when it says so."""
        data = await _next_in_time(self._data, self._settings.first_byte_timeout)
        if data is None:
            raise LlmUnavailable("the answer ended before it began", "cut")
        self._first.append(self._read(data))

    def __aiter__(self) -> "EventStream[T]":
        return self

    async def __anext__(self) -> T:
        if self._first:
            return self._first.pop()
        data = await _next_in_time(self._data, self._settings.gap_timeout)
        if data is None:
            raise StopAsyncIteration
        self._characters += len(data)
        if self._characters > ANSWER_LIMIT:
            raise LlmRefused(f"an answer of more than {ANSWER_LIMIT} characters", "broken")
        return self._read(data)

    async def aclose(self) -> None:
        """End the request, wherever its answer is."""
        await self._data.aclose()
        await self._response.aclose()


async def _data_of(response: httpx2.Response) -> AsyncGenerator[str, None]:
    async for event in httpx2.EventSource(response):
        yield event.data


async def _next_in_time(source: AsyncIterator[T], limit: float) -> T | None:
    """The next of `source` within `limit` seconds, None at its end."""
    try:
        with trio.move_on_after(limit):
            return await anext(source, None)
    except httpx2.SSEError as error:
        raise LlmUnavailable("the answer is no stream of events that can be read", "broken") from error
    except httpx2.RequestError as error:
        raise _broke_off(error) from error
    raise LlmUnavailable(f"nothing more of an answer in {limit:g} s (llm.gap_timeout)", "timeout")


def _broke_off(error: httpx2.RequestError) -> LlmUnavailable:
    return LlmUnavailable(f"the connection failed in mid-answer: {type(error).__name__}", "cut")


@asynccontextmanager
async def open_model_server(
    settings: Llm,
    *,
    api_key: str | None = None,
    base_url: str = "",
    meter: LlmMeter | None = None,
    rng: random.Random | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[ModelServer]:
    """A server as `settings` say; `api_key` (empty: none is sent) and `base_url` take the place of theirs."""
    key = settings.api_key if api_key is None else api_key
    url = base_url or settings.base_url
    async with httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        # Every wait has a limit of its own here, except for the one that only the transport can tell apart.
        timeout=httpx2.Timeout(None, connect=settings.connect_timeout),
        limits=httpx2.Limits(max_connections=settings.concurrency),
        verify=url.startswith("https:"),  # reading the authorities' certificates takes a tenth of a second
    ) as http:
        yield ModelServer(
            http,
            settings,
            base_url=url,
            meter=meter or NoMeter(),
            rng=rng,
            wall_clock=wall_clock,
        )
