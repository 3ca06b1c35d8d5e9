"""A session's audio as WAV files: one for each request, or one after the other for the whole session.

Operations: a `Consumer`.
Invariants: the files of a session, one after the other, are its samples: with save = session all of them, silence
for gaps among them; with save = request those of each request. No two files have one name: it holds the session's id.
Before a piece is written, its request is marked with where it will be: whenever the process dies, it is there once (of
one that goes over the end of a file, the beginning may be there twice).
Bounded: a piece in memory beside the feed; files by `file_minutes`, or by `request_limit`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.moments import SECOND, instant
from engine.store.received_records import AUDIO, RESULTS, ReceivedFileRow, results_id
from engine.store.received_spool import Part
from engine.webhooks.receiver.accepted import places_mark
from engine.webhooks.receiver.archive import Archive
from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE
from engine.webhooks.receiver.feed import Feed, Piece
from engine.webhooks.receiver.joining import Audio, Began
from engine.webhooks.receiver.ports import Clock

__all__ = ["Layout", "SavedAudio"]

log = get_logger(__name__)

Cut: TypeAlias = tuple[int, bytes]
"""A position in the session, and PCM."""
SILENT_SECONDS = 1
"""Silence is written in pieces of this length."""


class Layout:
    """Which file a sample of a session is in, and what that is called."""

    def __init__(self, settings: Settings, now: Clock) -> None:
        self.by_request = settings.save != "session"
        self._file_seconds = settings.file_minutes * 60
        self._now = now

    def part_samples(self, session: Began) -> int:
        """Samples in a file, with save = session."""
        return max(1, round(self._file_seconds * session.sample_rate))

    def begins(self, session: Began, position: int) -> int:
        """Where the file begins that sample `position` is in, which with save = request begins there."""
        return (
            position
            if self.by_request
            else position // self.part_samples(session) * self.part_samples(session)
        )

    def id(self, session: Began, position: int) -> str:
        """Of the audio file that begins at `position`."""
        return f"{session.id}-{position:012d}"

    def row(
        self, session: Began, position: int, kind: str, delivery_id: str | None = None
    ) -> ReceivedFileRow:
        """Of the file that begins at `position`."""
        id = self.id(session, position)
        heard = session.began_at + round(position / session.sample_rate * SECOND)
        stamp = instant(heard).strftime("%Y%m%dT%H%M%S.%fZ")
        ending = "wav" if kind == AUDIO else "jsonl"
        return ReceivedFileRow(
            uid=session.uid,
            id=id if kind == AUDIO else results_id(id),
            kind=kind,
            name=f"received/{stamp}-{id}.{ending}",
            session_id=session.id,
            session_began_at=session.began_at,
            position=position,
            samples=0,
            sample_rate=session.sample_rate,
            size=0,
            delivery_id=delivery_id,
            created_at=self._now(),
        )


class Requests(Protocol):
    """Requests that are not dealt with; `engine.store.received_inbox` implements it."""

    async def mark(self, name: str, mark: str) -> None:
        """Raises OSError."""
        ...


class SavedAudio:
    """Writes the files."""

    name = "files"
    lossless = True

    def __init__(self, layout: Layout, archive: Archive, requests: Requests) -> None:
        self._layout = layout
        self._archive = archive
        self._requests = requests

    async def consume(self, session: Began, feed: Feed) -> None:
        """See `Consumer`."""
        if self._layout.by_request:
            async for piece in feed:
                if isinstance(piece, Audio):
                    row = self._layout.row(session, piece.position, AUDIO, piece.chunk.delivery_id)
                    part = await self._archive.begin(row)
                    await self._announce(piece, {row.id: len(piece.pcm)})
                    await self._archive.write(part, piece.pcm)
                    feed.settle()  # the part survives this process
                    await self._archive.finish(part)
        else:
            await self._continuous(session, feed)

    async def _continuous(self, session: Began, feed: Feed) -> None:
        part: Part | None = None
        try:
            async for piece in feed:
                cuts: Iterable[Cut] = _cut(piece, self._layout.part_samples(session), session.sample_rate)
                if isinstance(piece, Audio):
                    cuts = list(cuts)
                    await self._announce(piece, self._places(session, part, cuts))
                for position, pcm in cuts:
                    if part is None or position == self._layout.begins(session, position):
                        if part is not None:
                            await self._archive.finish(part)
                        part = await self._archive.begin(self._layout.row(session, position, AUDIO))
                    await self._archive.write(part, pcm)
            if part is not None:
                await self._archive.finish(part)
        finally:
            if part is not None:
                part.close()

    def _places(self, session: Began, part: Part | None, cuts: Iterable[Cut]) -> dict[str, int]:
        """The files that `cuts` go to, the first of them to `part`, and the size of each then."""
        id, sizes = (part.row.id, {part.row.id: part.size}) if part is not None else ("", {})
        for position, pcm in cuts:
            if not id or position == self._layout.begins(session, position):
                id = self._layout.id(session, position)
            sizes[id] = sizes.get(id, 0) + len(pcm)
        return sizes

    async def _announce(self, piece: Audio, places: Mapping[str, int]) -> None:
        if piece.chunk.kept is not None:
            try:
                await self._requests.mark(piece.chunk.kept, places_mark(self.name, places))
            except OSError as error:  # the worst that may follow is a piece twice
                log.warning("receiver.not_announced", error=str(error))


class SavedResults:
    """Lines about a session's audio, in a file beside each of its files."""

    def __init__(self, layout: Layout, archive: Archive, session: Began) -> None:
        self._layout = layout
        self._archive = archive
        self._session = session
        self._part: Part | None = None
        self._begins = -1

    async def add(self, position: int, lines: bytes) -> None:
        """Lines about audio that begins at `position`."""
        begins = self._layout.begins(self._session, position)
        if self._part is None or begins != self._begins:
            await self.finish()
            self._part = await self._archive.begin(self._layout.row(self._session, begins, RESULTS))
            self._begins = begins
        await self._archive.write(self._part, lines)
        if self._layout.by_request:
            await self.finish()

    async def finish(self) -> None:
        """Keep what is there."""
        part, self._part = self._part, None
        if part is not None:
            await self._archive.finish(part)

    def close(self) -> None:
        """Leave what is unfinished to who comes later."""
        if self._part is not None:
            self._part.close()


def _cut(piece: Piece, every: int, rate: int) -> Iterator[Cut]:
    """The piece in parts none of which goes over a multiple of `every` samples: position and PCM of each."""
    at, end = piece.position, piece.position + piece.samples
    while at < end:
        stop = min(end, (at // every + 1) * every)
        if isinstance(piece, Audio):
            first, last = (sample - piece.position for sample in (at, stop))
            yield at, piece.pcm[first * BYTES_PER_SAMPLE : last * BYTES_PER_SAMPLE]
        else:
            stop = min(stop, at + SILENT_SECONDS * rate)
            yield at, bytes((stop - at) * BYTES_PER_SAMPLE)
        at = stop
