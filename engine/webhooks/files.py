"""The spool's folder: bodies that wait to be sent and are too large for the database, a file each.

Operations: `read` and `remove` by name; `path` says where a name is.
Invariants: a name has no folder in it, so nothing outside is ever touched.
"""

from pathlib import Path

from engine.off_loop import OffLoop
from engine.store.webhook_spool import FOLDER

__all__ = ["FOLDER", "SpoolFiles"]


class SpoolFiles:
    """Implements `ports.Spool`."""

    def __init__(self, folder: Path, off_loop: OffLoop) -> None:
        self.folder = folder
        self._off_loop = off_loop

    def path(self, file: str) -> Path:
        """Raises ValueError for a name with a folder in it."""
        if Path(file).name != file:
            raise ValueError(f"file: {file!r} given, a name without folders accepted")
        return self.folder / file

    async def read(self, file: str) -> bytes:
        """See `ports.Spool`."""
        return await self._off_loop(self.path(file).read_bytes)

    async def remove(self, file: str) -> None:
        """See `ports.Spool`."""
        await self._off_loop(self._unlink, file)

    def _unlink(self, file: str) -> None:
        self.path(file).unlink(missing_ok=True)
