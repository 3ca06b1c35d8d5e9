"""Where other servers' webhooks post: audio, and the three triggers that send JSON.

Audio is answered before anything is done with it: it is on the disk then, and who posts is never slower for what is
done.
The others are answered once they are kept. Both may be sent again under the same delivery id (`webhook-id`, or
`Idempotency-Key`): what is there is not there twice.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import trio
from msgspec import Meta
from quart import Request, request

from engine.store.received_records import ReceivedMessageRow
from engine.web.answers import Done
from engine.web.api import Api
from engine.web.auth import Authenticator
from engine.web.errors import ApiError
from engine.web.ports import Services
from engine.web.rate_limit import RateLimit, limited
from engine.web.reading import read_json
from engine.web.receiver_access import posting
from engine.webhooks.receiver.chunk import BYTES_PER_SAMPLE, Chunk
from engine.webhooks.receiver.intake import NoRoom
from engine.webhooks.receiver.positions import POSITION, SESSION
from engine.wire.refusal import printable

__all__ = ["receiver"]

MINUTE = 60.0
ID_CHARACTERS = 255
HIGHEST_POSITION = 2**53
OCTETS = "application/octet-stream"

Identify = Callable[[Request], Awaitable[str]]


class AudioQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the audio is. `key` may stand here for senders that set no headers."""

    sample_rate: Annotated[int, Meta(ge=8000, le=48000)] = 16000
    key: str | None = None


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which live session it is about, of triggers that say so. `key` as with audio."""

    session_id: Annotated[str, Meta(max_length=ID_CHARACTERS)] | None = None
    key: str | None = None


def receiver(services: Services, authenticator: Authenticator) -> list[Api]:
    """The routes that are posted to."""
    settings = services.config.receiver
    limit = RateLimit(services.config.web.requests_per_minute, MINUTE)
    identify = limited(posting(authenticator, settings, services.records.now), limit)
    return [_audio(services, identify), _messages(services, identify)]


def _audio(services: Services, identify: Identify) -> Api:
    settings, intake = services.config.receiver, services.receiver.intake
    api = Api("receiver", identify, tag="Receiving")

    @api.post(
        settings.path,
        "Receive audio: 16-bit little-endian PCM, mono",
        query=AudioQuery,
        answer=Done,
        takes=OCTETS,
        limit=settings.request_limit,
        errors=(503,),
    )
    async def receive_audio(uid: str, query: AudioQuery) -> Done:
        session, position = _place()
        try:
            intake.check(uid, request.content_length or 0)  # before its body is in memory, too
            pcm = await request.get_data()
            assert isinstance(pcm, bytes)
            if len(pcm) % BYTES_PER_SAMPLE:
                raise ApiError(422, f"the body is not accepted: {len(pcm)} bytes are no 16-bit samples")
            chunk = Chunk(
                uid=uid,
                sample_rate=query.sample_rate,
                pcm=pcm,
                received_at=services.records.now(),
                arrived=trio.current_time(),
                delivery_id=_delivery_id(),
                session=session,
                position=position,
            )
            await intake.receive(chunk)
        except NoRoom as error:
            raise ApiError(503, str(error), error.retry_after) from None
        return Done()

    return api


def _messages(services: Services, identify: Identify) -> Api:
    api = Api("receiver_messages", identify, prefix="/receive", tag="Receiving")
    messages, now = services.receiver.received.messages, services.records.now

    async def keep(uid: str, trigger: str, session_id: str | None) -> Done:
        body = await request.get_data()
        assert isinstance(body, bytes)
        read_json(body, Any)  # whatever it says, it is JSON that can be given back
        delivery_id = _delivery_id()
        named = None if delivery_id is None else sha256(f"{trigger}\n{delivery_id}".encode()).hexdigest()
        row = ReceivedMessageRow(
            uid=uid,
            id=uuid4().hex if named is None else named[:32],
            trigger=trigger,
            delivery_id=delivery_id,
            session_id=session_id,
            body=body or b"{}",
            size=len(body),
            created_at=now(),
        )
        await messages.add(row)
        return Done()

    def receive(trigger: str, summary: str) -> None:
        async def handler(uid: str, query: MessageQuery) -> Done:
            return await keep(uid, trigger, query.session_id)

        handler.__name__ = f"receive_{trigger}"
        api.post(
            f"/{trigger}", summary, query=MessageQuery, answer=Done, takes="application/json", errors=(400,)
        )(handler)

    receive("memory_created", "Receive and keep conversations that other servers have processed")
    receive("realtime_transcript", "Receive and keep pieces of live transcripts")
    receive("day_summary", "Receive and keep summaries of days")
    return api


def _delivery_id() -> str | None:
    """What the sender calls this delivery, every time it tries."""
    id = request.headers.get("webhook-id") or request.headers.get("Idempotency-Key")
    if not id:
        return None
    return id if len(id) <= ID_CHARACTERS else sha256(id.encode()).hexdigest()


def _place() -> tuple[str | None, int | None]:
    """Where the audio belongs, if the sender says so: session and position there."""
    session, position = request.headers.get(SESSION), request.headers.get(POSITION)
    if session is None or position is None:
        return None, None
    if not 1 <= len(session) <= ID_CHARACTERS:
        raise ApiError(
            422, f"{SESSION}={printable(session)} is not accepted: use 1 to {ID_CHARACTERS} characters"
        )
    if (
        not (position.isdecimal() and position.isascii() and len(position) <= 16)
        or int(position) > HIGHEST_POSITION
    ):
        raise ApiError(422, f"{POSITION}={printable(position)} is not accepted: use 0 to {HIGHEST_POSITION}")
    return session, int(position)
