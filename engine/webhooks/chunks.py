"""Cutting a stream of samples into one endpoint's chunks: where each begins, what it has, what goes to the disk now.

Operations: `add` runs that are not longer than what is `missing`; `written` once what is held is on the disk; `next`
when a chunk is cut or given up.
Invariants: chunks follow each other without a gap but those that runs have; all have `length` samples, unless cut
before. Bounded: `held` is written by who owns it before it grows beyond `PIECE`.
"""

from engine.listen.tap import Run
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.ports import Endpoint
from engine.webhooks.spooled import Place

__all__ = ["PIECE", "Chunk"]

PIECE = 5 * SAMPLE_RATE
"""Samples that are written to the disk at once, at most."""


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
        self.pieces: list[bytes] = []
        self.held = 0
        self.places: list[Place] = []
        """Where its beginning is, once some of it was written."""

    @property
    def missing(self) -> int:
        """Samples until it is whole."""
        return self.length - self.samples

    @property
    def due(self) -> bool:
        """Whether so much is held that it is to be written."""
        return self.held >= PIECE or not self.missing

    def add(self, run: Run) -> None:
        """It goes on with `run`. One that has nothing yet begins where the run does."""
        if not self.samples:
            self.position = run.position
        self.pieces.append(run.pcm)
        self.samples += run.samples
        self.held += run.samples

    def written(self, place: Place) -> None:
        """What was held is there."""
        self.places.append(place)
        self.pieces, self.held = [], 0

    def next(self, endpoint: Endpoint, position: int) -> None:
        """Another begins, at sample `position`; what the endpoint's owner has set meanwhile holds for it."""
        self._begin(endpoint, position)
