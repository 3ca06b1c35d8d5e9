"""A stand-in hears a word only where all of its samples arrived."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.testing.hearing import Hearing, Intervals
from engine.testing.marks import BLOCK, mark
from engine.testing.scripted import counted_words, script_of
from engine.transcript.words import Word

SECOND = 16_000
WORDS = tuple(Word(f"w{n}.", n * SECOND + 4000, n * SECOND + 8000, speaker=n % 2) for n in range(10))


def audio(start: int, end: int, stream: int = 0) -> bytes:
    return mark(np.zeros(end - start, np.int16), start, stream=stream).tobytes()


def numbers(hearing: Hearing, *pieces: bytes) -> list[int]:
    return [heard.number for piece in pieces for heard in hearing.feed(piece)]


def test_words_are_heard_when_their_last_sample_arrived() -> None:
    hearing = Hearing(script_of(WORDS))
    assert numbers(hearing, audio(0, 7999)) == []
    assert hearing.open_since == 4000
    assert numbers(hearing, audio(7999, 8000)) == [0]
    assert hearing.open_since is None


def test_times_are_those_of_the_connection() -> None:
    hearing = Hearing(script_of(WORDS), marked=True)
    (heard,) = hearing.feed(audio(3 * SECOND, 4 * SECOND, stream=9))
    assert (heard.number, heard.start, heard.end, heard.stream) == (3, 4000, 8000, 9)
    assert heard.seconds == (0.25, 0.5)
    assert heard.word is WORDS[3]


def test_time_left_out_by_a_gate_does_not_pass_on_the_connection() -> None:
    hearing = Hearing(script_of(WORDS))
    pieces = [audio(0, SECOND), audio(5 * SECOND + 2000, 6 * SECOND)]
    heard = [heard for piece in pieces for heard in hearing.feed(piece)]
    assert [h.number for h in heard] == [0, 5]
    assert abs(heard[1].start - (SECOND + 2000)) < BLOCK
    assert hearing.missed == [1, 2, 3, 4]


def test_a_word_cut_at_its_start_or_in_its_middle_is_not_heard() -> None:
    assert numbers(Hearing(script_of(WORDS)), audio(4000 + BLOCK + 1, SECOND)) == []
    holed = Hearing(script_of(WORDS))
    assert numbers(holed, audio(0, 5000), audio(6000, SECOND)) == []
    assert holed.missed == [0]


def test_a_block_missing_at_the_edge_is_forgiven() -> None:
    assert numbers(Hearing(script_of(WORDS)), audio(4000 + BLOCK, SECOND)) == [0]
    hearing = Hearing(script_of(WORDS))
    assert numbers(hearing, audio(0, 8000 - BLOCK)) == []
    assert [heard.number for heard in hearing.finish()] == [0]


def test_audio_that_comes_again_is_counted_and_heard_once() -> None:
    hearing = Hearing(script_of(WORDS))
    assert numbers(hearing, audio(0, SECOND), audio(0, 2 * SECOND)) == [0, 1]
    assert abs(hearing.repeated - SECOND) < BLOCK
    assert hearing.received.total() == 2 * SECOND


def test_odd_bytes_wait_for_their_other_half() -> None:
    data = audio(0, SECOND)
    hearing = Hearing(script_of(WORDS))
    assert numbers(hearing, *(data[at : at + 333] for at in range(0, len(data), 333))) == [0]
    assert hearing.samples == SECOND


def test_without_marks_a_connection_begins_at_zero() -> None:
    hearing = Hearing(counted_words(0.5), marked=False)
    assert numbers(hearing, bytes(2 * SECOND)) == [0, 1]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=40))
@settings(deadline=None)
def test_intervals_are_a_set_of_samples(added: list[tuple[int, int]]) -> None:
    intervals, samples = Intervals(), set[int]()
    for start, length in added:
        intervals.add(start, start + length)
        samples |= set(range(start, start + length))
    spans = intervals.spans()
    assert intervals.total() == len(samples)
    assert {n for start, end in spans for n in range(start, end)} == samples
    assert all(end < start for (_, end), (start, _) in pairwise(spans))


@given(cuts=st.lists(st.integers(1, 10 * SECOND - 1), max_size=6, unique=True), size=st.integers(100, 9000))
@settings(max_examples=40, deadline=None)
def test_over_several_connections_that_continue_each_other_only_cut_words_are_lost(
    cuts: list[int], size: int
) -> None:
    edges = [0, *sorted(cuts), 10 * SECOND]
    heard: list[int] = []
    for start, end in pairwise(edges):
        hearing = Hearing(script_of(WORDS))
        data = audio(start, end)
        heard += numbers(hearing, *(data[at : at + size] for at in range(0, len(data), size)))
        heard += [late.number for late in hearing.finish()]
    cut = {n for n, word in enumerate(WORDS) if any(word.start < at < word.end for at in cuts)}
    assert len(heard) == len(set(heard))
    assert set(range(10)) - cut <= set(heard)
