"""In-memory audio and the measures that tests and benchmarks of the local engine share."""

import re
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trio
from numpy.typing import NDArray

from engine.stt.vendor import Chunk, Final, SttEvent

AUDIO = Path(__file__).parents[1] / "audio"

TEXTS = {
    "austen-0870": "and mister john dashwood had then leisure to consider how much there might be prudently "
    "in his power to do for them",
    "austen-0880": "he was not an ill disposed young man",
    "austen-0890": "unless to be rather cold hearted and rather selfish is to be ill disposed",
    "beckett": "ever tried ever failed no matter try again fail again fail better",
}
"""What is said in each recording, as in the README beside them."""


def load(name: str) -> NDArray[np.int16]:
    """PCM of `name`.wav, 16 kHz mono."""
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


class MemorySource:
    """An `AudioSource` over PCM that is all there; after `flushes` (positions) a chunk ends with a flush.

    The view handed out is overwritten at the next read, as the ring's would be.
    """

    def __init__(
        self,
        pcm: NDArray[np.int16],
        start: int = 0,
        flushes: Sequence[int] = (),
    ) -> None:
        self._pcm = pcm
        self._start = start
        self._flushes = sorted(flushes)
        self.position = start
        self._buffer = np.zeros(16_000, np.int16)
        self.reads = 0

    async def read(self, samples: int) -> Chunk:
        await trio.lowlevel.checkpoint()
        self.reads += 1
        offset = self.position - self._start
        stop = min(offset + samples, len(self._pcm))
        flush = False
        if self._flushes and offset + self._start <= self._flushes[0] <= stop + self._start:
            stop = self._flushes.pop(0) - self._start
            flush = True
        self._buffer[:] = 0x5555
        self._buffer[: stop - offset] = self._pcm[offset:stop]
        view = self._buffer[: stop - offset].data.toreadonly()
        chunk = Chunk(view, self.position, flush=flush, end=not flush and stop == len(self._pcm))
        self.position += stop - offset
        return chunk


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation; `Mr.` spoken out, hyphens apart."""
    spoken = text.lower().replace("mr.", "mister").replace("-", " ")
    return re.sub(r"[^a-z' ]", " ", spoken).split()


def word_errors(reference: str, heard: str) -> int:
    """Fewest substitutions, insertions and deletions of words that turn one text into the other."""
    wanted, got = words_of(reference), words_of(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        above, row = row, [i]
        for j, other in enumerate(got, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def finals(events: Sequence[SttEvent]) -> list[Final]:
    """The finals among `events`."""
    return [event for event in events if isinstance(event, Final)]


def text_of(events: Sequence[SttEvent]) -> str:
    """All final words in order."""
    return " ".join(word.text for final in finals(events) for word in final.words)
