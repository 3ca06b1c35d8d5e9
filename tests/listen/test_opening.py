"""What is done before a pipeline is opened."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import pytest
import trio

from engine.audio import _filters
from engine.audio.resample import WARM_RATES, Resampler, warm
from engine.listen.opening import prepare_rate

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


class Counting:
    """A way off the loop that counts who takes it."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, fn: Callable[[*Ts], T], /, *args: *Ts) -> T:
        self.calls += 1
        return await trio.to_thread.run_sync(fn, *args)


async def test_an_unusual_rate_is_prepared_off_the_loop_and_then_ready() -> None:
    off_loop = Counting()
    await prepare_rate(45_678, off_loop)
    computed = _filters.plan.cache_info().misses
    Resampler(45_678)
    assert (off_loop.calls, _filters.plan.cache_info().misses) == (1, computed)


@pytest.mark.parametrize("rate", [16_000, *WARM_RATES, 7999, 48_001])
async def test_usual_rates_and_those_that_will_be_refused_cost_no_thread(rate: int) -> None:
    off_loop = Counting()
    await prepare_rate(rate, off_loop)
    assert off_loop.calls == 0
