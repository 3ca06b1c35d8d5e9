"""What was queued first is sent first; segments replace each other; nobody waits for a client that does not read."""

import json
from typing import Any

import pytest
import trio
import trio.testing
from msgspec.structs import replace
from trio.testing import MockClock

from engine._latencies import Latency
from engine.listen.outbox import EVENT_LIMIT, Outbox, OutboxStatistics, SlowClient
from engine.wire.messages import InterimSegments, Segment, ServiceStatus, Timing
from tests.listen.harness import MemorySocket


def segment(id: str, text: str, revision: int = 1) -> Segment:
    return Segment(id=id, text=text, start=0.0, end=1.0, revision=revision)


async def sent(outbox: Outbox, socket: MemorySocket) -> list[Any]:
    outbox.finish()
    await outbox.run()
    return socket.messages


async def test_segments_that_wait_go_out_together_and_only_their_newest_revision() -> None:
    socket = MemorySocket()
    outbox = Outbox(socket, 1.0, Latency(()))
    outbox.segments([segment("a", "one"), segment("b", "two")])
    outbox.segments([segment("a", "one more", 2)])
    (batch,) = await sent(outbox, socket)
    assert [(s["id"], s["text"]) for s in batch] == [("a", "one more"), ("b", "two")]


async def test_order_between_events_and_segments_is_kept() -> None:
    socket = MemorySocket()
    outbox = Outbox(socket, 1.0, Latency(()))
    outbox.segments([segment("a", "one")])
    outbox.deleted(["z"])
    outbox.segments([segment("a", "one", 2)])
    outbox.event(ServiceStatus("flushed"))
    kinds = ["segments" if isinstance(m, list) else m["type"] for m in await sent(outbox, socket)]
    assert kinds == ["segments", "segments_deleted", "segments", "service_status"]


async def test_an_interim_replaces_one_that_was_not_sent_yet() -> None:
    socket = MemorySocket()
    outbox = Outbox(socket, 1.0, Latency(()))
    for text in ("he", "hello"):
        outbox.event(InterimSegments((segment("i", text),)))
    (interim,) = await sent(outbox, socket)
    assert interim["segments"][0]["text"] == "hello"


async def test_nothing_is_sent_for_nothing() -> None:
    socket = MemorySocket()
    outbox = Outbox(socket, 1.0, Latency(()))
    outbox.segments([])
    outbox.deleted([])
    assert await sent(outbox, socket) == []


async def test_a_client_that_takes_no_message_for_the_write_time_is_slow(autojump_clock: MockClock) -> None:
    socket = MemorySocket()
    socket.reads = False
    outbox = Outbox(socket, 30.0, Latency(()))
    outbox.ping()
    with pytest.raises(SlowClient, match="30 s"):
        await outbox.run()
    assert trio.current_time() == 30.0


async def test_a_client_that_leaves_too_many_events_unread_is_slow() -> None:
    outbox = Outbox(MemorySocket(), 1.0, Latency(()))
    for _ in range(EVENT_LIMIT + 1):
        outbox.event(ServiceStatus("notice"))
    assert outbox.statistics().waiting == EVENT_LIMIT
    with pytest.raises(SlowClient, match=str(EVENT_LIMIT)):
        await outbox.run()


async def test_once_abandoned_it_keeps_nothing() -> None:
    socket = MemorySocket()
    outbox = Outbox(socket, 1.0, Latency(()))
    outbox.ping()
    outbox.abandon()
    outbox.segments([segment("a", "one")])
    outbox.event(ServiceStatus("flushed"))
    assert outbox.statistics().waiting == 0
    assert json.dumps(await sent(outbox, socket)) == "[]"


class Prompt(MemorySocket):
    """Takes what is offered while `takes`."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = True
        self.offered = 0

    def offer(self, text: str) -> bool:
        self.offered += self.takes
        if self.takes:
            self.messages.append(json.loads(text))
        return self.takes


async def test_what_the_socket_takes_at_once_is_sent_without_waking_anybody() -> None:
    socket, sending = Prompt(), Latency((1.0,))
    outbox = Outbox(socket, 1.0, sending)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        await trio.testing.wait_all_tasks_blocked()
        outbox.segments([segment("a", "one")])
        outbox.event(ServiceStatus("flushed"))
        assert [type(message) for message in socket.messages] == [list, dict]
        assert outbox.statistics() == OutboxStatistics(waiting=0, sent=2)
        outbox.finish()


async def test_once_something_waits_everything_waits_behind_it() -> None:
    socket = Prompt()
    outbox = Outbox(socket, 1.0, Latency(()))
    outbox.event(ServiceStatus("initiating"))
    assert socket.offered == 0  # nobody sends yet
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        await trio.testing.wait_all_tasks_blocked()
        socket.takes = False
        outbox.event(ServiceStatus("ready"))
        socket.takes = True
        outbox.segments([segment("a", "one")])
        outbox.segments([segment("a", "one more", 2)])
        await trio.testing.wait_all_tasks_blocked()
        outbox.deleted(["a"])
        outbox.finish()
    kinds = [m["type"] if isinstance(m, dict) else m[0]["revision"] for m in socket.messages]
    assert kinds == ["service_status", "service_status", 2, "segments_deleted"]
    assert socket.offered == 1


async def test_timing_says_how_long_segments_waited_to_be_sent() -> None:
    socket = MemorySocket()
    outbox = Outbox(socket, 1.0, Latency(()))
    outbox.segments([replace(segment("a", "one"), timing=Timing(1, 2, 3, 4, 5, 0))])
    outbox.segments([segment("b", "two")])
    ((timed, plain),) = await sent(outbox, socket)
    assert timed["timing"].pop("send") >= 0
    assert timed["timing"] == {"receive": 1, "decode": 2, "queue": 3, "vendor": 4, "merge": 5}
    assert "timing" not in plain
