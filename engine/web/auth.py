"""Who is asking. The same rules for sockets and REST, and one exception, `Refusal`, that both can answer.

With `auth = "token"` a bearer token made by `listen token create` names the user; a `uid` in the query must
be the same. With `auth = "dev"` (loopback only) the query's `uid` or a bearer token `dev:<uid>` does; any
other bearer token is not looked at, because clients that exist send theirs along.

The Developer API takes keys (`omi_dev_…`) in both modes, for its clients name no uid. A key with scopes is good for
nothing else.
"""

import time
from collections.abc import Awaitable, Callable

from quart import Request

from engine.config import Auth
from engine.store import TokenRow
from engine.store.tokens import PREFIX
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

    @property
    def development(self) -> bool:
        """Whether `uid` names the user, without proof."""
        return self._dev

    async def identify(self, token: str | None, uid: str | None) -> str:
        """The user's id. Raises `Refusal` (1008, or 4001 for a token whose time is over)."""
        if self._dev:
            owner = self._named_by(token) or uid or None
        else:
            row = await self._verified(token)
            if row.scopes is not None:
                raise _ForOthers()
            owner = row.uid
        if owner is None:
            message = "uid is required: add ?uid=…"
            raise Refusal(CloseCode.POLICY_VIOLATION, "uid", None, "the user's id", message=message)
        return _agreed(owner, uid)

    async def identify_request(self, request: Request) -> str:
        """The user a REST request is made by. Raises `ApiError` 401, 403 for a key that is not for this."""
        try:
            return await self.identify(bearer(request.headers.get("Authorization")), request.args.get("uid"))
        except Refusal as refusal:
            raise _denied(refusal) from refusal

    def identify_developer(self, kind: str) -> Callable[[Request], Awaitable[str]]:
        """How requests of the Developer API about `kind` of things name their user.

        A key needs the scope `kind:read`, for what is no GET `kind:write`. Raises `ApiError` 401 or 403.
        """

        async def identify(request: Request) -> str:
            token, uid = bearer(request.headers.get("Authorization")), request.args.get("uid")
            if self._dev and not (token or "").startswith(PREFIX):
                return await self.identify_request(request)
            scope = f"{kind}:{'read' if request.method == 'GET' else 'write'}"
            return await self.identify_scoped(token, uid, scope)

        return identify

    async def identify_scoped(self, token: str | None, uid: str | None, scope: str) -> str:
        """The user of a key that may do all, or has this scope. Raises `ApiError` 401 or 403."""
        try:
            row = await self._verified(token)
            owner = _agreed(row.uid, uid)
        except Refusal as refusal:
            raise _denied(refusal) from refusal
        if row.scopes is not None and scope not in row.scopes:
            raise ApiError(403, f"this key lacks the scope {scope}: it has {', '.join(row.scopes)}")
        return owner

    def _named_by(self, token: str | None) -> str | None:
        if token is None or not token.startswith(DEV_PREFIX):
            return None
        return token.removeprefix(DEV_PREFIX) or None

    async def _verified(self, token: str | None) -> TokenRow:
        if token is None:
            message = "Authorization header not found: send Authorization: Bearer omi_dev_…"
            raise _refuse(CloseCode.POLICY_VIOLATION, "authorization", message)
        row = await self._tokens.verify(token)
        if row is None or row.revoked_at is not None:
            raise _refuse(CloseCode.POLICY_VIOLATION, "authorization", "Invalid authorization token")
        if row.expired(self._clock()):
            raise _refuse(CloseCode.TOKEN_EXPIRED, "authorization", "Token refresh required")
        return row


class _ForOthers(Refusal):
    """Who asks is known, but not with a key for this."""

    def __init__(self) -> None:
        message = "this key has scopes: it is good for the Developer API (/v1/dev/user) alone"
        super().__init__(CloseCode.POLICY_VIOLATION, "authorization", message=message)


def _denied(refusal: Refusal) -> ApiError:
    return ApiError(403 if isinstance(refusal, _ForOthers) else 401, refusal.message)


def _agreed(owner: str, named: str | None) -> str:
    """`owner`, if the `uid` that was named beside the token is no other."""
    if named and named != owner:
        raise _refuse(CloseCode.POLICY_VIOLATION, "uid", "Bad uid", named)
    if len(owner) > UID_CHARACTERS or not owner.isprintable():
        accepted = f"up to {UID_CHARACTERS} printable characters"
        raise Refusal(CloseCode.POLICY_VIOLATION, "uid", owner, accepted)
    return owner
