"""How Soniox judges a start message, and the words it has for what is wrong."""

import json
from collections.abc import Mapping

import msgspec

from engine.stt.languages import MULTI, SONIOX
from engine.stt.vendor import SAMPLE_RATE
from engine.testing.line import Attempt

CONTEXT_LIMIT = 10_000
REFERENCE_LIMIT = 256

_MODELS = ("stt-rt-v5", "stt-rt-v4")
_CONTAINERS = frozenset(["auto", "aac", "aiff", "amr", "asf", "flac", "mp3", "ogg", "wav", "webm"])
_PCM = frozenset(
    f"pcm_{kind}{width}{order}"
    for kind, widths in (("s", (16, 24, 32)), ("u", (16, 24, 32)), ("f", (32, 64)))
    for width in widths
    for order in ("le", "be")
) | {"pcm_s8", "pcm_u8", "mulaw", "alaw"}
_FLAGS = (
    "language_hints_strict",
    "enable_speaker_diarization",
    "enable_language_identification",
    "enable_endpoint_detection",
)
_RANGES = {
    "max_endpoint_delay_ms": (500, 3000),
    "endpoint_sensitivity": (-1, 1),
    "endpoint_latency_adjustment_level": (0, 3),
}
_SAID = {
    400: ("invalid_request", "Invalid request."),
    401: ("unauthenticated", "Invalid API key."),
    402: ("organization_balance_exhausted", "Organization balance exhausted."),
    403: ("permission_denied", "Permission denied."),
    408: ("request_timeout", "Request timeout."),
    413: ("max_duration_reached", "Maximum duration of a real-time session reached."),
    429: ("limit_exceeded", "Your organization has exceeded max number of concurrent requests."),
    500: ("internal_error", "Internal error."),
    503: ("service_unavailable", "Cannot continue request (code 1). Please restart the request."),
}


class Denied(Exception):
    """Soniox ends the stream with this error; kind and message default to the usual ones of the code."""

    def __init__(self, code: int, message: str = "", kind: str = "") -> None:
        usual_kind, usual = _SAID.get(code, ("internal_error", "Internal error."))
        super().__init__(message or usual)
        self.code = code
        self.kind = kind or usual_kind

    def frame(self, request: str) -> str:
        """The error message on the wire."""
        document = {
            "tokens": [],
            "error_code": self.code,
            "error_type": self.kind,
            "error_message": str(self),
            "more_info": "https://soniox.com/docs/stt/api-reference/websocket-api",
            "request_id": request,
        }
        return json.dumps(document)


class Wanted(msgspec.Struct, frozen=True):
    """The options of a stream, as far as they change what the stand-in says. `endpoint_delay` in samples."""

    diarize: bool = False
    identify: bool = False
    endpoints: bool = False
    endpoint_delay: int = 2 * SAMPLE_RATE
    language: str = "en"


def judge(message: bytes | str, attempt: Attempt, key: str | None, *, strict: bool) -> Wanted:
    """The options in a start message; raises `Denied`. `key` None accepts any and none."""
    if isinstance(message, bytes):
        raise Denied(400, "Start request must be a text message.")
    try:
        start = json.loads(message)
    except ValueError:
        raise Denied(400, "Start request is malformed.") from None
    if not isinstance(start, dict):
        raise Denied(400, "Start request is malformed.")
    _judge_key(start, attempt, key, strict)
    if start.get("model") not in _MODELS:
        raise Denied(400, "Invalid model specified.", "model_not_available")
    _judge_options(start)
    _judge_audio(start)
    hints = start.get("language_hints") or ["en"]
    return Wanted(
        diarize=start.get("enable_speaker_diarization") is True,
        identify=start.get("enable_language_identification") is True,
        endpoints=start.get("enable_endpoint_detection") is True,
        endpoint_delay=int(start.get("max_endpoint_delay_ms", 2000)) * SAMPLE_RATE // 1000,
        language=hints[0],
    )


def _judge_key(start: Mapping[str, object], attempt: Attempt, key: str | None, strict: bool) -> None:
    """The key is in the handshake, or until 2027 (not `strict`) in the start message; never in both."""
    kind, _, bearer = attempt.headers.get("authorization", "").partition(" ")
    offered = attempt.subprotocols
    outside = bearer.strip() if kind.lower() == "bearer" else ""
    if len(offered) == 2 and offered[0] == "soniox-api-key":
        outside = offered[1]
    inside = start.get("api_key")
    if outside and inside:
        raise Denied(400, "API key must be sent either with the connection or in the start request.")
    given = outside or (inside if not strict else None)
    if not given and (key is not None or inside):
        raise Denied(401, "Missing API key.")
    if key is not None and given != key:
        raise Denied(401)


def _judge_audio(start: Mapping[str, object]) -> None:
    audio = start.get("audio_format")
    rate, channels = start.get("sample_rate"), start.get("num_channels")
    if not isinstance(audio, str) or audio not in _CONTAINERS | _PCM:
        raise Denied(400, "Invalid audio format.")
    if audio in _PCM and not isinstance(rate, int):
        raise Denied(400, "Audio data sample rate must be specified for PCM formats")
    if audio in _PCM and not isinstance(channels, int):
        raise Denied(400, "Audio data channels must be specified for PCM formats")
    if (audio, rate, channels) != ("pcm_s16le", SAMPLE_RATE, 1):
        raise Denied(400, "Audio decode error: this stand-in takes pcm_s16le, 16000 Hz, one channel only.")


def _judge_options(start: Mapping[str, object]) -> None:
    hints = start.get("language_hints")
    if hints is not None and not _are_hints(hints):
        raise Denied(400, "Invalid language hint.")
    if len(json.dumps(start.get("context", ""), ensure_ascii=False, separators=(",", ":"))) > CONTEXT_LIMIT:
        raise Denied(400, f"Context is too long (max length {CONTEXT_LIMIT}).")
    reference = start.get("client_reference_id", "")
    if not isinstance(reference, str) or len(reference) > REFERENCE_LIMIT:
        raise Denied(400, f"Client reference ID is too long (max length {REFERENCE_LIMIT}).")
    for name in _FLAGS:
        if not isinstance(start.get(name, False), bool):
            raise Denied(400, f"Invalid value of {name}.")
    for name, (low, high) in _RANGES.items():
        value = start.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise Denied(400, f"Invalid value of {name}.")


def _are_hints(hints: object) -> bool:
    if not isinstance(hints, list) or not all(isinstance(hint, str) for hint in hints):
        return False
    known = all(hint in SONIOX.codes and hint != MULTI for hint in hints)
    return known and len(set(hints)) == len(hints)
