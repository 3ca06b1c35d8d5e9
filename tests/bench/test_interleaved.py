"""Turns, ratios and their interval."""

import random

from hypothesis import given
from hypothesis import strategies as st

from bench.interleaved import Stage, Turns, take_turns, timed


def test_stages_take_turns_and_who_is_first_changes() -> None:
    order: list[str] = []

    def turn(name: str, nanoseconds: float) -> float:
        order.append(name)
        return nanoseconds

    stage = Stage("a", "one", "another", lambda: turn("ours", 3.0), lambda: turn("theirs", 2.0))
    turns = take_turns([stage], 4)
    assert order == ["theirs", "ours", "ours", "theirs", "theirs", "ours", "ours", "theirs", "theirs", "ours"]
    assert turns == {"a": Turns((3.0,) * 4, (2.0,) * 4)}
    assert (turns["a"].ratio, turns["a"].interval) == (1.5, (1.5, 1.5))


def test_the_interval_holds_the_true_ratio_though_a_third_of_the_rounds_went_wrong() -> None:
    chance = random.Random(7)
    held = 0
    for _ in range(200):
        ours = [1.2 * chance.gauss(1, 0.05) * (3 if chance.random() < 0.15 else 1) for _ in range(100)]
        theirs = [chance.gauss(1, 0.05) * (3 if chance.random() < 0.15 else 1) for _ in range(100)]
        low, high = Turns(tuple(ours), tuple(theirs)).interval
        held += low <= 1.2 <= high
    assert held >= 190


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=50))
def test_the_median_is_in_the_interval_and_both_are_ratios_that_occurred(ours: list[float]) -> None:
    turns = Turns(tuple(ours), (1.0,) * len(ours))
    low, high = turns.interval
    assert low <= turns.ratio <= high
    assert {low, high} <= set(ours)


def test_a_turn_makes_so_many_calls() -> None:
    calls: list[None] = []
    assert timed(lambda: calls.append(None), 7)() > 0
    assert len(calls) == 7
