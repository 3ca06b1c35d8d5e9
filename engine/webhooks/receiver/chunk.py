"""One request's audio."""

import msgspec

__all__ = ["BYTES_PER_SAMPLE", "Chunk"]

BYTES_PER_SAMPLE = 2


class Chunk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Signed 16-bit little-endian samples of one user, as they were posted.

    `received_at` is in µs since the epoch, `arrived` the same moment on Trio's clock. `delivery_id` is the same for
    every attempt of the sender's. A sender that knows says in which of its sessions the audio is, and at which
    `position` there it begins, in samples.

    `kept`: where it is on the disk, until it is dealt with; `done`: the consumers that had taken it when the process
    before this died, and `again`: that there was one.
    """

    uid: str
    sample_rate: int
    pcm: bytes
    received_at: int
    arrived: float
    delivery_id: str | None = None
    session: str | None = None
    position: int | None = None
    kept: str | None = None
    done: frozenset[str] = frozenset()
    again: bool = False

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples / self.sample_rate
