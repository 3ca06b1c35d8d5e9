"""/v1/users/people: whom the user knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.ids import new_id
from engine.log import get_logger
from engine.moments import instant
from engine.store.errors import BlobsUnavailable
from engine.store.user_records import PersonRow, VoiceRow
from engine.web.answers import Done, missing
from engine.web.api import Api, Identify
from engine.web.record_ports import Now, People
from engine.web.speech_profile import Voices

__all__ = ["people"]

log = get_logger(__name__)

Name = Annotated[str, Meta(max_length=100, pattern=r"\S")]


class PersonDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A person as clients read it. `speech_samples`: links to recordings of their voice, good for a time."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    speech_samples: list[str] = []


class NewPerson(msgspec.Struct, frozen=True):
    """Somebody the user knows."""

    name: Name


class PeoplePage(msgspec.Struct, frozen=True):
    """Which people, newest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    offset: Annotated[int, Meta(ge=0)] = 0


class NewName(msgspec.Struct, frozen=True):
    """What the person is called from now on."""

    value: Name


def people(table: People, voices: Voices, now: Now, identify: Identify) -> Api:
    """The routes."""

    async def shown(row: PersonRow, samples: Sequence[VoiceRow]) -> PersonDocument:
        try:
            links = [await voices.link(one) for one in samples]
        except BlobsUnavailable as error:
            log.warning("samples.unreachable", error=str(error))
            links = []
        return _document(row, links)

    api = Api("people", identify, prefix="/v1/users/people", tag="People")

    @api.post(
        "", "Make a person, or find the one of that name", creates=True, body=NewPerson, answer=PersonDocument
    )
    async def create(uid: str, body: NewPerson) -> PersonDocument:
        made = now()
        row = PersonRow(uid=uid, id=new_id(), name=body.name.strip(), created_at=made, updated_at=made)
        there = await table.find_or_add(row)
        return await shown(there, await voices.recordings(uid, there.id))

    @api.get("", "Whom the user knows", query=PeoplePage, answer=list[PersonDocument])
    async def page(uid: str, query: PeoplePage) -> list[PersonDocument]:
        rows = await table.list(uid, limit=query.limit, offset=query.offset)
        samples = await voices.samples(uid)
        return [await shown(row, samples.get(row.id, [])) for row in rows]

    @api.get("/<person_id>", "One person", answer=PersonDocument, errors=(404,))
    async def one(uid: str, person_id: str) -> PersonDocument:
        row = await table.get(uid, person_id)
        if row is None:
            raise missing("Person")
        return await shown(row, await voices.recordings(uid, person_id))

    @api.patch("/<person_id>/name", "Call a person otherwise", query=NewName, answer=Done, errors=(404,))
    async def rename(uid: str, person_id: str, query: NewName) -> Done:
        if await table.change(uid, person_id, {"name": query.value.strip(), "updated_at": now()}) is None:
            raise missing("Person")
        return Done()

    @api.delete("/<person_id>", "Forget a person", status=204, errors=(404,))
    async def delete(uid: str, person_id: str) -> None:
        if not await table.delete(uid, person_id):
            raise missing("Person")
        try:
            await voices.forget(uid, person_id)
        except (
            BlobsUnavailable
        ) as error:  # the rows are gone, so nobody is recognised; the files go with the user
            log.warning("samples.unreachable", error=str(error))

    return api


def _document(row: PersonRow, samples: list[str]) -> PersonDocument:
    return PersonDocument(
        id=row.id,
        name=row.name,
        created_at=instant(row.created_at),
        updated_at=instant(row.updated_at),
        speech_samples=samples,
    )
