"""What the voice in a piece sounds like, and which earlier pieces it is nearest to.

Vectors are numbers made of a person's body: they are made only for users who have enrolled their voice, or whom the
operator names (`receiver.voices_of`); they are kept with the audio, and erased with it. What is near in them may be
another person; nobody is named here.

One encoder serves all sessions. A piece of which `vad`, before this in the chain, hears no speech in has no vector.
Bounded: the latest `REMEMBERED` pieces of a session, 1 KiB each.
"""

import base64
import threading
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from engine.speaker.embedding import ENCODER, SIZE, Voice, VoiceEncoder
from engine.webhooks.receiver.processors.ports import SAMPLE_RATE, Piece, Result

__all__ = ["VoiceEmbedding"]

REMEMBERED = 2048
NEAREST = 3
LEAST_SECONDS = 1.6
"""The encoder hears windows of this length."""
LONGEST_SECONDS = 30
"""Of a longer piece the beginning is enough."""

LEFT_OUT = MappingProxyType(
    {"left_out": "the user has not enrolled their voice, and is not in receiver.voices_of"}
)


class _Encoder:
    """The encoder that all sessions share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoder: VoiceEncoder | None = None

    def load(self) -> VoiceEncoder:
        """Read the weights, once."""
        with self._lock:
            if self._encoder is None:
                self._encoder = VoiceEncoder.load()
            return self._encoder


_encoder = _Encoder()


class VoiceEmbedding:
    """`left_out`, for users whose voice is not to be measured; for others:

    `vector`: base64 of 256 little-endian float32, of length 1. `nearest`: earlier pieces of the session.

    Each of these has its `start`, in seconds since the session began, and its `similarity`, 1 for the same.
    """

    def __init__(self) -> None:
        self._model = _encoder.load()
        self._earlier: deque[tuple[float, Voice]] = deque(maxlen=REMEMBERED)

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        """See `Processor`."""
        if not piece.voice_allowed:
            return LEFT_OUT
        activity = earlier.get("vad")
        speech = piece.seconds if activity is None else activity["speech_seconds"]
        if piece.seconds < LEAST_SECONDS or speech < LEAST_SECONDS / 2:
            return None
        voice = self._model.voice(piece.samples[: LONGEST_SECONDS * SAMPLE_RATE])
        nearest = self._nearest(voice)
        self._earlier.append((piece.start, voice))
        return {
            "encoder": ENCODER,
            "size": SIZE,
            "vector": base64.b64encode(voice.vector.astype("<f4").tobytes()).decode(),
            "nearest": nearest,
        }

    def _nearest(self, voice: Voice) -> list[Result]:
        if not self._earlier:
            return []
        similarities = np.stack([one.vector for _, one in self._earlier]) @ voice.vector
        best = np.argsort(-similarities)[:NEAREST]
        return [
            {
                "start": round(self._earlier[place][0], 3),
                "similarity": round(float(similarities[place]), 4),
            }
            for place in map(int, best)
        ]
