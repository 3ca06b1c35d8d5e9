"""The energy gate: "maybe speech" or not, for a fraction of what a voice detector costs.

Operations: `process` with what was heard; `statistics`. It may say yes to what is no speech, and must not
say no to speech: the audio in tests/audio is checked against Silero. How it decides is in
native/src/gate.h. A hop is loud when its level is above `QUIET` and `RATIO` times the noise floor; each
loud hop keeps the gate open for the hangover. A new gate, which knows no floor yet, says yes to all that is
above `QUIET` for one window.
Bounded: 100 bytes of state. Cost: see `python -m bench.ring`.
Known doubts: speech less than 5 dB above steady noise is held to be noise. Noise that grows louder is
"maybe speech" until the floor has followed, one to two windows later.
"""

from typing import Any

import msgspec

from engine._native import ffi, lib

__all__ = ["EnergyGate", "GateStatistics"]

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 1.5
HANGOVER_SECONDS = 0.3
QUIET = 9
"""Mean square of the samples at or below which a hop is silence: 3 steps of 32768 (-81 dBFS)."""
RATIO = 3.0
"""A hop is loud above this many times the floor's level: 4.8 dB."""


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

    def statistics(self) -> GateStatistics:
        """Counts since the stream began."""
        return GateStatistics(self._gate.hops, self._gate.open_total)
