"""What an app says of itself when it is registered, with the names that the clients and apps that exist use.

`wrong_with` says what does not go together, which the types cannot; `opened`, `linked` and `text_for` put a user's id
into addresses that are shown to them.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.conversation.app_prompt import LONGEST_PROMPT
from engine.webhooks.addresses import check_url
from engine.webhooks.urls import with_query

__all__ = [
    "CHAT",
    "EXTERNAL",
    "MEMORIES",
    "MOST_TOOLS",
    "NOTIFICATION",
    "Action",
    "AppAction",
    "AppChange",
    "AuthStep",
    "Capability",
    "ChatTool",
    "ExternalIntegration",
    "Manifest",
    "Named",
    "NewApp",
    "Scope",
    "TriggersOn",
    "absolute_tools",
    "asked_at",
    "linked",
    "opened",
    "text_for",
    "wrong_with",
]

Capability = Literal["chat", "memories", "external_integration", "proactive_notification"]
CHAT: Capability = "chat"
MEMORIES: Capability = "memories"
EXTERNAL: Capability = "external_integration"
NOTIFICATION: Capability = "proactive_notification"

TriggersOn = Literal["memory_creation", "transcript_processed", "audio_bytes"]
Scope = Literal["user_name", "user_facts", "user_context", "user_chat"]
Action = Literal["create_conversation", "create_facts", "read_memories", "read_conversations", "read_tasks"]

MOST_TOOLS = 20
PARAMETERS = 8_000
"""Characters of a tool's JSON Schema."""

Url = Annotated[str, Meta(max_length=2048)]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Text = Annotated[str, Meta(max_length=10_000)]
Prompt = Annotated[str, Meta(max_length=LONGEST_PROMPT)]
ToolName = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]


class AuthStep(msgspec.Struct, frozen=True):
    """A page on which a user signs in; `uid` is added to its query when it is opened."""

    name: Line
    url: Url


class AppAction(msgspec.Struct, frozen=True):
    """Something that the app does through the Integration API."""

    action: Action


class ExternalIntegration(msgspec.Struct, frozen=True, kw_only=True):
    """A server of the app's: what it is told at `webhook_url`, and how a user connects to it.

    `setup_completed_url` answers `{"is_setup_completed": true}` to a GET with `uid` once a user may enable the app.
    `setup_instructions_file_path` is a text, or the address of one. `chat_tools_manifest_url` has the app's tools.
    """

    triggers_on: TriggersOn | None = None
    webhook_url: Url | None = None
    setup_completed_url: Url | None = None
    setup_instructions_file_path: Text | None = None
    is_instructions_url: bool | None = False
    auth_steps: Annotated[list[AuthStep], Meta(max_length=10)] | None = []
    app_home_url: Url | None = None
    actions: Annotated[list[AppAction], Meta(max_length=10)] | None = []
    chat_tools_manifest_url: Url | None = None


class ChatTool(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the app does when a chat asks for it, at `endpoint` (an address, or a path under the app's home).

    `parameters`: the JSON Schema of its arguments. `auth_required`: its calls are signed.
    """

    name: ToolName
    description: Annotated[str, Meta(min_length=1, max_length=2000)]
    endpoint: Annotated[str, Meta(min_length=1, max_length=2048)]
    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    parameters: dict[str, Any] | None = None
    auth_required: bool = True
    status_message: Annotated[str, Meta(max_length=200)] | None = None


Tools = Annotated[list[ChatTool], Meta(max_length=MOST_TOOLS)]


class Manifest(msgspec.Struct, frozen=True):
    """What `chat_tools_manifest_url` answers."""

    tools: Tools = []


class ProactiveNotification(msgspec.Struct, frozen=True):
    """What of a user the app's notifications may be made of."""

    scopes: Annotated[list[Scope], Meta(max_length=10)] = []


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of every app."""

    name: Line
    description: Annotated[str, Meta(min_length=1, max_length=5000)]
    author: Annotated[str, Meta(max_length=200)] = ""
    category: Annotated[str, Meta(max_length=64)] = "other"
    image: Url | None = ""
    private: bool = True
    capabilities: Annotated[list[Capability], Meta(min_length=1, max_length=10)]


class NewApp(Named, frozen=True, kw_only=True):
    """An app. A private one is there for its owner alone."""

    memory_prompt: Prompt | None = None
    chat_prompt: Prompt | None = None
    external_integration: ExternalIntegration | None = None
    proactive_notification: ProactiveNotification | None = None
    chat_tools: Tools = []


class AppChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes otherwise; what is not given stays."""

    name: Line | UnsetType = UNSET
    description: Annotated[str, Meta(min_length=1, max_length=5000)] | UnsetType = UNSET
    author: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    category: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    image: Url | UnsetType | None = UNSET
    private: bool | UnsetType = UNSET
    capabilities: Annotated[list[Capability], Meta(min_length=1, max_length=10)] | UnsetType = UNSET
    memory_prompt: Prompt | UnsetType | None = UNSET
    chat_prompt: Prompt | UnsetType | None = UNSET
    external_integration: ExternalIntegration | UnsetType | None = UNSET
    proactive_notification: ProactiveNotification | UnsetType | None = UNSET
    chat_tools: Tools | UnsetType = UNSET


def wrong_with(app: NewApp) -> str | None:
    """What does not go together in it, as "field=value is not accepted: use …"; None when all is well."""
    integration = app.external_integration
    for capability, field in ((MEMORIES, "memory_prompt"), (CHAT, "chat_prompt")):
        if capability in app.capabilities and not (getattr(app, field) or "").strip():
            return f"{field} is missing: an app with the capability {capability} needs one"
    if EXTERNAL in app.capabilities and integration is None:
        return f"external_integration is missing: an app with the capability {EXTERNAL} needs it"
    if app.chat_tools and EXTERNAL not in app.capabilities:
        return f"chat_tools is not accepted: use it with the capability {EXTERNAL}"
    names = [tool.name for tool in app.chat_tools]
    if len(set(names)) < len(names):
        return "chat_tools is not accepted: use every name once"
    if integration is not None and (wrong := _wrong_with_integration(integration)):
        return wrong
    addresses = [("image", app.image)]
    addresses += [(f"chat_tools.{tool.name}.endpoint", tool.endpoint) for tool in app.chat_tools]
    for tool in app.chat_tools:
        if tool.parameters is not None and len(msgspec.json.encode(tool.parameters)) > PARAMETERS:
            return (
                f"chat_tools.{tool.name}.parameters is not accepted: use at most {PARAMETERS} bytes of JSON"
            )
    return _wrong_address(addresses)


def _wrong_with_integration(integration: ExternalIntegration) -> str | None:
    if integration.triggers_on is not None and not integration.webhook_url:
        return "webhook_url is missing: an app with triggers_on needs one"
    addresses = [
        ("webhook_url", integration.webhook_url),
        ("setup_completed_url", integration.setup_completed_url),
        ("app_home_url", integration.app_home_url),
        ("chat_tools_manifest_url", integration.chat_tools_manifest_url),
        *((f"auth_steps.{step.name}", step.url) for step in integration.auth_steps or ()),
    ]
    return _wrong_address(addresses)


def _wrong_address(addresses: Sequence[tuple[str, str | None]]) -> str | None:
    for field, url in addresses:
        if url and (wrong := check_url(url)):
            return f"{field} is not accepted: {wrong}"
    return None


def absolute_tools(app: NewApp) -> NewApp:
    """The app, with every tool's endpoint as an address: a path is one under the app's home."""
    home = (app.external_integration.app_home_url if app.external_integration else None) or ""
    if not home:
        return app
    tools = [
        msgspec.structs.replace(tool, endpoint=home.rstrip("/") + tool.endpoint)
        if tool.endpoint.startswith("/") and not tool.endpoint.startswith("//")
        else tool
        for tool in app.chat_tools
    ]
    return msgspec.structs.replace(app, chat_tools=tools)


def asked_at(app: NewApp) -> list[str]:
    """The addresses at which this server asks the app, or tells it something."""
    integration = app.external_integration or ExternalIntegration()
    named = [integration.webhook_url, integration.setup_completed_url, integration.chat_tools_manifest_url]
    return [url for url in [*named, *(tool.endpoint for tool in app.chat_tools)] if url]


def opened(url: str, uid: str) -> str:
    """An address as this user opens it: with their id in its query."""
    page, mark, place = url.partition("#")
    return with_query(page, {"uid": uid}) + mark + place


def linked(steps: Sequence[AuthStep], uid: str) -> list[AuthStep]:
    """The pages as this user opens them."""
    return [AuthStep(step.name, opened(step.url, uid)) for step in steps]


# A link ends before what closes a sentence or Markdown's brackets.
_LINK = re.compile(r"https?://[^\s<>\"'`)\]]+[^\s<>\"'`)\].,;:!?]")


def text_for(text: str, uid: str) -> str:
    """`text` with the user's id in the query of every link in it."""
    return _LINK.sub(lambda found: _tried(found.group(), uid), text)


def _tried(url: str, uid: str) -> str:
    return url if check_url(url) else opened(url, uid)
