"""What a voice sounds like, as a vector: the direction of a voice's embeddings hardly depends on what is said.

Operations: `VoiceEncoder.windows` cuts speech into the windows the network hears, `embed` runs windows of any number
of utterances in batches, `voice` averages one utterance's windows.
Equal to the Resemblyzer package's `embed_utterance` within 1e-4, for audio as that package's `normalize_volume` leaves
it (`tests/speaker/test_embedding.py`). Silence is not cut out here: whoever calls gives speech.
Threads: blocking, and nothing is kept between calls; run it off the loop.
Cost: see `engine.speaker._ge2e`. Bounded: `BATCH` windows at a time.
"""

from collections.abc import Iterator
from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from engine.audio.mel import FFT, HOP, filterbank
from engine.speaker import _ge2e, usual
from engine.speaker._ge2e import BANDS, FRAMES, SIZE, WrongWeights
from engine.transcript.timeline import SAMPLE_RATE

__all__ = [
    "ENCODER",
    "SIZE",
    "WINDOW",
    "Voice",
    "VoiceEncoder",
    "WrongWeights",
    "loudness_gain",
    "similarity",
]

Floats = NDArray[np.float32]

ENCODER = f"ge2e-{_ge2e.WEIGHTS_SHA256[:12]}"
"""Vectors of one encoder say nothing to another."""

WINDOW = FRAMES * HOP
"""Samples of a window: 1.6 s."""

RATE = 1.3
"""Windows a second, as the network's authors average an utterance."""

BATCH = 16
"""Windows that are run at once: more are not faster, and memory grows with them."""

LEAST_COVERAGE = 0.75
"""Share of the last window that must be audio, unless it is the only one."""

TARGET_DBFS = -30.0
"""Quieter audio is raised to this: the network hears power, not its logarithm."""


class Voice(msgspec.Struct, frozen=True):
    """One utterance's unit vector, float32 of shape (256,), and the seconds it was made from."""

    vector: Floats
    seconds: float


def similarity(a: Floats, b: Floats) -> float:
    """Cosine of two unit vectors, 0 … 1: embeddings have no negative numbers."""
    return float(a @ b)


def loudness_gain(audio: Floats) -> float:
    """What raises `audio` (-1 … 1) to `TARGET_DBFS`; 1 when it is louder already, or silent."""
    power = float(np.mean(np.square(audio, dtype=np.float64))) if len(audio) else 0.0
    if power <= 0.0:
        return 1.0
    return float(max(1.0, 10 ** (TARGET_DBFS / 20) / np.sqrt(power)))


class VoiceEncoder:
    """The network and what it hears."""

    def __init__(self, network: _ge2e.Network) -> None:
        self._network = network

    @classmethod
    def load(cls) -> "VoiceEncoder":
        """Read the weights and the usual voice, and run one window. Blocks. Raises `WrongWeights`.

        From then on NumPy multiplies matrices in the thread that asks for it, in this process: a pool of threads of
        its own takes ten times as long over products as small as these, spinning.
        """
        threadpool_limits(limits=1, user_api="blas")
        encoder = cls(_ge2e.load())
        encoder.embed(np.zeros((1, FRAMES, BANDS), np.float32))
        usual.load()
        return encoder

    def windows(self, pcm: NDArray[np.int16], rate: float = RATE) -> Floats:
        """Mel windows, shape (n, 160, 40), of one utterance of 16 kHz speech; at least one, padded with silence.

        `rate`: windows a second, 0.625 (end to end) to 100.
        """
        audio = pcm.astype(np.float32) * np.float32(1 / 32768)
        audio *= np.float32(loudness_gain(audio))
        starts = window_starts(len(audio), rate)
        needed = starts[-1] * HOP + WINDOW
        if needed > len(audio):
            audio = np.pad(audio, (0, needed - len(audio)))
        frames = mel_frames(audio)
        return np.stack([frames[start : start + FRAMES] for start in starts])

    def embed(self, windows: Floats) -> Floats:
        """Unit vectors, shape (n, 256), of windows, which need not be of one utterance."""
        if not len(windows):
            return np.empty((0, SIZE), np.float32)
        return np.concatenate([self._network.embed(batch) for batch in _batches(windows)])

    def voice(self, pcm: NDArray[np.int16], rate: float = RATE) -> Voice:
        """The voice of one utterance."""
        return Voice(mean_direction(self.embed(self.windows(pcm, rate))), len(pcm) / SAMPLE_RATE)


def _batches(windows: Floats) -> Iterator[Floats]:
    for start in range(0, len(windows), BATCH):
        yield windows[start : start + BATCH]


def mean_direction(vectors: Floats, weights: Floats | None = None) -> Floats:
    """The unit vector of the (weighted) mean; zeros for no direction at all."""
    mean = np.average(vectors, axis=0, weights=weights).astype(np.float32)
    length = float(np.linalg.norm(mean))
    direction: Floats = mean / np.float32(length) if length > 0 else mean
    return direction


def window_starts(samples: int, rate: float) -> list[int]:
    """First frames of the windows of an utterance of so many samples."""
    frames = -(-(samples + 1) // HOP)
    step = round(SAMPLE_RATE / rate / HOP)
    starts = list(range(0, max(1, frames - FRAMES + step + 1), step))
    if len(starts) > 1 and (samples - starts[-1] * HOP) / WINDOW < LEAST_COVERAGE:
        starts.pop()
    return starts


@cache
def _hann() -> Floats:
    window: Floats = np.hanning(FFT + 1)[:-1].astype(np.float32)
    return window


def mel_frames(audio: Floats) -> Floats:
    """Mel power, shape (1 + samples // 160, 40): frame i is centred on sample 160 i, beyond the ends is silence."""
    padded = np.pad(audio, FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    spectrum = np.fft.rfft(frames * _hann(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    mel: Floats = power @ filterbank(BANDS).T
    return mel
