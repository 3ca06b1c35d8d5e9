"""The overview is made of what was said, and of what matters in it."""

import numpy as np

from engine.conversation.extract.summary import candidates, overview, ranked, text_rank, tf_idf
from engine.conversation.extract.utterances import utterances
from tests.conversation.dialogues import spoken

BOAT = (
    "A: The new boat needs a new engine before the summer.",
    "B: The engine of the boat costs four thousand euros.",
    "A: Then the boat with the old engine must be sold first.",
    "B: My cousin ate pancakes with cherries yesterday.",
    "A: A new engine for the boat it is, before the summer starts.",
)


def test_the_overview_is_of_sentences_that_were_said() -> None:
    said = " ".join(line[3:] for line in BOAT)
    text = overview(utterances(spoken(*BOAT)))
    assert text
    for sentence in text.split(". "):
        assert sentence.rstrip(".") in said


def test_what_many_sentences_share_ranks_above_an_aside() -> None:
    found = candidates(utterances(spoken(*BOAT)))
    assert not any("pancakes" in sentence for sentence in ranked(found, 2))


def test_a_sentence_said_twice_is_not_taken_twice() -> None:
    same = "The boat needs a new engine."
    assert ranked([same, same, "The engine of the boat is old."], 2).count(same) <= 1


def test_run_on_speech_is_cut_between_clauses() -> None:
    line = "A: " + " and then ".join(
        f"i told them that the boat number {i} is old and leaks a lot" for i in range(8)
    )
    pieces = candidates(utterances(spoken(line)))
    assert len(pieces) > 1
    assert all(len(piece.split()) <= 60 for piece in pieces)


def test_the_rank_is_a_distribution_that_prefers_the_middle_of_a_star() -> None:
    star = np.zeros((4, 4))
    star[0, 1:] = star[1:, 0] = 1.0
    rank = text_rank(star)
    assert rank.argmax() == 0
    assert np.isclose(rank.sum(), 1.0)


def test_rows_have_unit_length_unless_nothing_means_anything() -> None:
    lengths = np.linalg.norm(tf_idf(["the engine broke", "you and me"]), axis=1)
    assert np.allclose(lengths, [1.0, 0.0])


def test_nothing_said_has_an_empty_overview() -> None:
    assert overview([]) == ""
