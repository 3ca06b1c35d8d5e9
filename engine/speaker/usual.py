"""What makes a voice differ from others: its direction, seen from the mean of many people's.

Operations: `load` reads that mean; `apart` says how a voice differs from it.
All directions that the network gives have much in common, and speech that comes over a telephone more so. Seen from the
mean, which is of people heard as recorded and over a telephone (`python -m bench.voices.usual` makes it), pieces of two
voices have little in common, and those of one still have.
Threads: `load` blocks, once; `apart` is pure from then on.
"""

import io
from functools import cache

import numpy as np

from engine.speaker._ge2e import SIZE, Floats, read_checked

__all__ = ["apart", "load"]

USUAL = "usual.npy"
USUAL_SHA256 = "26598376cd356ed9581c415c16ed5da549ed9939ca9d38e531583931ca39f184"


@cache
def load() -> Floats:
    """The usual voice: shape (256,), shorter than 1. Reads a disk. Raises `WrongWeights`."""
    usual: Floats = np.load(io.BytesIO(read_checked(USUAL, USUAL_SHA256)), allow_pickle=False)
    assert usual.shape == (SIZE,)
    return usual


def apart(vector: Floats) -> Floats:
    """The unit vector from the usual voice to this one, both of shape (256,); zeros for the usual one itself."""
    away: Floats = vector - load()
    length = float(np.linalg.norm(away))
    direction: Floats = away / np.float32(length) if length > 0 else away
    return direction
