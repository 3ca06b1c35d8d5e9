"""The files in which audio waits for webhooks: their format, and how a user's part of them is made unreadable.

A file is a sequence of records, each a header and the audio behind it:

    magic     4 bytes   `MAGIC`
    owner    16 bytes   `owner_of` the user, in ASCII
    size      4 bytes   of the audio, little-endian

`engine.webhooks.spool` writes them, many users' in one file, so that one flush makes all of them durable. Here, so that
it can be done without a server, is what a user's erasure needs.
"""

import hashlib
import os
import struct
from pathlib import Path

__all__ = ["FOLDER", "HEADER", "SUFFIX", "blank_spooled", "header"]

FOLDER = "spool"
"""In the data directory."""
SUFFIX = ".pcm"
MAGIC = b"LWA1"
HEADER = struct.Struct("<4s16sI")
OWNER_CHARACTERS = 16
ZEROS = bytes(65536)


def owner_of(uid: str) -> str:
    """What stands for a user."""
    return hashlib.sha256(uid.encode()).hexdigest()[:OWNER_CHARACTERS]


def header(uid: str, size: int) -> bytes:
    """What is before `size` bytes of a user's audio."""
    return HEADER.pack(MAGIC, owner_of(uid).encode(), size)


def blank_spooled(folder: Path, uid: str) -> int:
    """Overwrite a user's audio with zeros, on the disk; how many records that were. Blocks. Raises `OSError`."""
    owner = owner_of(uid).encode()
    return sum(_blank(path, owner) for path in folder.glob(f"*{SUFFIX}"))


def _blank(path: Path, owner: bytes) -> int:
    """Of one file, which may be swept away meanwhile, or end within a record when its writer died."""
    try:
        file = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return 0
    with file:
        end, at, found = os.fstat(file.fileno()).st_size, 0, 0
        while len(head := os.pread(file.fileno(), HEADER.size, at)) == HEADER.size:
            magic, whose, size = HEADER.unpack(head)
            if magic != MAGIC:
                break
            at += HEADER.size
            if whose == owner:
                _zero(file.fileno(), at, min(size, end - at))
                found += 1
            at += size
        if found:
            os.fdatasync(file.fileno())
    return found


def _zero(descriptor: int, at: int, size: int) -> None:
    end = at + size
    while at < end:
        at += os.pwrite(descriptor, ZEROS[: end - at], at)
