"""Features of the voice: energy, pitch, speaking rate. Features, not an emotion: what they mean is not known here.

Pitch is the lag of the highest peak of the autocorrelation, divided by that of the window (P. Boersma, "Accurate
short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound", 1993). The rate
counts syllables as voiced peaks of the intensity that rise 2 dB out of their surroundings (N. H. de Jong, T. Wempe,
"Praat script to detect syllable nuclei and measure speech rate automatically", 2009).
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.webhooks.receiver.processors.level import FULL_SCALE, decibels
from engine.webhooks.receiver.processors.ports import SAMPLE_RATE, Piece, Result

__all__ = ["Tone", "Voicing", "syllables", "voicing"]

WINDOW = 640
"""Samples (40 ms): two and a half periods of the lowest voice."""
HOP = 160
LOWEST_HZ, HIGHEST_HZ = 65.0, 400.0
VOICED = 0.5
"""Least height of the peak, of 1 for a voice without noise."""
QUIET_DB = 25.0
"""Windows so far below the loudest are no voice."""
DIP_DB = 2.0
"""By which intensity falls between two syllables."""
SMOOTHING = 5
"""Windows over which intensity is averaged."""

_HANN = np.hanning(WINDOW + 1)[:-1]
_FFT = 2048
_OF_WINDOW = np.fft.irfft(np.abs(np.fft.rfft(_HANN, _FFT)) ** 2)[: WINDOW // 2]


class Voicing(msgspec.Struct, frozen=True):
    """For each window of 40 ms, one every 10 ms: level (dBFS), pitch (Hz; NaN where there is none)."""

    level: NDArray[np.float64]
    pitch: NDArray[np.float64]


def voicing(samples: NDArray[np.int16]) -> Voicing:
    """Of audio at 16 kHz; empty when it is shorter than a window."""
    if samples.size < WINDOW:
        return Voicing(np.empty(0), np.empty(0))
    audio = samples.astype(np.float64) / FULL_SCALE
    windows = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP]
    windows = (windows - windows.mean(axis=1, keepdims=True)) * _HANN
    level = 10 * np.log10(np.maximum(np.mean(windows**2, axis=1), 1e-12))
    correlation = np.fft.irfft(np.abs(np.fft.rfft(windows, _FFT, axis=1)) ** 2, axis=1)[:, : WINDOW // 2]
    height = correlation / np.maximum(correlation[:, :1], 1e-12) / (_OF_WINDOW / _OF_WINDOW[0])
    first, last = int(SAMPLE_RATE / HIGHEST_HZ), int(SAMPLE_RATE / LOWEST_HZ) + 1
    inside = height[:, first:last]
    lag = np.argmax(inside, axis=1)
    voiced = (inside[np.arange(len(lag)), lag] >= VOICED) & (level > level.max() - QUIET_DB)
    return Voicing(level, np.where(voiced, SAMPLE_RATE / (lag + first), np.nan))


def syllables(found: Voicing) -> int:
    """Voiced peaks of the intensity."""
    if found.level.size < SMOOTHING:
        return 0
    level = np.convolve(found.level, np.ones(SMOOTHING) / SMOOTHING, "same")
    voiced = ~np.isnan(found.pitch)
    threshold = float(np.median(level))
    count, lowest, peak, peak_voiced = 0, float(level[0]), -np.inf, False

    def is_syllable() -> bool:
        return peak_voiced and peak >= threshold and peak - lowest >= DIP_DB

    for now, has_voice in zip(level.tolist(), voiced.tolist(), strict=True):
        if now > peak:
            peak, peak_voiced = now, has_voice
        if peak - now >= DIP_DB:  # it was a peak, if it had risen enough
            count += is_syllable()
            lowest, peak, peak_voiced = now, now, False
        lowest = min(lowest, now)
    return count + is_syllable()


class Tone:
    """`energy_dbfs`, `pitch_hz` with its spread, `syllables_per_second` of speech, or of voice without `vad` before."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        """See `Processor`."""
        if piece.samples.size < WINDOW:
            return None
        found = voicing(piece.samples)
        pitch = found.pitch[~np.isnan(found.pitch)]
        voiced_seconds = pitch.size * HOP / SAMPLE_RATE
        speech = earlier.get("vad", {}).get("speech_seconds", voiced_seconds)
        count = syllables(found)
        rms = float(np.sqrt(np.mean(piece.samples.astype(np.float64) ** 2)))
        result: dict[str, Any] = {
            "kind": "features",
            "energy_dbfs": decibels(rms / FULL_SCALE),
            "voiced_seconds": round(voiced_seconds, 2),
            "syllables": count,
            "syllables_per_second": round(count / speech, 2) if speech > 0 else None,
            "pitch_hz": None,
        }
        if pitch.size:
            low, middle, high = (round(float(value), 1) for value in np.percentile(pitch, (10, 50, 90)))
            result |= {"pitch_hz": middle, "pitch_low_hz": low, "pitch_high_hz": high}
        return result
