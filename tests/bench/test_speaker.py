"""Tests of the arithmetic behind the figures about voices."""

import pytest

from bench.speaker import equal_error, interval


def test_scores_that_do_not_overlap_have_no_error() -> None:
    assert equal_error([0.8, 0.9], [0.1, 0.7])[0] == 0


def test_where_they_overlap_as_many_are_refused_as_accepted() -> None:
    rate, threshold = equal_error([0.5, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.6])
    assert rate == 0.25
    assert 0.5 < threshold <= 0.7


def test_an_interval_holds_the_rate_and_narrows_with_trials() -> None:
    low, high = interval(0.1, 100)
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=1e-3)
    assert interval(0.1, 1000)[1] < high
    assert interval(0.0, 50)[0] == 0
