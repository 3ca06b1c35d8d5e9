"""Audio is taken at once or refused, waits in a bounded line, and becomes sessions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trio

from engine._config_receiver import Receiver
from engine.store.received_inbox import Inbox
from engine.webhooks.receiver.accepted import Written
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.consuming import FEED_BYTES, Consumer
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.home import Bring, NotTaken
from engine.webhooks.receiver.intake import Intake, NoRoom
from engine.webhooks.receiver.joining import Audio, Began
from tests.listen.harness import inline
from tests.webhooks.receiver.chunks import RATE, chunk, tone

NOW = 1_800_000_000_000_000


class Collecting:
    """Keeps the samples of each session; reads when `reading` is set."""

    name = "collecting"

    def __init__(self, *, lossless: bool = True) -> None:
        self.lossless = lossless
        self.sessions: list[tuple[Began, bytearray]] = []
        self.reading = trio.Event()
        self.reading.set()
        self.ended = 0

    async def consume(self, session: Began, feed: Feed) -> None:
        heard = bytearray()
        self.sessions.append((session, heard))
        await self.reading.wait()
        async for piece in feed:
            heard += piece.pcm if isinstance(piece, Audio) else bytes(2 * piece.samples)
        self.ended += 1

    @property
    def heard(self) -> list[bytes]:
        return [bytes(heard) for _, heard in self.sessions]


class Failing:
    """Takes one piece and raises."""

    name = "failing"
    lossless = True

    async def consume(self, session: Began, feed: Feed) -> None:
        await anext(feed)
        raise RuntimeError("a fault")


async def nobody(uid: str) -> Sequence[str]:
    return ()


class NoFiles:
    """Nothing is written."""

    async def flush(self) -> None:
        await trio.lowlevel.checkpoint()

    async def has(self, uid: str, id: str, size: int) -> bool:
        return False


@asynccontextmanager
async def intake(*consumers: Consumer, **settings: Any) -> AsyncIterator[Intake]:
    with TemporaryDirectory() as folder:
        async with intake_in(Path(folder), *consumers, **settings) as taking:
            yield taking


@asynccontextmanager
async def intake_in(
    folder: Path, *consumers: Consumer, written: Written | None = None, **settings: Any
) -> AsyncIterator[Intake]:
    """With what an intake before it left in the folder."""
    chosen = Receiver(**{"session_gap": 10.0, "jitter": 1.0, **settings})
    inbox = Inbox(folder, inline, lambda: NOW)
    taking = Intake(chosen, consumers, nobody, inbox, written or NoFiles())
    async with trio.open_nursery() as nursery:
        await nursery.start(taking.run)
        yield taking
        nursery.cancel_scope.cancel()
    inbox.close()


def requests_in(folder: Path) -> list[Path]:
    return list(folder.glob("*/*.request"))


def now(pcm: bytes, **fields: object) -> Any:
    return chunk(pcm, trio.current_time(), **fields)


async def test_chunks_of_one_user_become_one_session_which_ends_after_the_gap(
    autojump_clock: trio.testing.MockClock,
) -> None:
    collecting = Collecting()
    async with intake(collecting) as taking:
        for number in range(3):
            await trio.sleep(1)
            await taking.receive(now(tone(RATE, number)))
        await trio.sleep(10.9)
        assert collecting.ended == 0
        await trio.sleep(0.2)
        assert collecting.heard == [b"".join(tone(RATE, number) for number in range(3))]
        assert collecting.ended == 1
        assert taking.statistics().users == 0
        assert taking.statistics().waiting_bytes == 0


async def test_users_are_apart(autojump_clock: trio.testing.MockClock) -> None:
    collecting = Collecting()
    async with intake(collecting) as taking:
        await taking.receive(now(tone(10), uid="ann"))
        await taking.receive(now(tone(10, 50), uid="bob"))
        await trio.sleep(30)
    assert {began.uid: bytes(heard) for began, heard in collecting.sessions} == {
        "ann": tone(10),
        "bob": tone(10, 50),
    }


async def test_over_its_bound_a_user_is_refused_and_others_are_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stuck = Collecting()
    stuck.reading = trio.Event()
    async with intake(stuck, user_queue_mib=1.0, queue_mib=4.0) as taking:
        pcm = bytes(2**19)

        async def offer_on() -> None:
            while True:
                await taking.receive(now(pcm))
                await trio.testing.wait_all_tasks_blocked()

        with pytest.raises(NoRoom, match="user_queue_mib") as refused:
            await offer_on()
        assert refused.value.retry_after == 5.0
        statistics = taking.statistics()
        assert statistics.refused == 1
        assert statistics.waiting_bytes <= 2**20
        taken = statistics.bytes
        assert 2**20 < taken <= 2**20 + FEED_BYTES + 2 * len(pcm)
        await taking.receive(now(pcm, uid="bob"))
        stuck.reading.set()
        await trio.sleep(60)
        assert sum(len(heard) for heard in stuck.heard) == taken + len(pcm)
        assert taking.statistics().waiting_bytes == 0


async def test_over_the_bound_of_all_everybody_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    stuck = Collecting()
    stuck.reading = trio.Event()
    async with intake(stuck, user_queue_mib=1.0, queue_mib=1.5) as taking:
        for _ in range(FEED_BYTES // 2**20 + 1):
            await taking.receive(now(bytes(2**20), uid="ann"))
            await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(NoRoom, match=r"receiver\.queue_mib"):
            await taking.receive(now(bytes(2**20), uid="bob"))
        with pytest.raises(NoRoom):
            taking.check("cid", 2**20)
        stuck.reading.set()
        await trio.testing.wait_all_tasks_blocked()
        taking.check("bob", 2**20)


async def test_what_is_larger_than_the_bound_by_itself_is_taken_when_nothing_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    collecting = Collecting()
    async with intake(collecting, user_queue_mib=0.01, queue_mib=0.01) as taking:
        await taking.receive(now(tone(RATE)))
        await trio.sleep(30)
    assert collecting.heard == [tone(RATE)]


async def test_the_fault_of_one_consumer_is_its_own_and_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    collecting = Collecting()
    async with intake(Failing(), collecting) as taking:
        await taking.receive(now(tone(10)))
        await trio.testing.wait_all_tasks_blocked()
        await taking.receive(now(tone(10, 10)))
        await trio.sleep(30)
        assert collecting.heard == [tone(20)]
        assert taking.statistics().missed_samples == {"failing": 10}


async def test_a_drain_takes_nothing_more_and_hands_on_what_was_taken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    collecting = Collecting()
    async with intake(collecting) as taking:
        for number in range(5):
            await taking.receive(now(tone(RATE, number)))
        await taking.drain()
        assert collecting.heard == [b"".join(tone(RATE, number) for number in range(5))]
        assert collecting.ended == 1
        with pytest.raises(NoRoom, match="going away"):
            await taking.receive(now(tone(10)))


async def test_what_was_not_handed_on_when_the_server_stopped_is_by_the_next(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    stuck, quick = Collecting(), Collecting(lossless=False)
    stuck.name, stuck.reading = "stuck", trio.Event()
    pieces = [tone(FEED_BYTES // 2, number) for number in range(4)]
    async with intake_in(tmp_path, stuck, quick, user_queue_mib=16.0) as taking:
        for pcm in pieces:
            await taking.receive(now(pcm))
        await trio.testing.wait_all_tasks_blocked()
    (taken,) = quick.heard  # less than there was: the other held the session up
    stuck.sessions.clear()
    quick.sessions.clear()
    stuck.reading.set()
    async with intake_in(tmp_path, stuck, quick, user_queue_mib=16.0) as taking:
        assert taking.statistics().left_bytes == 4 * FEED_BYTES
        await taking.receive(now(tone(10)))
        await trio.sleep(600)
        assert stuck.heard == [b"".join(pieces) + tone(10)]
        assert [taken + heard for heard in quick.heard] == stuck.heard
    async with intake_in(tmp_path, stuck, quick) as taking:
        assert taking.statistics().left_bytes == 0
    assert requests_in(tmp_path) == []


async def test_a_request_is_there_until_what_was_made_of_it_is_on_the_disk_itself(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    full = True

    class Full(NoFiles):
        async def flush(self) -> None:
            await super().flush()
            if full:
                raise OSError("no room")

    collecting = Collecting()
    async with intake_in(tmp_path, collecting, written=Full()) as taking:
        await taking.receive(now(tone(10)))
        await trio.sleep(30)
        assert collecting.heard == [tone(10)]
        assert len(requests_in(tmp_path)) == 1
        full = False
        await trio.sleep(2)
        assert requests_in(tmp_path) == []


async def test_what_is_dropped_is_not_given_again(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    collecting = Collecting()
    async with intake_in(tmp_path, collecting) as taking:
        for _ in range(3):
            await taking.receive(now(tone(10), delivery_id="once"))
        await trio.sleep(30)
    assert collecting.heard == [tone(10)]
    async with intake_in(tmp_path, collecting) as taking:
        assert taking.statistics().left_bytes == 0


async def test_a_consumer_that_fails_misses_the_rest_for_good(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    async with intake_in(tmp_path, Failing()) as taking:
        await taking.receive(now(tone(10)))
        await taking.receive(now(tone(10)))
        await trio.sleep(30)
    async with intake_in(tmp_path, Failing()) as taking:
        assert taking.statistics().left_bytes == 0


async def test_a_lossy_consumer_does_not_hold_up_the_others(autojump_clock: trio.testing.MockClock) -> None:
    slow, collecting = Collecting(lossless=False), Collecting()
    slow.reading = trio.Event()
    async with intake(slow, collecting) as taking:
        pcm = bytes(2**20)
        for _ in range(6):
            await taking.receive(now(pcm))
            await trio.testing.wait_all_tasks_blocked()
        slow.reading.set()
        await trio.sleep(3000)
        assert len(collecting.heard[0]) == 6 * 2**20
        assert len(slow.heard[0]) + 2 * taking.statistics().missed_samples["collecting"] == 6 * 2**20


class Elsewhere:
    """A home in another process, whose intake may have no room, or be gone."""

    def __init__(self, there: Intake) -> None:
        self.there = there
        self.failures = 2

    @asynccontextmanager
    async def at(self, uid: str) -> AsyncIterator[Bring | None]:
        async def bring(one: Chunk) -> None:
            await trio.lowlevel.checkpoint()
            if self.failures:
                self.failures -= 1
                raise NotTaken("no answer")
            if not await self.there.take(one):
                raise NotTaken("no room")

        yield bring


async def test_audio_is_brought_to_the_process_that_joins_it_in_order_whatever_fails(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    collecting = Collecting()
    async with (
        intake_in(tmp_path, collecting, session_gap=100.0, jitter=20.0) as there,
        trio.open_nursery() as nursery,
    ):
        mine = Inbox(tmp_path, inline, lambda: NOW)
        here = Intake(Receiver(), (collecting,), nobody, mine, NoFiles(), Elsewhere(there))
        await nursery.start(here.run)
        for number in range(6):
            await (here if number % 2 else there).receive(now(tone(RATE, number)))
            await trio.sleep(5)
        assert here.statistics().waiting_bytes == 0
        assert here.statistics().users == 0
        await trio.sleep(300)
        nursery.cancel_scope.cancel()
    assert collecting.heard == [b"".join(tone(RATE, number) for number in range(6))]
    assert requests_in(tmp_path) == []
