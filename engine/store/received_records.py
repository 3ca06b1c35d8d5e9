"""The rows of what was received. Times are integer microseconds since the epoch (UTC)."""

import msgspec

__all__ = ["AUDIO", "RESULTS", "ReceivedFileRow", "ReceivedMessageRow", "ReceivedTotals", "results_id"]

AUDIO, RESULTS = "audio", "results"


class ReceivedFileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the blob store: `name` there, `size` in bytes. `kind`: `AUDIO`, or `RESULTS` beside it.

    `position` counts samples since the session began; `delivery_id` is that of the request, of files that have one.
    """

    uid: str
    id: str
    kind: str
    name: str
    session_id: str
    session_began_at: int
    position: int
    samples: int
    sample_rate: int
    size: int
    delivery_id: str | None = None
    created_at: int


class ReceivedMessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook said: `body` is JSON, as it came."""

    uid: str
    id: str
    trigger: str
    delivery_id: str | None = None
    session_id: str | None = None
    body: bytes
    size: int
    created_at: int


class ReceivedTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one user or of all; `oldest_at` is None when that is nothing."""

    files: int = 0
    messages: int = 0
    bytes: int = 0
    oldest_at: int | None = None


def results_id(audio_id: str) -> str:
    """The id of what was measured of this audio."""
    return f"{audio_id}.{RESULTS}"
