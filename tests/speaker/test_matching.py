"""Tests of whose voice it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.speaker.embedding import SIZE, Floats, Voice, similarity
from engine.speaker.matching import Known, Rules, decide

RULES = Rules(threshold=0.8, margin=0.05, least_seconds=2.5)


def at(degrees: float) -> Floats:
    """A unit vector so far from the first axis."""
    vector = np.zeros(SIZE, np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def test_the_most_similar_voice_is_who_it_is() -> None:
    decision = decide(Voice(at(10), 3.0), [Known("ada", at(0)), Known("grace", at(80))], RULES)
    assert (decision.person, decision.verdict) == ("ada", "match")
    assert (decision.best, decision.runner_up) == ("ada", "grace")
    assert decision.score == pytest.approx(0.9848, abs=1e-4)
    assert decision.runner_up_score == pytest.approx(0.342, abs=1e-3)


@pytest.mark.parametrize(
    ("voice", "known", "verdict"),
    [
        (Voice(at(10), 3.0), [], "nobody_known"),
        (Voice(at(10), 2.4), [Known("ada", at(0))], "too_short"),
        (Voice(at(60), 3.0), [Known("ada", at(0))], "too_different"),
        (Voice(at(10), 3.0), [Known("ada", at(0)), Known("grace", at(21))], "too_close"),
    ],
)
def test_unknown_is_an_answer_and_says_why(voice: Voice, known: list[Known], verdict: str) -> None:
    decision = decide(voice, known, RULES)
    assert decision.person is None
    assert decision.verdict == verdict


def test_what_was_compared_with_is_kept() -> None:
    decision = decide(Voice(at(60), 3.0), [Known("ada", at(0))], RULES)
    assert (decision.threshold, decision.margin, decision.seconds) == (0.8, 0.05, 3.0)
    assert (decision.best, decision.score) == ("ada", 0.5)
    assert (decision.runner_up, decision.runner_up_score) == (None, None)


@given(
    st.floats(0, 90),
    st.lists(st.floats(0, 90), max_size=5),
    st.floats(0, 20),
)
def test_who_is_named_is_the_nearest_and_near_enough(
    voice: float, others: list[float], seconds: float
) -> None:
    known = [Known(str(index), at(degrees)) for index, degrees in enumerate(others)]
    decision = decide(Voice(at(voice), seconds), known, RULES)
    if decision.person is not None:
        chosen = similarity(at(voice), at(others[int(decision.person)]))
        rest = [similarity(at(voice), one.vector) for one in known if one.id != decision.person]
        assert seconds >= RULES.least_seconds
        assert chosen >= RULES.threshold
        assert all(chosen - other >= RULES.margin - 1e-6 for other in rest)
