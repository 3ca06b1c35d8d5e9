"""What endpoints answer, and what is done about it.

An answer of 200 to a live transcript may hold `message` (more than five characters), which its user is told, and, from
an app, `notification`, a prompt of which a model makes what its user is told. From an app that was told of a
conversation, `message` becomes one of its chat. All else in an answer is ignored.

Operations: `answered` implements `engine.webhooks.ports.Answered`.
Invariants: what an app says reaches only the user it was told about, while they have it enabled. Acting on the same
delivery twice keeps one message, and asks a model once.
Bounded: by `apps.answers_per_minute` and `apps.prompt_pause` for each app and user; what is beyond is dropped.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID, uuid5

import msgspec

from engine._config_apps import Apps as Settings
from engine.log import get_logger
from engine.rate_limit import RateLimit
from engine.store.app_registry import AppRow
from engine.store.webhook_records import DeliveryRow
from engine.webhooks.apps import Registry, app_of
from engine.webhooks.notices import LONGEST, WEBHOOK, Notices
from engine.webhooks.ports import Endpoint
from engine.webhooks.submission import NOTIFICATION
from engine.webhooks.triggers import MEMORY_CREATED, REALTIME_TRANSCRIPT
from engine.wire.messages import ProactiveMessage

__all__ = ["NOTIFY", "Jobs", "Responses", "message_id"]

log = get_logger(__name__)

NOTIFY = "app_notification"
"""The kind of job that has a model write an app's notification; its key is the delivery's id."""
SHORTEST = 5
"""Characters; what is not longer is no message, as with the Omi backend."""
LONGEST_PROMPT = 32_000
"""Characters of an app's prompt for one notification."""
QUESTION = 500
NAMES, NAME = 10, 80
MINUTE = 60.0

_MADE = UUID("6d0fd3a2-5f0e-4a53-8c0b-6f5b5f1d9a3c")


class Jobs(Protocol):
    """Work that survives the process; `engine.store.jobs` implements it."""

    async def add(
        self, uid: str, kind: str, key: str, payload: Mapping[str, Any] | None = None, *, delay: float = 0.0
    ) -> bool:
        """Have it done, in `delay` seconds; False when there is such a job already, which is left as it is."""
        ...


class _Conversation(msgspec.Struct):
    id: str = ""


def message_id(delivery: str) -> str:
    """The id of the message that comes of a delivery."""
    return str(uuid5(_MADE, delivery))


class Responses:
    """Acts on answers. `wake`: there is a job to be done."""

    def __init__(
        self, registry: Registry, notices: Notices, jobs: Jobs, settings: Settings, wake: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._notices = notices
        self._jobs = jobs
        self._wake = wake
        self._messages = RateLimit(settings.answers_per_minute, MINUTE)
        self._prompts = RateLimit(1, settings.prompt_pause)

    async def answered(self, endpoint: Endpoint, delivery: DeliveryRow, status: int, body: bytes) -> None:
        """See `Answered`. Raises `DatabaseUnavailable`."""
        said = _read(body) if status == 200 else {}
        if not said or endpoint.trigger not in (REALTIME_TRANSCRIPT, MEMORY_CREATED):
            return
        app_id = app_of(endpoint.name)
        app = None if app_id is None else await self._registry.enabled_one(endpoint.uid, app_id)
        if app_id is not None and app is None:
            return
        if endpoint.trigger == REALTIME_TRANSCRIPT:
            await self._live(endpoint.uid, app, delivery, said)
        elif app is not None and (text := _text(said.get("message"))):
            await self._of_conversation(endpoint.uid, app, delivery, text)

    async def _live(self, uid: str, app: AppRow | None, delivery: DeliveryRow, said: dict[str, Any]) -> None:
        text = _text(said.get("message"))
        if len(text) > SHORTEST and self._may(self._messages, uid, app):
            message = ProactiveMessage("", WEBHOOK, text) if app is None else _message(app, text)
            await self._notices.tell(uid, message, id=message_id(delivery.id))
        asked = said.get("notification")
        if app is None or NOTIFICATION not in app.capabilities or not isinstance(asked, dict):
            return
        if _text(asked.get("prompt")) and self._may(self._prompts, uid, app):
            await self._jobs.add(uid, NOTIFY, delivery.id, {"app_id": app.id, **_asked(asked)})
            self._wake()

    async def _of_conversation(self, uid: str, app: AppRow, delivery: DeliveryRow, text: str) -> None:
        if not self._may(self._messages, uid, app):
            return
        try:
            told = msgspec.json.decode(delivery.body or b"{}", type=_Conversation).id
        except msgspec.MsgspecError:
            told = ""
        cited = [told] if told else []
        await self._notices.keep(uid, app.id, text, id=message_id(delivery.id), citations=cited)

    def _may(self, limit: RateLimit, uid: str, app: AppRow | None) -> bool:
        who = app.id if app is not None else ""
        if limit.take(f"{who}:{uid}"):
            log.info("app.answer_dropped", app=who)
            return False
        return True


def _message(app: AppRow, text: str) -> ProactiveMessage:
    return ProactiveMessage(app.id, app.name, text)


def _read(body: bytes) -> dict[str, Any]:
    """The answer's object; empty for what is none."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _asked(notification: dict[str, Any]) -> dict[str, Any]:
    """What a model is to be asked; `params` say which of `{{user_name}}` and the like may be filled in."""
    context = notification.get("context")
    context = context if isinstance(context, dict) else {}
    filters = context.get("filters")
    filters = filters if isinstance(filters, dict) else {}
    return {
        "prompt": _text(notification.get("prompt"), LONGEST_PROMPT),
        "params": _texts(notification.get("params")),
        "question": _text(context.get("question"), QUESTION),
        "people": _texts(filters.get("people")),
        "topics": _texts(filters.get("topics")),
    }


def _text(value: object, most: int = LONGEST) -> str:
    return value.replace("\0", "").strip()[:most] if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    found = (_text(one, NAME) for one in value) if isinstance(value, list) else ()
    return [one for one in found if one][:NAMES]
