"""Every stage and its reference once, and what they make of it."""

import shutil

import pytest

from bench.counts import counts
from bench.guard import read_budgets
from bench.interleaved import take_turns
from bench.stages import stages, table

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@needs_compiler
def test_every_stage_with_a_budget_is_measured_against_its_reference() -> None:
    with stages() as measured:
        turns = take_turns(measured, 1)
        lines = table(measured, turns)
    assert turns.keys() == read_budgets().ratios.keys()
    assert all(min(*one.ours, *one.theirs) > 0 for one in turns.values())
    assert len(lines) == 2 + len(turns)


def test_counts_are_the_same_twice_and_within_their_budgets() -> None:
    first = counts()
    assert first == counts()
    budgets = read_budgets().counts
    assert first.keys() == budgets.keys()
    assert {name: count for name, count in first.items() if count > budgets[name]} == {}
