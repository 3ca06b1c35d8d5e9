"""One session that is heard: what its endpoints' chunks have got, on its way from the tap to the disk and the queue.

Operations: `want` says who is to hear it, `go_on` hears until the next cut; `mark` has it known how far that is.
Invariants: audio is on the disk once, however many hear it and wherever their chunks end: whenever one is whole, all
that was heard is written, and each chunk knows its part.
Bounded: by `PIECE`, and by the tap. Cancellation: what was not cut the next process counts, by the marks.
"""

from collections.abc import Sequence

import trio

from engine.listen.mixing import Mixed
from engine.listen.tap import Run, Tap
from engine.stt.vendor import SAMPLE_RATE
from engine.webhooks.chunks import Chunk
from engine.webhooks.cutting import Cutting
from engine.webhooks.marks import Left, Mark, Marks
from engine.webhooks.ports import Endpoint

__all__ = ["PIECE", "Hearing"]

PIECE = 5 * SAMPLE_RATE
"""Samples of a session that are written to the disk at once, at most."""
FELL_BEHIND = "this server fell behind, and the audio was not kept (webhook.audio_behind)"


class Hearing:
    """The chunks of one session. Reads at most `most` samples at once."""

    def __init__(self, session_id: str, tap: Tap | Mixed, cutting: Cutting, marks: Marks, most: int) -> None:
        self._id = session_id
        self._tap = tap
        self._cutting = cutting
        self._marks = marks
        self._most = most
        self._chunks: dict[str, tuple[Chunk, Mark]] = {}
        self._pieces: list[bytes] = []
        self._held = 0

    @property
    def at_a_cut(self) -> bool:
        """Whether a chunk begins here."""
        return any(not chunk.samples for chunk, _ in self._chunks.values())

    def want(self, endpoints: dict[str, Endpoint]) -> None:
        """These want to hear it from now on; who does no longer has no more of it, what was begun is dropped."""
        for name in self._chunks.keys() - endpoints.keys():
            _, mark = self._chunks.pop(name)
            mark.close()
        for name, endpoint in endpoints.items():
            if name not in self._chunks:
                mark = self._marks.open(endpoint.uid, name, self._id)
                self._chunks[name] = Chunk(endpoint, self._tap.position), mark
            elif not self._chunks[name][0].samples:
                self._chunks[name][0].next(endpoint, self._tap.position)

    def mark(self) -> None:
        """Have it known how much is cut, and how much is heard."""
        heard = self._tap.position + self._tap.behind
        for chunk, mark in self._chunks.values():
            mark.set(cut=chunk.position, heard=heard)

    async def go_on(self) -> bool:
        """Hear until the next cut, or as much as is written at once; False when all is heard, or nobody wants more."""
        if not self._chunks:
            return False
        chunks = [chunk for chunk, _ in self._chunks.values()]
        wanted = min(self._most, PIECE - self._held, *(chunk.missing for chunk in chunks))
        run = await self._tap.read(wanted)
        over = run.samples < wanted
        if run.lost:
            await self._lose(chunks, run)
        if run.samples:
            self._pieces.append(run.pcm)
            self._held += run.samples
            for chunk in chunks:
                chunk.add(run)
        self.mark()
        whole = [chunk for chunk in chunks if chunk.samples and (over or not chunk.missing)]
        if whole or self._held >= PIECE:
            await self._keep(chunks, whole, run.position + run.samples)
            self.mark()
        if over:
            for _, mark in self._chunks.values():
                mark.close()
        return not over

    async def _lose(self, chunks: Sequence[Chunk], run: Run) -> None:
        """What was not read in time before `run` to each one's log."""
        for chunk in chunks:
            left = Left(
                uid=chunk.endpoint.uid,
                endpoint=chunk.endpoint.name,
                session=self._id,
                cut=run.position - run.lost,
                heard=run.position,
            )
            await self._cutting.lose(left, FELL_BEHIND)

    async def _keep(self, chunks: Sequence[Chunk], whole: Sequence[Chunk], heard: int) -> None:
        """What is held to the disk, the chunks that are `whole` to the queue; others begin where `heard` ends."""
        pieces, self._pieces, self._held = self._pieces, [], 0
        if pieces and not await self._cutting.write(chunks, self._id, pieces):
            for chunk in chunks:
                chunk.next(chunk.endpoint, heard)
            return
        if len(whole) == 1:
            await self._cut(whole[0], heard)
        else:
            async with trio.open_nursery() as nursery:
                for chunk in whole:
                    nursery.start_soon(self._cut, chunk, heard)

    async def _cut(self, chunk: Chunk, heard: int) -> None:
        await self._cutting.cut(chunk, self._id)
        chunk.next(chunk.endpoint, heard)
