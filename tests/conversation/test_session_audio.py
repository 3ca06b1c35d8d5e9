"""The last of a session's audio: to the sample, up to now, and without anybody waiting for it."""

from typing import Any, cast

import numpy as np
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.audio.ring import Ring
from engine.conversation.session_audio import RUN, SessionAudio
from engine.conversation.turns import KEPT
from engine.listen.ports import Followed
from engine.listen.tap import Taps


class Session:
    """As far as its audio goes."""

    def __init__(self) -> None:
        self.ring = Ring(16 * RUN)
        self.taps = Taps(self.ring)
        self.audio = SessionAudio(cast(Followed, self))

    def tap(self, name: str, **how: Any) -> Any:
        return self.taps.open(name, **how)

    def say(self, samples: int) -> None:
        at = self.ring.write_position
        numbered = (np.arange(at, at + samples) % 30011).astype("<i2")
        self.ring.write(memoryview(numbered.tobytes()).cast("h"))
        self.taps.grown()

    def given(self, start: int, end: int) -> None:
        pcm = self.audio.between(start, end)
        assert pcm is not None
        np.testing.assert_array_equal(pcm, np.arange(start, end) % 30011)


async def test_what_was_said_a_moment_ago_is_there_with_what_was_before() -> None:
    session = Session()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.audio.run)
        for _ in range(30):
            session.say(RUN - 7)
            await wait_all_tasks_blocked()
        session.given(100, session.ring.write_position)
        session.say(3)
        session.given(session.ring.write_position - 2 * RUN, session.ring.write_position)
        nursery.cancel_scope.cancel()


async def test_it_ends_with_the_session_and_can_be_read_afterwards() -> None:
    session = Session()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.audio.run)
        session.say(3 * RUN)
        await wait_all_tasks_blocked()
        session.say(RUN // 2)
        session.taps.finish()
    session.given(0, 3 * RUN + RUN // 2)
    session.audio.close()
    session.given(RUN, 2 * RUN)


@pytest.mark.parametrize("late", [17 * RUN, KEPT])
async def test_what_is_gone_is_not_given(late: int) -> None:
    session = Session()
    session.say(RUN)
    for _ in range(late // RUN):
        session.say(RUN)
    assert session.audio.between(0, RUN) is None
    session.given(late, late + RUN)
