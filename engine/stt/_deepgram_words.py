"""The words of a Deepgram `Results` message, whatever of it is missing.

A message that is as documented is decoded into these types at once; one that is not is read field by field.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from engine.stt import _fields as read
from engine.stt.vendor import SAMPLE_RATE
from engine.transcript.words import Word

SPEAKERS = 1_000
"""Speaker numbers from here on are nonsense."""


_start = attrgetter("start")


class Said(msgspec.Struct, frozen=True, gc=False):
    """A word; times in seconds since the stream began."""

    word: str = ""
    punctuated_word: str = ""
    start: float | None = None
    end: float | None = None
    speaker: int | None = None
    confidence: float | None = None
    language: str | None = None

    @classmethod
    def of(cls, item: dict[str, object]) -> "Said":
        """What can be read of it."""
        return cls(
            read.text(item.get("word")),
            read.text(item.get("punctuated_word")),
            read.number(item.get("start")),
            read.number(item.get("end")),
            read.whole(item.get("speaker")),
            read.number(item.get("confidence")),
            read.text(item.get("language")),
        )


class Alternative(msgspec.Struct, frozen=True):
    """One way to understand the window; the first is the likeliest."""

    transcript: str = ""
    words: list[Said] = []


class Channel(msgspec.Struct, frozen=True):
    """One channel's."""

    alternatives: list[Alternative] = []


class Results(msgspec.Struct, frozen=True, tag_field="type", tag="Results"):
    """The message, as far as it is used; `start` and `duration` in seconds."""

    channel_index: list[int] = []
    start: float | None = None
    duration: float | None = None
    is_final: bool = False
    from_finalize: bool = False
    channel: Channel = Channel()

    @classmethod
    def of(cls, fields: dict[str, object]) -> "Results":
        """What can be read of it."""
        channels = fields.get("channel_index")
        first = next(iter(read.items(read.mapping(fields.get("channel")).get("alternatives"))), {})
        words = [Said.of(item) for item in read.items(first.get("words"))]
        return cls(
            channels[:1] if isinstance(channels, list) else [],
            read.number(fields.get("start")),
            read.number(fields.get("duration")),
            fields.get("is_final") is True,
            fields.get("from_finalize") is True,
            Channel([Alternative(read.text(first.get("transcript")), words)]),
        )


_decoder = msgspec.json.Decoder(Results)


def results_in(message: Any) -> Results | None:
    """The message, where it is one, and all of it that is used is as documented."""
    try:
        return _decoder.decode(message)
    except (ValueError, RecursionError):
        return None


class Window(msgspec.Struct, frozen=True):
    """What one `Results` says: `words` lie between `start` and `end` of the stream, in samples."""

    start: int
    end: int
    words: tuple[Word, ...]


def window_of(results: Results, covered: int, sent: int) -> Window:
    """Read `results`, which may claim anything; its samples are brought between `covered` and `sent`.

    Without `start` or `duration` the window is from `covered` to the last word. A window that was covered
    before, in whole or in part, yields only the words of the rest. Without `words`, those of `transcript` are
    spread evenly.
    """
    start = covered if results.start is None else _sample(results.start, sent)
    duration = _sample(results.duration or 0.0, sent)
    end = min(start + duration, sent) if duration else None
    alternative = results.channel.alternatives[0] if results.channel.alternatives else Alternative()
    listed = list(_listed(alternative.words, start, sent))
    if end is None:
        end = max((word.end for word in listed), default=covered)
    if not listed:
        listed = list(_spread(alternative.transcript, start, end))
    words = [word for word in listed if start >= covered or (word.start + word.end) // 2 >= covered]
    if end <= covered:
        words = []
    return Window(max(start, covered), max(end, covered), _in_order(words, covered))


def _sample(seconds: float, sent: int) -> int:
    sample = seconds * SAMPLE_RATE
    if sample <= 0:
        return 0
    return round(sample) if sample < sent else sent


def _listed(words: Sequence[Said], start: int, sent: int) -> Iterator[Word]:
    position = start
    for said in words:
        text = said.punctuated_word.strip() or said.word.strip()
        if not text:
            continue
        begin = position if said.start is None else _sample(said.start, sent)
        position = begin if said.end is None else max(_sample(said.end, sent), begin)
        speaker, confidence = said.speaker, said.confidence
        yield Word(
            text,
            begin,
            position,
            speaker if speaker is not None and 0 <= speaker < SPEAKERS else None,
            confidence if confidence is not None and 0 <= confidence <= 1 else None,
            said.language or None,
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
    return tuple(
        word
        if word.start >= covered
        else msgspec.structs.replace(word, start=covered, end=max(word.end, covered))
        for word in sorted(words, key=_start)
    )
