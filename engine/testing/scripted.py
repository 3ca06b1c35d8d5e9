"""A vendor in the process that "hears" a script: each word when, and only if, its samples arrived.

Used where the words must be known exactly and no model may be involved: drains, slow starts, ledgers. It keeps
its own count of the samples it was given, to be compared with the session's ledger.
"""

from collections.abc import Callable, Sequence

import trio

from engine.stt.vendor import SAMPLE_RATE, AudioSource, Final, Ready, StreamOptions, SttEvent
from engine.transcript.words import Word

Script = Callable[[int], Word | None]
"""Word number n (from 0), or None after the last."""

CHUNK = SAMPLE_RATE // 10

HISTORY = 256
"""Sessions whose books are kept."""


def script_of(words: Sequence[Word]) -> Script:
    """A script with just these words, in order of time."""
    return lambda n: words[n] if n < len(words) else None


def counted_words(period: float = 0.5) -> Script:
    """An endless script: `w0. w1. w2.`, one word every `period` seconds, each lasting half of that."""
    step = int(period * SAMPLE_RATE)
    return lambda n: Word(text=f"w{n}.", start=n * step + step // 4, end=n * step + 3 * step // 4)


class ScriptedVendor:
    """A `Vendor` for tests. `ready_after` seconds go by before it reads anything, as in a slow handshake.

    It reads `chunk` samples at a time. `samples` counts, per session, the samples it was given; a stream that is
    started again counts again.
    """

    provider = "scripted"

    def __init__(
        self, script: Script, *, ready_after: float = 0.0, name: str = "scripted", chunk: int = CHUNK
    ) -> None:
        self.name = name
        self.samples: dict[str, int] = {}
        self.words: dict[str, list[str]] = {}
        self._script = script
        self._ready_after = ready_after
        self._chunk = chunk

    def speaks(self, language: str) -> bool:
        """Every language."""
        return True

    async def prepare(self) -> None:
        """Nothing to load."""

    async def transcribe(
        self, audio: AudioSource, emit: Callable[[SttEvent], None], options: StreamOptions
    ) -> None:
        """See `Vendor.transcribe`."""
        await trio.sleep(self._ready_after)
        emit(Ready())
        covered = audio.position
        number = self._first_after(covered)
        heard = self.words.setdefault(options.session_id, [])
        if len(self.words) > HISTORY:
            oldest = next(iter(self.words))
            self.words.pop(oldest)
            self.samples.pop(oldest, None)
        while True:
            chunk = await audio.read(self._chunk)
            reached = chunk.position + len(chunk.pcm)
            self.samples[options.session_id] = self.samples.get(options.session_id, 0) + len(chunk.pcm)
            words = []
            while (word := self._script(number)) is not None and word.end <= reached:
                words.append(word)
                number += 1
            open_word = word.start if word is not None else reached
            end = reached if chunk.flush or chunk.end else min(reached, open_word)
            heard.extend(word.text for word in words)
            if end > covered or words:
                emit(Final(covered, end, tuple(words)))
                covered = max(covered, end)
            if chunk.end:
                return

    def _first_after(self, position: int) -> int:
        number = 0
        while (word := self._script(number)) is not None and word.start < position:
            number += 1
        return number
