"""Whether a request is signed by who may post for a user: Standard Webhooks, version v1.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

__all__ = ["is_signed"]


def is_signed(
    headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: float, tolerance: float
) -> bool:
    """Whether one of `keys` signed this, at most `tolerance` seconds from `now` (seconds since the epoch)."""
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id or not timestamp.isdecimal() or len(timestamp) > 12 or abs(now - int(timestamp)) > tolerance:
        return False
    signed = f"{id}.{timestamp}.".encode() + body
    given = [
        part.removeprefix("v1,") for part in headers.get("webhook-signature", "").split() if part[:3] == "v1,"
    ]
    for key in keys:
        expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
        if any(hmac.compare_digest(expected, one.encode("latin-1", "replace")) for one in given):
            return True
    return False
