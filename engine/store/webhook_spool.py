"""The names of the files that wait for webhooks, so that a user's can be told and removed without a server.

`engine.webhooks.spool` writes them.
"""

import hashlib
from pathlib import Path

__all__ = ["FOLDER", "owner_of", "remove_spooled"]

FOLDER = "spool"
"""In the data directory."""
OWNER_PLACE = 1
OWNER_CHARACTERS = 16


def owner_of(uid: str) -> str:
    """What stands for a user in names: between the first two dashes."""
    return hashlib.sha256(uid.encode()).hexdigest()[:OWNER_CHARACTERS]


def remove_spooled(folder: Path, uid: str) -> int:
    """Remove a user's files; how many there were. Blocks."""
    if not folder.is_dir():
        return 0
    owner = owner_of(uid)
    found = [
        path for path in folder.iterdir() if path.name.split("-")[OWNER_PLACE : OWNER_PLACE + 1] == [owner]
    ]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
