"""Creating once what is asked for twice: requests with a header `Idempotency-Key`.

A client that does not know whether its request arrived sends it again with the same key, and gets the same answer.

Operations: `Once.answer` lets a request through, or gives the answer that one with its key had.
Invariants: of requests of one user with one key, one is done at a time. Another request under a key is a 409, and so
is the same one while it is being answered. A request that is refused (any error) leaves its key free.
A request with a key is not cut off when its client goes: it is done and its answer kept, within `limit` seconds.
Bounded: keys by their age, which the store's owner sees to; answers by what routes answer to a creation.
When the process dies between a creation and keeping its answer, the key is free again after twice `limit`; the same
request is then done a second time with the ids it had, so that it makes what it made and nothing beside it.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio
from quart import Request, Response, current_app

from engine.ids import ids_of
from engine.store.idempotency import Answered, InProgress, Mismatch, Outcome
from engine.web.errors import ApiError
from engine.wire.refusal import printable

__all__ = ["HEADER", "KEY_CHARACTERS", "Keys", "Once"]

HEADER = "Idempotency-Key"
KEY_CHARACTERS = 255


class Keys(Protocol):
    """Where keys and answers are kept; every call names the user."""

    async def begin(self, uid: str, key: str, digest: str, lifetime: float) -> Outcome:
        """Take `key` for the request that `digest` is of. `lifetime`: seconds that answering may take."""
        ...

    async def finish(self, uid: str, key: str, status: int, body: bytes) -> None:
        """Keep the answer of the request begun under `key`."""
        ...

    async def abandon(self, uid: str, key: str) -> None:
        """Nothing was created: the key may be used again."""
        ...


class Once:
    """Lets requests with a key through once. `limit`: seconds that one may take."""

    def __init__(self, keys: Keys, limit: float) -> None:
        self._keys = keys
        self._limit = limit

    async def answer(self, request: Request, uid: str, do: Callable[[], Awaitable[Response]]) -> Response:
        """What `do` answers, or answered when it was asked for before.

        Raises `ApiError` 409 for a key that is in use and 422 for one that cannot be, and what `do` raises.
        """
        key = request.headers.get(HEADER)
        if key is None:
            return await do()
        if not (0 < len(key) <= KEY_CHARACTERS and key.isascii() and key.isprintable()):
            accepted = f"use 1 to {KEY_CHARACTERS} printable ASCII characters"
            raise ApiError(422, f"{HEADER}={printable(key)} is not accepted: {accepted}")
        begun = await self._keys.begin(uid, key, await _digest(request), 2 * self._limit)
        match begun:
            case Answered(status, body):
                return current_app.response_class(body, status=status, content_type="application/json")
            case InProgress():
                raise ApiError(409, f"{HEADER}={printable(key)}: the same request is being answered")
            case Mismatch():
                raise ApiError(409, f"{HEADER}={printable(key)} was used for another request: use a new one")
        with ids_of(begun.seed), trio.move_on_after(self._limit, shield=True):
            return await self._done(uid, key, do)
        raise ApiError(503, f"the request took longer than {self._limit:g} s")

    async def _done(self, uid: str, key: str, do: Callable[[], Awaitable[Response]]) -> Response:
        try:
            response = await do()
        except Exception:
            await self._keys.abandon(uid, key)
            raise
        body = await response.get_data(as_text=False)
        assert isinstance(body, bytes)
        await self._keys.finish(uid, key, response.status_code, body)
        return response


async def _digest(request: Request) -> str:
    """What tells this request from another: route, query and body."""
    body = await request.get_data(as_text=False)
    assert isinstance(body, bytes)
    head = f"{request.method} {request.path}?{request.query_string.decode('latin-1')}\n"
    return hashlib.sha256(head.encode() + body).hexdigest()
