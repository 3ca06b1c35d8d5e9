"""Audio that was accepted, until all who want it have it: on the disk before it is answered.

Operations: `keep` a chunk before it is answered; `taken` by a consumer, or `useless`, when nobody needs it; `claim` one
that another process brings; `left` by processes that died. `run` writes down who has taken what; `written` waits.
Invariants: a chunk that was answered is in the inbox until each consumer has taken it, and what was written of it is on
the disk itself: it survives the process, and after `flush_interval` the machine. After a death each consumer is given
what it had not taken. One that dies between taking a chunk and the note of it is given that chunk twice, unless it had
said where in the files it would be (`places_mark`), and it is there.
Bounded: by what waits (`engine.webhooks.receiver.intake`), and what consumers hold.
Cost: a file written for each request, a line for each consumer; every `flush_interval` what is new is brought to the
disk.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec
import trio

from engine._config_receiver import Receiver as Settings
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.consuming import Consumer

__all__ = ["Accepted", "Inbox", "KeptRequest", "Written", "places_mark", "places_of"]

log = get_logger(__name__)

BEFORE = ">"
FOUND = "found"
"""The mark of a chunk that its process died with."""
DEATHS = 3
"""After so many, only consumers that may miss nothing are given a chunk: one of the others may be what kills."""

_chunks: msgspec.msgpack.Decoder[Chunk] = msgspec.msgpack.Decoder(Chunk)


class KeptRequest(Protocol):
    """What is in a file."""

    @property
    def contents(self) -> bytes:
        """The request as it was kept."""
        ...

    @property
    def marks(self) -> Mapping[str, int]:
        """How far it is dealt with, by name of the mark."""
        ...


class Inbox(Protocol):
    """Where files are. All raise OSError; see `engine.store.received_inbox`."""

    async def keep(self, uid: str, contents: bytes) -> str:
        """Keep a request; what it is called from now on. Raises OSError: then it is not there."""
        ...

    async def mark(self, name: str, mark: str) -> None:
        """Set a mark; nothing happens when the request is gone. Raises OSError."""
        ...

    async def remove(self, name: str) -> None:
        """It is dealt with. Raises OSError."""
        ...

    async def claim(self, name: str) -> str | None:
        """Have it as one's own; its new name, None when it is gone or somebody else's. Raises OSError."""
        ...

    async def left(self) -> Sequence[str]:
        """Claim what dead processes left, the oldest first. Raises OSError."""
        ...

    async def read(self, name: str) -> KeptRequest | None:
        """What it is; None when it is gone, or was never whole (then it was never answered). Raises OSError."""
        ...

    async def flush(self) -> None:
        """Have what was kept so far on the disk itself. Raises OSError: then it is tried with the next."""
        ...


class Written(Protocol):
    """What consumers write to; `engine.webhooks.receiver.archive` implements it."""

    async def flush(self) -> None: ...
    async def has(self, uid: str, id: str, size: int) -> bool: ...


def places_mark(consumer: str, places: Mapping[str, int]) -> str:
    """Set on a request before a consumer writes it: the ids of the files, and the size of each when that is done."""
    return f"{consumer}{BEFORE}{msgspec.json.encode(places).decode()}"


def places_of(mark: str, consumer: str) -> dict[str, int]:
    """What `places_mark` made a mark of; nothing for other marks."""
    who, _, text = mark.partition(BEFORE)
    return msgspec.json.decode(text, type=dict[str, int]) if who == consumer and text else {}


class Accepted:
    """Of all users of one process."""

    def __init__(
        self,
        inbox: Inbox,
        consumers: Sequence[Consumer],
        settings: Settings,
        written: Written,
    ) -> None:
        self._inbox = inbox
        self._names = frozenset(consumer.name for consumer in consumers)
        self._lossy = frozenset(consumer.name for consumer in consumers if not consumer.lossless)
        self._settings = settings
        self._written_files = written
        self._finished: list[str] = []
        self._missing: dict[str, set[str]] = {}
        self._notes: deque[tuple[str, str | None]] = deque()
        self._news = trio.Event()
        self._idle = trio.Event()
        self._idle.set()

    async def keep(self, chunk: Chunk) -> Chunk:
        """The chunk, with its place in the inbox. Raises OSError. When nobody wants any, it is not kept."""
        if not self._names:
            return chunk
        name = await self._inbox.keep(chunk.uid, msgspec.msgpack.encode(chunk))
        return msgspec.structs.replace(chunk, kept=name)

    async def claim(self, chunk: Chunk) -> Chunk | None:
        """A chunk from another process, as our own; None when we or others have it already. Raises OSError."""
        if chunk.kept is None:
            return chunk
        name = await self._inbox.claim(chunk.kept)
        return None if name is None else msgspec.structs.replace(chunk, kept=name)

    def taken(self, chunk: Chunk, consumer: str) -> None:
        """The consumer of that name has it, or will never take it."""
        if chunk.kept is None:
            return
        missing = self._missing.setdefault(chunk.kept, set(self._names - chunk.done))
        missing.discard(consumer)
        self._note(chunk.kept, consumer)
        if not missing:
            del self._missing[chunk.kept]
            self._finished.append(chunk.kept)

    def useless(self, chunk: Chunk) -> None:
        """Nobody needs it any more."""
        if chunk.kept is not None:
            self._missing.pop(chunk.kept, None)
            self._note(chunk.kept, None)

    async def left(self) -> list[Chunk]:
        """What processes that died had not dealt with, in the order in which it came. Raises OSError."""
        chunks = []
        for name in await self._inbox.left():
            kept = await self._inbox.read(name)
            chunk = None if kept is None else _decoded(kept.contents)
            if kept is None or chunk is None:
                await self._inbox.remove(name)  # it was not whole, so it was never answered
                continue
            done = {name for name in self._names if await self._has_taken(name, chunk.uid, kept.marks)}
            if kept.marks.get(FOUND, 0) >= DEATHS:
                done |= self._lossy
                log.error("receiver.left_out", consumers=sorted(self._lossy), deaths=kept.marks[FOUND])
            if done == self._names:
                await self._inbox.remove(name)
                continue
            await self._inbox.mark(name, FOUND)
            chunks.append(msgspec.structs.replace(chunk, kept=name, done=frozenset(done), again=True))
        return chunks

    async def _has_taken(self, consumer: str, uid: str, marks: Collection[str]) -> bool:
        """Whether it said so, or what it was about to write is there."""
        if consumer in marks:
            return True
        for places in [places_of(mark, consumer) for mark in marks]:
            try:
                if places and all(
                    [await self._written_files.has(uid, id, size) for id, size in places.items()]
                ):
                    return True
            except DatabaseUnavailable as error:  # the worst that may follow is that it is there twice
                log.warning("receiver.places_unknown", error=str(error))
        return False

    async def run(self) -> None:
        """Write down what was taken, and have all on the disk itself every `flush_interval`; until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush_on)
                while True:
                    await self._news.wait()
                    await self._write()
        finally:
            with trio.move_on_after(self._settings.flush_interval, shield=True):
                await self._write()
                await self._flush()

    async def written(self) -> None:
        """Wait until all that was taken is written down."""
        await self._idle.wait()

    def _note(self, name: str, consumer: str | None) -> None:
        self._notes.append((name, consumer))
        if self._idle.is_set():
            self._idle = trio.Event()
        self._news.set()

    async def _write(self) -> None:
        while self._notes:
            name, consumer = self._notes[0]
            try:
                if consumer is None:
                    await self._inbox.remove(name)
                else:
                    await self._inbox.mark(name, consumer)
            except OSError as error:  # the worst that may follow is that it is taken again after a restart
                log.warning("receiver.note_failed", error=str(error))
            self._notes.popleft()  # not before: a cancellation must not lose it
        self._news = trio.Event()
        self._idle.set()

    async def _flush_on(self) -> None:
        while True:
            await trio.sleep(self._settings.flush_interval)
            await self._flush()

    async def _flush(self) -> None:
        finished, self._finished = self._finished, []
        try:
            await self._inbox.flush()
            await self._written_files.flush()
            while finished:
                await self._inbox.remove(finished[-1])
                finished.pop()
        except OSError as error:
            log.warning("receiver.flush_failed", error=str(error))
        finally:
            self._finished += finished


def _decoded(contents: bytes) -> Chunk | None:
    try:
        return _chunks.decode(contents)
    except msgspec.DecodeError:
        return None
