"""/v3/upload-audio, /v3/speech-profile and /v4/speech-profile: the voice of a user, and samples of those they know."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta
from quart import request

from engine.audio.wav import WavError
from engine.conversation.voices import PROFILE
from engine.moments import instant
from engine.speaker.matching import OWNER, Decision
from engine.speaker.profile import LONGEST, SHORTEST, BadProfile
from engine.store.errors import BlobsUnavailable
from engine.store.user_records import VoiceRow
from engine.web.answers import Done, existing, missing
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.health import Readiness
from engine.web.record_ports import Decisions, People

__all__ = ["Voices", "speech_profile"]

LARGEST = 24 * 2**20
"""Bytes of a recording: 120 s of 48 kHz in stereo, and what is around it."""

BLOBS_RETRY = 5.0
"""Seconds in the Retry-After of a request the blob store could not answer."""


class Voices(Protocol):
    """Voices that are known; `engine.conversation.voices` implements it."""

    async def enrol(self, uid: str, recording: bytes) -> VoiceRow:
        """Take a WAV file as the user's profile, in the place of the one before. Raises `BadProfile`, `WavError`."""
        ...

    async def extend(self, uid: str, recording: bytes) -> VoiceRow:
        """Add a recording to the user's profile, of which there is one. Raises `BadProfile`, `WavError`."""
        ...

    async def recordings(self, uid: str, person_id: str = OWNER) -> Sequence[VoiceRow]:
        """What there is of a person, oldest first: a recording's index is its place here."""
        ...

    async def samples(self, uid: str) -> Mapping[str, Sequence[VoiceRow]]:
        """What there is of everybody a user knows, by person, oldest first."""
        ...

    async def link(self, row: VoiceRow) -> str:
        """An address from which a recording can be read for a time. Raises `BlobsUnavailable`."""
        ...

    async def forget(self, uid: str, person_id: str = OWNER) -> int:
        """Forget all of a person; how many recordings there were."""
        ...

    async def forget_one(self, row: VoiceRow) -> bool:
        """Forget one recording; False when it was gone."""
        ...


class HasProfile(msgspec.Struct, frozen=True):
    """Whether the user has enrolled."""

    has_profile: bool


class Availability(msgspec.Struct, frozen=True):
    """Whether some speech-to-text service works, as far as is known."""

    available: bool


class Link(msgspec.Struct, frozen=True):
    """Where a recording can be read for a time; null without one."""

    url: str | None


class ProfileStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the user's voice. `seconds` of speech in all `recordings`; `vendors` it can be played to.

    `duration_seconds` and `url` are of the recording the user enrolled with.
    """

    has_profile: bool
    duration_seconds: float = 0.0
    url: str | None = None
    seconds: float = 0.0
    recordings: int = 0
    enrolled_at: datetime | None = None
    vendors: list[str] = []


class OfPerson(msgspec.Struct, frozen=True):
    """Whose samples: those of a person, else the user's own."""

    person_id: Annotated[str, Meta(max_length=128)] | None = None


class OneSample(msgspec.Struct, frozen=True):
    """Which sample, by its index or by the segment it was cut from; of a person, else of the user."""

    index: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    memory_id: Annotated[str, Meta(max_length=128)] | None = None
    segment_idx: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    person_id: Annotated[str, Meta(max_length=128)] | None = None


def speech_profile(
    voices: Voices, people: People, decisions: Decisions, readiness: Readiness, identify: Identify
) -> Api:
    """The routes. A recording comes as `multipart/form-data`, a WAV file named `file`."""
    api = Api("speech_profile", identify, tag="Voices")
    _profile(api, voices)
    _availability(api, readiness)
    _samples(api, voices, people)
    _decisions(api, decisions)
    return api


def _profile(api: Api, voices: Voices) -> None:
    @api.post(
        "/v3/upload-audio",
        "Enrol the user's voice with a WAV file of 5 to 120 s",
        answer=Link,
        limit=LARGEST,
        errors=(400, 408, 413, 422, 503),
    )
    async def upload(uid: str) -> Link:
        return Link(await _linked(voices, await _taken(uid, voices.enrol)))

    @api.get("/v3/speech-profile", "Whether the user has enrolled", answer=HasProfile)
    async def has_profile(uid: str) -> HasProfile:
        return HasProfile(bool(await voices.recordings(uid)))

    @api.get("/v4/speech-profile", "Where the user's recording is", answer=Link, errors=(503,))
    async def link(uid: str) -> Link:
        rows = await voices.recordings(uid)
        return Link(await _linked(voices, _profile_of(rows)) if rows else None)

    @api.get(
        "/v3/speech-profile/status", "What is kept of the user's voice", answer=ProfileStatus, errors=(503,)
    )
    async def status(uid: str) -> ProfileStatus:
        rows = await voices.recordings(uid)
        if not rows:
            return ProfileStatus(has_profile=False)
        profile = _profile_of(rows)
        return ProfileStatus(
            has_profile=True,
            duration_seconds=profile.seconds,
            url=await _linked(voices, profile),
            seconds=round(sum(row.seconds for row in rows), 3),
            recordings=len(rows),
            enrolled_at=instant(rows[0].created_at),
            vendors=sorted({vendor for row in rows for vendor in row.vendors}),
        )

    @api.delete("/v3/speech-profile", "Forget the user's voice", status=204, errors=(404, 503))
    async def forget(uid: str) -> None:
        try:
            if not await voices.forget(uid):
                raise missing("Speech profile")
        except BlobsUnavailable as error:
            raise _unavailable(error) from None


def _availability(api: Api, readiness: Readiness) -> None:
    @api.get(
        "/v3/speech-profile/stt-availability",
        "Whether speech can be transcribed now; clients ask before they have the user read aloud",
        answer=Availability,
    )
    async def available(uid: str) -> Availability:
        return Availability(readiness.transcribes)


def _samples(api: Api, voices: Voices, people: People) -> None:
    path = "/v3/speech-profile/expand"

    @api.post(
        path,
        "Add a recording to the user's voice",
        answer=Link,
        limit=LARGEST,
        errors=(400, 408, 413, 422, 503),
    )
    async def extend(uid: str) -> Link:
        return Link(await _linked(voices, await _taken(uid, voices.extend)))

    @api.get(
        path,
        "Where further recordings of the user, or of a person, are",
        query=OfPerson,
        answer=list[str],
        errors=(503,),
    )
    async def samples(uid: str, query: OfPerson) -> list[str]:
        return [await _linked(voices, row) for row in await _further(voices, uid, _person(query.person_id))]

    @api.delete(path, "Forget one of these", query=OneSample, answer=Done, errors=(404, 422, 503))
    async def forget_sample(uid: str, query: OneSample) -> Done:
        rows = await _further(voices, uid, _person(query.person_id))
        await _forget(voices, _chosen(rows, query))
        return Done()

    @api.delete(
        "/v1/users/people/<person_id>/speech-samples/<int:sample_index>",
        "Forget a sample of a person, by its place, counted from 0",
        answer=Done,
        errors=(404, 503),
    )
    async def forget_indexed(uid: str, person_id: str, sample_index: int) -> Done:
        existing(await people.get(uid, person_id), "Person")
        rows = await voices.recordings(uid, person_id)
        if sample_index >= len(rows):
            raise missing("Sample")
        await _forget(voices, rows[sample_index])
        return Done()


def _decisions(api: Api, decisions: Decisions) -> None:
    @api.get(
        "/v1/conversations/<conversation_id>/segments/<segment_id>/speaker",
        "Why a segment has the speaker it has: whose voice was nearest, how near, and who came next",
        answer=Decision,
        errors=(404,),
    )
    async def speaker_of(uid: str, conversation_id: str, segment_id: str) -> Decision:
        found = await decisions.decision(uid, conversation_id, segment_id)
        return msgspec.convert(existing(found, "Decision"), Decision)


def _profile_of(rows: Sequence[VoiceRow]) -> VoiceRow:
    """The one the user enrolled with, of at least one."""
    return next((row for row in rows if row.id == PROFILE), rows[0])


def _person(given: str | None) -> str:
    """Clients write `null` for nobody."""
    return OWNER if given in (None, "", "null") else str(given)


async def _further(voices: Voices, uid: str, person_id: str) -> Sequence[VoiceRow]:
    return [row for row in await voices.recordings(uid, person_id) if row.id != PROFILE]


def _chosen(rows: Sequence[VoiceRow], query: OneSample) -> VoiceRow:
    if query.index is not None:
        if query.index < len(rows):
            return rows[query.index]
    elif query.memory_id is None or query.segment_idx is None:
        raise ApiError(422, "index is missing: give it, or memory_id and segment_idx")
    else:
        wanted = {"conversation_id": query.memory_id, "segment_idx": str(query.segment_idx)}
        for row in rows:
            if row.source is not None and wanted.items() <= row.source.items():
                return row
    raise missing("Sample")


class _Take(Protocol):
    async def __call__(self, uid: str, recording: bytes, /) -> VoiceRow: ...


async def _taken(uid: str, take: _Take) -> VoiceRow:
    files = (await request.files).getlist("file")
    if len(files) != 1:
        raise ApiError(
            422, f"file={len(files)} files is not accepted: use one WAV file, multipart/form-data, named file"
        )
    try:
        return await take(uid, files[0].read())
    except WavError as error:
        raise ApiError(
            400, f"file is not accepted: {error}: use a WAV file of {SHORTEST:g} to {LONGEST:g} s"
        ) from None
    except BadProfile as error:
        raise ApiError(400, f"file is not accepted: {error}") from None
    except BlobsUnavailable as error:
        raise _unavailable(error) from None


async def _linked(voices: Voices, row: VoiceRow) -> str:
    try:
        return await voices.link(row)
    except BlobsUnavailable as error:
        raise _unavailable(error) from None


async def _forget(voices: Voices, row: VoiceRow) -> None:
    try:
        await voices.forget_one(row)
    except BlobsUnavailable as error:
        raise _unavailable(error) from None


def _unavailable(error: BlobsUnavailable) -> ApiError:
    return ApiError(503, f"Recordings cannot be reached right now: {error}", BLOBS_RETRY)
