"""The JSON of what Deepgram's stand-in says."""

import json
from datetime import UTC, datetime

from engine.stt.vendor import SAMPLE_RATE
from engine.testing._deepgram_query import Wanted, request_id, wanted
from engine.testing.hearing import Heard
from engine.testing.line import Line

MODEL = "00000000-0000-4000-8000-000000000003"


def word_of(heard: Heard, options: Wanted) -> dict[str, object]:
    """One of the `words` of a `Results`."""
    start, end = heard.seconds
    bare = heard.word.text.lower().strip(".,!?;:…") or heard.word.text
    word: dict[str, object] = {"word": bare, "start": start, "end": end, "confidence": 0.99}
    if heard.word.confidence is not None:
        word["confidence"] = heard.word.confidence
    if options.diarize:
        word["speaker"] = heard.word.speaker or 0
    if options.punctuated:
        word["punctuated_word"] = heard.word.text
    if options.language == "multi":
        word["language"] = heard.word.language or "en"
    return word


def metadata(line: Line) -> str:
    """The last message of a stream; what it heard is left out when there was nothing."""
    samples = line.hearing.samples
    message: dict[str, object] = {
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": request_id(line.attempt),
        "sha256": "incomplete",
        "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "duration": samples / SAMPLE_RATE,
        "channels": 1,
    }
    if samples:
        info = {"name": wanted(line.attempt).model, "version": "stand-in", "arch": "nova-3"}
        message |= {"models": [MODEL], "model_info": {MODEL: info}}
    return json.dumps(message)


def error_message(variant: str, description: str, message: str = "") -> str:
    """Something was wrong with what the client sent."""
    return json.dumps(
        {"type": "Error", "variant": variant, "description": description, "message": message[:100]}
    )
