"""Soniox results as they come, and what the protocol makes of them."""

import json
from collections.abc import Sequence

from engine.stt.protocol import Endpoint, Event, Recognized
from engine.stt.soniox import SonioxProtocol
from engine.stt.vendor import SAMPLE_RATE, StreamOptions
from engine.transcript.words import Word

URL = "wss://stt-rt.soniox.com/transcribe-websocket"
KEY = "secret-key"
MS = SAMPLE_RATE // 1000


def protocol(seconds: float = 10.0, *, model: str = "", **options: object) -> SonioxProtocol:
    """A protocol that was given `seconds` of audio."""
    made = SonioxProtocol(
        StreamOptions(**{"session_id": "s-1", **options}),  # type: ignore[arg-type]
        Endpoint(URL, KEY, model),
    )
    if seconds:
        assert made.audio(bytes(int(seconds * SAMPLE_RATE) * 2))
    return made


def token(text: str, start: int | None = None, end: int | None = None, **more: object) -> dict[str, object]:
    """A final token; times in ms."""
    made: dict[str, object] = {"text": text, "is_final": True, "confidence": 0.9, **more}
    if start is not None:
        made["start_ms"] = start
    if end is not None:
        made["end_ms"] = end
    return made


def guess(text: str, start: int, end: int, **more: object) -> dict[str, object]:
    """A token that may change."""
    return token(text, start, end, is_final=False, **more)


def say(made: SonioxProtocol, *tokens: dict[str, object], final: int = 0, **more: object) -> Sequence[Event]:
    """What a result becomes; `final` is `final_audio_proc_ms`."""
    document = {"tokens": tokens, "final_audio_proc_ms": final, "total_audio_proc_ms": final, **more}
    return made.received(json.dumps(document))


def words(events: Sequence[Event]) -> list[Word]:
    return [word for event in events if isinstance(event, Recognized) for word in event.words]


def texts(events: Sequence[Event]) -> list[str]:
    return [word.text for word in words(events)]


def covered(events: Sequence[Event]) -> int:
    """In ms."""
    (event,) = (event for event in events if isinstance(event, Recognized))
    return event.covered // MS
