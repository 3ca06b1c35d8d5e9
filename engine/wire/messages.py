"""What the server sends on /v4/listen, as frozen structs, and how it is put into text frames.

Three kinds of text frame leave the server: the bare word `ping`, a JSON array of segments, and a JSON object
whose `type` names the event. Names and field order are those of the Omi listen backend; `revision` and `timing`
on segments and the events `interim` and `error` are ours. A field that is null on the wire is `None` here; an
optional field that is left out of the JSON is `UNSET`.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

PING = "ping"
"""The heartbeat: this text frame, which is not JSON, every ping interval."""

SPEAKER_PREFIX = "SPEAKER_"

_force = msgspec.structs.force_setattr


@lru_cache(maxsize=128)
def speaker_label(number: int) -> str:
    """The wire's label of speaker `number`, from 0: `SPEAKER_00`, `SPEAKER_01` …"""
    return f"{SPEAKER_PREFIX}{number:02d}"


@lru_cache(maxsize=128)
def speaker_number(label: str) -> int:
    """The number in a label (`SPEAKER_01` and `SPEAKER_1` are 1); 0 for a label that carries none."""
    digits = label.removeprefix(SPEAKER_PREFIX)
    if digits == label or not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return 0
    return int(digits)


class Translation(msgspec.Struct, frozen=True, gc=False):
    """A segment's text in another language."""

    lang: str
    text: str


class Timing(msgspec.Struct, frozen=True, gc=False):
    """Where the time of a segment went, in µs; with `timing=true` only. The README defines each stage."""

    receive: int
    decode: int
    queue: int
    vendor: int
    merge: int
    send: int


class Segment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A piece of transcript by one speaker; `start` and `end` are seconds since the conversation began.

    A client keeps segments by `id` and replaces one when it comes again; `revision` starts at 1 and grows by
    one with each change. `speaker_id` is always derived from `speaker`, whatever was passed, and times are
    kept to the millisecond. `timing` is told to the client only, of what made this revision.
    """

    id: str
    text: str
    speaker: str = "SPEAKER_00"
    speaker_id: int = 0
    is_user: bool = False
    person_id: str | None = None
    start: float
    end: float
    translations: tuple[Translation, ...] = ()
    speech_profile_processed: bool = True
    stt_provider: str | None = None
    revision: int = 1
    timing: Timing | UnsetType = UNSET

    def __post_init__(self) -> None:
        # Also runs after decoding and after msgspec.structs.replace, several times a result.
        number = speaker_number(self.speaker)
        if number != self.speaker_id:
            _force(self, "speaker_id", number)
        _force(self, "start", round(float(self.start), 3))
        _force(self, "end", round(float(self.end), 3))


class Speaker(msgspec.Struct, frozen=True):
    """Who speaks: the owner, somebody they know, or (neither) nobody knows who."""

    is_user: bool = False
    person_id: str | None = None


class Event(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of everything that is sent as a JSON object with a `type`."""


class ServiceStatus(Event, tag="service_status", frozen=True):
    """How the service is doing: `initiating`, `ready`, `flushed`, `stt_failed` …

    `status_text` is sent as null when there is none (clients expect the key); the others only when set.
    `retry_after` and `lag_seconds` are seconds.
    """

    status: str
    status_text: str | None = None
    outcome: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    retryable: bool | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    retry_after: float | UnsetType = UNSET
    lag_seconds: float | UnsetType = UNSET


class LastMemory(Event, tag="last_memory", frozen=True):
    """At connect: the user's latest completed conversation."""

    memory_id: str


class SegmentsDeleted(Event, tag="segments_deleted", frozen=True):
    """Segments sent earlier that merging swallowed."""

    segment_ids: tuple[str, ...]


class Translating(Event, tag="translating", frozen=True):
    """Segments whose `translations` were filled in."""

    segments: tuple[Segment, ...]


class SpeakerLabelSuggestion(Event, tag="speaker_label_suggestion", frozen=True):
    """Who a speaker may be.

    `person_id` is empty when the person is not known yet, and without `speaker_auto_assign=enabled`.
    """

    speaker_id: int
    person_id: str
    person_name: str
    segment_id: str


class SpeakerDecision(Event, tag="speaker_decision", frozen=True, kw_only=True):
    """With `speaker_decisions=true`: what a speaker's voice was compared with, and what came of it.

    `person` and `best` are ids (`user`: the owner), `score` and `runner_up_score` similarities from 0 to 1, null where
    there is nobody to compare with; `person` is null for a voice that is nobody's, and for one that is less like
    `best`'s than that of another speaker, whose label `better` is. It holds for `segment_ids`.
    """

    speaker_id: int
    segment_ids: tuple[str, ...]
    person: str | None
    verdict: str
    best: str | None
    score: float | None
    runner_up: str | None
    runner_up_score: float | None
    threshold: float
    margin: float
    seconds: float
    better: str | None


class PhotoProcessing(Event, tag="photo_processing", frozen=True):
    """All chunks of an image arrived; the client's `temp_id` is now `photo_id`."""

    temp_id: str
    photo_id: str


class PhotoDescribed(Event, tag="photo_described", frozen=True):
    """What a vision model saw."""

    photo_id: str
    description: str
    discarded: bool


class FreemiumThresholdReached(Event, tag="freemium_threshold_reached", frozen=True):
    """Little of the user's quota is left. `action`: `setup_on_device_stt` or `none`."""

    remaining_seconds: int
    action: str = "none"


class ConversationSession(Event, tag="conversation_session", frozen=True):
    """At connect: the conversation this session writes to, created or resumed."""

    conversation_id: str
    status: str
    recording_session_id: str
    lifecycle_version: int
    lifecycle_phase: str
    lifecycle_sequence: int


class ProactiveMessage(Event, tag="proactive_message", frozen=True):
    """An app speaks up by itself."""

    app_id: str
    title: str
    message: str
    conversation_id: str | UnsetType = UNSET


class InterimSegments(Event, tag="interim", frozen=True):
    """What the open utterance sounds like so far; replaces the last one and is never kept."""

    segments: tuple[Segment, ...]


class ErrorEvent(Event, tag="error", frozen=True):
    """Why the connection is about to be closed with `code`; `retry_after` is in seconds.

    `parameter`, `value` and `accepted` say what was wrong, with which value, and what would be right; they
    are null where nothing the client sent is at fault.
    """

    code: int
    message: str
    parameter: str | None = None
    value: str | None = None
    accepted: str | None = None
    retry_after: float | UnsetType = UNSET


class AuthResponse(Event, tag="auth_response", frozen=True):
    """Answer to the first message on /v4/web/listen."""

    success: bool


_encoder = msgspec.json.Encoder()


def encode(event: Event) -> str:
    """One event as the text of a frame."""
    return _encoder.encode(event).decode()


def encode_segments(segments: Sequence[Segment]) -> str:
    """Segments as the text of a frame: a JSON array."""
    return _encoder.encode(segments).decode()
