"""The fault table: whatever an endpoint does, each delivery arrives or its log says why it did not."""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.webhooks.addresses import SystemResolver

from .posting import posting
from .receiving import (
    Behaviour,
    Connection,
    Received,
    Receiver,
    answering,
    certificate,
    cutting,
    hanging,
    large,
    receiver,
)

METADATA = "http://169.254.169.254/latest/meta-data"
CHUNKS = 3


async def slow(connection: Connection, _request: Received) -> None:
    """Answers long after it has read, but in time."""
    await trio.sleep(0.1)
    await connection.send()


async def half(connection: Connection, _request: Received) -> None:
    """Half a head, then nothing."""
    await connection.stream.send_all(b"HTTP/1.1 200 OK\r\nContent-")
    await trio.sleep_forever()


async def no_http(connection: Connection, _request: Received) -> None:
    await connection.stream.send_all(b"\x00" * 100)
    await connection.stream.aclose()


class Rebinding:
    """A public address when it is asked first, this machine's metadata service from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return ["93.184.216.34"] if self.asked == 1 else ["169.254.169.254"]


@dataclass(frozen=True)
class Fault:
    """What an endpoint does, and how deliveries to it end. `reason`: part of what the log says."""

    make: Callable[[], Behaviour] | None
    state: str
    reason: str = ""
    attempts: int = 1
    off: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


BRIEF = {"timeout": 0.2, "live_timeout": 0.2}
TABLE = {
    "slow": Fault(lambda: slow, "delivered"),
    "dead": Fault(None, "dead", "no connection", 3),
    "hanging": Fault(lambda: hanging, "dead", "no answer in 0.2 s", 3, settings=BRIEF),
    "half an answer": Fault(lambda: half, "dead", "no answer in 0.2 s", 3, settings=BRIEF),
    "closing": Fault(lambda: cutting, "dead", "the connection failed", 3),
    "no HTTP": Fault(lambda: no_http, "dead", "the connection failed", 3),
    "500 for a while": Fault(lambda: answering(500, 500, 200), "delivered", attempts=3),
    "500 for ever": Fault(lambda: answering(500), "dead", "answered 500", 3),
    "410": Fault(lambda: answering(410), "dead", "answered 410", off=True),
    "429": Fault(lambda: answering(429, 200, headers={"Retry-After": "1"}), "delivered", attempts=2),
    "redirecting": Fault(
        lambda: answering(302, headers={"Location": METADATA}), "dead", "redirects are not followed", 3
    ),
    "10 MB": Fault(lambda: large(10_000_000), "delivered"),
}


@pytest.mark.parametrize("trigger", ["memory_created", "audio_bytes"])
@pytest.mark.parametrize("name", TABLE)
async def test_each_delivery_arrives_or_is_dead_with_a_reason(
    tmp_path: Path, name: str, trigger: str
) -> None:
    fault = TABLE[name]
    async with _endpoint(fault.make) as there, posting(tmp_path, **fault.settings) as post:
        await post.set(there.url(), trigger)
        for number in range(CHUNKS if trigger == "audio_bytes" else 1):
            await (post.offer_audio(number) if trigger == "audio_bytes" else post.offer())
        rows = await post.ended()
        endpoint = await post.endpoint(trigger)
    first = rows[0]
    assert (first.state, endpoint.disabled_at is not None) == (fault.state, fault.off)
    assert first.attempts >= fault.attempts
    assert fault.reason in (first.reason or "")
    assert all(row.state == "delivered" or row.reason for row in rows)
    arrived = [request.body[0] for request in there.requests if trigger == "audio_bytes"]
    assert arrived == sorted(arrived)


@asynccontextmanager
async def _endpoint(make: Callable[[], Behaviour] | None) -> AsyncIterator[Receiver]:
    """A receiver; without one nobody listens on its port any more."""
    async with receiver(make and make()) as there:
        if make is not None:
            yield there
            return
    yield there


async def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    at: list[float] = []

    async def busy_then_well(connection: Connection, _request: Received) -> None:
        at.append(trio.current_time())
        await connection.send(429 if len(at) == 1 else 200, headers={"Retry-After": "1"})

    async with receiver(busy_then_well) as there, posting(tmp_path) as post:
        await post.set(there.url())
        await post.offer()
        await post.ended()
    assert at[1] - at[0] >= 1.0


async def test_a_redirect_into_the_network_is_never_looked_up(tmp_path: Path) -> None:
    class Noting(SystemResolver):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return await super().__call__(host, port)

    asked: list[str] = []
    moved = answering(307, headers={"Location": METADATA})
    async with receiver(moved) as there, posting(tmp_path, resolver=Noting()) as post:
        await post.set(there.url())
        await post.offer()
        await post.ended()
    assert set(asked) == {"127.0.0.1"}


async def test_a_name_that_turns_to_a_private_address_is_refused_and_dead(tmp_path: Path) -> None:
    resolver = Rebinding()
    async with posting(tmp_path, resolver=resolver, allow=()) as post:
        assert await post.client.check("http://hook.example/") is None
        await post.set("http://hook.example/")
        await post.offer()
        (row,) = await post.ended()
    assert (row.state, row.attempts) == ("dead", 1)
    assert "169.254.169.254 is not on the public Internet" in (row.reason or "")


@pytest.mark.parametrize("broken", ["of another name", "of an unknown authority", "no TLS at all"])
async def test_broken_tls_is_a_failure_and_nothing_is_sent_over_it(tmp_path: Path, broken: str) -> None:
    server, ca_file = certificate("other.example" if broken == "of another name" else "127.0.0.1", tmp_path)
    settings: dict[str, Any] = {} if broken == "of an unknown authority" else {"ca_file": ca_file}
    tls: ssl.SSLContext | None = None if broken == "no TLS at all" else server
    opened: Callable[[], AbstractAsyncContextManager[Receiver]] = partial(receiver, tls=tls)
    async with opened() as there, posting(tmp_path / "data", **settings) as post:
        await post.set(there.url().replace("http:", "https:"))
        await post.offer()
        (row,) = await post.ended()
    assert (row.state, row.attempts, there.requests) == ("dead", 3, [])
    assert "no connection" in (row.reason or "")


async def test_audio_that_became_too_old_is_dropped_counted_and_the_rest_stays_in_order(
    tmp_path: Path,
) -> None:
    """The endpoint is away for longer than audio is worth keeping; what comes afterwards arrives."""
    async with receiver(answering(500)) as there, posting(tmp_path, live_schedule=(0.05,) * 100) as post:
        await post.set(there.url(), "audio_bytes")
        for number in range(CHUNKS):
            await post.offer_audio(number, seconds=1.5)
        await post.ended()
        there.answer = answering(200)
        await post.offer_audio(CHUNKS)
        rows = await post.ended()
        endpoint = await post.endpoint("audio_bytes")
    assert [row.state for row in rows] == ["dropped"] * CHUNKS + ["delivered"]
    assert all("500" in (row.reason or "") for row in rows[:CHUNKS])
    assert (endpoint.dropped, endpoint.delivered) == (CHUNKS, 1)
