"""From Soniox's sub-word tokens to words.

Operations: `TokenReader.read` a message's tokens; into a `WordAssembly` `push` what is final, `end` an utterance,
`take` the words that are complete, `preview` what a guess adds.
A word begins where a token begins with a space, where the speaker changes, and in scripts written without spaces
at each token that can begin a word. It is complete once the next one has begun, so its tokens may be spread over
any number of messages. Punctuation belongs to the word before it, also across a space (`Bonjour` ` !`); what opens
a quotation or a bracket belongs to the one after it. Punctuation with no word beside it is left out.
Bounded: one open word of at most `LONGEST` characters and one that waits for punctuation, besides what was not
taken yet, and the final tokens of `SEEN` messages, to know one that comes again. Cost: linear in the text.
"""

import math
import re
import unicodedata
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from engine.stt import _fields as read
from engine.stt.vendor import SAMPLE_RATE
from engine.transcript.sentences import tidy
from engine.transcript.words import Word

LONGEST = 200
"""Characters at which a word is complete, whatever follows: nobody says such a word."""

SEEN = 16
"""Messages whose final tokens are remembered."""

CONTROL = frozenset({"<end>", "<fin>"})
"""Tokens that are no text: an utterance ended; everything asked for by `finalize` was said."""

_PIECES = re.compile(r"\s*\S+|\s+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Myanmar, Khmer; kana and Han. Hangul is written with spaces."""

_NEVER_FIRST = frozenset("ะาำๅະາຳぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ")
"""Letters of these scripts that only ever continue a word (marks and signs have categories of their own)."""


class Token(msgspec.Struct, frozen=True):
    """A piece of text as it was said, spaces included; times in samples. Not `final`: it may change."""

    text: str
    start: int
    end: int
    final: bool = True
    speaker: int | None = None
    confidence: float | None = None
    language: str | None = None


class TokenReader:
    """Reads the tokens of one stream, whatever is missing or wrong in them."""

    def __init__(self) -> None:
        self._start = self._end = 0
        self._seen: deque[tuple[object, ...]] = deque(maxlen=SEEN)

    def read(self, listed: object, covered: int, sent: int, processed: int | None) -> list[Token]:
        """The tokens of a message, less translations, and less final ones that came before.

        Times are in order, from `covered` to `sent`. A missing start is the end before, a missing end the next
        start, or `processed` where none is told.
        """
        spoken = [
            item
            for item in read.items(listed)
            if isinstance(item.get("text"), str) and item.get("translation_status") != "translation"
        ]
        starts = [samples(item.get("start_ms"), sent) for item in spoken]
        follows = [processed if start is None else start for start in starts[1:]] + [processed]
        repeated = self._said_before(spoken)
        tokens: list[Token] = []
        latest = self._start, self._end
        for item, start, next_start in zip(spoken, starts, follows, strict=False):
            final = item.get("is_final") is True
            if repeated if final else item["text"] in CONTROL:
                continue
            end = samples(item.get("end_ms"), sent)
            token = _token(
                item,
                max(covered, latest[0], latest[1] if start is None else start),
                (next_start or 0) if end is None else end,
                sent,
            )
            tokens.append(token)
            if token.text not in CONTROL:
                latest = token.start, token.end
                if final:
                    self._start, self._end = latest
        return tokens

    def _said_before(self, spoken: Sequence[Mapping[str, object]]) -> bool:
        """Whether a message had these very final tokens; without times there is no telling."""
        finals = tuple(
            (item["text"], number(item.get("start_ms")), number(item.get("end_ms")))
            for item in spoken
            if item.get("is_final") is True
        )
        if not any(end for _, _, end in finals):
            return False
        if finals in self._seen:
            return True
        self._seen.append(finals)
        return False


def _token(item: Mapping[str, object], start: int, end: int, sent: int) -> Token:
    speaker = number(item.get("speaker"))
    return Token(
        str(item["text"]),
        min(start, sent),
        min(max(start, end), sent),
        final=item.get("is_final") is True,
        speaker=int(speaker) - 1 if speaker is not None and 1 <= speaker < 1000 else None,
        confidence=read.share(item.get("confidence")),
        language=read.text(item.get("language")) or None,
    )


def number(value: object) -> float | None:
    """A finite number from 0, also where it comes as digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e15 and math.isfinite(value) else None


def samples(milliseconds: object, limit: int) -> int | None:
    """Milliseconds in samples, at most `limit`; None when it is no time."""
    value = number(milliseconds)
    return None if value is None else round(min(value * SAMPLE_RATE / 1000, limit))


class WordAssembly:
    """The tokens of one stream on their way to words."""

    def __init__(self) -> None:
        self._open: list[Token] = []
        self._held: Word | None = None
        self._ready: list[Word] = []
        self._speaker: int | None = None

    @property
    def unfinished(self) -> int | None:
        """Where the first word begins that is not complete; None when there is none."""
        if self._held is not None:
            return self._held.start
        return self._open[0].start if self._open else None

    @property
    def last_end(self) -> int:
        """Where the last unfinished token ends; 0 when there is none."""
        if self._open:
            return max(token.end for token in self._open)
        return self._held.end if self._held is not None else 0

    def push(self, token: Token) -> None:
        """Take the next token, which may hold several words."""
        text, offset = token.text, 0
        for match in _PIECES.finditer(text):
            piece, length = match.group(), token.end - token.start
            start = token.start + length * match.start() // len(text)
            offset = token.start + length * match.end() // len(text)
            if piece[0].isspace():
                self._close()
            if piece.strip():
                self._add(replace(token, text=piece.strip(), start=start, end=offset))

    def end(self) -> None:
        """Nothing follows that could belong to what was said so far."""
        self._close()
        self._release()

    def take(self) -> tuple[Word, ...]:
        """The complete words not taken yet, in order."""
        ready, self._ready = self._ready, []
        return tuple(ready)

    def preview(self, tokens: Sequence[Token]) -> tuple[Word, ...]:
        """The unfinished words if `tokens` followed and were all; changes nothing."""
        guess = WordAssembly()
        guess._open, guess._held, guess._speaker = self._open.copy(), self._held, self._speaker
        for token in tokens:
            guess.push(token)
        guess.end()
        return guess.take()

    def _add(self, piece: Token) -> None:
        """A piece without spaces: part of the open word or the beginning of one."""
        if not _is_punctuation(piece.text):
            if self._begins(piece):
                self._close()
            self._release()
            self._speaker = self._speaker if piece.speaker is None else piece.speaker
        self._open.append(piece)
        if sum(len(token.text) for token in self._open) >= LONGEST:
            self._close()

    def _begins(self, piece: Token) -> bool:
        spoken = [token for token in self._open if not _is_punctuation(token.text)]
        if not spoken:
            return False
        speakers = {token.speaker for token in (*spoken, piece)} - {None}
        first, before = piece.text[0], spoken[-1].text[-1]
        if _UNSPACED.match(first):
            return len(speakers) > 1 or _can_begin(first)
        return len(speakers) > 1 or (_UNSPACED.match(before) is not None and first.isalnum())

    def _close(self) -> None:
        """The open word has no more tokens, but punctuation may follow it."""
        pieces, self._open = self._open, []
        if not pieces:
            return
        text = "".join(piece.text for piece in pieces)
        spoken = [piece for piece in pieces if not _is_punctuation(piece.text)]
        if spoken:
            self._release()
            self._held = self._word(text, pieces[0].start, spoken)
        elif self._held is not None and len(self._held.text) < LONGEST:
            self._held = replace(self._held, text=tidy(f"{self._held.text} {text}"))

    def _word(self, text: str, start: int, spoken: Sequence[Token]) -> Word:
        confidences = [token.confidence for token in spoken if token.confidence is not None]
        return Word(
            text,
            start,
            max(token.end for token in spoken),
            speaker=next((token.speaker for token in spoken if token.speaker is not None), self._speaker),
            confidence=sum(confidences) / len(confidences) if confidences else None,
            language=next((token.language for token in spoken if token.language), None),
        )

    def _release(self) -> None:
        if self._held is not None:
            self._ready.append(self._held)
            self._held = None


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(character)[0] == "P" for character in text)


def _can_begin(character: str) -> bool:
    return unicodedata.category(character) == "Lo" and character not in _NEVER_FIRST
