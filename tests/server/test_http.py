"""Plain HTTP connections: keep-alive, shutting down, ports."""

import importlib.metadata

import pytest
import trio
import trio.testing
from quart_trio import QuartTrio

from engine.server.http import BindError, bind
from tests.patience import PATIENCE
from tests.server.raw import RawClient, connect
from tests.server.serving import config, serving

GET = b"GET /fast HTTP/1.1\r\nHost: localhost\r\n\r\n"


IMPATIENT = config(keep_alive_timeout=1.0)


class Site:
    """A Quart-Trio application with a fast route, a slow one and one that fails."""

    def __init__(self) -> None:
        self.app = QuartTrio(__name__)
        self.in_slow = trio.Event()
        self.finish_slow = trio.Event()
        self.app.get("/fast")(self.fast)
        self.app.get("/slow")(self.slow)
        self.app.get("/broken")(self.broken)

    async def fast(self) -> str:
        return "fast"

    async def slow(self) -> str:
        self.in_slow.set()
        await self.finish_slow.wait()
        return "slow"

    async def broken(self) -> str:
        raise RuntimeError("on purpose")


async def get(client: RawClient, path: str = "/fast") -> str:
    await client.send(GET.replace(b"/fast", path.encode()))
    head = await client.read_head()
    (length,) = [int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length")]
    return (await client.read_body(length)).decode()


async def test_a_connection_serves_many_requests_and_is_closed_when_idle() -> None:
    async with serving(Site().app, IMPATIENT) as server, connect(server.port) as client:
        for _ in range(3):
            assert await get(client) == "fast"
        assert await client.read_end() == b""


async def test_a_head_that_never_ends_is_answered_with_408() -> None:
    async with serving(Site().app, IMPATIENT) as server, connect(server.port) as client:
        assert await get(client) == "fast"
        await client.send(b"GET /fast HTTP/1.1\r\nHost:")
        assert (await client.read_end()).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_never_says_anything_is_left_without_a_word() -> None:
    async with serving(Site().app, IMPATIENT) as server, connect(server.port) as client:
        assert await client.read_end() == b""


async def test_stopping_ends_idle_connections_at_once_and_lets_a_request_finish() -> None:
    site = Site()
    async with (
        serving(site.app) as server,
        connect(server.port) as idle,
        connect(server.port) as busy,
    ):
        assert await get(idle) == "fast"
        await busy.send(GET.replace(b"/fast", b"/slow"))
        await site.in_slow.wait()
        server.http.stop(trio.current_time() + 60, grace=1.0)
        assert await idle.read_end() == b""
        site.finish_slow.set()
        assert (await busy.read_end()).endswith(b"slow")
        with trio.fail_after(PATIENCE):
            await server.http.ended.wait()


async def test_stopping_cuts_what_does_not_end_in_time() -> None:
    site = Site()
    async with serving(site.app) as server, connect(server.port) as busy:
        await busy.send(GET.replace(b"/fast", b"/slow"))
        await site.in_slow.wait()
        server.http.stop(trio.current_time() + 0.1, grace=0.1)
        with trio.fail_after(PATIENCE):
            await server.http.ended.wait()
        assert b"slow" not in await busy.read_end()


async def test_nobody_gets_in_once_it_stopped_accepting_but_open_connections_go_on() -> None:
    async with serving(Site().app) as server, connect(server.port) as client:
        assert await get(client) == "fast"
        server.http.stop_accepting()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match=r"attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", server.port)
        assert await get(client) == "fast"


async def test_a_request_that_fails_leaves_the_server_standing() -> None:
    async with serving(Site().app) as server, connect(server.port) as client:
        assert "Internal Server Error" in await get(client, "/broken")
        assert await get(client) == "fast"


@pytest.mark.parametrize(
    "head", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"]
)
async def test_what_is_not_http_1_gets_an_answer_and_the_server_stands(head: bytes) -> None:
    async with serving(Site().app) as server:
        async with connect(server.port) as odd:
            await odd.send(head)
            assert (await odd.read_end()).startswith(b"HTTP/1.1 4")
        async with connect(server.port) as client:
            assert await get(client) == "fast"


async def test_a_port_that_is_taken_is_named_with_what_to_change() -> None:
    (listener,) = await bind("127.0.0.1", 0)
    port = listener.socket.getsockname()[1]
    async with listener:
        with pytest.raises(BindError, match=rf"port {port} on 127\.0\.0\.1 is already in use.*LISTEN_PORT"):
            await bind("127.0.0.1", port)


async def test_an_address_that_is_not_ours_is_named_with_what_to_change() -> None:
    with pytest.raises(BindError, match=r"'192\.0\.2\.1', port 0.*LISTEN_HOST"):
        await bind("192.0.2.1", 0)


async def test_port_zero_takes_one_free_port_for_all_addresses_of_a_name() -> None:
    listeners = await bind("localhost", 0)
    assert len(listeners) == 1
    for listener in listeners:
        await listener.aclose()


def test_hypercorn_is_the_minor_release_that_was_patched() -> None:
    """`Connection` replaces methods of hypercorn 0.18; another minor release needs another look."""
    assert importlib.metadata.version("hypercorn").startswith("0.18.")
