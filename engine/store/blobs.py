"""Files that are kept for users: recordings, received audio, voices. Each has an owner and a name of the owner's.

Operations: `put`, `get`, `stream`, `find`, `list`, `delete`, `delete_folder`; `link` gives an address for others.
Invariants: every call names the owner, whose blobs are all in one folder: erasing that erases all of them. A blob is
there as a whole or not at all, also when the process or the machine dies while it is put; putting again replaces it.
Bounded: `stream` has one piece of `PIECE` bytes in memory, a page of `list` at most `PAGE_LIMIT` blobs.
Cost: a file takes two flushes of the disk, a bucket a request; all of it happens in threads.
Cancellation: a cancelled call may still have taken effect; calling again does no harm.
Known doubts: a blob that is replaced while it is streamed may be read in part from each: give what changes a new name.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from engine.off_loop import OffLoop
from engine.store.blob_names import check_name, folder_of
from engine.store.errors import BlobMissing

__all__ = ["PAGE_LIMIT", "PIECE", "Blob", "Blobs", "Links", "Shelf"]

PIECE = 1024 * 1024
"""Bytes that are read at once."""
PAGE_LIMIT = 1000
"""Most blobs in one page."""

Page = list  # inside the classes `list` is the method


class Blob(msgspec.Struct, frozen=True):
    """What is known of a blob without reading it: `size` in bytes, `modified_at` in µs since the epoch."""

    name: str
    size: int
    modified_at: int


class Shelf(Protocol):
    """Where bytes lie under keys. Every call blocks and may raise `BlobsUnavailable`; several threads may call."""

    @property
    def where(self) -> str:
        """For people."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Keep `data`, durably and as a whole."""
        ...

    def read(self, key: str, start: int, end: int | None) -> bytes:
        """Bytes `start` to `end` (None: its end), fewer where it ends before. Raises `BlobMissing`."""
        ...

    def find(self, key: str) -> Blob | None:
        """What is known of it; `name` is the key."""
        ...

    def list(self, folder: str, after: str, limit: int) -> Page[Blob]:
        """Those below `folder` whose key is greater than `after`, in the order of their keys."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove those that are there."""
        ...

    def sign(self, key: str, seconds: float) -> str | None:
        """An address from which anybody may read it for so long; None where there is no such thing."""
        ...


class Links(Protocol):
    """Who makes addresses on this server, for blobs whose shelf has none; `engine.store.blob_links` does."""

    async def make(self, place: str, uid: str, name: str, seconds: float) -> str:
        """A path on this server."""
        ...


class Blobs:
    """All blobs of one place. Every method raises `BlobsUnavailable`, and `ValueError` for what can be no name."""

    def __init__(
        self, place: str, shelf: Shelf, off_loop: OffLoop, links: Links, *, signed: bool = True
    ) -> None:
        """`place`: what it is called in links. Not `signed`: all links lead to this server."""
        self.place = place
        self.where = shelf.where
        self._shelf = shelf
        self._off_loop = off_loop
        self._links = links
        self._signed = signed

    async def put(self, uid: str, name: str, data: bytes) -> None:
        """Keep `data` under `name`, in the place of what is there."""
        await self._off_loop(self._shelf.put, _key(uid, name), data)

    async def get(self, uid: str, name: str) -> bytes:
        """All of it. Raises `BlobMissing`."""
        return await self._off_loop(self._shelf.read, _key(uid, name), 0, None)

    async def stream(
        self, uid: str, name: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (None: its end) in pieces. Raises `BlobMissing` with the first."""
        key = _key(uid, name)
        blob = await self._off_loop(self._shelf.find, key)
        if blob is None:
            raise BlobMissing(name)
        end = blob.size if end is None else min(end, blob.size)
        while start < end:
            piece = await self._off_loop(self._shelf.read, key, start, min(start + PIECE, end))
            if not piece:
                raise BlobMissing(f"{name} was cut short meanwhile")
            yield piece
            start += len(piece)

    async def find(self, uid: str, name: str) -> Blob | None:
        """What is known of it; None when there is none."""
        blob = await self._off_loop(self._shelf.find, _key(uid, name))
        return None if blob is None else msgspec.structs.replace(blob, name=name)

    async def list(
        self, uid: str, folder: str = "", *, after: str = "", limit: int = PAGE_LIMIT
    ) -> Page[Blob]:
        """A page of a user's blobs in `folder` and below, by name; the next one is that `after` the last's name.

        Raises `ValueError` for a limit outside 1 to `PAGE_LIMIT`.
        """
        if not 1 <= limit <= PAGE_LIMIT:
            raise ValueError(f"limit: {limit} given, 1 to {PAGE_LIMIT} accepted")
        own = folder_of(uid) + "/"
        inside = _key(uid, folder) if folder else folder_of(uid)
        found = await self._off_loop(self._shelf.list, inside, own + after if after else "", limit)
        return [msgspec.structs.replace(blob, name=blob.name.removeprefix(own)) for blob in found]

    async def delete(self, uid: str, *names: str) -> None:
        """Remove those that are there."""
        await self._off_loop(self._shelf.delete, [_key(uid, name) for name in names])

    async def delete_folder(self, uid: str, folder: str = "") -> int:
        """Remove all of a user's in `folder` and below, without one all there is; how many there were."""
        count = 0
        while page := await self.list(uid, folder):
            await self.delete(uid, *(blob.name for blob in page))
            count += len(page)
        return count

    async def link(self, uid: str, name: str, seconds: float) -> str:
        """An address from which whoever has it may read the blob for `seconds`, there or not.

        The bucket's own, or a path on this server: `/v1/blobs/…`, which `engine.web.blobs` serves.
        """
        key = _key(uid, name)
        signed = await self._off_loop(self._shelf.sign, key, seconds) if self._signed else None
        return signed or await self._links.make(self.place, uid, name, seconds)


def _key(uid: str, name: str) -> str:
    return f"{folder_of(uid)}/{check_name(name)}"
