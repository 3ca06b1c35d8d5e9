"""Requests with pieces of audio become sessions without gaps. No I/O: chunks go in, steps come out.

A sender that says where a piece begins (`Chunk.position`) is taken at its word. Of others all that is known is when a
piece arrived: it was heard no later than that, so what lies between the end of the piece before and the arrival, less
the piece's own length, was not sent. Deliveries are late now and then, so up to `jitter` of that counts as nothing.

Operations: `take` a chunk, `end` the session; `due` is when it ends by itself.
Invariants: the steps of one session are `Began`, then audio and silence that follow each other without a gap, then
`Ended`. Every sample taken is in exactly one `Audio`, or in a `Dropped`. However audio without gaps is cut into
chunks, the samples that come out are the same.
Bounded: by the chunk taken, and `REMEMBERED` delivery ids.
Known doubts: without positions a pause shorter than `jitter` is not seen, and a chunk that overtakes another stays
where it arrived. With positions the one that was overtaken finds silence in its place and is dropped, and counted: it
is not waited for.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import msgspec

from engine.moments import SECOND
from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE, Chunk

__all__ = ["Audio", "Began", "Dropped", "Ended", "Joiner", "Silence", "Step"]

REMEMBERED = 1024
"""Delivery ids of one user that are known again."""


class Began(msgspec.Struct, frozen=True, kw_only=True):
    """A session: its audio follows. `began_at`: when its first sample was heard, in µs since the epoch.

    `interval`: how many seconds of audio come at once.
    """

    id: str
    uid: str
    sample_rate: int
    began_at: int
    interval: float


class Audio(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Samples, the first of which is number `position` of the session."""

    position: int
    pcm: bytes
    delivery_id: str | None = None

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.pcm) // BYTES_PER_SAMPLE


class Silence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many samples were not sent."""

    position: int
    samples: int


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """These were received before, or come too late for their place."""

    reason: Literal["duplicate", "late"]
    samples: int


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The session is over."""

    samples: int
    reason: str


Step: TypeAlias = Began | Audio | Silence | Dropped | Ended


class Joiner:
    """The sessions of one user, one after the other. `gap` and `jitter` in seconds; `new_id` names sessions.

    `known`: ids of deliveries that were taken earlier, the latest last.
    """

    def __init__(
        self, *, gap: float, jitter: float, new_id: Callable[[], str], known: Iterable[str] = ()
    ) -> None:
        self._gap = gap
        self._jitter = jitter
        self._new_id = new_id
        self._known: OrderedDict[str, None] = OrderedDict.fromkeys(known)
        self._began: Began | None = None
        self._theirs: str | None = None
        self._origin = 0
        self._samples = 0
        self._heard_until = 0.0
        self._longest = 0.0

    @property
    def due(self) -> float | None:
        """When the session ends if nothing comes (Trio's clock): a chunk that came later would end it, too."""
        if self._began is None:
            return None
        return self._heard_until + self._gap + self._longest

    def take(self, chunk: Chunk) -> list[Step]:
        """What the chunk adds."""
        if not chunk.samples:
            return []
        if self._is_known(chunk.delivery_id):
            return [Dropped(reason="duplicate", samples=chunk.samples)]
        steps: list[Step] = []
        if self._began is not None and (reason := self._is_another(chunk)) is not None:
            steps += self.end(reason)
        gap = 0 if self._began is None else self._samples_missing(chunk)
        if gap > self._gap * chunk.sample_rate:
            steps += self.end("gap")
        if self._began is None:
            steps.append(self._begin(chunk))
        elif gap > 0:
            steps.append(Silence(position=self._samples, samples=gap))
            self._samples += gap
        steps += self._add(chunk, max(0, -gap))
        return steps

    def end(self, reason: str) -> list[Step]:
        """The session is over, if there is one."""
        if self._began is None:
            return []
        self._began = None
        return [Ended(samples=self._samples, reason=reason)]

    def _is_known(self, delivery_id: str | None) -> bool:
        if delivery_id is None:
            return False
        if delivery_id in self._known:
            return True
        self._known[delivery_id] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return False

    def _is_another(self, chunk: Chunk) -> str | None:
        """Why the chunk cannot be of the session there is."""
        assert self._began is not None
        if chunk.sample_rate != self._began.sample_rate:
            return "sample rate"
        return "sender's session" if chunk.session != self._theirs else None

    def _begin(self, chunk: Chunk) -> Began:
        heard_at = chunk.received_at - round(chunk.seconds * SECOND)
        began = Began(
            id=self._new_id(),
            uid=chunk.uid,
            sample_rate=chunk.sample_rate,
            began_at=max(0, heard_at),
            interval=chunk.seconds,
        )
        self._began = began
        self._theirs = chunk.session
        self._origin = chunk.position or 0
        self._samples = 0
        self._heard_until = chunk.arrived - chunk.seconds
        self._longest = 0.0
        return began

    def _samples_missing(self, chunk: Chunk) -> int:
        """Samples between the session's end and the chunk's beginning; less than 0 when they overlap."""
        if chunk.position is not None:
            return chunk.position - self._origin - self._samples
        seconds = chunk.arrived - chunk.seconds - self._heard_until
        return round(seconds * chunk.sample_rate) if seconds > self._jitter else 0

    def _add(self, chunk: Chunk, overlap: int) -> list[Step]:
        steps: list[Step] = []
        self._longest = max(self._longest, chunk.seconds)
        self._heard_until = max(self._heard_until + chunk.seconds, chunk.arrived)
        if overlap:
            steps.append(Dropped(reason="late", samples=min(overlap, chunk.samples)))
        if overlap < chunk.samples:
            pcm = chunk.pcm[overlap * BYTES_PER_SAMPLE :]
            audio = Audio(position=self._samples, pcm=pcm, delivery_id=chunk.delivery_id)
            self._samples += audio.samples
            steps.append(audio)
        return steps
