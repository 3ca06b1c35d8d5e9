"""The words of a Deepgram `Results` message, whatever of it is missing."""

from collections.abc import Iterator

import msgspec

from engine.stt import _fields as read
from engine.transcript.words import Word

SPEAKERS = 1_000
"""Speaker numbers from here on are nonsense."""


class Window(msgspec.Struct, frozen=True):
    """What one `Results` says: `words` lie between `start` and `end` of the stream, in samples."""

    start: int
    end: int
    words: tuple[Word, ...]


def window_of(results: dict[str, object], covered: int, sent: int) -> Window:
    """Read `results`, which may claim anything; its samples are brought between `covered` and `sent`.

    Without `start` or `duration` the window is from `covered` to the last word. A window that was covered
    before, in whole or in part, yields only the words of the rest. Without `words`, those of `transcript` are
    spread evenly.
    """
    start = read.samples(results.get("start"), 0, sent)
    start = covered if start is None else start
    duration = read.samples(results.get("duration"), 0, sent)
    end = min(start + duration, sent) if duration else None
    alternative = next(iter(read.items(read.mapping(results.get("channel")).get("alternatives"))), {})
    listed = list(_listed(alternative, start, sent))
    if end is None:
        end = max((word.end for word in listed), default=covered)
    if not listed:
        listed = list(_spread(read.text(alternative.get("transcript")), start, end))
    words = [word for word in listed if start >= covered or (word.start + word.end) // 2 >= covered]
    if end <= covered:
        words = []
    return Window(max(start, covered), max(end, covered), _in_order(words, covered))


def _listed(alternative: dict[str, object], start: int, sent: int) -> Iterator[Word]:
    position = start
    for item in read.items(alternative.get("words")):
        text = read.text(item.get("punctuated_word")) or read.text(item.get("word"))
        if not text:
            continue
        begin = read.samples(item.get("start"), 0, sent)
        begin = position if begin is None else begin
        until = read.samples(item.get("end"), 0, sent)
        position = begin if until is None else max(until, begin)
        speaker = read.whole(item.get("speaker"))
        yield Word(
            text=text,
            start=begin,
            end=position,
            speaker=speaker if speaker is not None and 0 <= speaker < SPEAKERS else None,
            confidence=read.share(item.get("confidence")),
            language=read.text(item.get("language")) or None,
        )


def _spread(transcript: str, start: int, end: int) -> Iterator[Word]:
    texts = transcript.split()
    for n, text in enumerate(texts):
        yield Word(
            text=text,
            start=start + (end - start) * n // len(texts),
            end=start + (end - start) * (n + 1) // len(texts),
        )


def _in_order(words: list[Word], covered: int) -> tuple[Word, ...]:
    """In order of time, and none before `covered`: recognizers move a word's edge past a window's by a little."""
    ordered = sorted(words, key=lambda word: word.start)
    return tuple(
        msgspec.structs.replace(word, start=max(word.start, covered), end=max(word.end, covered))
        for word in ordered
    )
