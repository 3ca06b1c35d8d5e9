"""How often something may happen, on the virtual clock."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from engine.listen.pacing import Pace


async def times(pace: Pace, pauses: list[float]) -> list[float]:
    """When each call, made so long after the one before it, returned."""
    returned = []
    for pause in pauses:
        await trio.sleep(pause)
        await pace.take()
        returned.append(trio.current_time())
    return returned


async def test_a_burst_passes_at_once_and_what_follows_it_at_the_rate(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    returned = await times(Pace(rate=10.0, burst=3), [0.0] * 6)
    assert [moment - began for moment in returned] == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])


async def test_a_rest_fills_the_burst_and_no_more(autojump_clock: MockClock) -> None:
    pace = Pace(rate=10.0, burst=3)
    await times(pace, [0.0] * 5)
    await trio.sleep(100)
    began = trio.current_time()
    returned = await times(pace, [0.0] * 4)
    assert [moment - began for moment in returned] == pytest.approx([0, 0, 0, 0.1])


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.5, 50), st.integers(1, 5))
def test_never_more_in_any_span_than_the_burst_and_the_rate_allow(
    pauses: list[float], rate: float, burst: int
) -> None:
    async def main() -> list[float]:
        return await times(Pace(rate, burst), pauses)

    returned = trio.run(main, clock=MockClock(autojump_threshold=0))
    for first, began in enumerate(returned):
        for n, ended in enumerate(returned[first:], 1):
            assert n <= burst + (ended - began) * rate + 1e-6
