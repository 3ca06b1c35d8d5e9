"""The rows of endpoints and of what they are told. Times are integer microseconds since the epoch (UTC)."""

from typing import Any, Final, Literal

import msgspec

__all__ = [
    "DEAD",
    "DELIVERED",
    "DROPPED",
    "ENDED",
    "LOST",
    "ORDERED",
    "PENDING",
    "DeliveryRow",
    "DeliveryState",
    "SecretRow",
    "WebhookRow",
]

PENDING: Final = "pending"
DELIVERED: Final = "delivered"
DEAD: Final = "dead"
"""It was tried as often as it is, or its endpoint was turned off: kept, and can be sent again."""
DROPPED: Final = "dropped"
"""It became too old to be of use, or the spool had no room for it any more."""
LOST: Final = "lost"
"""It never was: audio that was not cut yet when its process died. `size` says how much."""

DeliveryState = Literal["pending", "delivered", "dead", "dropped", "lost"]
ENDED = (DELIVERED, DEAD, DROPPED, LOST)

ORDERED: Final = frozenset(("audio_bytes", "realtime_transcript"))
"""Triggers whose deliveries go to an endpoint in order, one at a time."""


class WebhookRow(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint of a user's for one trigger.

    `name`: `developer`, or `app:` and the app's id; the URL of an app's endpoint is the registry's, so empty here.
    `seconds`: of audio in a request. `enabled` is what its owner wants unless `disabled_at` says that it was turned
    off because of `disabled_reason`; `settings_at` is when either was changed last. `failures` in a row began at
    `failing_since`; nothing is sent before `paused_until`. The counters are since it was made: `requests` made and
    `bytes` sent in them, deliveries by how they ended. Somebody has to look after it at `due_at`; `owner` does, until
    `claimed_until`.
    """

    uid: str
    name: str
    trigger: str
    url: str = ""
    seconds: int | None = None
    enabled: bool = True
    disabled_at: int | None = None
    disabled_reason: str | None = None
    settings_at: int
    failures: int = 0
    failing_since: int | None = None
    paused_until: int | None = None
    requests: int = 0
    bytes: int = 0
    delivered: int = 0
    dead: int = 0
    dropped: int = 0
    lost: int = 0
    last_status: int | None = None
    last_reason: str | None = None
    last_attempt_at: int | None = None
    last_success_at: int | None = None
    sequence: int = 0
    due_at: int | None = None
    owner: str | None = None
    claimed_until: int | None = None
    created_at: int


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one endpoint is to be told, or was.

    The body is `body`, or the spool's `file`, `size` bytes of it. `sequence` is its place among what the endpoint is
    told. `due_at`: of the next attempt while pending; `expires_at`: when it is dropped instead. The latest attempt was
    at `attempted_at`, answered with `status` after `milliseconds`, and failed because of `reason`; `history` has
    the latest ones.
    """

    uid: str
    id: str
    endpoint: str
    trigger: str
    sequence: int = 0
    query: dict[str, str] = {}
    content_type: str = "application/json"
    body: bytes | None = None
    file: str | None = None
    size: int = 0
    state: DeliveryState = "pending"
    created_at: int
    due_at: int | None = None
    expires_at: int | None = None
    ended_at: int | None = None
    attempts: int = 0
    attempted_at: int | None = None
    status: int | None = None
    milliseconds: int | None = None
    reason: str | None = None
    history: list[list[Any]] = []


class SecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a user's deliveries are signed with; good until `expires_at`, which the newest has not."""

    uid: str
    id: str
    secret: str
    created_at: int
    expires_at: int | None = None
