"""The apps that a user has enabled, as chats and conversations have them: as whom a chat answers, what a conversation
is asked, and tools.

Operations: those of `AppTools` and of `AppPrompts`.
Invariants: nothing of an app is used that its user has not enabled, or has disabled meanwhile. What a tool answers is
text for a model, which quotes it.
Bounded: `MOST_TOOLS` tools of one app; a call by `apps.tool_timeout`, its answer by `webhook.answer_limit`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from engine._config_apps import Apps as Settings
from engine.conversation.chat.ports import AppTool, AppToolFailed, Persona
from engine.listen.ports import WallClock
from engine.moments import SECOND
from engine.store.app_registry import AppRow
from engine.store.user_records import UserRow
from engine.webhooks.app_setup import Http
from engine.webhooks.apps import Registry, secrets_of
from engine.webhooks.client import Answer, NoAnswer
from engine.webhooks.signing import signed_headers
from engine.webhooks.submission import CHAT, EXTERNAL, MEMORIES, MOST_TOOLS, ChatTool
from engine.webhooks.urls import with_query

__all__ = ["ChatApps"]

SAID = 500
"""Characters of an app's own words about what went wrong."""


class Users(Protocol):
    """What users have set."""

    async def get(self, uid: str) -> UserRow:
        """What the user has set, or the defaults."""
        ...


class ChatApps:
    """Implements `AppTools` and `AppPrompts`."""

    def __init__(
        self, registry: Registry, users: Users, http: Http, settings: Settings, now: WallClock
    ) -> None:
        self._registry = registry
        self._users = users
        self._http = http
        self._settings = settings
        self._now = now

    async def persona(self, uid: str, app_id: str) -> Persona | None:
        """See `AppTools`."""
        row = await self._registry.enabled_one(uid, app_id)
        return None if row is None else _persona(row, CHAT, row.chat_prompt)

    async def prompt(self, uid: str, app_id: str) -> Persona | None:
        """See `AppPrompts`."""
        row = await self._registry.enabled_one(uid, app_id)
        return None if row is None else _persona(row, MEMORIES, row.memory_prompt)

    async def prompts(self, uid: str) -> list[Persona]:
        """See `AppPrompts`."""
        rows = await self._registry.enabled(uid)
        found = (_persona(row, MEMORIES, row.memory_prompt) for row in rows)
        return [one for one in found if one is not None][: self._settings.prompts]

    async def tools(self, uid: str) -> Sequence[AppTool]:
        """See `AppTools`."""
        return [
            AppTool(
                app_id=row.id,
                name=tool.name,
                description=f"{tool.description} (by the app {row.name})",
                parameters=_schema(tool.parameters),
            )
            for row in await self._registry.enabled(uid)
            for tool in _tools(row)
        ]

    async def call(self, uid: str, tool: AppTool, arguments: Mapping[str, Any]) -> str:
        """See `AppTools`."""
        row = await self._registry.enabled_one(uid, tool.app_id)
        declared = next((one for one in _tools(row) if one.name == tool.name), None) if row else None
        if row is None or declared is None:
            raise AppToolFailed("the app does not offer it any more")
        said = {**arguments, "uid": uid, "app_id": row.id, "tool_name": declared.name}
        if (place := (await self._users.get(uid)).geolocation) is not None:
            said["geolocation"] = place
        return _read(await self._asked(row, declared, said))

    async def _asked(self, row: AppRow, tool: ChatTool, said: Mapping[str, Any]) -> Answer:
        url, body, headers = tool.endpoint, b"", {"Accept": "application/json"}
        if tool.method == "GET":
            url = with_query(url, {name: _plain(value) for name, value in said.items() if value is not None})
        else:
            body = msgspec.json.encode(said)
            headers["Content-Type"] = "application/json"
        if tool.auth_required:
            now = self._now()
            headers |= signed_headers(f"msg_{uuid4().hex}", body, secrets_of(row, now), now // SECOND)
        try:
            return await self._http.send(
                tool.method, url, body=body or None, headers=headers, timeout=self._settings.tool_timeout
            )
        except NoAnswer as error:
            raise AppToolFailed(f"its server did not answer ({error.kind})") from error


def _persona(row: AppRow, capability: str, prompt: str | None) -> Persona | None:
    if capability not in row.capabilities or not prompt:
        return None
    return Persona(app_id=row.id, name=row.name, prompt=prompt)


def _tools(row: AppRow) -> list[ChatTool]:
    if EXTERNAL not in row.capabilities:
        return []
    return msgspec.convert(row.chat_tools, list[ChatTool])[:MOST_TOOLS]


def _schema(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON Schema of an object: manifests leave its type out."""
    said = dict(parameters or {})
    properties = said.get("properties")
    required = said.get("required")
    return {
        "type": "object",
        "properties": properties if isinstance(properties, dict) else {},
        "required": required if isinstance(required, list) else [],
    }


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(answer: Answer) -> str:
    """What a model is told. Raises `AppToolFailed`."""
    try:
        said = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        said = answer.body.decode(errors="replace")
    fields = said if isinstance(said, dict) else {}
    if not 200 <= answer.status < 300:
        raise AppToolFailed(f"it answered {answer.status} {str(fields.get('error') or '')[:SAID]}".rstrip())
    if fields.get("error"):
        raise AppToolFailed(str(fields["error"])[:SAID])
    for name in ("result", "message"):
        if name in fields:
            return _plain(fields[name])
    return _plain(said)
