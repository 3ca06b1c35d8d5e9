"""One port, several listeners."""

import socket

import pytest
import trio

from engine.server.http import BindError
from engine.server.workers.port import bind_shared, free_addresses, port_kept
from tests.patience import PATIENCE

CONNECTS = 64


async def test_connections_are_dealt_out_to_all_who_listen() -> None:
    addresses = await free_addresses("127.0.0.1", 0)
    with port_kept(addresses):
        listeners = [await bind_shared(addresses) for _ in range(2)]
        dealt = [0, 0]
        all_dealt = trio.Event()

        async def accept(number: int) -> None:
            async def count(stream: trio.SocketStream) -> None:
                dealt[number] += 1
                if sum(dealt) == CONNECTS:
                    all_dealt.set()

            await trio.serve_listeners(count, listeners[number])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, 0)
            nursery.start_soon(accept, 1)
            for _ in range(CONNECTS):
                await (await trio.open_tcp_stream("127.0.0.1", addresses[0].port)).aclose()
            with trio.fail_after(PATIENCE):
                await all_dealt.wait()
            nursery.cancel_scope.cancel()
        assert all(dealt)


async def test_a_port_that_is_kept_takes_no_connections_by_itself() -> None:
    addresses = await free_addresses("127.0.0.1", 0)
    with port_kept(addresses), pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", addresses[0].port)


async def test_a_port_that_somebody_listens_on_is_named_even_if_it_could_be_shared() -> None:
    addresses = await free_addresses("127.0.0.1", 0)
    (listener,) = await bind_shared(addresses)
    with pytest.raises(BindError, match=r"already in use.*LISTEN_PORT"):
        await free_addresses("127.0.0.1", addresses[0].port)
    listener.socket.close()
    with (
        socket.create_server(("127.0.0.1", addresses[0].port)),
        pytest.raises(BindError, match="cannot share"),
    ):
        await bind_shared(addresses)
