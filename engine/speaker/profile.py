"""A recording with which somebody enrols: whether it will do, and the speech that is in it. Pure functions.

Who is refused is told what to record again, in words for people.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.speaker.embedding import Floats
from engine.transcript.timeline import SAMPLE_RATE

__all__ = [
    "LEAST_SPEECH",
    "LONGEST",
    "SHORTEST",
    "WINDOW",
    "BadProfile",
    "check_length",
    "check_one_voice",
    "speech_of",
]

Samples = NDArray[np.int16]

SHORTEST, LONGEST = 5.0, 120.0
"""Seconds."""

LEAST_SPEECH = 3.0
"""Seconds of speech in it."""

WINDOW = 512
"""Samples of one judgement of voice activity (32 ms)."""

SPEECH = 0.5
"""Probability from which a window is speech."""

JOIN = SAMPLE_RATE // 2
"""Pauses up to this many samples stay as they are."""

CLIPPED = 0.01
"""Share of samples at the limit from which a recording is distorted."""

QUIETEST_DBFS = -55.0
"""Of the speech; below it the noise of the microphone is as loud."""

ONE_VOICE = 0.6
"""Least similarity of a 1.6 s window of one voice to the whole (`python -m bench speaker` prints what it is)."""

STRANGERS = 0.2
"""Share of windows below `ONE_VOICE` from which there is more than one voice."""


class BadProfile(ValueError):
    """The recording will not do; says why, and what to record."""


def check_length(samples: int) -> None:
    """Raises `BadProfile` unless it is `SHORTEST` to `LONGEST` seconds long."""
    seconds = samples / SAMPLE_RATE
    if not SHORTEST <= seconds <= LONGEST:
        raise BadProfile(
            f"{seconds:.1f} s long, {SHORTEST:g} to {LONGEST:g} s accepted: read a few sentences aloud, "
            "about half a minute"
        )


def speech_of(pcm: Samples, probabilities: Sequence[float]) -> Samples:
    """The speech in `pcm`, short pauses with it; `probabilities` of each `WINDOW` samples. Raises `BadProfile`."""
    spans = _spans(probabilities)
    kept = [pcm[start:end] for start, end in spans]
    speech: Samples = np.concatenate(kept) if kept else np.empty(0, np.int16)
    seconds = sum(probability >= SPEECH for probability in probabilities) * WINDOW / SAMPLE_RATE
    if seconds < LEAST_SPEECH:
        raise BadProfile(
            f"only {seconds:.1f} s of it are speech, at least {LEAST_SPEECH:g} s are needed: "
            "speak close to the microphone, without long pauses"
        )
    if np.mean(np.abs(speech.astype(np.int32)) >= 32_700) > CLIPPED:
        raise BadProfile("it is distorted (too loud for the microphone): move away from it, or speak lower")
    level = 10 * np.log10(np.mean(np.square(speech.astype(np.float64))) / 2**30 + 1e-12)
    if level < QUIETEST_DBFS:
        raise BadProfile(
            f"the speech is too quiet ({level:.0f} dBFS, at least {QUIETEST_DBFS:g} are needed): "
            "speak louder, or closer to the microphone"
        )
    return speech


def check_one_voice(windows: Floats, whole: Floats) -> None:
    """Raises `BadProfile` when many windows (unit vectors) are unlike the recording as a whole."""
    if len(windows) and np.mean(windows @ whole < ONE_VOICE) > STRANGERS:
        raise BadProfile("more than one voice is heard in it: record yourself alone, in a quiet place")


def _spans(probabilities: Sequence[float]) -> list[tuple[int, int]]:
    """From sample to sample, where there is speech, across pauses of up to `JOIN`."""
    spans: list[tuple[int, int]] = []
    for index, probability in enumerate(probabilities):
        if probability < SPEECH:
            continue
        start = index * WINDOW
        if spans and start - spans[-1][1] <= JOIN:
            spans[-1] = (spans[-1][0], start + WINDOW)
        else:
            spans.append((start, start + WINDOW))
    return spans
