"""Inaudible marks: whoever receives the PCM knows which of the session's samples it was given.

Each block of 64 samples, counted on the session's timeline, carries one 64-bit word in its least significant
bits (about -96 dB: unheard, and left alone by voice activity detection). The word is a bijective mix (the
finalizer of splitmix64) of

    24 bits  SYNC, constant: a word counts only if these are found after un-mixing
    12 bits  stream, which tells sessions apart
    28 bits  number of the block, enough for 298 hours

so that every bit looks random. A cut, wherever it falls, is noticed after two samples on average (once in a
thousand cuts after more than ten; those few samples are taken for the continuation). No word can be taken for
another's shifted neighbour: in random bits one offset in 2**24 looks valid.

Marks survive what copies PCM16 bit for bit: the ring, spill files, gating, replay, WebSockets. They do not
survive codecs, resampling or gain.

`MarkReader` keeps 126 bits between calls, costs one XOR a sample while nothing was cut, and 64 windows a block
while it searches. Spans shorter than 127 samples between two cuts may hold no whole word; these samples are
counted in `unmarked`, as is everything else without a valid word around it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 64
"""Samples a mark is long."""

SYNC = 0x5EA5ED
STREAMS = 1 << 12
BLOCKS = 1 << 28

_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_INVERSES = tuple(pow(factor, -1, 1 << 64) for factor in _FACTORS)
_KEPT = 2 * (BLOCK - 1)

Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]


class Span(NamedTuple):
    """`samples` that follow each other: vendor sample `vendor` is sample `session` of session `stream`."""

    vendor: int
    session: int
    samples: int
    stream: int = 0


def mark(pcm: NDArray[np.int16], start: int = 0, *, stream: int = 0) -> NDArray[np.int16]:
    """A copy of `pcm` (int16, shape (n,)) with marks; `start` is the session sample number of `pcm[0]`.

    Raises ValueError for a stream of 4096 or more, or samples beyond 298 hours.
    """
    if not 0 <= stream < STREAMS:
        raise ValueError(f"stream is {stream}; accepted are 0 to {STREAMS - 1}")
    if start < 0 or start + len(pcm) > BLOCKS * BLOCK:
        raise ValueError(
            f"start is {start} for {len(pcm)} samples; accepted are samples 0 to {BLOCKS * BLOCK}"
        )
    marked: NDArray[np.int16] = (pcm & np.int16(-2)) | _expected(start, len(pcm), stream).astype(np.int16)
    return marked


class MarkReader:
    """Finds the spans of the session in what one connection was sent, from any first sample on."""

    def __init__(self) -> None:
        self.samples = 0
        """Vendor samples fed."""
        self.unmarked = 0
        """Samples known not to belong to any span."""
        self._pending: Bits = np.zeros(0, np.uint8)
        self._shift: int | None = None
        self._stream = 0

    def feed(self, pcm: NDArray[np.int16]) -> list[Span]:
        """The spans that `pcm` (int16, shape (n,)), and what was undecided before it, turned out to be."""
        pending = np.concatenate((self._pending, (pcm & 1).astype(np.uint8)))
        self.samples += len(pcm)
        spans: list[Span] = []
        while len(pending):
            here = self.samples - len(pending)
            if self._shift is None:
                skipped = self._search(pending, here)
                self.unmarked += skipped
                pending = pending[skipped:]
                if self._shift is None:
                    break
                continue
            session = here + self._shift
            count = _agreeing(pending, _expected(session, len(pending), self._stream))
            if count:
                spans.append(Span(here, session, count, self._stream))
            pending = pending[count:]
            if len(pending):
                self._shift = None
        self._pending = pending
        return spans

    def _search(self, pending: Bits, here: int) -> int:
        """Look for a whole word; returns how many leading samples belong to no span."""
        found = _first_word(pending)
        if found is None:
            return max(0, len(pending) - _KEPT)
        offset, block, self._stream = found
        self._shift = block * BLOCK - (here + offset)
        before = min(offset, block * BLOCK)
        head = pending[offset - before : offset]
        wanted = _expected(block * BLOCK - before, before, self._stream)
        return offset - _agreeing(head[::-1], wanted[::-1])


def _agreeing(bits: Bits, wanted: Bits) -> int:
    differing = np.flatnonzero(bits != wanted)
    return int(differing[0]) if len(differing) else len(bits)


def _expected(start: int, count: int, stream: int) -> Bits:
    """The bits that samples `start` to `start + count` of `stream` carry."""
    first = start // BLOCK
    blocks = np.arange(first, (start + count + BLOCK - 1) // BLOCK, dtype=np.uint64)
    words = _mix(blocks | np.uint64(SYNC << 40 | stream << 28))
    bits: Bits = np.unpackbits(words.astype(">u8").view(np.uint8))
    return bits[start - first * BLOCK :][:count]


def _first_word(bits: Bits) -> tuple[int, int, int] | None:
    """Offset, block number and stream of the first valid word."""
    count = len(bits) - BLOCK + 1
    if count <= 0:
        return None
    windows = bits.astype(np.uint64)
    for width in (1, 2, 4, 8, 16, 32):
        windows = windows[:-width] << np.uint64(width) | windows[width:]
    words = _unmix(windows)
    valid = np.flatnonzero(words >> np.uint64(40) == SYNC)
    if not len(valid):
        return None
    word = int(words[valid[0]])
    return int(valid[0]), word & (BLOCKS - 1), (word >> 28) & (STREAMS - 1)


def _mix(words: Words) -> Words:
    words = (words ^ words >> np.uint64(30)) * np.uint64(_FACTORS[0])
    words = (words ^ words >> np.uint64(27)) * np.uint64(_FACTORS[1])
    return words ^ words >> np.uint64(31)


def _unmix(words: Words) -> Words:
    words = (words ^ words >> np.uint64(31) ^ words >> np.uint64(62)) * np.uint64(_INVERSES[1])
    words = (words ^ words >> np.uint64(27) ^ words >> np.uint64(54)) * np.uint64(_INVERSES[0])
    unmixed: Words = words ^ words >> np.uint64(30) ^ words >> np.uint64(60)
    return unmixed
