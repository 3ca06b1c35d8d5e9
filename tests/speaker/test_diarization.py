"""Tests of who says which words."""

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.speaker.diarization import Atom, Diarizer, DiarizerRules, atoms, heard_span
from engine.speaker.embedding import SIZE, WINDOW, Floats
from engine.speaker.roster import Roster
from engine.speaker.usual import load
from engine.transcript.words import Word

SECOND = 16_000
RULES = DiarizerRules()


def word(start: float, end: float, text: str = "word") -> Word:
    return Word(text, round(start * SECOND), round(end * SECOND))


def voice(who: int, noise: int = 0) -> Floats:
    """Somebody's voice; two utterances of one are alike by 0.9, those of two not at all, seen from the usual."""
    return between({who: np.sqrt(0.9), 100 + noise: np.sqrt(0.1)})


def between(shares: Mapping[int, float]) -> Floats:
    """The voice that differs from the usual one in these directions by these shares."""
    away = np.zeros(SIZE, np.float32)
    for at, share in shares.items():
        away[at] = share
    found: Floats = load() + np.float32(0.6) * away / np.linalg.norm(away)
    return found


def said(*lengths: float) -> list[Atom]:
    """Atoms so many seconds long, with pauses between."""
    found, at = [], 0.0
    for index, length in enumerate(lengths):
        found.append(Atom(index, index + 1, round(at * SECOND), round((at + length) * SECOND)))
        at += length + 0.5
    return found


def labelled(diarizer: Diarizer, lengths: Sequence[float], voices: Sequence[Floats]) -> list[int]:
    return diarizer.label(said(*lengths), voices).numbers


def test_words_are_taken_together_up_to_a_pause() -> None:
    run = atoms([word(0, 0.5), word(0.5, 1.0), word(1.1, 1.5), word(1.9, 2.5)])
    assert [(one.first, one.last) for one in run] == [(0, 3), (3, 4)]
    assert (run[0].start, run[0].end) == (0, round(1.5 * SECOND))


def test_speech_without_a_pause_is_cut() -> None:
    run = atoms([word(i, i + 1) for i in range(13)])
    assert [one.seconds for one in run] == [6.0, 6.0, 1.0]


@given(st.lists(st.tuples(st.integers(0, 500_000), st.integers(0, 30_000)), max_size=30))
def test_every_word_is_in_one_atom_whatever_its_times(times: list[tuple[int, int]]) -> None:
    words = [Word("word", start, start + length) for start, length in times]
    run = atoms(words)
    assert [index for one in run for index in range(one.first, one.last)] == list(range(len(words)))
    assert all(one.end >= one.start for one in run)


def test_a_short_atom_is_heard_with_what_is_around_it_and_within_its_utterance() -> None:
    for start, end in [(0, 1_000), (50_000, 51_000), (79_000, 80_000)]:
        first, last = heard_span(Atom(0, 1, start, end), 0, 80_000)
        assert (last - first, first <= start, last >= end) == (WINDOW, True, True)
    assert heard_span(Atom(0, 1, 2_000, 60_000), 0, 80_000) == (2_000, 60_000)
    assert heard_span(Atom(0, 1, 100, 200), 0, 300) == (0, 300)


def test_two_voices_are_two_speakers_and_keep_their_numbers() -> None:
    diarizer = Diarizer(Roster(), RULES)
    assert labelled(diarizer, [3, 3, 3], [voice(0), voice(1), voice(0, 1)]) == [0, 1, 0]
    assert labelled(diarizer, [3, 3], [voice(1, 2), voice(0, 2)]) == [1, 0]


def test_one_voice_is_one_speaker_however_long_it_speaks() -> None:
    diarizer = Diarizer(Roster(), RULES)
    for noise in range(60):
        assert labelled(diarizer, [2, 4], [voice(0, noise), voice(0, noise + 1)]) == [0, 0]


def test_what_is_too_short_to_be_judged_stays_with_who_speaks() -> None:
    diarizer = Diarizer(Roster(), RULES)
    labelled(diarizer, [3, 3], [voice(0), voice(1)])
    anybody = between({0: 1, 1: 1})
    assert labelled(diarizer, [3, 0.3, 3], [voice(1), anybody, voice(1)]) == [1, 1, 1]


def test_who_said_little_is_nobody_new_until_they_say_more() -> None:
    diarizer = Diarizer(Roster(), RULES)
    assert labelled(diarizer, [4, 1.6], [voice(0), voice(1)]) == [0, 0]
    assert labelled(diarizer, [2.0], [voice(1, 1)]) == [1]


def test_a_number_stays_with_who_had_most_under_it_not_with_who_says_more_in_the_end() -> None:
    diarizer = Diarizer(Roster(), RULES)
    assert labelled(diarizer, [3], [voice(0)]) == [0]
    assert labelled(diarizer, [2.6], [voice(1)]) == [0], "too little to be somebody new"
    assert labelled(diarizer, [2.8], [voice(0, 1)]) == [0]
    assert labelled(diarizer, [3.5], [voice(1, 1)]) == [1]
    assert labelled(diarizer, [2], [voice(0, 2)]) == [0]


def test_who_speaks_in_bursts_is_heard_by_all_of_them() -> None:
    diarizer = Diarizer(Roster(), RULES)
    assert labelled(diarizer, [4], [voice(0)]) == [0]
    bursts = [voice(1, noise) for noise in range(5)]
    assert labelled(diarizer, [0.8] * 5, bursts) == [1] * 5
    assert labelled(diarizer, [0.8, 4], [voice(1, 6), voice(0, 7)]) == [1, 0]


def test_two_who_talk_in_turns_of_a_word_make_no_voice_that_is_both() -> None:
    diarizer = Diarizer(Roster(), RULES)
    words = [voice(noise % 2, noise) for noise in range(8)]
    assert labelled(diarizer, [0.6] * 8, words) == [0] * 8
    assert labelled(diarizer, [4, 4, 4], [voice(0), voice(1), voice(0, 9)]) == [0, 1, 0]


def test_a_session_that_begins_with_short_words_begins_with_speaker_0() -> None:
    diarizer = Diarizer(Roster(), RULES)
    assert labelled(diarizer, [0.4, 0.5], [voice(3), voice(4)]) == [0, 0]
    assert labelled(diarizer, [3], [voice(0)]) == [0]
    assert diarizer.label([], []).numbers == []


def test_speakers_told_apart_by_a_service_are_known_afterwards_and_stay_apart() -> None:
    roster = Roster()
    for who in (0, 1):
        roster.heard(roster.new(), voice(who), 5.0)
    diarizer = Diarizer(roster, RULES)
    assert labelled(diarizer, [3, 3, 3], [voice(1, 1), voice(2), voice(0, 1)]) == [1, 2, 0]


def test_two_numbers_that_turn_out_to_be_one_voice_become_one() -> None:
    roster = Roster()
    diarizer = Diarizer(roster, RULES)
    assert labelled(diarizer, [3, 3], [between({0: 1}), between({0: 0.7, 1: 1})]) == [0, 1]
    assert diarizer.label(said(6), [between({0: 1, 1: 0.6})]).merged == {1: 0}
    assert roster.numbers == [0]
