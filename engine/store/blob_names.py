"""What blobs are called, and where each user's lie.

A blob's key is its owner's folder, a slash and its name: `ada/recordings/8f31.flac`. Keys are good for every kind of
store: file systems that take capitals and small letters for the same, S3, Google Cloud Storage.
"""

import re
from hashlib import sha256

from engine.wire.images import image_type

__all__ = ["MEDIA", "RECORDING_SPOOL", "check_name", "folder_of", "image_name", "media_type"]

RECORDING_SPOOL = "recording"
"""The folder in the data directory where audio of live sessions waits to be kept, in a folder for each user."""
LONGEST_NAME = 512
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._=@-]{0,127}"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
_PLAIN_UID = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_STRANGE = re.compile(r"[^A-Za-z0-9._@-]")

MEDIA = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "npy": "application/octet-stream",
}
"""Media types by the end of a name."""


def folder_of(uid: str) -> str:
    """The folder of all that is a user's; no two users share one, and none lies in another's."""
    if _PLAIN_UID.fullmatch(uid):
        return uid
    readable = _STRANGE.sub("_", uid)[:64].lstrip(".")
    return f"{readable}~{sha256(uid.encode()).hexdigest()[:32]}"


def check_name(name: str) -> str:
    """`name`, if it can be one; raises `ValueError`. Nothing that is accepted leads out of its owner's folder."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        accepted = "parts of A-Z a-z 0-9 . _ = @ - that do not begin with a dot, with slashes between"
        raise ValueError(f"name: {name[:80]!r} given, {accepted}, at most {LONGEST_NAME} characters accepted")
    return name


def image_name(folder: str, id: str, image: bytes) -> str:
    """What a picture is called: by its id, and with the ending of what it is, where that is known."""
    kind = image_type(image)
    ending = next((f".{ending}" for ending, media in MEDIA.items() if media == kind), "")
    return f"{folder}/{id}{ending}"


def media_type(name: str) -> str:
    """What kind of file it is, by the end of its name."""
    return MEDIA.get(name.rpartition(".")[2], "application/octet-stream")
