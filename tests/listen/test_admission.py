"""Limits in all, per user, and on connects per minute; each refusal says when to come again."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.config import Limits
from engine.listen.admission import MINUTE, Admission
from engine.wire.refusal import Refusal


def admission(**limits: int) -> Admission:
    return Admission(Limits(retry_after=5.0, **limits))


async def test_a_full_server_refuses_and_takes_the_next_when_one_has_left(autojump_clock: MockClock) -> None:
    door = admission(sessions=1)
    with door.admit("ada"):
        assert door.sessions == 1
        with pytest.raises(Refusal, match="all 1 sessions are taken") as caught, door.admit("bob"):
            pass
        assert (caught.value.code, caught.value.retry_after) == (1013, 5.0)
    with door.admit("bob"):
        assert door.sessions == 1
    assert door.sessions == 0


async def test_one_user_s_limit_is_not_another_s(autojump_clock: MockClock) -> None:
    door = admission(sessions_per_user=1)
    with (
        door.admit("ada"),
        door.admit("bob"),
        pytest.raises(Refusal, match="this user has 1 sessions already"),
        door.admit("ada"),
    ):
        pass


async def test_connects_per_minute_are_counted_in_a_sliding_minute(autojump_clock: MockClock) -> None:
    door = admission(connects_per_minute=2)
    with door.admit("ada"):
        await trio.sleep(20)
    with door.admit("ada"):
        pass
    with pytest.raises(Refusal) as caught, door.admit("ada"):
        pass
    assert (caught.value.code, caught.value.parameter, caught.value.retry_after) == (
        1013,
        "connect_rate",
        40.0,
    )
    await trio.sleep(40)
    with door.admit("ada"):
        assert door.sessions == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 45.0)), max_size=30))
def test_many_users_coming_again_are_let_in_as_a_list_of_all_their_connects_would_have_it(
    visits: list[tuple[str, float]],
) -> None:
    async def come() -> None:
        door = admission(connects_per_minute=2)
        connects: list[tuple[str, float]] = []
        for uid, pause in visits:
            await trio.sleep(pause)
            now = trio.current_time()
            recent = [at for who, at in connects if who == uid and at > now - MINUTE]
            assert door.recent(uid) == bool(recent)
            if len(recent) == 2:
                with pytest.raises(Refusal) as caught, door.admit(uid):
                    pass
                assert caught.value.retry_after == pytest.approx(recent[0] + MINUTE - now, abs=0.05)
            else:
                with door.admit(uid):
                    connects.append((uid, now))

    trio.run(come, clock=MockClock(autojump_threshold=0))


async def test_an_error_inside_gives_the_place_back(autojump_clock: MockClock) -> None:
    door = admission(sessions=1)
    with pytest.raises(RuntimeError), door.admit("ada"):
        raise RuntimeError
    assert door.sessions == 0
