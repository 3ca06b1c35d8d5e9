"""Where in a recording somebody speaks. For recordings that are there as a whole; sessions have `_silero`'s pool."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.audio.gate import EnergyGate
from engine.stt._silero import load_model
from engine.stt.endpoint import WINDOW
from engine.stt.vendor import VendorError

__all__ = ["speech_probabilities"]


def speech_probabilities(pcm: NDArray[np.int16]) -> Sequence[float]:
    """How likely each `WINDOW` samples (32 ms) of 16 kHz PCM are speech, 0 … 1; a rest is left out.

    Blocks: 4 ms per second of audio, 0.1 s to begin with. Without the extra `local` the energy gate judges, 0 or 1.
    """
    windows = pcm[: len(pcm) // WINDOW * WINDOW].reshape(-1, WINDOW)
    try:
        model = load_model()
    except VendorError:
        gate = EnergyGate()
        return [float(gate.process(np.ascontiguousarray(window))) for window in windows]
    scaled = windows.astype(np.float32) * np.float32(1 / 32768)
    return [float(model.process(window.data)) for window in scaled]
