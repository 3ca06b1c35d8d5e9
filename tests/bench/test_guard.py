"""The guard against recorded figures: what is slower or more is named, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.guard import Budgets, Readings, judge, read_budgets
from bench.interleaved import Turns

RECORDED = msgspec.json.decode(Path(__file__).with_name("guard.json").read_bytes(), type=Readings)
BUDGETS = read_budgets()
SLOWER = 1.5


def with_stage(name: str, times: float) -> Readings:
    """The recorded figures with one stage so many times as slow."""
    recorded = RECORDED.turns[name]
    slow = Turns(tuple(times * one for one in recorded.ours), recorded.theirs)
    return msgspec.structs.replace(RECORDED, turns=RECORDED.turns | {name: slow})


def with_count(name: str, more: float) -> Readings:
    return msgspec.structs.replace(RECORDED, counts=RECORDED.counts | {name: RECORDED.counts[name] + more})


def test_what_was_recorded_is_within_its_budget() -> None:
    assert judge(RECORDED, BUDGETS) == []


@pytest.mark.parametrize("name", RECORDED.turns)
def test_a_stage_that_takes_half_as_long_again_is_named(name: str) -> None:
    (complaint,) = judge(with_stage(name, SLOWER), BUDGETS)
    assert complaint.startswith(f"{name}: ")
    assert complaint.endswith(f"accepted: {BUDGETS.ratios[name]:g}")


@pytest.mark.parametrize("name", RECORDED.counts)
def test_a_count_that_is_one_more_is_named(name: str) -> None:
    (complaint,) = judge(with_count(name, 1), BUDGETS)
    assert complaint == f"{name}: {RECORDED.counts[name] + 1:g}, accepted: {BUDGETS.counts[name]:g}"
    assert judge(with_count(name, -1), BUDGETS) == []


def test_a_slow_stage_and_a_count_that_is_off_are_both_named() -> None:
    slow, more = with_stage("decode", SLOWER), with_count("lane: recv a batch", 1)
    complaints = judge(Readings(slow.turns, more.counts), BUDGETS)
    assert [complaint.partition(": ")[0] for complaint in complaints] == ["decode", "lane"]


def test_noise_that_might_be_nothing_is_let_pass() -> None:
    noisy = Turns(tuple(1.0 + number % 5 for number in range(60)), (2.0,) * 60)
    assert noisy.ratio > 1.4
    readings = Readings({"decode": noisy}, {})
    assert judge(readings, Budgets({"decode": 1.4}, {})) == []
    assert judge(readings, Budgets({"decode": 0.4}, {})) != []


def test_what_has_no_budget_and_what_was_not_measured_are_named() -> None:
    budgets = Budgets({"old": 1.0}, {"gone": 0})
    readings = Readings({"new": RECORDED.turns["decode"]}, {"more": 0})
    assert judge(readings, budgets) == [
        "new: has no budget in [ratios]",
        "old: has a budget in [ratios], and was not measured",
        "more: has no budget in [counts]",
        "gone: has a budget in [counts], and was not measured",
    ]
