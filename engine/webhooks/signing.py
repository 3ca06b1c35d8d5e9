"""Signatures of Standard Webhooks, version v1 (HMAC-SHA256 of `id.timestamp.body`), for each valid secret one.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

__all__ = ["new_secret", "signed_headers"]

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(id: str, body: bytes, keys: Sequence[str], timestamp: int) -> dict[str, str]:
    """The headers of a request with `body`. `timestamp`: of this attempt, seconds since the epoch.

    `Idempotency-Key` says the same as `webhook-id`, to receivers that know only that.
    """
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp), "Idempotency-Key": id}
    if keys:
        headers["webhook-signature"] = " ".join(_sign(id, body, key, timestamp) for key in keys)
    return headers


def _sign(id: str, body: bytes, secret: str, timestamp: int) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
