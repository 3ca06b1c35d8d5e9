"""Requests with pieces of audio become sessions without gaps. No I/O: chunks go in, steps come out.

A sender that says where a piece begins (`Chunk.position`) is taken at its word, in whatever order its pieces come: one
that is ahead of its place is held for up to `jitter` until those before it have come; then what is missing is silence.
So is a piece of another of the sender's sessions, and the first piece there is unless it is the first of its session:
pieces before it may be on their way. What comes too late for its place is dropped, unless a process died with it: it
was answered then, and begins a session of its own. Of others all that is known is when a piece arrived: it was heard
no later than that, so what lies between the end of the piece before and the arrival, less the piece's own length, was
not sent. Deliveries are late now and then, so up to `jitter` of that counts as nothing.

Operations: `take` a chunk, `pass_time` when it is `due`, `end` the session.
Invariants: the steps of one session are `Began`, then audio and silence that follow each other without a gap, then
`Ended`. Each chunk with samples becomes one `Audio`, perhaps less its beginning, or is `Dropped` as a whole. However
audio without gaps is cut into chunks, the samples that come out are the same; with positions also in whatever order
and however often these come within `jitter`.
Bounded: `held_bytes` and the chunk taken, `REMEMBERED` delivery ids, the ends of `STREAMS` of the sender's sessions,
`SILENCES` gaps of the session.
Known doubts: without positions a pause shorter than `jitter` is not seen, and a chunk that overtakes another stays
where it arrived. A sender that has two sessions at the same time has them joined in turns of `jitter` each.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import msgspec

from engine.moments import SECOND
from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE, Chunk
from engine.webhooks.receiver.holding import Held, Stream, stream_of

__all__ = ["Audio", "Began", "Dropped", "Ended", "Joiner", "Silence", "Step"]

REMEMBERED = 1024
"""Delivery ids of one user that are known again."""
STREAMS = 16
SILENCES = 64


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
    """Samples, the first of which is number `position` of the session; from `chunk`, perhaps less its beginning."""

    position: int
    pcm: bytes
    chunk: Chunk

    @property
    def samples(self) -> int:
        """How many there are."""
        return len(self.pcm) // BYTES_PER_SAMPLE


class Silence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many samples were not sent."""

    position: int
    samples: int


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """So many of a chunk's samples, the first ones, were received before, or come too late for their place.

    The rest, if there is one, is in an `Audio`.
    """

    reason: Literal["duplicate", "late"]
    samples: int
    chunk: Chunk

    @property
    def whole(self) -> bool:
        """Whether nothing of the chunk is left."""
        return self.samples == self.chunk.samples


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The session is over."""

    samples: int
    reason: str


Step: TypeAlias = Began | Audio | Silence | Dropped | Ended


class Joiner:
    """The sessions of one user, one after the other. `gap` and `jitter` in seconds; `new_id` names sessions.

    `known`: ids of deliveries that were taken earlier, the latest last. At most `held_bytes` are held.
    """

    def __init__(
        self,
        *,
        gap: float,
        jitter: float,
        new_id: Callable[[], str],
        held_bytes: float,
        known: Iterable[str] = (),
    ) -> None:
        self._gap = gap
        self._jitter = jitter
        self._new_id = new_id
        self._held_bytes = held_bytes
        self._known: OrderedDict[str, None] = OrderedDict.fromkeys(known)
        self._held = Held()
        self._ends: OrderedDict[Stream, int] = OrderedDict()
        self._began: Began | None = None
        self._stream: Stream = (None, 0)
        self._origin = 0
        self._samples = 0
        self._silences: deque[tuple[int, int]] = deque(maxlen=SILENCES)
        self._heard_until = 0.0
        self._longest = 0.0

    @property
    def due(self) -> float | None:
        """When to `pass_time` if nothing comes before (Trio's clock); None: never."""
        if (oldest := self._held.oldest()) is not None:
            return oldest.arrived + self._jitter
        if self._began is None:
            return None
        return self._heard_until + self._gap + self._longest  # a chunk that came later would end it, too

    def take(self, chunk: Chunk) -> list[Step]:
        """What the chunk adds, with those that waited for it."""
        if not chunk.samples:
            return []
        if self._is_known(chunk):
            return [Dropped(reason="duplicate", samples=chunk.samples, chunk=chunk)]
        if chunk.position is None:
            return [*self._release_all(), *self._place(chunk)]
        self._held.add(chunk)
        steps = self._place_those_due()
        while self._held.cost > self._held_bytes and (oldest := self._held.oldest()) is not None:
            steps += self._release(stream_of(oldest))
        return steps

    def pass_time(self, now: float) -> list[Step]:
        """What time alone brings: who waited long enough is put where it belongs, the session ends."""
        steps: list[Step] = []
        while (oldest := self._held.oldest()) is not None and oldest.arrived + self._jitter <= now:
            steps += self._release(stream_of(oldest))
        if self._began is not None and self.due is not None and self.due <= now:
            steps += self._end("gap")
        return steps

    def end(self, reason: str) -> list[Step]:
        """Nothing follows: what is held is put where it belongs, and the session, if there is one, is over."""
        return [*self._release_all(), *self._end(reason)]

    def _is_known(self, chunk: Chunk) -> bool:
        id = chunk.delivery_id
        if id is None:
            return False
        if id in self._known:
            return not chunk.again  # one that a process died with may be known and not be taken by all
        self._known[id] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return False

    def _place_those_due(self) -> list[Step]:
        """Put all that follow what there is, or begin a session, where they belong."""
        steps: list[Step] = []
        while (stream := self._next_stream()) is not None:
            steps += self._place(self._held.pop(stream))
        return steps

    def _next_stream(self) -> Stream | None:
        """The stream whose next piece is held, if it need not wait for others."""
        if self._began is not None and self._stream[0] is not None:
            lowest = self._held.lowest(self._stream)
            return self._stream if lowest is not None and self._overlap(lowest) >= 0 else None
        for stream in self._held.streams():
            lowest = self._held.lowest(stream)
            assert lowest is not None
            if lowest.position == 0 or self._ends.get(stream, -1) >= (lowest.position or 0):
                return stream
        return None

    def _release(self, stream: Stream) -> list[Step]:
        """Put the lowest of a stream where it belongs, whatever is missing before it, and all that follow it."""
        return [*self._place(self._held.pop(stream)), *self._place_those_due()]

    def _release_all(self) -> list[Step]:
        steps: list[Step] = []
        while (oldest := self._held.oldest()) is not None:
            steps += self._release(stream_of(oldest))
        return steps

    def _place(self, chunk: Chunk) -> list[Step]:
        """The chunk where it belongs: behind what there is, after silence, or in a session of its own."""
        steps: list[Step] = []
        if self._began is not None and (reason := self._is_another(chunk)) is not None:
            steps += self._end(reason)
        overlap = self._overlap(chunk)
        if overlap < -self._gap * chunk.sample_rate:
            steps += self._end("gap")
            overlap = 0
        if overlap >= chunk.samples:
            dropped = self._dropped(chunk, chunk.samples)
            if dropped.reason == "duplicate" or not chunk.again:
                return [*steps, dropped]
            steps += self._end("left by another process")
            overlap = 0
        if self._began is None:
            steps.append(self._begin(chunk, max(0, overlap)))
        elif overlap < 0:
            self._silences.append((self._samples, self._samples - overlap))
            steps.append(Silence(position=self._samples, samples=-overlap))
            self._samples -= overlap
        return [*steps, *self._add(chunk, max(0, overlap))]

    def _is_another(self, chunk: Chunk) -> str | None:
        """Why the chunk cannot be of the session there is."""
        if chunk.sample_rate != self._stream[1]:
            return "sample rate"
        return "sender's session" if chunk.session != self._stream[0] else None

    def _overlap(self, chunk: Chunk) -> int:
        """How many of its samples had their turn; less than 0: how many are missing before it."""
        if chunk.position is not None:
            there = self._origin + self._samples if self._began else self._ends.get(stream_of(chunk))
            overlap = 0 if there is None else there - chunk.position
            return overlap if self._began else max(0, overlap)
        if self._began is None:
            return 0
        seconds = chunk.arrived - chunk.seconds - self._heard_until
        return -round(seconds * chunk.sample_rate) if seconds > self._jitter else 0

    def _begin(self, chunk: Chunk, overlap: int) -> Began:
        heard_at = chunk.received_at - round((chunk.samples - overlap) / chunk.sample_rate * SECOND)
        began = Began(
            id=self._new_id(),
            uid=chunk.uid,
            sample_rate=chunk.sample_rate,
            began_at=max(0, heard_at),
            interval=chunk.seconds,
        )
        self._began = began
        self._stream = stream_of(chunk)
        self._origin = (chunk.position or 0) + overlap
        self._samples = 0
        self._silences.clear()
        self._heard_until = chunk.arrived - chunk.seconds
        self._longest = 0.0
        return began

    def _add(self, chunk: Chunk, overlap: int) -> list[Step]:
        self._longest = max(self._longest, chunk.seconds)
        self._heard_until = max(self._heard_until + chunk.seconds, chunk.arrived)
        audio = Audio(position=self._samples, pcm=chunk.pcm[overlap * BYTES_PER_SAMPLE :], chunk=chunk)
        steps: list[Step] = [self._dropped(chunk, overlap)] if overlap else []
        self._samples += audio.samples
        return [*steps, audio]

    def _dropped(self, chunk: Chunk, samples: int) -> Dropped:
        """The first samples of a chunk, which are there already, or for which it is too late."""
        begin = (chunk.position or 0) - self._origin
        late = (
            self._began is None
            or begin < 0
            or any(begin < last and first < begin + samples for first, last in self._silences)
        )
        return Dropped(reason="late" if late else "duplicate", samples=samples, chunk=chunk)

    def _end(self, reason: str) -> list[Step]:
        if self._began is None:
            return []
        self._began = None
        if self._stream[0] is not None:
            end = self._origin + self._samples
            self._ends[self._stream] = max(end, self._ends.get(self._stream, 0))
            self._ends.move_to_end(self._stream)
            while len(self._ends) > STREAMS:
                self._ends.popitem(last=False)
        return [Ended(samples=self._samples, reason=reason)]
