"""/v1/dev/keys: the keys of a user, for the Developer API."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.moments import instant
from engine.store.records import TokenRow
from engine.store.tokens import PREFIX, SCOPES, Scope
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.ports import Keys

__all__ = ["developer_keys"]

READ_ONLY = tuple(scope for scope in SCOPES if scope.endswith(":read"))
"""What a key may that is made without scopes, as with the Omi backend."""

MOST = 100
"""Valid keys of one user."""


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """`scopes`: what the key may; reading everything, if not given."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=len(SCOPES))] | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key as its owner may see it. `scopes` null: all, of every route. What it begins with is the same for all."""

    id: str
    name: str
    key_prefix: str
    created_at: datetime
    last_used_at: datetime | None
    scopes: list[str] | None


class CreatedKey(Key, frozen=True, kw_only=True):
    """With `key` itself, which is told this once."""

    key: str


def developer_keys(keys: Keys, identify: Identify) -> Api:
    """The routes. A key with scopes may not use them: it would give itself more."""
    api = Api("developer_keys", identify, prefix="/v1/dev/keys", tag="Developer API")

    @api.get("", "The keys that are valid", answer=list[Key])
    async def every(uid: str) -> list[Key]:
        return [Key(**_shown(row)) for row in await keys.list(uid) if row.revoked_at is None]

    @api.post("", "Make a key", body=NewKey, answer=CreatedKey, errors=(409,))
    async def create(uid: str, body: NewKey) -> CreatedKey:
        valid = [row for row in await keys.list(uid) if row.revoked_at is None]
        if len(valid) >= MOST:
            raise ApiError(409, f"there are {MOST} keys already, the most a user may have: revoke one first")
        row, key = await keys.issue(uid, body.name.strip(), scopes=body.scopes or READ_ONLY)
        return CreatedKey(**_shown(row), key=key)

    @api.delete("/<key_id>", "Make a key invalid for good", status=204, errors=(404,))
    async def revoke(uid: str, key_id: str) -> None:
        if not await keys.revoke(key_id, uid):
            raise ApiError(404, "Key not found")

    return api


def _shown(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.label,
        "key_prefix": PREFIX,
        "created_at": instant(row.created_at),
        "last_used_at": None if row.last_used_at is None else instant(row.last_used_at),
        "scopes": row.scopes,
    }
