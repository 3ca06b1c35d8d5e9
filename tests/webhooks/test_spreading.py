"""Who is due at the same moment begins one after the other, none later than is said."""

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from engine.webhooks.spreading import GAP, Spread


async def test_who_asks_alone_begins_at_once(autojump_clock: MockClock) -> None:
    spread = Spread(4.0)
    for _ in range(5):
        assert spread.take() == trio.current_time()
        await trio.sleep(1.0)


@pytest.mark.parametrize("count", [10, 100, 1000, 10_000])
async def test_those_who_ask_together_begin_in_turns_and_soon_enough(
    autojump_clock: MockClock, count: int
) -> None:
    spread, now = Spread(4.0), trio.current_time()
    at = [spread.take() - now for _ in range(count)]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert all(0 <= gap <= GAP + 1e-9 for gap in gaps)
    assert gaps[0] == pytest.approx(GAP)
    assert at[-1] <= 4.0


async def test_without_time_to_spread_all_begin_at_once(autojump_clock: MockClock) -> None:
    spread = Spread(0.0)
    assert {spread.take() for _ in range(5)} == {trio.current_time()}


async def test_as_many_as_come_begin_though_they_come_faster_than_the_gap(autojump_clock: MockClock) -> None:
    """The wait does not grow: so much is begun as comes."""
    spread, waits = Spread(1.0), list[float]()
    for _ in range(5000):
        waits.append(spread.take() - trio.current_time())
        await trio.sleep(GAP / 10)
    assert max(waits) <= 1.0
    assert waits[-1] == pytest.approx(waits[-1000], abs=0.01)
