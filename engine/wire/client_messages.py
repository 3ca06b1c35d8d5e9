"""What the client may send as text on /v4/listen, and how it is read.

`decode_client` raises for nothing: text that is no JSON, an unknown `type`, a missing or wrong field, or one
beyond its bound all become `Ignored`, whose reason names the field. Binary messages are not read here: up to
`KEEPALIVE_BYTES` they are keepalives, longer ones are codec packets.

A reason may quote an unknown `type` and names of fields, never the text of a segment or a token.
"""

import re
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.wire.messages import Segment, speaker_label, speaker_number
from engine.wire.refusal import printable

KEEPALIVE_BYTES = 2
SEGMENTS_PER_MESSAGE = 500
TEXT_CHARACTERS = 20_000
NAME_CHARACTERS = 128
IMAGE_CHUNKS = 10_000
LONGEST_RECORDING = 31_622_400.0
"""Seconds: no time in a transcript is later than a year."""

CUSTOM_PROVIDER = "custom"
"""`stt_provider` of suggested segments whose client does not say what transcribed them."""

Name = Annotated[str, Meta(max_length=NAME_CHARACTERS, pattern=r"^[^\x00]*\Z")]  # databases refuse NUL
Seconds = Annotated[float, Meta(ge=-LONGEST_RECORDING, le=LONGEST_RECORDING)]
SpeakerNumber = Annotated[int, Meta(ge=0, le=9_999)]
_NUMBERED = re.compile(r"SPEAKER_[0-9]{1,4}")


class ClientMessage(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of everything a client says in JSON."""


class SuggestedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment the client transcribed itself; times are seconds since the session began."""

    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS)]
    speaker: Name | None = None
    speaker_id: SpeakerNumber | None = None
    start: Seconds
    end: Seconds
    is_user: bool = False
    person_id: Name | None = None
    id: Name | None = None

    def label(self) -> str:
        """`SPEAKER_nn` from the label, else from the number; any other label if there is no number."""
        if self.speaker and _NUMBERED.fullmatch(self.speaker):
            return speaker_label(speaker_number(self.speaker))
        if self.speaker and self.speaker_id is None:
            return self.speaker
        return speaker_label(self.speaker_id or 0)


class SuggestedTranscript(ClientMessage, tag="suggested_transcript", frozen=True):
    """Custom STT: transcript made by the client."""

    segments: Annotated[tuple[SuggestedSegment, ...], Meta(max_length=SEGMENTS_PER_MESSAGE)]
    stt_provider: Name | None = None

    def to_segments(self, new_id: Callable[[], str], *, offset_seconds: float = 0.0) -> tuple[Segment, ...]:
        """The segments as they are kept, `offset_seconds` later; ids are kept and made where missing.

        Blank ones are left out. An end before the start, or a time before the conversation, is moved up.
        """
        return tuple(
            Segment(
                id=suggested.id or new_id(),
                text=text,
                speaker=suggested.label(),
                is_user=suggested.is_user,
                person_id=suggested.person_id,
                start=max(0.0, suggested.start + offset_seconds),
                end=max(0.0, suggested.start + offset_seconds, suggested.end + offset_seconds),
                stt_provider=self.stt_provider or CUSTOM_PROVIDER,
            )
            for suggested in self.segments
            if (text := suggested.text.replace("\0", "").strip())
        )


class SpeakerAssigned(ClientMessage, tag="speaker_assigned", frozen=True):
    """The user says who a speaker is; `person_id` is `user` for the owner."""

    speaker_id: SpeakerNumber
    person_id: Name
    person_name: Name
    segment_ids: Annotated[tuple[Name, ...], Meta(max_length=SEGMENTS_PER_MESSAGE)]


class ImageChunk(ClientMessage, tag="image_chunk", frozen=True):
    """Piece `index` (from 0) of `total` of a base64 image."""

    id: Name
    index: Annotated[int, Meta(ge=0, lt=IMAGE_CHUNKS)]
    total: Annotated[int, Meta(ge=1, le=IMAGE_CHUNKS)]
    data: str


class SkipQuestion(ClientMessage, tag="skip_question", frozen=True):
    """Onboarding: next question."""


class AuthMessage(ClientMessage, tag="auth", frozen=True):
    """The first message on /v4/web/listen."""

    token: str


class Flush(ClientMessage, tag="flush", frozen=True):
    """Transcribe everything sent so far now; answered by service_status `flushed`."""


class Ignored(msgspec.Struct, frozen=True):
    """A message without effect, and why: at most `ECHO_LIMIT` printable characters."""

    reason: str


class BadImage(Ignored, frozen=True):
    """An `image_chunk` that is none: unlike other messages without effect, the client is sent away for it."""


class _Typed(msgspec.Struct, frozen=True):
    type: str


_Known = SuggestedTranscript | SpeakerAssigned | ImageChunk | SkipQuestion | AuthMessage | Flush
_decoder: msgspec.json.Decoder[_Known] = msgspec.json.Decoder(_Known)


def decode_client(text: str) -> ClientMessage | Ignored:
    """Read one text message. Never raises, whatever the text is."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as wrong:
        return _invalid(text, printable(str(wrong)))
    except (msgspec.DecodeError, UnicodeError):
        return Ignored("not JSON")
    except RecursionError:
        return Ignored("nested too deeply")


def _invalid(text: str, reason: str) -> Ignored:
    try:
        said = msgspec.json.decode(text, type=_Typed)
    except msgspec.DecodeError:
        return Ignored(reason)
    return BadImage(reason) if said.type == "image_chunk" else Ignored(reason)
