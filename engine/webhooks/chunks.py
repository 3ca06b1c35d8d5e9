"""Cutting a stream of samples into one endpoint's chunks: where each begins, what it has, where that is.

Operations: `add` runs that are not longer than what is `missing`; `written` once what was added is on the disk; `next`
when a chunk is cut or given up.
Invariants: chunks follow each other without a gap but those that runs have; all have `length` samples, unless cut
before. The audio itself is its session's, and on the disk once for all endpoints; a chunk knows its part of that.
"""

import msgspec

from engine.listen.tap import Run
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.ports import Endpoint
from engine.webhooks.spooled import Place

__all__ = ["BYTES_PER_SAMPLE", "Chunk"]

BYTES_PER_SAMPLE = 2


class Chunk:
    """The chunk of one endpoint that is being heard."""

    def __init__(self, endpoint: Endpoint, position: int) -> None:
        """The first begins with sample `position` of the session."""
        self._begin(endpoint, position)

    def _begin(self, endpoint: Endpoint, position: int) -> None:
        self.endpoint = endpoint
        self.position = position
        self.length = endpoint.seconds * SAMPLE_RATE
        self.samples = 0
        self.places: list[Place] = []
        """Where it is, so far as it is written."""
        self._unwritten = 0

    @property
    def missing(self) -> int:
        """Samples until it is whole."""
        return self.length - self.samples

    def add(self, run: Run) -> None:
        """It goes on with `run`. One that has nothing yet begins where the run does."""
        if not self.samples:
            self.position = run.position
        self.samples += run.samples
        self._unwritten += run.samples

    def written(self, place: Place) -> None:
        """All that was added is on the disk, at the end of `place`."""
        size = self._unwritten * BYTES_PER_SAMPLE
        if size:
            offset = place.offset + place.size - size
            self.places.append(msgspec.structs.replace(place, offset=offset, size=size))
        self._unwritten = 0

    def next(self, endpoint: Endpoint, position: int) -> None:
        """Another begins, at sample `position`; what the endpoint's owner has set meanwhile holds for it."""
        self._begin(endpoint, position)
