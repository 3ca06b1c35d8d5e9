"""One user's chunks, and the steps that they become.

Operations: `add` a chunk, `step` for what is next, or `first` and `taken` for chunks as they are; `finish` when no
chunk follows; `placed` waits until all chunks are where they are joined.
Invariants: a chunk counts as waiting until the step after the one with its audio is asked for, that is until whoever
asks has handed it on. After `finish` the open session ends once nothing waits.
Bounded by whoever adds: `bytes` is what waits.
"""

import math
from collections import deque
from collections.abc import Callable

import trio

from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.joining import Audio, Dropped, Joiner, Silence, Step

__all__ = ["Line"]


class Line:
    """A queue of chunks before a `Joiner`.

    `freed` is told of bytes that wait no more, `amiss` of what is not as it was sent.
    """

    def __init__(self, freed: Callable[[int], None], amiss: Callable[[Dropped | Silence], None]) -> None:
        self.bytes = 0
        self._here = False
        self._freed = freed
        self._amiss = amiss
        self._chunks: deque[Chunk] = deque()
        self._current: Chunk | None = None  # whose audio is being handed on
        self._steps: deque[Step] = deque()
        self._finished = False
        self._news = trio.Event()
        self._placed = trio.Event()

    def add(self, chunk: Chunk) -> None:
        """Behind the others."""
        self._chunks.append(chunk)
        self.bytes += len(chunk.pcm)
        self._news.set()

    def finish(self) -> None:
        """No chunk follows."""
        self._finished = True
        self._news.set()

    @property
    def waits(self) -> bool:
        """Whether a chunk waits."""
        return bool(self._chunks)

    def first(self) -> Chunk | None:
        """The chunk that waited longest, which stays until it is `taken`; None when none waits."""
        return self._chunks[0] if self._chunks else None

    def taken(self) -> None:
        """The one that `first` gave is dealt with, without becoming steps."""
        self._free(self._pop())

    def is_joined(self, here: bool) -> None:
        """Whether what waits is joined here, or has to be brought elsewhere first."""
        self._here = here
        self._note_placed()

    async def placed(self) -> None:
        """Wait until all that waits is where it is joined."""
        while self._chunks and not self._here:
            await self._placed.wait()

    async def step(self, joiner: Joiner) -> Step | None:
        """The next one, as soon as there is one; None when nothing waits and no session is open."""
        while True:
            step = self._next(joiner)
            if isinstance(step, Dropped | Silence):
                self._amiss(step)
            if isinstance(step, Dropped):
                continue
            if step is not None:
                return step
            if joiner.due is None and not self._chunks:
                return None
            if not self._chunks:
                await self._wait(joiner)

    def _next(self, joiner: Joiner) -> Step | None:
        if self._current is not None:
            self._free(self._current)
            self._current = None
        if not self._steps:
            if self._chunks:
                self._steps.extend(joiner.take(self._pop()))
            elif self._finished:
                self._steps.extend(joiner.end("the server is going away"))
        if not self._steps:
            return None
        step = self._steps.popleft()
        if isinstance(step, Audio) or (isinstance(step, Dropped) and step.whole):
            self._current = step.chunk
        return step

    def _pop(self) -> Chunk:
        chunk = self._chunks.popleft()
        self._note_placed()
        return chunk

    def _note_placed(self) -> None:
        self._placed.set()
        self._placed = trio.Event()

    def _free(self, chunk: Chunk) -> None:
        self.bytes -= len(chunk.pcm)
        self._freed(len(chunk.pcm))

    async def _wait(self, joiner: Joiner) -> None:
        """For a chunk, or for what time brings."""
        self._news = trio.Event()
        due = joiner.due
        with trio.move_on_at(math.inf if due is None else due) as limit:
            await self._news.wait()
        if limit.cancelled_caught and not self._chunks:
            self._steps.extend(joiner.pass_time(trio.current_time()))
