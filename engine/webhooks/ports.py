"""What the parts of this room need of each other, of the store, and of those who act on answers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from engine.store.webhook_records import DeliveryRow
from engine.webhooks.triggers import Trigger

__all__ = [
    "DEVELOPER",
    "Answered",
    "Deliveries",
    "Directory",
    "Endpoint",
    "Spool",
]

T = TypeVar("T")

DEVELOPER = "developer"
"""The name of the endpoint that a user has set; those of apps are `app:` and the app's id."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told. `secrets` sign what it is told, the newest first; `seconds` of audio go into one request."""

    uid: str
    name: str
    trigger: Trigger
    url: str
    secrets: tuple[str, ...] = ()
    seconds: int = 5


class Directory(Protocol):
    """Who wants to know what of whom. What is read may be some seconds old; a call is cheap."""

    async def endpoints(self, uid: str, trigger: Trigger) -> Sequence[Endpoint]:
        """Those that are on. Raises `DatabaseUnavailable`."""
        ...

    async def endpoint(self, uid: str, name: str, trigger: str) -> Endpoint | None:
        """One of them, or None when it is off or gone. Raises `DatabaseUnavailable`."""
        ...

    def unwanted(self, uid: str, trigger: Trigger) -> bool:
        """Whether it is known, without a look into the database, that `endpoints` would give none."""
        ...


class Deliveries(Protocol):
    """Durable deliveries: once a call returns, each reaches its endpoint at least once or its log says why not.

    A delivery's id is made of user, endpoint, trigger and `key`: offering it again makes no second one. `uid` is
    added to the query, behind what is given. `seconds` bounds its age: then it is dropped, and counted. All raise
    `DatabaseUnavailable`, after which offering again is right.
    """

    async def offer(
        self,
        uid: str,
        trigger: Trigger,
        body: bytes,
        *,
        key: str,
        query: Mapping[str, str] = ...,
        seconds: float | None = None,
    ) -> int:
        """Tell every endpoint of the trigger. `body`: a JSON object, to which its `delivery_id` is added.

        Returns how many deliveries were made.
        """
        ...

    async def offer_to(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        key: str,
        query: Mapping[str, str] = ...,
        seconds: float | None = None,
    ) -> bool:
        """Tell one; whether a delivery was made."""
        ...

    async def offer_file(
        self,
        endpoint: Endpoint,
        file: str,
        size: int,
        *,
        key: str,
        query: Mapping[str, str] = ...,
        seconds: float | None = None,
    ) -> bool:
        """Tell one what is in the spool (octets); whether a delivery was made. In the order of the calls.

        `file`: `Spooled.line`.
        """
        ...

    async def drop(self, uid: str, id: str, reason: str) -> bool:
        """End one that is pending, and count it; False when it has ended already."""
        ...

    async def size(self, uid: str, name: str, trigger: Trigger, *, key: str) -> int:
        """Bytes of what an endpoint is to be told, or was, under `key`; 0 when that was never offered."""
        ...

    async def lost(self, uid: str, name: str, trigger: Trigger, *, key: str, size: int, reason: str) -> bool:
        """Show in the endpoint's log, and count, what never became a delivery. Repeating it does no harm."""
        ...


class Spool(Protocol):
    """Where bodies are that are too large for the database."""

    async def made_of(self, line: str, make: Callable[[bytes], T]) -> tuple[bytes, T]:
        """What a delivery's `file` names, and `make` of it, made off the loop.

        Raises `OSError`, `FileNotFoundError` when it is not there any more.
        """
        ...


class Answered(Protocol):
    """Who acts on what endpoints answer."""

    async def answered(self, endpoint: Endpoint, delivery: DeliveryRow, status: int, body: bytes) -> None:
        """An endpoint took a delivery (2xx). `body`: at most `webhook.answer_limit` bytes of what it said.

        Called once for each delivery, again when the process died meanwhile: act under the delivery's id.
        """
        ...
