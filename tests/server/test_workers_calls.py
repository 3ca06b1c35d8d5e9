"""Questions between processes, over real Unix sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from engine.server.workers.calls import CallFailed, Frames, answering, call, connected
from tests.patience import PATIENCE


class Add(msgspec.Struct):
    """A question."""

    numbers: list[int]


async def add(data: bytes, frames: Frames) -> None:
    await frames.answer(sum(msgspec.msgpack.decode(data, type=Add).numbers))


Handle = Callable[[bytes, Frames], Awaitable[None]]


@asynccontextmanager
async def answered(path: Path, handle: Handle = add) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(answering, path, handle))
        yield
        nursery.cancel_scope.cancel()


async def test_a_question_gets_its_answer_however_many_are_asked_at_once(tmp_path: Path) -> None:
    sums: set[int] = set()

    async def ask(n: int) -> None:
        sums.add(await call(tmp_path / "s", Add([n, n]), int, timeout=PATIENCE))

    async with answered(tmp_path / "s"), trio.open_nursery() as nursery:
        for n in range(50):
            nursery.start_soon(ask, n)
    assert sums == {2 * n for n in range(50)}


async def test_a_process_that_is_gone_fails_the_call_at_once(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="Add to s"):
        await call(tmp_path / "s.sock", Add([1]), int, timeout=PATIENCE)
    async with answered(tmp_path / "s.sock"):
        pass
    with pytest.raises(CallFailed, match="refused"):
        await call(tmp_path / "s.sock", Add([1]), int, timeout=PATIENCE)


async def test_one_that_does_not_answer_fails_the_call_in_time(tmp_path: Path) -> None:
    async def silent(data: bytes, frames: Frames) -> None:
        await trio.sleep_forever()

    async with answered(tmp_path / "s", silent):
        with pytest.raises(CallFailed, match="no answer in time"):
            await call(tmp_path / "s", Add([1]), int, timeout=0.05)


async def test_a_fault_in_the_answer_ends_that_question_only(tmp_path: Path) -> None:
    async def moody(data: bytes, frames: Frames) -> None:
        if not msgspec.msgpack.decode(data, type=Add).numbers:
            raise RuntimeError("nothing to add")
        await add(data, frames)

    async with answered(tmp_path / "s", moody):
        with pytest.raises(CallFailed, match="without an answer"):
            await call(tmp_path / "s", Add([]), int, timeout=PATIENCE)
        assert await call(tmp_path / "s", Add([1, 2]), int, timeout=PATIENCE) == 3


async def test_frames_of_any_size_come_whole_and_in_order(tmp_path: Path) -> None:
    sent = [b"", b"x", b"y" * 100_000, b"z" * 3_000_000]

    async def echo(data: bytes, frames: Frames) -> None:
        while (frame := await frames.receive()) is not None:
            await frames.send(frame[: len(frame) // 2], frame[len(frame) // 2 :])

    async with (
        answered(tmp_path / "s", echo),
        connected(tmp_path / "s", Add([]), timeout=PATIENCE) as frames,
    ):
        for frame in sent:
            with trio.fail_after(PATIENCE):
                await frames.send(frame)
                assert await frames.receive() == frame


@pytest.mark.parametrize("left", [b"\x05", b"\x05\x00\x00\x00abc", b"\xff\xff\xff\xff"])
async def test_a_frame_that_is_cut_short_or_too_long_is_no_frame(left: bytes) -> None:
    ours, theirs = trio.socket.socketpair()
    async with trio.SocketStream(theirs) as stream:
        await stream.send_all(left)
        await stream.send_eof()
        frames = Frames(trio.SocketStream(ours))
        with pytest.raises(trio.BrokenResourceError):
            await frames.receive()
        await frames.aclose()


async def test_a_frame_that_could_not_be_sent_whole_breaks_the_connection() -> None:
    ours, theirs = trio.socket.socketpair()
    frames = Frames(trio.SocketStream(ours))
    with trio.move_on_after(0.05):
        await frames.send(b"x" * 10_000_000)  # nobody reads
    with pytest.raises(trio.BrokenResourceError):
        await frames.send(b"y")
    theirs.close()
