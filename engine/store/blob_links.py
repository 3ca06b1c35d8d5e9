"""Addresses of blobs on this server: who has one may read one blob for a while, and nothing else.

Operations: `make` a link, `read` one that somebody came with.
Invariants: what a link says was signed with a key that only servers on this database have; it names one blob of one
user and when it ends. Links are not kept and cannot be taken back: make them short.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import msgspec

from engine.moments import SECOND
from engine.store.database import WallClock
from engine.store.signing_keys import SigningKeys

__all__ = ["PATH", "BlobLinks", "LinkedBlob"]

PATH = "/v1/blobs/"
"""Before the token."""
KEY = "blob links"
LONGEST_TOKEN = 4096


class LinkedBlob(msgspec.Struct, frozen=True, array_like=True):
    """What a link leads to, until `expires_at` (µs since the epoch)."""

    place: str
    uid: str
    name: str
    expires_at: int


class BlobLinks:
    """Makes and reads them. Implements `engine.store.blobs.Links`."""

    def __init__(self, keys: SigningKeys, now: WallClock) -> None:
        self._keys = keys
        self._now = now

    async def make(self, place: str, uid: str, name: str, seconds: float) -> str:
        """A path on this server that is good for `seconds`."""
        expires_at = self._now() + round(seconds * SECOND)
        said = _text(msgspec.msgpack.encode(LinkedBlob(place, uid, name, expires_at)))
        return f"{PATH}{said}.{_sign(await self._keys.get(KEY), said)}"

    async def read(self, token: str) -> LinkedBlob | None:
        """What the path's last part leads to; None when it was not made here, was changed, or has ended."""
        said, _, signature = token[:LONGEST_TOKEN].partition(".")
        signed = _sign(await self._keys.get(KEY), said)
        if not hmac.compare_digest(signature.encode(), signed.encode()):
            return None
        link = msgspec.msgpack.decode(_bytes(said), type=LinkedBlob)
        return link if self._now() < link.expires_at else None


def _sign(key: bytes, said: str) -> str:
    return _text(hmac.new(key, said.encode(), sha256).digest())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
