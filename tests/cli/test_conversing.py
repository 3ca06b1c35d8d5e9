"""Asking REST when a conversation began, and what people are called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from engine.cli.conversing import Lookup


@asynccontextmanager
async def answering(status: str, body: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """An HTTP server with one answer; yields its WebSocket URL and the heads of the requests it got."""
    heads: list[bytes] = []

    async def answer(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        heads.append(head)
        text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        await stream.send_all(text.encode())

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer, listeners)
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v4/listen", heads
        nursery.cancel_scope.cancel()


async def test_the_beginning_is_read_as_the_user_who_is_streaming() -> None:
    async with answering("200 OK", '{"started_at": "2026-11-01T09:00:00.250+00:00"}') as (url, heads):
        assert await Lookup(url, "ada", None).started_at("a/b") == 1_793_523_600.25
        assert await Lookup(url, None, "omi_dev_x").started_at("c") == 1_793_523_600.25
    assert heads[0].startswith(b"GET /v1/conversations/a%2Fb?uid=ada HTTP/1.1\r\n")
    assert heads[1].startswith(b"GET /v1/conversations/c HTTP/1.1\r\n")
    assert b"authorization: bearer omi_dev_x" in heads[1].lower()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("404 Not Found", "{}"),
        ("200 OK", "not JSON"),
        ("200 OK", "[]"),
        ("200 OK", '{"started_at": null}'),
        ("200 OK", '{"started_at": "yesterday"}'),
    ],
)
async def test_a_server_that_does_not_say_is_no_error(status: str, body: str) -> None:
    async with answering(status, body) as (url, _):
        assert await Lookup(url, "ada", None).started_at("a") is None
        assert await Lookup(url, "ada", None).names() == {}


async def test_people_are_called_what_their_user_named_them() -> None:
    people = '[{"id": "p1", "name": "Grace"}, {"id": "p2", "name": "Alan"}]'
    async with answering("200 OK", people) as (url, heads):
        assert await Lookup(url, "ada", None).names() == {"p1": "Grace", "p2": "Alan"}
    assert heads[0].startswith(b"GET /v1/users/people?uid=ada HTTP/1.1\r\n")


async def test_a_server_that_is_gone_is_no_error() -> None:
    async with answering("200 OK", "{}") as (url, _):
        pass
    assert await Lookup(url, "ada", None).started_at("a") is None
