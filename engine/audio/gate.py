"""The energy gate: "maybe speech" or not, for a fraction of what a voice detector costs.

Operations: `process` with what was heard; `statistics`. It may say yes to what is no speech, and must not
say no to speech: over tests/audio it misses nothing that Silero hears. How it decides is in
native/src/gate.h. A new gate, which knows no noise floor yet, says yes to all that is above `QUIET` for one
window.
Bounded: under 1 KB of state. Cost: see `python -m bench.ring`.
Known doubts: speech less than 4 dB above steady noise, in the band of vowels, is held to be noise. Noise that
grows louder is "maybe speech" until the floor has followed, one to two windows later.
"""

from typing import Any

import msgspec

from engine._native import ffi, lib

__all__ = ["EnergyGate", "GateStatistics"]

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 2.0
"""The noise floor is the lowest level of the last one to two windows."""
HANGOVER_SECONDS = 0.5
"""Carries the gate over stops and weak endings; no pause within a phrase is longer."""
QUIET = 4
"""Level at or below which a hop is silence: the mean square of noise of 2 steps out of 32768 (-84 dBFS)."""
RATIO = 2.5
"""A hop is loud above this many times the floor: 4 dB."""


class GateStatistics(msgspec.Struct, frozen=True):
    """Hops heard, and how many of them were "maybe speech"."""

    hops: int
    open_hops: int


class EnergyGate:
    """One stream's gate.

    `hop_samples`: 160 (10 ms) or 320 (20 ms) at 16 kHz; anything else is a `ValueError`.
    """

    def __init__(self, hop_samples: int = 320) -> None:
        if hop_samples not in (160, 320):
            raise ValueError(f"hop_samples: {hop_samples} is not 160 or 320")
        hops_per_second = SAMPLE_RATE / hop_samples
        self._gate = ffi.new("gate *")
        lib.gate_init(
            self._gate,
            hop_samples,
            round(WINDOW_SECONDS * hops_per_second),
            round(HANGOVER_SECONDS * hops_per_second),
            QUIET,
            round(RATIO * 100),
        )

    def process(self, pcm: Any) -> bool:
        """Hear a contiguous buffer of int16 samples, any number of them; whether any hop in them may be
        speech.

        A hop counts where it ends; when none ends in `pcm` the answer is the last one's.
        """
        data = ffi.from_buffer("int16_t[]", pcm)
        return bool(lib.gate_process(self._gate, data, len(data)))

    @property
    def native(self) -> Any:
        """The `gate *`, for native code that lets it hear in place of `process`; valid while this object is."""
        return self._gate

    def statistics(self) -> GateStatistics:
        """Counts since the stream began."""
        return GateStatistics(self._gate.hops, self._gate.open_total)
