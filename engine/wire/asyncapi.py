"""The AsyncAPI 3 document of the listen sockets, made of the messages' own types.

`received_by_client` and `received_by_server` are the messages by name, with the schema each payload has.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.wire.client_messages import KEEPALIVE_BYTES, AuthMessage, ClientMessage
from engine.wire.codes import CloseCode
from engine.wire.messages import PING, AuthResponse, Event, Segment
from engine.wire.parameters import (
    CODEC_RATES,
    DEFAULT_TIMEOUT,
    LONGEST_TIMEOUT,
    SHORTEST_TIMEOUT,
    SOURCES,
    STT_SERVICES,
)

__all__ = ["asyncapi_document"]

ASYNCAPI = "3.0.0"
SCHEMAS = "#/components/schemas/{name}"
JSON = "application/json"
DEVICE, BROWSER = "listen", "webListen"

ABOUT = f"""\
Audio in, a speaker-labelled transcript out, over one WebSocket. A binary message of more than {KEEPALIVE_BYTES} bytes \
is one packet of the codec; a shorter one only says that the client is there. Text from the server is the word \
`{PING}`, a JSON array of segments (new and changed ones; keep them by `id`), or a JSON object whose `type` names the \
event. A client ignores types it does not know; so does the server. A connection that is not served is accepted, told \
why in an `error`, and closed."""

CLOSING = {
    CloseCode.NORMAL: "the client closed with it",
    CloseCode.GOING_AWAY: "the server drains, or the client sent nothing for too long",
    CloseCode.UNSUPPORTED_DATA: "codec, sample_rate or channels cannot be decoded",
    CloseCode.POLICY_VIOLATION: "another parameter is not accepted, or nobody is known by the token",
    CloseCode.MESSAGE_TOO_BIG: "a message was too large",
    CloseCode.INTERNAL_ERROR: "the session cannot go on",
    CloseCode.TRY_AGAIN_LATER: "a limit is reached; the error before it has retry_after",
    CloseCode.TOKEN_EXPIRED: "the token's time is over",
}


def asyncapi_document(version: str) -> dict[str, Any]:
    """The document."""
    events, commands = _leaves(Event), _leaves(ClientMessage)
    kinds = [*events, *commands]
    _, schemas = msgspec.json.schema_components([*kinds, Segment], ref_template=SCHEMAS)
    messages = {**{_name(kind): _json_message(kind) for kind in kinds}, **_OTHER_MESSAGES}
    sent = ["ping", "segments", *(_name(kind) for kind in events)]
    received = ["audio", "keepalive", *(_name(kind) for kind in commands)]
    auth = {_name(AuthMessage), _name(AuthResponse)}
    channels = {
        DEVICE: _channel("/v4/listen", [name for name in (*sent, *received) if name not in auth]),
        BROWSER: _channel("/v4/web/listen", [*sent, *received]),
    }
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": "listen-engine", "version": version, "description": ABOUT},
        "defaultContentType": JSON,
        "channels": channels,
        "operations": {
            f"{channel}{'Sends' if action == 'send' else 'Receives'}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "messages": [
                    {"$ref": f"#/channels/{channel}/messages/{name}"}
                    for name in names
                    if name in channels[channel]["messages"]
                ],
            }
            for channel in channels
            for action, names in (("send", sent), ("receive", received))
        },
        "components": {
            "messages": messages,
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "user": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer …` of the handshake; on /v4/web/listen the first message,"
                    " `auth`, carries the token instead.",
                }
            },
        },
    }


def _leaves(base: type) -> list[type]:
    return sorted(base.__subclasses__(), key=_name)


def _name(kind: type) -> str:
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def _json_message(kind: type) -> dict[str, Any]:
    summary = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return {
        "name": _name(kind),
        "summary": summary,
        "contentType": JSON,
        "payload": {"$ref": SCHEMAS.format(name=kind.__name__)},
    }


_OTHER_MESSAGES: Mapping[str, dict[str, Any]] = {
    "ping": {
        "name": "ping",
        "summary": "The heartbeat: no JSON; any message answers it.",
        "contentType": "text/plain",
        "payload": {"type": "string", "const": PING},
    },
    "segments": {
        "name": "segments",
        "summary": "New and changed segments.",
        "contentType": JSON,
        "payload": {"type": "array", "items": {"$ref": SCHEMAS.format(name="Segment")}},
    },
    "audio": {
        "name": "audio",
        "summary": "One packet of the codec.",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary", "minLength": KEEPALIVE_BYTES + 1},
    },
    "keepalive": {
        "name": "keepalive",
        "summary": "Says that the client is there.",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary", "maxLength": KEEPALIVE_BYTES},
    },
}


def _channel(address: str, messages: list[str]) -> dict[str, Any]:
    closing = "\n".join(f"- {code.value}: {meaning}" for code, meaning in CLOSING.items())
    return {
        "address": address,
        "description": f"Close codes:\n\n{closing}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {"type": "object", "properties": _PARAMETERS},
                "bindingVersion": "0.1.0",
            }
        },
    }


def _switch(meaning: str) -> dict[str, Any]:
    return {"type": "string", "enum": ["enabled", "disabled"], "description": meaning}


def _boolean(default: bool, meaning: str) -> dict[str, Any]:
    return {"type": "boolean", "default": default, "description": meaning}


_PARAMETERS: Mapping[str, dict[str, Any]] = {
    "uid": {
        "type": "string",
        "description": "The user; must be the token's own. Required in development mode.",
    },
    "language": {"type": "string", "default": "en", "description": "A language tag, `multi` or `auto`."},
    "sample_rate": {"type": "integer", "default": 8000, "minimum": 8000, "maximum": 48000},
    "codec": {"type": "string", "default": "pcm8", "enum": list(CODEC_RATES)},
    "channels": {"type": "integer", "default": 1, "enum": [1, 2]},
    "include_speech_profile": _boolean(True, "Whether the user's own voice is looked for."),
    "conversation_timeout": {
        "type": "integer",
        "default": DEFAULT_TIMEOUT,
        "description": f"Seconds of silence that end a conversation: {SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT}; -1 is"
        " the longest.",
    },
    "stt_service": {"type": "string", "enum": list(STT_SERVICES)},
    "source": {"type": "string", "enum": sorted(SOURCES), "description": "Others count as `unknown`."},
    "custom_stt": _switch("The client transcribes itself and sends `suggested_transcript`."),
    "onboarding": _switch("Has no effect."),
    "create_speakers": _boolean(True, "Has no effect."),
    "speaker_auto_assign": _switch(
        "Whether `speaker_label_suggestion` has the person's id, if known, for the client to assign."
    ),
    "vad_gate": _switch("Whether silence is kept from the speech service."),
    "call_id": {"type": "string", "description": "With channels=2: byte 0 of each packet is its channel."},
    "client_conversation_id": {"type": "string", "format": "uuid"},
    "interim_results": _boolean(False, "Send `interim` while somebody speaks."),
    "timing": _boolean(False, "Say for each segment where its time went."),
    "speaker_decisions": _boolean(
        False, "Send `speaker_decision` when a voice was compared with known ones."
    ),
}
