"""Calls to a model's server over real sockets: retries, time limits, turns, and whose fault a failure is."""

import math
from typing import Any

import httpx2
import pytest
import trio

from engine.config import Llm
from engine.conversation.llm.model_server import ModelServer, open_model_server
from engine.conversation.llm.port import (
    LlmContextExceeded,
    LlmError,
    LlmRefused,
    LlmUnavailable,
    Message,
)
from engine.testing import LlmFaultPlan, LlmMishap, OpenAiStandIn, Reply, Wrong
from tests.conversation.models import CountingMeter, asked, wrong
from tests.patience import PATIENCE

HELLO = [Message("user", "Hello")]


def standin(*first: LlmMishap | None, **changes: Any) -> OpenAiStandIn:
    return OpenAiStandIn(plan=LlmFaultPlan(first=first, **changes))


@pytest.mark.parametrize(
    ("mishap", "outcome"),
    [
        (wrong(Wrong.DROP), "cut"),
        (wrong(Wrong.CUT), "cut"),
        (wrong(Wrong.STATUS, status=429), "rate_limit"),
        (wrong(Wrong.STATUS, status=500), "overloaded"),
        (wrong(Wrong.STATUS, status=503, body=b"<html>upstream</html>"), "overloaded"),
        (wrong(Wrong.STATUS, status=408), "overloaded"),
        (wrong(Wrong.ERROR_INSIDE), "overloaded"),
        (wrong(Wrong.BODY, body=b"<html>a proxy</html>"), "broken"),
        (wrong(Wrong.BODY, body=b'{"choices": [{"message"'), "broken"),
        (wrong(Wrong.BODY, body=b"[" * 100_000), "broken"),
        (wrong(Wrong.BODY, body=b"\xff\xfe"), "broken"),
        (wrong(Wrong.BODY, body=b'{"choices": "none"}'), "broken"),
        (wrong(Wrong.NO_CHOICES), "broken"),
    ],
)
async def test_what_may_pass_is_tried_again(mishap: LlmMishap, outcome: str) -> None:
    async with asked(standin(mishap)) as model:
        assert (await model.llm.complete(HELLO)).text == "Hello"
        assert model.meter.retries == [outcome]
        assert model.meter.calls == [("chat", "ok")]
        assert len(model.standin.requests) == 2


@pytest.mark.parametrize(
    ("mishap", "error", "outcome"),
    [
        (wrong(Wrong.STATUS, status=401), LlmRefused, "auth"),
        (wrong(Wrong.STATUS, status=403), LlmRefused, "auth"),
        (wrong(Wrong.STATUS, status=404), LlmRefused, "refused"),
        (wrong(Wrong.STATUS, status=422), LlmRefused, "refused"),
        (
            wrong(Wrong.STATUS, status=302, headers=(("location", "http://127.0.0.1:1/"),)),
            LlmRefused,
            "refused",
        ),
        (wrong(Wrong.STATUS, status=429, code="insufficient_quota"), LlmRefused, "quota"),
        (
            wrong(Wrong.STATUS, status=400, code="context_length_exceeded"),
            LlmContextExceeded,
            "context_length",
        ),
        (
            wrong(Wrong.STATUS, status=400, message="the request exceeds the available context size"),
            LlmContextExceeded,
            "context_length",
        ),
        (wrong(Wrong.ERROR_INSIDE, code="context_length_exceeded"), LlmContextExceeded, "context_length"),
        (wrong(Wrong.DECLINED), LlmRefused, "content_filter"),
        (wrong(Wrong.FILTERED), LlmRefused, "content_filter"),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(
    mishap: LlmMishap, error: type[LlmError], outcome: str
) -> None:
    async with asked(standin(mishap)) as model:
        with pytest.raises(error) as caught:
            await model.llm.complete(HELLO)
        assert type(caught.value) is error
        assert caught.value.outcome == outcome
        assert model.meter.calls == [("chat", outcome)]
        assert len(model.standin.requests) == 1


async def test_tries_are_bounded() -> None:
    always = wrong(Wrong.STATUS, status=503)
    async with asked(OpenAiStandIn(plan=LlmFaultPlan(always=always)), retries=2) as model:
        with pytest.raises(LlmUnavailable, match="503"):
            await model.llm.complete(HELLO)
        assert len(model.standin.requests) == 3
        statistics = model.server.statistics()
        assert (statistics.calls, statistics.failures, statistics.retries) == (1, 1, 2)
        assert (statistics.in_flight, statistics.waiting) == (0, 0)


async def test_a_server_that_is_not_there_is_named() -> None:
    meter = CountingMeter()
    settings = Llm(base_url="http://127.0.0.1:1/v1", retries=0)
    async with open_model_server(settings, meter=meter) as server:
        with pytest.raises(LlmUnavailable, match=r"127\.0\.0\.1:1") as caught:
            await server.post("chat", "/chat/completions", {}, bytes)
        assert caught.value.outcome == "connect"
        assert meter.calls == [("chat", "connect")]


async def test_neither_the_key_nor_what_the_vendor_says_is_in_an_error() -> None:
    said = "Incorrect API key provided: sk-secret; your prompt was: Hello"
    async with asked(standin(wrong(Wrong.STATUS, status=401, message=said)), api_key="sk-secret") as model:
        with pytest.raises(LlmRefused) as caught:
            await model.llm.complete(HELLO)
        assert "sk-secret" not in repr(caught.value)
        assert "Hello" not in str(caught.value)
        assert "OPENAI_API_KEY" in str(caught.value)
        assert model.standin.requests[0].headers["authorization"] == "Bearer sk-secret"


async def test_an_endless_answer_is_given_up() -> None:
    async with asked(standin(wrong(Wrong.BODY, body=b" " * (17 * 1024 * 1024)))) as model:
        with pytest.raises(LlmRefused, match="bytes"):
            await model.llm.complete(HELLO)


# Time: the transport is the injected one, the clock the virtual one.


class Scripted(httpx2.AsyncBaseTransport):
    """Answers as told, in virtual time."""

    def __init__(self, *answers: tuple[float, int, dict[str, str], bytes]) -> None:
        self.answers = list(answers)
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.times.append(trio.current_time())
        delay, status, headers, body = self.answers.pop(0)
        await trio.sleep(delay)
        return httpx2.Response(status, headers=headers, content=body)


def server_of(transport: httpx2.AsyncBaseTransport, wall: float = 0.0, **changes: Any) -> ModelServer:
    http = httpx2.AsyncClient(transport=transport)
    settings = Llm(**changes)
    return ModelServer(
        http, settings, base_url="http://model/v1", meter=CountingMeter(), wall_clock=lambda: wall
    )


DATE = "Wed, 21 Oct 2015 07:28:10 GMT"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "2500", "retry-after": "3"}, 2.5),
        ({"retry-after": DATE}, 10.0),
    ],
)
async def test_a_vendor_that_says_when_is_asked_then(
    autojump_clock: trio.testing.MockClock, headers: dict[str, str], wait: float
) -> None:
    transport = Scripted((0, 429, headers, b""), (0, 200, {}, b"yes"))
    server = server_of(transport, wall=1445412480.0, retry_initial=0.5)
    assert await server.post("chat", "/x", {}, bytes) == b"yes"
    first, second = transport.times
    assert math.isclose(second - first, wait)


async def test_a_vendor_that_wants_too_long_a_wait_has_failed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = server_of(Scripted((0, 429, {"retry-after": "3600"}, b"")))
    with pytest.raises(LlmUnavailable) as caught:
        await server.post("chat", "/x", {}, bytes)
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("nonsense", ["soon", "-5", "1e99", "", "Wed, 99 Foo", "9" * 40])
async def test_a_wait_that_cannot_be_read_is_ours_to_choose(
    autojump_clock: trio.testing.MockClock, nonsense: str
) -> None:
    transport = Scripted((0, 503, {"retry-after": nonsense}, b""), (0, 200, {}, b"yes"))
    assert await server_of(transport, retry_initial=0.5).post("chat", "/x", {}, bytes) == b"yes"
    first, second = transport.times
    assert second - first <= 0.5


async def test_waits_between_tries_double_with_jitter(autojump_clock: trio.testing.MockClock) -> None:
    transport = Scripted(*[(0.0, 500, {}, b"")] * 6)
    server = server_of(transport, retries=5, retry_initial=1.0, retry_limit=4.0)
    with pytest.raises(LlmUnavailable):
        await server.post("chat", "/x", {}, bytes)
    waits = [after - before for before, after in zip(transport.times, transport.times[1:], strict=False)]
    assert len(waits) == 5
    assert all(wait <= limit for wait, limit in zip(waits, (1, 2, 4, 4, 4), strict=True))
    assert len(set(waits)) == 5


async def test_an_answer_that_does_not_begin_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    server = server_of(Scripted((math.inf, 200, {}, b"")), retries=0, first_byte_timeout=7)
    with pytest.raises(LlmUnavailable, match="first_byte_timeout"):
        await server.post("chat", "/x", {}, bytes)
    assert trio.current_time() == 7


async def test_a_call_with_all_its_tries_has_a_limit(autojump_clock: trio.testing.MockClock) -> None:
    server = server_of(
        Scripted(*[(8.0, 500, {}, b"")] * 9),
        retries=8,
        total_timeout=20,
        retry_limit=0.001,
        retry_initial=0.001,
    )
    with pytest.raises(LlmUnavailable, match="total_timeout") as caught:
        await server.post("chat", "/x", {}, bytes)
    assert caught.value.outcome == "timeout"
    assert trio.current_time() == 20


async def test_calls_wait_for_a_turn_and_no_more_than_may_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = server_of(Scripted(*[(1.0, 200, {}, b"yes")] * 3), concurrency=1, queue_limit=2)
    busy = []

    async def call() -> None:
        try:
            await server.post("chat", "/x", {}, bytes)
        except LlmUnavailable as error:
            busy.append(error.outcome)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        statistics = server.statistics()
        assert (statistics.in_flight, statistics.waiting) == (1, 2)
    assert busy == ["busy"]
    assert trio.current_time() == 3


async def test_a_block_that_takes_too_long_over_a_stream_is_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    body = b"data: 1\n\ndata: 2\n\n"
    server = server_of(Scripted((0, 200, {"content-type": "text/event-stream"}, body)), total_timeout=9)

    async def linger() -> None:
        async with server.events("stream", "/x", {}, str) as events:
            assert await anext(events) == "1"
            await trio.sleep_forever()

    with pytest.raises(LlmUnavailable, match="total_timeout"):
        await linger()
    assert trio.current_time() == 9
    assert server.statistics().in_flight == 0


async def test_a_stall_in_mid_answer_is_noticed() -> None:
    async with asked(standin(wrong(Wrong.STALL)), gap_timeout=0.5) as model:
        assert (await model.llm.complete(HELLO)).text == "Hello"
        assert model.meter.retries == ["timeout"]


async def test_cancelling_a_call_ends_its_connection() -> None:
    async with asked(standin(wrong(Wrong.SILENCE))) as model:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(model.llm.complete, HELLO)
            await model.standin.until(lambda standin: len(standin.requests) == 1)
            nursery.cancel_scope.cancel()
        with trio.fail_after(PATIENCE):
            await model.standin.until(lambda standin: not standin.statistics().connections)
        assert model.server.statistics().in_flight == 0
        assert model.meter.calls == [("chat", "cancelled")]


async def test_requests_are_what_the_protocol_says() -> None:
    async with asked(OpenAiStandIn(lambda request: Reply("Hi")), model="m") as model:
        answer = await model.llm.complete(HELLO, max_tokens=7)
        request = model.standin.requests[0]
        assert request.path == "/v1/chat/completions"
        assert request.body == {
            "model": "m",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 7,
        }
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 1)
        assert model.meter.counted == {"prompt": 2, "completion": 1}
