"""Tests of whose voice it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.speaker.embedding import SIZE, Floats, Voice, similarity
from engine.speaker.matching import Decision, Known, Rules, Spoken, at_most_one, decide

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


def match(person: str, score: float) -> Decision:
    return Decision(person=person, verdict="match", best=person, score=score)


def persons(decisions: dict[str, Decision]) -> dict[str, str | None]:
    return {label: decision.person for label, decision in decisions.items()}


def test_of_two_speakers_who_are_one_person_only_the_more_alike_is_and_the_other_says_which() -> None:
    weighed = at_most_one({"B": match("ada", 0.851), "A": match("ada", 0.918)}, RULES)
    assert persons(weighed) == {"A": "ada", "B": None}
    assert (weighed["B"].verdict, weighed["B"].better) == ("outdone", "A")
    assert (weighed["B"].best, weighed["B"].score) == ("ada", 0.851)
    assert (weighed["A"].verdict, weighed["A"].better) == ("match", None)


def test_speakers_as_much_alike_may_be_one_voice_that_was_split() -> None:
    weighed = at_most_one({"A": match("ada", 0.90), "B": match("ada", 0.86), "C": match("ada", 0.84)}, RULES)
    assert persons(weighed) == {"A": "ada", "B": "ada", "C": None}


def test_who_was_outdone_has_the_name_again_once_nobody_is_better() -> None:
    weighed = at_most_one({"A": match("ada", 0.92), "B": match("ada", 0.85)}, RULES)
    alone = at_most_one({"B": weighed["B"]}, RULES)
    assert alone == {"B": match("ada", 0.85)}


def test_voices_that_are_nobodys_are_no_rivals() -> None:
    others = {
        "unlike": Decision(person=None, verdict="too_different", best="ada", score=0.7),
        "close": Decision(person=None, verdict="too_close", best="ada", score=0.99),
        "assigned": Decision(person="ada", verdict="assigned"),
        "grace": match("grace", 0.99),
    }
    assert at_most_one(others | {"A": match("ada", 0.82)}, RULES) == others | {"A": match("ada", 0.82)}


NAMED = {"H": "ada"}
SPOKEN = {
    "H": Spoken(20.0, Voice(at(60), 9.0)),
    "unlike": Spoken(9.0, Voice(at(0), 9.0)),
    "said more": Spoken(30.0, Voice(at(0), 9.0)),
    "alike": Spoken(9.0, Voice(at(40), 9.0)),
    "hardly heard": Spoken(9.0, Voice(at(0), 2.4)),
}


@pytest.mark.parametrize(("label", "keeps"), [(label, label != "unlike") for label in SPOKEN])
def test_whom_somebody_named_wins_over_another_voice_that_said_less(label: str, keeps: bool) -> None:
    rivals = {label: match("ada", 0.99), "G": match("grace", 0.9)}
    weighed = at_most_one(rivals, RULES, NAMED, SPOKEN)
    assert persons(weighed) == {label: "ada" if keeps else None, "G": "grace"}
    assert (weighed[label].verdict, weighed[label].better) == (("match", None) if keeps else ("outdone", "H"))
    assert at_most_one(weighed, RULES, NAMED, SPOKEN) == weighed


def test_who_lost_a_name_to_whom_somebody_named_takes_it_from_nobody_else() -> None:
    rivals = {"unlike": match("ada", 0.99), "alike": match("ada", 0.85), "H": match("ada", 0.81)}
    weighed = at_most_one(rivals, RULES, NAMED, SPOKEN)
    assert persons(weighed) == {"unlike": None, "alike": "ada", "H": "ada"}
    assert persons(at_most_one(rivals, RULES)) == {"unlike": "ada", "alike": None, "H": None}


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.sampled_from("ag"), st.floats(0.8, 1)), max_size=6))
def test_whoever_is_best_keeps_the_name_and_weighing_again_changes_nothing(
    voices: dict[str, tuple[str, float]],
) -> None:
    weighed = at_most_one({label: match(*one) for label, one in voices.items()}, RULES)
    assert at_most_one(weighed, RULES) == weighed
    for label, (person, score) in voices.items():
        best = max(one for who, one in voices.values() if who == person)
        assert (weighed[label].person == person) == (best - score <= RULES.margin)
