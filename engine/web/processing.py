"""/v1/conversations/…: ending one conversation, looking how far that is, processing again, merging."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.conversation.chat.answering import AppNotEnabled
from engine.conversation.document import whole_document
from engine.conversation.requests import MERGE_LIMIT, NotPossible
from engine.store.records import IN_PROGRESS, PROCESSING, ConversationRow
from engine.store.whole import Whole
from engine.web.answers import missing
from engine.web.api import Api, Identify
from engine.web.conversations import unlocked
from engine.web.errors import ApiError
from engine.web.ports import Services
from engine.wire import ConversationDocument

__all__ = ["Finished", "Finishing", "processing"]


class Finishing(msgspec.Struct, frozen=True):
    """What a client may say when it ends a conversation; nothing of it is used yet."""

    calendar_meeting_context: dict[str, Any] | None = None


class Finished(msgspec.Struct, frozen=True):
    """The conversation that was ended, and what apps had to say about it.

    Its status is `processing` when that took too long; `memory_created` follows on the socket.
    """

    conversation: ConversationDocument
    messages: list[dict[str, Any]] = []


class Finalization(msgspec.Struct, frozen=True, kw_only=True):
    """How far processing is. `terminal`: nothing more is done; `retryable`: it has failed and may be asked for anew."""

    job_id: str
    status: str
    terminal: bool
    retryable: bool
    attempt_count: int
    task_retry_count: int
    failure: str | None = None


class Deleting(msgspec.Struct, frozen=True):
    """`cascade`: also the memories that were made of it, which are kept otherwise."""

    cascade: bool = False


class Again(msgspec.Struct, frozen=True):
    """In which language to write, instead of the one spoken; which app to ask what it makes of the conversation."""

    language_code: Annotated[str, Meta(max_length=35)] | None = None
    app_id: Annotated[str, Meta(max_length=128)] | None = None


class Merge(msgspec.Struct, frozen=True):
    """Which conversations become one. Without `reprocess` it has their titles and overviews."""

    conversation_ids: Annotated[
        list[Annotated[str, Meta(max_length=128)]], Meta(min_length=2, max_length=MERGE_LIMIT)
    ]
    reprocess: bool = True


class Merging(msgspec.Struct, frozen=True, kw_only=True):
    """`conversation_id` is the new one, which is being processed; the others are deleted once that is done."""

    status: str = "merging"
    message: str
    warning: str | None = None
    conversation_ids: list[str]
    conversation_id: str


def processing(services: Services, identify: Identify) -> Api:
    """The routes."""
    api = Api("processing", identify, prefix="/v1/conversations", tag="Conversations")
    _endings(api, services)
    _again(api, services)
    return api


def _endings(api: Api, services: Services) -> None:
    lifecycle = services.lifecycle
    requests = services.requests

    @api.post(
        "",
        "End the conversation in progress now",
        creates=True,
        body=Finishing,
        answer=Finished,
        errors=(404,),
    )
    async def finish(uid: str, body: Finishing) -> Finished:
        row = await lifecycle.finish(uid)
        if row is None:
            raise ApiError(404, "Conversation in progress not found")
        return Finished(await _document(services, row))

    @api.post(
        "/<conversation_id>/finalize",
        "End this conversation, without waiting for it to be processed",
        body=Finishing,
        answer=Finished,
        errors=(402, 404),
    )
    async def finalize(uid: str, conversation_id: str, body: Finishing) -> Finished:
        whole = await unlocked(services.wholes, uid, conversation_id)
        if whole.row.status == IN_PROGRESS:
            ended = await lifecycle.finish(uid, conversation_id, wait=False)
            return Finished(await _document(services, ended or whole.row))
        return Finished(await _document(services, whole.row))

    @api.get(
        "/<conversation_id>/finalization",
        "How far its processing is",
        answer=Finalization,
        errors=(402, 404),
    )
    async def finalization(uid: str, conversation_id: str) -> Finalization:
        await unlocked(services.wholes, uid, conversation_id)
        row, job = await requests.progress(uid, conversation_id)
        if row.status == IN_PROGRESS:
            raise ApiError(404, "Conversation finalization job not found")
        terminal = row.status != PROCESSING
        return Finalization(
            job_id=conversation_id,
            status=row.status,
            terminal=terminal,
            retryable=row.failure is not None,
            attempt_count=0 if job is None else job.attempts,
            task_retry_count=0 if job is None else job.failures,
            failure=row.failure,
        )

    @api.delete("/<conversation_id>", "Delete a conversation", query=Deleting, status=204, errors=(404,))
    async def delete(uid: str, conversation_id: str, query: Deleting) -> None:
        """204 and no body: the phone app counts any other answer as a failure."""
        if not await lifecycle.delete(uid, conversation_id, cascade=query.cascade):
            raise missing("Conversation")


def _again(api: Api, services: Services) -> None:
    requests = services.requests

    @api.post(
        "/<conversation_id>/reprocess",
        "Process a conversation again, also one that was discarded or has failed",
        query=Again,
        answer=ConversationDocument,
        errors=(402, 403, 404, 409),
    )
    async def reprocess(uid: str, conversation_id: str, query: Again) -> ConversationDocument:
        await unlocked(services.wholes, uid, conversation_id)
        await _enabled(services, uid, query.app_id)
        try:
            row = await requests.reprocess(
                uid, conversation_id, language=query.language_code or None, app_id=query.app_id or None
            )
        except KeyError:
            raise missing("Conversation") from None
        except NotPossible as error:
            raise ApiError(409, str(error)) from None
        return await _document(services, row)

    @api.post(
        "/merge",
        "Make one conversation of several",
        creates=True,
        body=Merge,
        answer=Merging,
        errors=(402, 404, 409),
    )
    async def merge(uid: str, body: Merge) -> Merging:
        ids = list(dict.fromkeys(body.conversation_ids))
        if len(ids) < 2:
            raise ApiError(422, "conversation_ids is not accepted: use 2 different ones or more")
        for id in ids:
            await unlocked(services.wholes, uid, id)
        try:
            row = await requests.merge(uid, ids, reprocess=body.reprocess)
        except KeyError:
            raise missing("Conversation") from None
        except NotPossible as error:
            raise ApiError(409, str(error)) from None
        return Merging(
            message=f"{len(ids)} conversations are being merged", conversation_ids=ids, conversation_id=row.id
        )


async def _enabled(services: Services, uid: str, app_id: str | None) -> None:
    try:
        await services.chat.open(uid, app_id or None)
    except AppNotEnabled as error:
        raise ApiError(
            403,
            f"app_id={str(error)!r} is not accepted: use an app that you have enabled and that has a prompt",
        ) from None


async def _document(services: Services, row: ConversationRow) -> ConversationDocument:
    """As it is now; as it was when it was deleted meanwhile."""
    return whole_document(await services.wholes.get(row.uid, row.id) or Whole(row=row))
