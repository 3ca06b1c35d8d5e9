"""The messages of Speechmatics' server: judging what it is asked for, making what it says."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from engine.stt.languages import SPEECHMATICS
from engine.stt.vendor import SAMPLE_RATE
from engine.testing.hearing import Heard
from engine.testing.line import Ended, Line

CLOSE_CODES = {
    "protocol_error": 1003,
    "invalid_message": 1003,
    "idle_timeout": 1008,
    "session_timeout": 1008,
    "unknown_error": 1011,
    "not_authorised": 4001,
    "not_allowed": 4003,
    "invalid_model": 4004,
    "quota_exceeded": 4005,
    "timelimit_exceeded": 4006,
    "job_error": 4013,
}
"""By type of error; the others close with 1003."""

REASONS = {
    1003: "protocol_error",
    1008: "policy_violation",
    1011: "internal_error",
    4001: "not_authorised",
    4003: "not_allowed",
    4004: "invalid_model",
    4005: "quota_exceeded",
    4006: "timelimit_exceeded",
    4013: "job_error",
}

_OPENING = "¿¡([{\"'“«"
_CLOSING = ".,?!;:…。，？！、؟،。)]}\"'”»"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `transcription_config` that shapes results; seconds."""

    language: str
    max_delay: float = 4.0
    partials: bool = False
    speakers: bool = False
    entities: bool = True
    silence_trigger: float = 0.0


async def judged(line: Line, asked: dict[str, Any], audio: object) -> Config:
    """The configuration; ends the connection for one that the vendor refuses."""
    if audio != {"type": "raw", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE}:
        reason = f"audio_format is {audio!r}; here only raw pcm_s16le at 16000 Hz is heard"
        await refuse(line, "invalid_audio_type", reason)
    language = asked.get("language")
    if language not in SPEECHMATICS.codes.values():
        await refuse(line, "invalid_model", f"language {language!r} is not supported")
    delay = asked.get("max_delay", 4.0)
    trigger = (asked.get("conversation_config") or {}).get("end_of_utterance_silence_trigger", 0.0)
    models = [asked[name] for name in ("model", "operating_point") if asked.get(name) is not None]
    vocabulary = asked.get("additional_vocab") or []
    wrong = (
        ("model and operating_point exclude each other" if len(models) > 1 else "")
        or ("" if set(models) <= {"standard", "enhanced"} else "model is not supported")
        or ("" if _within(delay, 0.7, 4) else "max_delay must be from 0.7 to 4")
        or ("" if _within(trigger, 0, 2) else "end_of_utterance_silence_trigger must be from 0 to 2")
        or ("" if asked.get("diarization", "none") in ("none", "speaker") else "diarization is not supported")
        or ("" if len(vocabulary) <= 1000 else "additional_vocab has more than 1000 entries")
    )
    if wrong:
        await refuse(line, "invalid_config", wrong)
    for entry in vocabulary:
        content = entry if isinstance(entry, str) else entry.get("content", "")
        if len(content.split()) > 6:
            reason = "additional_vocab: an entry of more than 6 words was dropped"
            await say(line, "Warning", type="validation_warning", reason=reason)
    return Config(
        language=str(language),
        max_delay=delay,
        partials=asked.get("enable_partials") is True,
        speakers=asked.get("diarization") == "speaker",
        entities=asked.get("enable_entities") is not False,
        silence_trigger=trigger,
    )


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value <= high


def results_of(heard: Heard, config: Config) -> list[dict[str, Any]]:
    """The results that make one word of the script: marks before it, itself, marks after it."""
    text = heard.word.text
    body = text.lstrip(_OPENING).rstrip(_CLOSING)
    if not body:
        return [_result(text, heard, config, heard.start, heard.end)]
    before, after = text[: text.index(body)], text[text.index(body) + len(body) :]
    found = [_mark(char, heard, config, heard.start, "next") for char in before]
    whole = _result(body, heard, config, heard.start, heard.end)
    if config.entities and re.search(r"\s", body):
        whole |= {"type": "entity", "entity_class": "date", "written_form": [], "spoken_form": []}
    return [*found, whole, *(_mark(char, heard, config, heard.end, "previous") for char in after)]


def _mark(char: str, heard: Heard, config: Config, at: int, side: str) -> dict[str, Any]:
    result = _result(char, heard, config, at, at)
    return result | {"type": "punctuation", "attaches_to": side, "is_eos": char in ".?!。？！؟"}


def _result(content: str, heard: Heard, config: Config, start: int, end: int) -> dict[str, Any]:
    word = heard.word
    confidence = 1.0 if word.confidence is None else word.confidence
    best: dict[str, Any] = {"content": content, "confidence": confidence, "language": config.language}
    if config.speakers:
        best["speaker"] = "UU" if word.speaker is None else f"S{word.speaker + 1}"
    return {
        "type": "word",
        "start_time": start / SAMPLE_RATE,
        "end_time": end / SAMPLE_RATE,
        "alternatives": [best],
    }


def transcript(results: Sequence[dict[str, Any]], start: int, end: int) -> dict[str, Any]:
    """The body of a final or partial; its text is made to be simply strung together."""
    text = ""
    for result in results:
        content = result["alternatives"][0]["content"]
        side = result.get("attaches_to")
        text = text.rstrip() + content + " " if side == "previous" else text + content
        text += "" if side in ("previous", "next") else " "
    metadata = {"start_time": start / SAMPLE_RATE, "end_time": end / SAMPLE_RATE, "transcript": text}
    return {"format": "2.1", "metadata": metadata, "results": list(results)}


def decoded(message: str) -> dict[str, Any]:
    """The message; empty when it is no JSON object with a name."""
    try:
        said = msgspec.json.decode(message)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) and isinstance(said.get("message"), str) else {}


async def refuse(line: Line, kind: str, reason: str) -> NoReturn:
    """Say `Error` and close; raises `Ended`."""
    code = CLOSE_CODES.get(kind, 1003)
    await say(line, "Error", type=kind, reason=reason, code=code)
    await line.close(code, REASONS[code])
    raise Ended(f"{kind}: {reason}")


async def say(
    line: Line, message: str, *, final: bool = False, words: Sequence[Heard] = (), **body: Any
) -> None:
    """Say `message` with the fields `body`; see `Line.say`."""
    await line.say(msgspec.json.encode({"message": message, **body}).decode(), final=final, words=words)
