"""A socket at one worker, its session at another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from engine.listen.ports import ClientGone
from engine.server.workers.calls import Frames
from engine.server.workers.relay import PassedSocket, pass_through, refuse
from engine.wire import Refusal
from tests.listen.harness import MemorySocket
from tests.patience import PATIENCE

Session = Callable[[PassedSocket], Awaitable[None]]


@asynccontextmanager
async def passed(session: Session, client: MemorySocket) -> AsyncIterator[None]:
    """`session` serves `client` from the other end of a pair of sockets."""
    ours, theirs = (Frames(trio.SocketStream(sock)) for sock in trio.socket.socketpair())

    async def host() -> None:
        try:
            await session(PassedSocket(theirs))
        except Refusal as refusal:
            await refuse(theirs, refusal)
        finally:
            await theirs.aclose()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host)
            nursery.start_soon(pass_through, client, ours)
            yield
        await ours.aclose()


async def test_messages_pass_both_ways_and_the_clients_code_arrives() -> None:
    heard: list[bytes | str] = []

    async def session(socket: PassedSocket) -> None:
        await socket.send('{"hello": "ü"}')
        for _ in range(3):
            heard.append(await socket.receive())
        with pytest.raises(ClientGone) as gone:
            await socket.receive()
        heard.append(str(gone.value.code))

    client = MemorySocket()
    async with passed(session, client):
        await client.until(lambda socket: socket.messages)
        for message in (b"", b"\x00" * 100_000, "tëxt"):
            await client.say(message)
        await client.leave(4321)
    assert client.messages == [{"hello": "ü"}]
    assert heard == [b"", b"\x00" * 100_000, "tëxt", "4321"]


async def test_the_session_closes_the_clients_socket_with_its_code() -> None:
    async def session(socket: PassedSocket) -> None:
        await socket.close(1001, "bye")
        await socket.close(1000, "a second call does nothing")
        with pytest.raises(ClientGone):
            await socket.send("too late")

    client = MemorySocket()
    async with passed(session, client):
        pass
    assert client.closed == (1001, "bye")


async def test_a_refusal_comes_through_with_all_it_says() -> None:
    async def session(socket: PassedSocket) -> None:
        raise Refusal(1013, "capacity", message="full: try again", retry_after=5.0)

    with pytest.raises(ExceptionGroup) as raised:
        async with passed(session, MemorySocket()):
            pass
    (refusal,) = raised.value.exceptions
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.parameter, refusal.message, refusal.retry_after) == (
        1013,
        "capacity",
        "full: try again",
        5.0,
    )


async def test_when_the_sessions_worker_dies_the_client_is_told_to_come_again() -> None:
    async def session(socket: PassedSocket) -> None:
        await socket.receive()

    client = MemorySocket()
    async with passed(session, client):
        await client.say(b"audio")
    assert client.closed is not None
    assert client.closed[0] == 1001


async def test_when_the_sockets_worker_dies_the_session_sees_a_client_that_vanished() -> None:
    ours, theirs = (Frames(trio.SocketStream(sock)) for sock in trio.socket.socketpair())
    await ours.aclose()
    socket = PassedSocket(theirs)
    with pytest.raises(ClientGone) as gone:
        await socket.receive()
    assert gone.value.code == 1006
    with pytest.raises(ClientGone):
        await socket.send("nobody")
    await theirs.aclose()
