"""What apps tell users by themselves: to the sessions that are live, else kept in the app's chat.

Operations: `tell` and `keep`; `disabled` tells that an endpoint was turned off.
Invariants: a message is told or kept, never neither; kept twice under one id it is there once. With several workers it
is told at the one that has the user.
Bounded: a message by `LONGEST`.
Known doubts: whether a client has read what it was sent nobody knows.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import uuid4

from engine.listen.ports import WallClock
from engine.log import get_logger
from engine.store.user_records import MessageRow
from engine.webhooks.apps import app_of
from engine.wire.messages import ProactiveMessage

__all__ = ["LONGEST", "WEBHOOK", "Notices", "Sockets"]

log = get_logger(__name__)

WEBHOOK = "Webhook"
"""Who speaks when it is no app."""
LONGEST = 4_000
"""Characters of a message that are told."""


class Sockets(Protocol):
    """The live sessions of users, wherever they are."""

    async def announce(self, uid: str, message: ProactiveMessage) -> bool:
        """Tell them; False when there is none, or none that can be reached."""
        ...


class Messages(Protocol):
    """What was said in chats; `engine.store.messages` implements it."""

    async def put(self, *rows: MessageRow) -> None:
        """Keep `rows`, in the place of those with their uids and ids."""
        ...


class Notices:
    """Tells users what apps have to say."""

    def __init__(self, sockets: Sockets, messages: Messages, now: WallClock) -> None:
        self._sockets = sockets
        self._messages = messages
        self._now = now

    async def tell(self, uid: str, message: ProactiveMessage, *, id: str | None = None) -> bool:
        """Told to the user's live sessions (True), or kept as a message of the app's chat, under `id` if given.

        Raises `DatabaseUnavailable`.
        """
        if await self._sockets.announce(uid, message):
            log.info("app.told", app=message.app_id)
            return True
        await self.keep(uid, message.app_id or None, message.message, id=id)
        return False

    async def disabled(self, uid: str, name: str, trigger: str, reason: str) -> None:
        """Tell a user that an endpoint was turned off. See `engine.webhooks.delivery.Disabled`."""
        text = f"The webhook for {trigger} of {name} was turned off: {reason}. Enable it again once it works."
        await self.tell(uid, ProactiveMessage(app_of(name) or "", WEBHOOK, text))

    async def keep(
        self, uid: str, app_id: str | None, text: str, *, id: str | None = None, citations: Sequence[str] = ()
    ) -> None:
        """A message of the app's chat (without an app, of the user's own). Raises `DatabaseUnavailable`."""
        row = MessageRow(
            uid=uid,
            id=id or str(uuid4()),
            app_id=app_id,
            sender="ai",
            text=text[:LONGEST],
            citations=list(citations),
            created_at=self._now(),
        )
        await self._messages.put(row)
        log.info("app.message_kept", app=app_id)
