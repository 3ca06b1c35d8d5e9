"""Pictures of conversations: kept with their conversation, described by a model behind real sockets."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from engine.conversation.llm.port import LlmAnswerError
from engine.conversation.photos import LONGEST, Album, PhotoDescriber
from engine.store import Job, Store
from engine.store.photos import DESCRIBE
from engine.testing import LlmFaultPlan, LlmMishap, LlmRequest, OpenAiStandIn, Reply, Wrong
from engine.wire.messages import Event, PhotoDescribed
from tests.conversation.models import asked
from tests.conversation.processing import TestModels
from tests.databases import migrated
from tests.store.making import NOW, conversation

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(64))


class Room:
    """An album and its describer over a real store; `model` is the stand-in that sees."""

    def __init__(self, store: Store, vision: Any) -> None:
        self.store = store
        self.flushed = 0
        self.woken = 0
        self.told: list[tuple[str, Event]] = []
        models = TestModels()
        models.vision = vision
        self.album = Album(store.photos, models, self._flush, self._wake, lambda: NOW)
        self.describer = PhotoDescriber(
            store.jobs, store.photos, models, lambda uid, event: self.told.append((uid, event))
        )

    async def _flush(self) -> None:
        self.flushed += 1
        await trio.lowlevel.checkpoint()

    def _wake(self) -> None:
        self.woken += 1

    async def job(self) -> Job:
        (job,) = await self.store.jobs.claim("one", [DESCRIBE], 60, 10)
        return job


@asynccontextmanager
async def room(folder: Path, vision: Any = None) -> AsyncIterator[Room]:
    store = await Store.open(migrated(folder), trio.to_thread.run_sync, now=lambda: NOW)
    await store.conversations.create(conversation("c1", "ada", source="omi"))
    yield Room(store, vision)
    await store.close()


def says(**answer: Any) -> OpenAiStandIn:
    return OpenAiStandIn(lambda request: Reply(msgspec.json.encode(answer).decode()))


async def test_a_picture_is_kept_and_its_conversation_comes_from_openglass(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        id = await it.album.keep("ada", "c1", JPEG)
        assert id is not None
        photo = await it.store.photos.get("ada", id)
        assert photo is not None
        assert (photo.image, photo.conversation_id, photo.description) == (JPEG, "c1", None)
        row = await it.store.conversations.get("ada", "c1")
        assert row is not None
        assert (row.source, it.flushed) == ("openglass", 1)
        assert await it.store.jobs.next_due([DESCRIBE]) is None, "nobody sees"


async def test_nothing_is_kept_in_a_conversation_that_is_not_there_or_anothers(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        for uid, id in (("ada", "c2"), ("ben", "c1")):
            assert await it.album.keep(uid, id, JPEG) is None
            assert await it.store.photos.count(uid) == 0


async def test_a_model_says_what_is_to_be_seen_and_the_client_is_told(tmp_path: Path) -> None:
    async with (
        asked(says(description=" A red bicycle. ", discarded=False)) as model,
        room(tmp_path, model.llm) as it,
    ):
        id = await it.album.keep("ada", "c1", JPEG)
        assert id is not None
        assert it.woken == 1
        job = await it.job()
        assert await it.describer.do(job) == "completed"
        await it.describer.after(job)
        assert it.told == [("ada", PhotoDescribed(id, "A red bicycle.", False))]
        (request,) = model.standin.requests
        assert request.pictures == [f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"]
        assert await it.store.jobs.find("ada", DESCRIBE, id) is None


async def test_before_a_conversation_is_processed_its_pictures_are_described(tmp_path: Path) -> None:
    async with asked(says(description="A cat.", discarded=True)) as model, room(tmp_path, model.llm) as it:
        await it.album.keep("ada", "c1", JPEG)
        photos = await it.store.photos.of_conversation("ada", "c1")
        (described,) = await it.describer.described(photos)
        assert (described.description, described.discarded) == ("A cat.", True)
        assert await it.store.photos.of_conversation("ada", "c1") == [described]
        assert await it.describer.do(await it.job()) == "completed"
        assert len(model.standin.requests) == 1


async def test_a_model_that_does_not_answer_holds_up_no_conversation(tmp_path: Path) -> None:
    refused = LlmMishap(wrong=Wrong.STATUS, status=400)
    standin = OpenAiStandIn(plan=LlmFaultPlan(always=refused))
    async with asked(standin) as model, room(tmp_path, model.llm) as it:
        await it.album.keep("ada", "c1", JPEG)
        photos = await it.store.photos.of_conversation("ada", "c1")
        assert await it.describer.described(photos) == photos


@pytest.mark.parametrize("answer", ["A cat.", "{}", '{"description": 5}', '{"description": " "}'])
async def test_an_answer_of_another_shape_is_none(tmp_path: Path, answer: str) -> None:
    def reply(request: LlmRequest) -> Reply:
        return Reply(answer)

    async with asked(OpenAiStandIn(reply)) as model, room(tmp_path, model.llm) as it:
        await it.album.keep("ada", "c1", JPEG)
        with pytest.raises(LlmAnswerError):
            await it.describer.do(await it.job())


async def test_what_a_model_says_is_bounded(tmp_path: Path) -> None:
    async with asked(says(description="\0" + "x" * 5000)) as model, room(tmp_path, model.llm) as it:
        await it.album.keep("ada", "c1", JPEG)
        await it.describer.do(await it.job())
        (photo,) = await it.store.photos.list("ada")
        assert photo.description == "x" * LONGEST
        assert not photo.discarded


async def test_a_file_that_is_no_picture_is_shown_to_nobody(tmp_path: Path) -> None:
    async with asked(says(description="?")) as model, room(tmp_path, model.llm) as it:
        await it.album.keep("ada", "c1", b"#!/bin/sh")
        await it.describer.do(await it.job())
        (photo,) = await it.store.photos.list("ada")
        assert (photo.description, photo.discarded) == ("", True)
        assert not model.standin.requests
