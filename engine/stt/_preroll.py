"""A voice that is played to a vendor before a session's audio, so that it is known which of its speakers is whose.

Operations: `pieces` is what is sent; `on_event` takes what the vendor says of it; `heard_out` is set when it has
nothing more to say; `owner` is then who spoke.
Invariants: nothing the vendor says of the pre-roll reaches the session.
Bounded by the recording; of its words only how long each speaker spoke is kept.
"""

from collections import Counter
from collections.abc import Iterator

import trio

from engine.stt.vendor import SAMPLE_RATE, Final, SttEvent

PAUSE = SAMPLE_RATE
"""Samples of silence after it: the session's first word is not one utterance with its last."""


class PlayedVoice:
    """One stream's pre-roll; `pcm` is s16le mono 16 kHz."""

    def __init__(self, pcm: bytes) -> None:
        self.heard_out = trio.Event()
        self._pcm = pcm + bytes(2 * PAUSE)
        self._spoken: Counter[int] = Counter()

    def pieces(self, samples: int) -> Iterator[bytes]:
        """It, in pieces of so many samples."""
        for at in range(0, len(self._pcm), 2 * samples):
            yield self._pcm[at : at + 2 * samples]

    def on_event(self, event: SttEvent) -> None:
        """Instead of the session."""
        if isinstance(event, Final):
            for word in event.words:
                if word.speaker is not None:
                    self._spoken[word.speaker] += word.end - word.start
            if event.end * 2 >= len(self._pcm):
                self.heard_out.set()

    @property
    def owner(self) -> int | None:
        """The vendor's number of who spoke most of it."""
        return max(self._spoken, key=lambda speaker: self._spoken[speaker], default=None)
