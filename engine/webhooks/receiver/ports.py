"""What the receiving side needs of the store, of live sessions and of who sends on, as Protocols."""

from collections.abc import Sequence
from typing import Protocol

from engine.listen.ports import ClientSocket
from engine.store.received_records import ReceivedFileRow
from engine.wire import ListenParameters

__all__ = ["Blobs", "Clock", "Files", "Sessions"]


class Clock(Protocol):
    """The wall clock."""

    def __call__(self) -> int:
        """Microseconds since the epoch (UTC)."""
        ...


class Blobs(Protocol):
    """Where files are. Raises `BlobsUnavailable`."""

    async def put(self, uid: str, name: str, data: bytes) -> None:
        """Keep `data` under `name`, in the place of what is there."""
        ...

    async def delete(self, uid: str, *names: str) -> None:
        """Remove those that are there."""
        ...


class Files(Protocol):
    """The rows of files. Raises `DatabaseUnavailable`."""

    async def put(self, *rows: ReceivedFileRow) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        ...

    async def get(self, uid: str, id: str) -> ReceivedFileRow | None:
        """The row, or None."""
        ...

    async def known(self, uid: str, limit: int) -> Sequence[str]:
        """The ids of a user's latest deliveries that became files, the latest last."""
        ...


class Sessions(Protocol):
    """Where audio is transcribed."""

    async def serve(self, socket: ClientSocket, parameters: ListenParameters, uid: str) -> None:
        """One session, until nothing of it is left. Raises `Refusal` first."""
        ...
