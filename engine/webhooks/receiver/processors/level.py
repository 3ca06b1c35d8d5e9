"""How loud it is."""

from collections.abc import Mapping

import numpy as np

from engine.webhooks.receiver.processors.ports import Piece, Result

__all__ = ["FLOOR_DB", "Level", "decibels"]

FULL_SCALE = 32768.0
FLOOR_DB = -120.0
"""What silence is said to have; a 16-bit sample's last bit is at -90."""


def decibels(ratio: float) -> float:
    """An amplitude over full scale in dBFS, to a tenth."""
    return round(max(FLOOR_DB, 20 * float(np.log10(max(ratio, 1e-12)))), 1)


class Level:
    """`rms_dbfs` and `peak_dbfs`, and how many samples are at full scale (`clipped`)."""

    def process(self, piece: Piece, earlier: Mapping[str, Result]) -> Result | None:
        """See `Processor`."""
        if not piece.samples.size:
            return None
        samples = piece.samples.astype(np.float64)
        return {
            "rms_dbfs": decibels(float(np.sqrt(np.mean(samples**2))) / FULL_SCALE),
            "peak_dbfs": decibels(float(np.max(np.abs(samples))) / FULL_SCALE),
            "clipped": int(np.count_nonzero((piece.samples == 32767) | (piece.samples == -32768))),
        }
