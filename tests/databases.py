"""Databases that tests begin with: SQLite files that are migrated already, for migrating takes longer than most tests.

That migrations work is seen by tests/store/test_database.py, and by the servers of tests/cli.
"""

import tempfile
from functools import cache
from pathlib import Path

from engine.store.database import DATABASE_FILE, open_engine

__all__ = ["migrated"]


def migrated(folder: Path) -> Path:
    """The data directory `folder`, made if missing, with an empty database unless there is one."""
    file = folder / DATABASE_FILE
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(_empty())
    return folder


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        open_engine(Path(folder), 5.0).dispose()
        return (Path(folder) / DATABASE_FILE).read_bytes()
