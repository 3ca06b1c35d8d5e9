"""From Whisper's tokens to words with times: pure functions.

Whisper's vocabulary is byte-level: a token may hold part of a character, and in languages written with spaces
a token that begins with a space begins a word; so punctuation and suffixes attach themselves. In languages
written without spaces each whole character is a word of its own (as openai/whisper's `split_to_word_tokens`).
"""

import unicodedata
from collections.abc import Callable, Sequence

import msgspec

from engine.transcript.timeline import SAMPLE_RATE

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages in which Whisper writes no spaces between words."""


ECHO_WORDS = 3
"""Fewer words than these are no echo: they may be said twice in a hurry."""

ECHO_WORD = SAMPLE_RATE // 50
"""Samples. Words that take less than this each, two of Whisper's frames for two words, were not spoken."""


class HeardWord(msgspec.Struct, frozen=True):
    """A word; `start` and `end` in samples since the beginning of the audio; `confidence` 0 … 1."""

    text: str
    start: int
    end: int
    confidence: float


class TokenGroup(msgspec.Struct, frozen=True):
    """Tokens `first` to `last` (exclusive) make `text`; from `spoken` on they are only punctuation."""

    text: str
    first: int
    spoken: int
    last: int


def group_tokens(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], *, spaced: bool
) -> tuple[TokenGroup, ...]:
    """Words of `tokens`, punctuation attached; a pure-punctuation beginning goes to the first word."""
    groups: list[TokenGroup] = []
    for first, last, text in _characters(tokens, decode):
        punctuation = _is_punctuation(text)
        starts_word = text.startswith(" ") if spaced else not punctuation
        follows_opening = bool(groups) and _is_punctuation(groups[-1].text)
        if groups and (not starts_word or follows_opening):
            groups[-1] = _joined(groups[-1], text, last, punctuation)
        else:
            groups.append(TokenGroup(text, first, first if punctuation else last, last))
    stripped = (
        TokenGroup(group.text.strip(), group.first, group.spoken, group.last)
        for group in groups
        if group.text.strip()
    )
    return tuple(group for group in stripped if not _is_punctuation(group.text))


def _joined(group: TokenGroup, text: str, last: int, punctuation: bool) -> TokenGroup:
    spoken = group.spoken if punctuation else last
    return TokenGroup(group.text + text, group.first, spoken, last)


def _characters(tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[tuple[int, int, str]]:
    """The shortest runs of tokens that decode to whole characters."""
    runs: list[tuple[int, int, str]] = []
    first = 0
    for last in range(1, len(tokens) + 1):
        text = decode(tokens[first:last])
        if "\ufffd" in text and last - first < 4 and last < len(tokens):
            continue
        runs.append((first, last, text.replace("\ufffd", "")))
        first = last
    return runs


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(character)[0] in "PZ" for character in text)


def aligned_times(
    groups: Sequence[TokenGroup], token_starts: Sequence[int], span: tuple[int, int]
) -> list[tuple[int, int]]:
    """Start and end of each word from the sample at which each token begins (one more for the end).

    A word ends where its trailing punctuation or the next word begins. All times lie within `span`, in order,
    and no word is empty while `span` has a sample for each.
    """
    times = [(token_starts[group.first], token_starts[group.spoken]) for group in groups]
    return _ordered(times, span)


def apportioned_times(groups: Sequence[TokenGroup], span: tuple[int, int]) -> list[tuple[int, int]]:
    """Times in proportion to the length of each word's text: where no alignment was made."""
    start, end = span
    total = sum(len(group.text) + 1 for group in groups)
    times: list[tuple[int, int]] = []
    before = 0
    for group in groups:
        after = before + len(group.text) + 1
        times.append((start + (end - start) * before // total, start + (end - start) * after // total))
        before = after
    return _ordered(times, span)


def _ordered(times: Sequence[tuple[int, int]], span: tuple[int, int]) -> list[tuple[int, int]]:
    """Clamp `times` into `span`, monotonic, leaving at least a sample for every word still to come."""
    ordered: list[tuple[int, int]] = []
    earliest, limit = span
    for index, (start, end) in enumerate(times):
        to_come = len(times) - index - 1
        latest = max(earliest, limit - to_come - 1)
        start = min(max(start, earliest), latest)
        end = min(max(end, start + 1), max(start, limit - to_come))
        ordered.append((start, end))
        earliest = end
    return ordered


def without_echo(words: Sequence[HeardWord]) -> tuple[HeardWord, ...]:
    """`words` without an end that says again what was said before, in no time.

    Whisper, when it has written all it heard, may begin again; alignment then finds no sound for these words.
    """
    texts = [_spoken(word.text) for word in words]
    for first in range(ECHO_WORDS, len(words) - ECHO_WORDS + 1):
        echo = texts[first:]
        lasts = words[-1].end - words[first].start
        if lasts < ECHO_WORD * len(echo) and _occurs(echo, texts[:first]):
            return tuple(words[:first])
    return tuple(words)


def _spoken(text: str) -> str:
    return "".join(character for character in text.casefold() if not _is_punctuation(character))


def _occurs(run: Sequence[str], texts: Sequence[str]) -> bool:
    return any(texts[at : at + len(run)] == run for at in range(len(texts) - len(run) + 1))


def repeats(tokens: Sequence[int]) -> bool:
    """Whether there is a loop: four or more copies, in a row, of a token or a few; of more than three, three copies.

    Whisper falls into such loops on noise and on short audio; people hardly ever speak so.
    """
    return _loop(tokens) is not None


def first_rounds(tokens: Sequence[int]) -> list[int]:
    """`tokens` with one round of every loop. What follows it stays: who calls "hello" four times goes on after that."""
    left = list(tokens)
    while (found := _loop(left)) is not None:
        start, length = found
        run, end = left[start : start + length], start + length
        while left[end : end + length] == run:
            end += length
        if left[end:] == run[: len(left) - end]:  # a round that was cut short
            end = len(left)
        del left[start + length : end]
    return left


def _loop(tokens: Sequence[int]) -> tuple[int, int] | None:
    """The first and shortest loop: its first token, and how many are a round."""
    for length in range(1, 17):
        copies = 4 if length < 4 else 3
        for start in range(len(tokens) - copies * length + 1):
            run = tokens[start : start + length]
            if all(tokens[start + n * length : start + (n + 1) * length] == run for n in range(1, copies)):
                return start, length
    return None
