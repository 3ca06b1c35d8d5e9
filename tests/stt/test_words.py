"""Tests of grouping tokens into words and placing them in time."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.stt._words import (
    HeardWord,
    TokenGroup,
    aligned_times,
    apportioned_times,
    first_rounds,
    group_tokens,
    repeats,
    without_echo,
)


class Vocabulary:
    """Tokens are numbers; each stands for some bytes."""

    def __init__(self, *pieces: str | bytes) -> None:
        self.pieces = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]

    def __len__(self) -> int:
        return len(self.pieces)

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(self.pieces[token] for token in tokens).decode(errors="replace")


def texts(vocabulary: Vocabulary, *, spaced: bool = True) -> list[str]:
    groups = group_tokens(range(len(vocabulary)), vocabulary.decode, spaced=spaced)
    return [group.text for group in groups]


def test_pieces_without_a_space_belong_to_the_word_before() -> None:
    assert texts(Vocabulary(" cold", "-", "hearted", " man", ".")) == ["cold-hearted", "man."]


def test_an_opening_quote_belongs_to_the_word_after() -> None:
    assert texts(Vocabulary(" He", " said", ' "', "no", '."')) == ["He", "said", '"no."']


def test_a_character_split_over_tokens_is_put_together() -> None:
    smile = "é".encode()
    assert texts(Vocabulary(" caf", smile[:1], smile[1:], " au")) == ["café", "au"]


def test_without_spaces_each_character_is_a_word_and_punctuation_attaches() -> None:
    assert texts(Vocabulary("你", "好", "。", "我"), spaced=False) == ["你", "好。", "我"]


def test_punctuation_alone_is_no_word() -> None:
    assert texts(Vocabulary(" ...", " -")) == []


def test_a_word_ends_where_its_punctuation_begins() -> None:
    vocabulary = Vocabulary(" tried", ",", " ever")
    groups = group_tokens(range(3), vocabulary.decode, spaced=True)
    assert aligned_times(groups, [100, 500, 900, 1200], (0, 2000)) == [(100, 500), (900, 1200)]


def test_times_outside_the_speech_are_moved_inside() -> None:
    groups = (TokenGroup("a", 0, 1, 1), TokenGroup("b", 1, 2, 2))
    assert aligned_times(groups, [0, 400, 5000], (300, 1000)) == [(300, 400), (400, 1000)]


@given(st.lists(st.integers(0, 3000), min_size=2, max_size=30), st.integers(0, 500), st.integers(100, 2000))
def test_words_are_in_order_inside_the_span_and_none_is_empty(
    starts: list[int], begin: int, length: int
) -> None:
    groups = [TokenGroup("w", n, n + 1, n + 1) for n in range(len(starts) - 1)]
    span = (begin, begin + length)
    for times in (aligned_times(groups, starts, span), apportioned_times(groups, span)):
        assert len(times) == len(groups)
        edges = [edge for word in times for edge in word]
        assert edges == sorted(edges)
        assert begin <= edges[0]
        assert edges[-1] <= begin + length
        assert all(start < end for start, end in times)


def test_times_are_apportioned_by_length_of_text() -> None:
    groups = (TokenGroup("abc", 0, 1, 1), TokenGroup("abcdefg", 1, 2, 2))
    assert apportioned_times(groups, (0, 120)) == [(0, 40), (40, 120)]


def test_a_loop_is_found_wherever_it_begins() -> None:
    assert repeats([9, 1, 2, 1, 2, 1, 2, 1, 2])
    assert repeats([5, 5, 5, 5])
    assert repeats([1, 2, 3, 4] * 3)


def test_of_a_loop_one_round_stays_and_all_that_follows_it() -> None:
    assert first_rounds([9, 1, 2, 1, 2, 1, 2, 1, 2]) == [9, 1, 2]
    assert first_rounds([5, 5, 5, 5, 5]) == [5]
    assert first_rounds([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2]) == [1, 2, 3, 4]
    assert first_rounds([7, 8, 7, 8, 7, 8, 7, 8, 7, 3, 4]) == [7, 8, 7, 3, 4]
    assert first_rounds([5, 5, 5, 5, 3, 6, 6, 6, 6, 4]) == [5, 3, 6, 4]
    assert first_rounds([1, 2, 1, 2, 1, 2]) == [1, 2, 1, 2, 1, 2]
    assert first_rounds([]) == []


def test_saying_something_twice_or_thrice_is_no_loop() -> None:
    assert not repeats([1, 2, 1, 2, 1, 2])
    assert not repeats([5, 5, 5])
    assert not repeats([1, 2, 3, 4] * 2)


def heard(text: str, *, seconds: float, after: Sequence[HeardWord] = ()) -> tuple[HeardWord, ...]:
    """Words that follow those `after` which they come, and last so long together."""
    start, parts = (after[-1].end if after else 0), text.split()
    edges = [start + round(seconds * 16_000 * n / len(parts)) for n in range(len(parts) + 1)]
    spoken = (HeardWord(part, edges[n], edges[n + 1], 0.9) for n, part in enumerate(parts))
    return (*after, *spoken)


def test_what_is_said_again_in_no_time_at_the_end_was_not_said() -> None:
    said = heard("So I don't hear that, in New Jersey now.", seconds=2.5)
    assert without_echo(heard("i don't hear that in new jersey now", seconds=0.001, after=said)) == said
    assert without_echo(heard("So I don't", seconds=0.05, after=said)) == said


def test_what_is_said_again_in_its_time_was_said_and_so_was_something_new_in_no_time() -> None:
    said = heard("fail again fail better", seconds=2)
    for more, seconds in (("fail again fail", 0.3), ("fail again now", 0.001), ("fail better", 0.001)):
        both = heard(more, seconds=seconds, after=said)
        assert without_echo(both) == both
    assert without_echo(()) == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2_000)), max_size=12))
def test_without_an_echo_all_words_of_which_there_is_no_other_are_there(
    spoken: list[tuple[str, int]],
) -> None:
    words: list[HeardWord] = []
    for text, length in spoken:
        start = words[-1].end if words else 0
        words.append(HeardWord(text, start, start + length, 0.9))
    kept = without_echo(words)
    assert kept == tuple(words[: len(kept)])
    assert {word.text for word in kept} == {word.text for word in words}
