"""Tests of the arithmetic behind the figures about voices."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.voices.trials import Heard, equal_error, interval, open_set, scores
from engine.speaker.matching import Rules

AXES = np.eye(4, dtype=np.float32)


def person(name: str, axis: int, windows: int = 2, **more: Any) -> Heard:
    """Whose windows are all as they were enrolled."""
    return Heard(
        name=name, enrolled=AXES[axis], windows=np.repeat(AXES[axis : axis + 1], windows, axis=0), **more
    )


def test_scores_that_do_not_overlap_have_no_error() -> None:
    assert equal_error([0.8, 0.9], [0.1, 0.7])[0] == 0


def test_where_they_overlap_as_many_are_refused_as_accepted() -> None:
    rate, threshold = equal_error([0.5, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.6])
    assert rate == 0.25
    assert 0.5 < threshold <= 0.7


@pytest.mark.parametrize(
    ("found", "trials", "low", "high"),
    [(0, 50, 0.0, 0.0711), (10, 100, 0.0490, 0.1762), (100, 100, 0.9638, 1.0), (1, 300, 0.0001, 0.0184)],
)
def test_an_interval_is_that_of_the_tables(found: int, trials: int, low: float, high: float) -> None:
    assert interval(found, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_an_interval_holds_the_rate(counted: tuple[int, int]) -> None:
    found, trials = counted
    low, high = interval(found, trials)
    assert 0 <= low <= found / trials <= high <= 1


def test_every_window_is_compared_with_everybody_who_has_enrolled() -> None:
    found = scores([person("a", 0), person("b", 1, windows=3), person("c", 2)])
    assert (found.own, found.windows, found.identified) == ([1.0] * 7, 7, 7)
    assert found.other == [0.0] * 14


def test_who_is_enrolled_nowhere_has_no_trials() -> None:
    stranger = Heard(name="x", enrolled=None, windows=AXES[:1])
    assert scores([person("a", 0), stranger]).windows == 2


def test_those_who_may_be_one_person_are_not_compared() -> None:
    found = scores(
        [person("letters-da", 0, language="da"), person("toys-da", 1, language="da"), person("b", 2)]
    )
    assert len(found.own) == 6
    assert len(found.other) == 2 * 4  # each of the two with "b", and "b" with each of them


def test_those_recorded_together_are_told_apart_from_the_others() -> None:
    found = scores([person("a", 0, line="call"), person("b", 1, line="call"), person("c", 2)])
    assert (len(found.same_line), len(found.other)) == (4, 8)


def test_a_window_that_is_more_like_another_is_not_identified() -> None:
    mistaken = Heard(name="a", enrolled=AXES[0], windows=np.stack([AXES[0], AXES[1]]))
    assert scores([mistaken, person("b", 1)]).identified == 3


def test_a_stranger_who_is_like_nobody_gets_no_name() -> None:
    known = [person(name, axis) for axis, name in enumerate("abc")]
    found = open_set([*known, Heard(name="x", enrolled=None, windows=AXES[3:])], Rules(), 3.0)
    assert (found.strangers, found.named) == (1, 0)
    assert (found.members, found.right, found.wrong) == (0, 0, 0)


def test_a_stranger_who_sounds_like_one_of_the_three_is_counted_as_named() -> None:
    known = [person(name, axis, windows=0) for axis, name in enumerate("abc")]
    double = Heard(name="x", enrolled=None, windows=np.repeat(AXES[:1], 5, axis=0))
    found = open_set([*known, double], Rules(), 3.0, draws=2)
    assert (found.strangers, found.named, found.worst) == (10, 10, ("x", 1.0))


def test_of_the_three_each_gets_their_own_name() -> None:
    found = open_set([person(name, axis) for axis, name in enumerate("abcd")], Rules(), 3.0)
    assert (found.members, found.right, found.wrong, found.named) == (8, 8, 0, 0)
