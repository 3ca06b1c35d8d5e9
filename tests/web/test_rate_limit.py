"""How many requests a caller may make, on a clock of the test's."""

import pytest
from quart import Request

from engine import rate_limit
from engine.web.errors import ApiError
from engine.web.rate_limit import RateLimit, limited


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, caller: str, times: int) -> int:
    """How many of so many requests were let through."""
    count = 0
    for _ in range(times):
        try:
            limit.take(caller)
        except ApiError:
            continue
        count += 1
    return count


@pytest.mark.parametrize("count", [1, 3, 7, 1200])
def test_so_many_at_once_and_then_one_for_each_part_of_the_span(count: int) -> None:
    clock = Clock()
    limit = RateLimit(count, 60.0, clock)
    assert taken(limit, "ann", count + 5) == count
    clock.now += 60.0 / count
    assert taken(limit, "ann", 3) == 1
    clock.now += 60.0
    assert taken(limit, "ann", count + 5) == count


def test_a_refusal_says_when_there_is_room_and_then_there_is() -> None:
    clock = Clock()
    limit = RateLimit(2, 60.0, clock)
    assert taken(limit, "ann", 2) == 2
    with pytest.raises(
        ApiError, match=r"2 requests in 60 s are the most allowed: try again in 30\.0 s"
    ) as refused:
        limit.take("ann")
    assert refused.value.status == 429
    assert refused.value.retry_after is not None
    clock.now += refused.value.retry_after
    limit.take("ann")


def test_callers_do_not_share() -> None:
    limit = RateLimit(1, 60.0, Clock())
    assert [taken(limit, caller, 2) for caller in ("ann", "bob")] == [1, 1]


def test_who_could_make_all_requests_again_is_forgotten() -> None:
    clock = Clock()
    limit = RateLimit(10, 60.0, clock)
    for number in range(100):
        limit.take(str(number))
    assert len(limit) == 100
    clock.now += 6.1
    limit.take("ann")
    assert len(limit) == 1


def test_no_more_callers_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "CALLERS", 10)
    limit = RateLimit(1, 60.0, Clock())
    for number in range(100):
        limit.take(str(number))
    assert len(limit) <= 11
    assert taken(limit, "99", 1) == 0
    assert taken(limit, "0", 1) == 1


async def test_requests_count_for_who_makes_them() -> None:
    async def identify(request: Request) -> str:
        return "ann"

    asked = limited(identify, RateLimit(1, 60.0, Clock()))
    request: Request = None  # type: ignore[assignment]
    assert await asked(request) == "ann"
    with pytest.raises(ApiError):
        await asked(request)
