"""Bearer tokens, bound to a uid.

A token is `omi_dev_` and 32 random bytes in URL-safe base64. Only its SHA-256 is kept (256 random bits need
no slow hash). Its public id is the first 12 hex digits of that hash: what a token is looked up by, and no
help in guessing one. Hashes are compared in constant time.

A token without scopes may do all that its user may. One with scopes is good for the Developer API alone, and there
for what they name; `audio:write` for posting to the receiving side.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any, Literal, get_args

from sqlalchemy import Connection, insert, select, update

from engine.log import get_logger
from engine.store.database import Database, WallClock
from engine.store.errors import DatabaseUnavailable
from engine.store.records import TokenRow
from engine.store.tables import tokens

PREFIX = "omi_dev_"
Scope = Literal[
    "conversations:read",
    "conversations:write",
    "memories:read",
    "memories:write",
    "action_items:read",
    "action_items:write",
    "goals:read",
    "goals:write",
    "audio:write",
]
SCOPES: tuple[str, ...] = get_args(Scope)
"""What a token may be limited to."""
TOUCH_INTERVAL = 60_000_000
"""Microseconds: `last_used_at` is no more exact than this, so that not every connect is a write."""

log = get_logger(__name__)


class Tokens:
    """All tokens."""

    def __init__(self, database: Database, now: WallClock) -> None:
        self._database = database
        self._now = now

    async def create(
        self,
        uid: str,
        label: str = "",
        expires_at: int | None = None,
        scopes: Sequence[str] | None = None,
    ) -> str:
        """A new token for `uid`: returned once, kept hashed. `expires_at` in µs. Raises `ValueError`."""
        return (await self.issue(uid, label, expires_at, scopes))[1]

    async def issue(
        self,
        uid: str,
        label: str = "",
        expires_at: int | None = None,
        scopes: Sequence[str] | None = None,
    ) -> tuple[TokenRow, str]:
        """As `create`, with the row that is kept of it."""
        if not uid:
            raise ValueError("uid: '' given, a user's id accepted")
        unknown = sorted(set(scopes or ()) - set(SCOPES))
        if unknown or (scopes is not None and not scopes):
            given = ", ".join(unknown) or "none"
            raise ValueError(f"scopes: {given} given; some of {', '.join(SCOPES)} accepted")
        token = PREFIX + secrets.token_urlsafe(32)
        row = TokenRow(
            id=token_id(token_hash(token)),
            uid=uid,
            label=label,
            scopes=None if scopes is None else sorted(set(scopes)),
            created_at=self._now(),
            expires_at=expires_at,
        )
        await self._database.write(_insert, row, token_hash(token))
        return row, token

    async def verify(self, token: str) -> TokenRow | None:
        """Whose token it is; None for one that is unknown or revoked.

        An expired token is returned too (see `TokenRow.expired`), so that its user can be told so.
        """
        if not (token.startswith(PREFIX) and token.isascii()):
            return None
        row = await self._database.read(_verify, token_hash(token))
        if row is not None and self._now() - (row.last_used_at or 0) >= TOUCH_INTERVAL:
            await self._touch(row.id)
        return row

    async def list(self, uid: str | None = None) -> list[TokenRow]:
        """A user's tokens (or all), oldest first, also revoked and expired ones."""
        return await self._database.read(_list, uid)

    async def revoke(self, id: str, uid: str | None = None) -> bool:
        """Make a token invalid for good; False when there is none with this id (of `uid`) that is not revoked."""
        return await self._database.write(_revoke, id, uid, self._now())

    async def _touch(self, id: str) -> None:
        try:
            await self._database.write(_set_used, id, self._now())
        except DatabaseUnavailable as error:
            # Who the user is does not depend on the database taking writes.
            log.warning("token.touch_failed", token=id, error=str(error))


def token_hash(token: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_id(digest: str) -> str:
    """The public id of the key with that hash."""
    return digest[:12]


def _row(row: Any) -> TokenRow:
    return TokenRow(**{name: row[name] for name in TokenRow.__struct_fields__})


def _insert(connection: Connection, row: TokenRow, digest: str) -> None:
    values = {name: getattr(row, name) for name in TokenRow.__struct_fields__}
    connection.execute(insert(tokens).values(hash=digest, **values))


def _verify(connection: Connection, digest: str) -> TokenRow | None:
    row = connection.execute(select(tokens).where(tokens.c.id == token_id(digest))).mappings().first()
    if row is None or not hmac.compare_digest(row["hash"], digest) or row["revoked_at"] is not None:
        return None
    return _row(row)


def _list(connection: Connection, uid: str | None) -> list[TokenRow]:
    query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
    if uid is not None:
        query = query.where(tokens.c.uid == uid)
    return [_row(row) for row in connection.execute(query).mappings()]


def _revoke(connection: Connection, id: str, uid: str | None, now: int) -> bool:
    valid = (tokens.c.id == id) & tokens.c.revoked_at.is_(None)
    if uid is not None:
        valid &= tokens.c.uid == uid
    return bool(connection.execute(update(tokens).where(valid).values(revoked_at=now)).rowcount)


def _set_used(connection: Connection, id: str, now: int) -> None:
    connection.execute(update(tokens).where(tokens.c.id == id).values(last_used_at=now))
