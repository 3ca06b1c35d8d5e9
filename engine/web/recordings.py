"""Recordings of conversations: what there is, the whole as one WAV file, piece by piece; deleted at wish."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Response, current_app

from engine.audio.wav import wav_header
from engine.conversation.recording_reader import RecordingReader
from engine.conversation.recording_timeline import Placed, lay_out, length, sound
from engine.moments import instant
from engine.off_loop import OffLoop
from engine.store.blobs import Blobs
from engine.store.recordings import RecordingSum, blob_of
from engine.store.records import ConversationRow
from engine.transcript.timeline import SAMPLE_RATE
from engine.web.answers import Done, missing, unlocked
from engine.web.api import Api, Identify
from engine.web.ports import Services

__all__ = ["recordings"]


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of a conversation: `seconds` from its beginning to the recording's end, `bytes` kept."""

    has_recording: bool
    seconds: float = 0.0
    bytes: int = 0
    pieces: int = 0


class Page(msgspec.Struct, frozen=True):
    """A page of a list."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0)] = 0


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of which there is a recording; `seconds` of sound, silence between pieces not counted."""

    conversation_id: str
    seconds: float
    bytes: int
    pieces: int
    recorded_at: datetime


class RecordingPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A FLAC file of 16 kHz: `start` and `seconds` on the conversation's timeline.

    `url` is for whoever has it, until `blobs.link_time` is over; without a scheme it is a path on this server.
    """

    start: float
    seconds: float
    bytes: int
    url: str


def recordings(services: Services, identify: Identify) -> Api:
    """The routes."""
    api = Api("recordings", identify, tag="Recordings")
    _lists(api, services)
    _one(api, services)
    return api


def _lists(api: Api, services: Services) -> None:
    table, blobs = services.records.recordings, services.blob_places.main

    @api.get(
        "/v1/recordings",
        "Conversations that were recorded, the latest first",
        query=Page,
        answer=list[Recorded],
    )
    async def page(uid: str, query: Page) -> list[Recorded]:
        return [_recorded(each) for each in await table.sums(uid, limit=query.limit, offset=query.offset)]

    @api.get(
        "/v1/conversations/<conversation_id>/recording/pieces",
        "The files of its recording, each with a link",
        query=Page,
        answer=list[RecordingPiece],
        errors=(402,),
    )
    async def pieces(uid: str, conversation_id: str, query: Page) -> list[RecordingPiece]:
        placed = await _placed(services, uid, conversation_id)
        chosen = placed[query.offset : query.offset + query.limit]
        seconds = services.config.blobs.link_time
        return [
            RecordingPiece(
                start=piece.position / SAMPLE_RATE,
                seconds=piece.row.samples / SAMPLE_RATE,
                bytes=piece.row.bytes,
                url=await blobs.link(uid, blob_of(piece.row.id), seconds),
            )
            for piece in chosen
        ]


def _one(api: Api, services: Services) -> None:
    path = "/v1/conversations/<conversation_id>/recording"

    @api.get(path, "Whether its audio was kept", answer=Recording, errors=(402,))
    async def recording(uid: str, conversation_id: str) -> Recording:
        placed = await _placed(services, uid, conversation_id)
        return Recording(
            has_recording=bool(placed),
            seconds=length(placed) / SAMPLE_RATE,
            bytes=sum(piece.row.bytes for piece in placed),
            pieces=len(placed),
        )

    @api.get(f"{path}/audio", "Its recording as one WAV file", media="audio/wav", errors=(402,))
    async def audio(uid: str, conversation_id: str) -> Response:
        placed = await _placed(services, uid, conversation_id)
        if not placed:
            raise missing("Recording")
        return _wav(placed, services.blob_places.main, services.off_loop, conversation_id)

    @api.delete(path, "Delete its recording, and nothing else of it", answer=Done)
    async def delete(uid: str, conversation_id: str) -> Done:
        if not await services.records.recordings.drop(uid, conversation_id):
            raise missing("Recording")
        return Done()


async def _placed(services: Services, uid: str, conversation_id: str) -> list[Placed]:
    """The pieces of a conversation; none when it was not recorded. Raises `ApiError` 404 and 402."""
    row: ConversationRow = unlocked(await services.conversations.get(uid, conversation_id), "Conversation")
    return lay_out(await services.records.recordings.of_conversation(uid, conversation_id), row.started_at)


def _recorded(found: RecordingSum) -> Recorded:
    return Recorded(
        conversation_id=found.conversation_id,
        seconds=found.samples / SAMPLE_RATE,
        bytes=found.bytes,
        pieces=found.pieces,
        recorded_at=instant(found.created_at),
    )


def _wav(placed: Sequence[Placed], blobs: Blobs, off_loop: OffLoop, name: str) -> Response:
    reader = RecordingReader(blobs, off_loop)

    async def body() -> AsyncIterator[bytes]:
        yield header
        async for samples in sound(placed, reader.read):
            yield samples.astype("<i2").tobytes()

    samples = length(placed)
    header = wav_header(samples, SAMPLE_RATE)
    response: Response = current_app.response_class(body(), content_type="audio/wav")
    response.timeout = None  # it may be hours
    response.headers["Content-Length"] = str(len(header) + 2 * samples)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.wav"'
    response.headers["Cache-Control"] = "private, no-store"
    return response
