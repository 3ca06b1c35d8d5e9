"""From words to segments: the session's timeline, and the rules by which text becomes a transcript.

Pure functions over frozen values: no I/O. Everyone above `audio` and `wire` may import from here.
"""

from engine.transcript.merge import Merged, merge, words_to_segments
from engine.transcript.timeline import (
    OffsetStatistics,
    OffsetTable,
    resumed_offset,
    samples_to_seconds,
    seconds_to_samples,
)
from engine.transcript.words import Word

__all__ = [
    "Merged",
    "OffsetStatistics",
    "OffsetTable",
    "Word",
    "merge",
    "resumed_offset",
    "samples_to_seconds",
    "seconds_to_samples",
    "words_to_segments",
]
