"""Makes `usual.npy`, the mean of many people's voices; run once, by hand, when the voice encoder changes.

    python -m bench.voices.usual engine/speaker/usual.npy

Everybody on the calibration side (see `bench.voices.people`) but those of the telephone call by which speakers are
tested to be told apart, each as recorded and over a telephone line; everybody counts the same.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.voices.channels import AS_RECORDED, CHANNELS, TELEPHONE
from bench.voices.people import RATE, people
from engine.speaker import _ge2e
from engine.speaker.embedding import Floats, VoiceEncoder

__all__ = ["main"]

CALL = "line-"
"""How the names of the two of the telephone call begin."""
LONGEST = 30 * RATE
"""Samples of each that are heard."""


def main(arguments: Sequence[str]) -> int:
    """Write the file that is named, and say its digest. Blocks."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    file = Path(arguments[0])
    encoder = VoiceEncoder(_ge2e.load())  # not `VoiceEncoder.load`, which wants the file that is made here
    np.save(file, _usual(encoder), allow_pickle=False)
    print(f"USUAL_SHA256 = {hashlib.sha256(file.read_bytes()).hexdigest()!r}")
    return 0


def _usual(encoder: VoiceEncoder) -> Floats:
    heard = [
        encoder.voice(CHANNELS[channel](person.heard[:LONGEST])).vector
        for person in people()
        if person.side == "calibration" and not person.name.startswith(CALL)
        for channel in (AS_RECORDED, TELEPHONE)
    ]
    print(f"{len(heard)} voices")
    usual: Floats = np.mean(heard, axis=0).astype(np.float32)
    return usual


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
