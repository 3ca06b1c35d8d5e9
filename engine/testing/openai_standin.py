"""A stand-in for servers of OpenAI's protocol, over real sockets: chat, streams, tools, JSON, pictures, embeddings.

    standin = OpenAiStandIn(lambda request: Reply("Hello"), plan=LlmFaultPlan(first=(LlmMishap(wrong=Wrong.CUT),)))
    port = await nursery.start(standin.serve)       # http://127.0.0.1:{port}/v1

It knows what it was asked (`requests`). Without an `answer` of one's own it repeats the last message, or fills in the
JSON Schema it is given. Embeddings are of `dimensions` numbers, alike for texts that share words. All waits are on
Trio's clock. Bounded: `HISTORY` requests are remembered; a request has at most `BODY_LIMIT` bytes.
"""

from collections import deque
from collections.abc import Callable

import msgspec
import trio

from engine.testing._openai_answers import (
    LlmRequest,
    Reply,
    completion,
    embeddings,
    error_body,
    filled_in,
    object_in,
    pieces,
)
from engine.testing._openai_http import Exchange, converse
from engine.testing._openai_spoils import spoiled
from engine.testing.openai_faults import LlmFaultPlan, LlmMishap, Wrong

HISTORY = 1_000

_NO_FAULTS = LlmFaultPlan()


class OpenAiStandInStatistics(msgspec.Struct, frozen=True):
    """Counts since it was made; `connections` are those now open."""

    requests: int
    mishaps: int
    connections: int


class OpenAiStandIn:
    """A server of one model. `key` None accepts any; `answer` makes the replies.

    `befalls` says what befalls a request, where the order in which they come is not known; None: `plan` has the word.
    """

    def __init__(
        self,
        answer: Callable[[LlmRequest], Reply] | None = None,
        *,
        plan: LlmFaultPlan = _NO_FAULTS,
        befalls: Callable[[LlmRequest], LlmMishap | None] | None = None,
        key: str | None = None,
        dimensions: int = 64,
    ) -> None:
        self.requests: deque[LlmRequest] = deque(maxlen=HISTORY)
        self._answer = answer or filled_in
        self._plan = plan
        self._first = list(plan.first)
        self._chosen = befalls or (lambda request: None)
        self._key = key
        self._dimensions = dimensions
        self._count = 0
        self._mishaps = 0
        self._connections = 0
        self._changed = trio.lowlevel.ParkingLot()

    def follow(self, plan: LlmFaultPlan) -> None:
        """Follow `plan` from now on."""
        self._plan = plan
        self._first = list(plan.first)

    def statistics(self) -> OpenAiStandInStatistics:
        """Requests and mishaps so far, connections now."""
        return OpenAiStandInStatistics(self._count, self._mishaps, self._connections)

    async def until(self, true: Callable[["OpenAiStandIn"], bool]) -> None:
        """Return when it is `true` of this stand-in; looked at when a request came or a connection ended."""
        while not true(self):
            await self._changed.park()

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen on sockets until cancelled; `started` with the port. Raises OSError when it is taken."""
        listeners = await trio.open_tcp_listeners(port, host=host)
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self.serve_stream, listeners)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Answer the requests of one connection, to its end."""
        self._connections += 1
        try:
            await converse(stream, self._respond)
        finally:
            self._connections -= 1
            self._changed.unpark_all()
            await trio.aclose_forcefully(stream)

    async def _respond(self, exchange: Exchange) -> None:
        body = object_in(exchange.body)
        request = LlmRequest(exchange.path, exchange.headers, body)
        self.requests.append(request)
        self._count += 1
        self._changed.unpark_all()
        mishap = self._chosen(request) or (self._first.pop(0) if self._first else self._plan.always)
        self._mishaps += mishap is not None
        wrong = mishap.wrong if mishap else None
        if mishap and await self._befalls(mishap, exchange):
            return
        refusal = self._refusal(request)
        if refusal:
            await exchange.answer(*refusal)
        elif request.path.endswith("/embeddings"):
            await exchange.answer(200, embeddings(request, self._dimensions, wrong), wrong=wrong)
        elif body.get("stream"):
            pause = mishap.seconds if mishap and wrong is Wrong.SLOW else 0.0
            await exchange.stream(pieces(request, self._said(request, wrong), wrong), wrong, pause)
        else:
            await exchange.answer(200, completion(request, self._said(request, wrong), wrong), wrong=wrong)

    def _said(self, request: LlmRequest, wrong: Wrong | None) -> Reply:
        reply = self._answer(request)
        return msgspec.structs.replace(reply, text=spoiled(reply.text, wrong)) if wrong else reply

    async def _befalls(self, mishap: LlmMishap, exchange: Exchange) -> bool:
        """Whether that was the whole answer."""
        match mishap.wrong:
            case Wrong.DROP:
                await exchange.drop()
            case Wrong.SILENCE:
                await exchange.until_gone()
            case Wrong.STATUS:
                error = error_body(mishap.message, mishap.code)
                body = error if mishap.body is None else mishap.body
                await exchange.answer(mishap.status, body, headers=mishap.headers)
            case Wrong.BODY:
                await exchange.answer(200, mishap.body or b"", headers=mishap.headers)
            case Wrong.ERROR_INSIDE if not exchange.wants_events:
                await exchange.answer(200, error_body(mishap.message, mishap.code))
            case Wrong.DELAY:
                await trio.sleep(mishap.seconds)
                return False
            case _:
                return False
        return True

    def _refusal(self, request: LlmRequest) -> tuple[int, bytes] | None:
        if self._key is not None and request.headers.get("authorization") != f"Bearer {self._key}":
            return 401, error_body("Incorrect API key provided", "invalid_api_key")
        if not request.path.endswith(("/chat/completions", "/embeddings")):
            return 404, error_body("Unknown path", "unknown_url")
        if not request.body or not ("messages" in request.body or "input" in request.body):
            return 400, error_body("A JSON object with messages or input is wanted", "invalid_request_error")
        limit = self._plan.context_tokens
        if limit is not None and request.tokens > limit:
            return 400, error_body(
                f"This model's maximum context length is {limit}", "context_length_exceeded"
            )
        return None
