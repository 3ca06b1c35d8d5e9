"""Who is asking. The same rules for sockets and REST, and one exception, `Refusal`, that both can answer.

With `auth = "token"` a bearer token made by `listen token create` names the user; a `uid` in the query must
be the same. With `auth = "dev"` (loopback only) the query's `uid` or a bearer token `dev:<uid>` does; any
other bearer token is not looked at, because clients that exist send theirs along.
"""

import time
from collections.abc import Callable

from quart import Request

from engine.config import Auth
from engine.web.errors import ApiError
from engine.web.ports import Tokens
from engine.wire import CloseCode, Refusal

__all__ = ["Authenticator", "bearer"]

DEV_PREFIX = "dev:"
UID_CHARACTERS = 128


def bearer(authorization: str | None) -> str | None:
    """The token in an `Authorization` header (RFC 6750 section 2.1), None without one."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _refuse(code: CloseCode, parameter: str, message: str, value: str | None = None) -> Refusal:
    accepted = "the token's own uid, or none" if value is not None else None
    return Refusal(code, parameter, value, accepted, message=message)


class Authenticator:
    """Finds the user behind a token and a `uid`. `clock`: microseconds since the epoch."""

    def __init__(
        self, auth: Auth, tokens: Tokens, clock: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._dev = auth == "dev"
        self._tokens = tokens
        self._clock = clock

    async def identify(self, token: str | None, uid: str | None) -> str:
        """The user's id. Raises `Refusal` (1008, or 4001 for a token whose time is over)."""
        named = uid or None
        owner = self._named_by(token) if self._dev else await self._owner(token)
        if owner is None:
            owner = named
        if owner is None:
            message = "uid is required: add ?uid=…"
            raise Refusal(CloseCode.POLICY_VIOLATION, "uid", None, "the user's id", message=message)
        if named is not None and named != owner:
            raise _refuse(CloseCode.POLICY_VIOLATION, "uid", "Bad uid", named)
        if len(owner) > UID_CHARACTERS or not owner.isprintable():
            accepted = f"up to {UID_CHARACTERS} printable characters"
            raise Refusal(CloseCode.POLICY_VIOLATION, "uid", owner, accepted)
        return owner

    async def identify_request(self, request: Request) -> str:
        """The user a REST request is made by. Raises `ApiError` 401."""
        try:
            return await self.identify(bearer(request.headers.get("Authorization")), request.args.get("uid"))
        except Refusal as refusal:
            raise ApiError(401, refusal.message) from refusal

    def _named_by(self, token: str | None) -> str | None:
        if token is None or not token.startswith(DEV_PREFIX):
            return None
        return token.removeprefix(DEV_PREFIX) or None

    async def _owner(self, token: str | None) -> str:
        if token is None:
            message = "Authorization header not found: send Authorization: Bearer omi_dev_…"
            raise _refuse(CloseCode.POLICY_VIOLATION, "authorization", message)
        row = await self._tokens.verify(token)
        if row is None or row.revoked_at is not None:
            raise _refuse(CloseCode.POLICY_VIOLATION, "authorization", "Invalid authorization token")
        if row.expired(self._clock()):
            raise _refuse(CloseCode.TOKEN_EXPIRED, "authorization", "Token refresh required")
        return row.uid
