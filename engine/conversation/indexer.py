"""Keeps the vectors of memories and action items up to date with their texts, by the jobs that changes leave.

So are those of conversations made that were processed while nobody could make them.

Implements `Handler` of `engine.conversation.job_runner`. Without an embedder the jobs end without a vector: what is
changed then is found by words alone.
"""

from typing import Protocol

import msgspec

from engine.conversation.embedding.port import conversation_text
from engine.conversation.models import Models
from engine.conversation.structured import Structured
from engine.store.errors import ClaimLost
from engine.store.indexed import IndexText
from engine.store.jobs import Job
from engine.store.vector_records import VectorKind, VectorRow

__all__ = ["Indexer", "Texts"]


class Jobs(Protocol):
    """Where jobs end."""

    async def done(self, job: Job) -> bool:
        """It is done and forgotten; False when the claim was lost."""
        ...

    async def failed(self, job: Job, error: str) -> bool:
        """It did not work and is not tried again, but kept to be looked at. False when the claim was lost."""
        ...


class Texts(Protocol):
    """The texts, and their vectors; see `engine.store.indexed`."""

    async def text(self, uid: str, what: VectorKind, id: str) -> IndexText | None:
        """Of which text the row's vector is to be made; None when the row is gone."""
        ...

    async def keep(self, job: Job, row: VectorRow, text: str) -> bool:
        """Keep the vector if the row's text is still `text`, and end the job; False when the claim was lost."""
        ...


class Indexer:
    """One per process."""

    def __init__(self, jobs: Jobs, texts: Texts, models: Models) -> None:
        self._jobs = jobs
        self._texts = texts
        self._models = models

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        what, id = job.payload["what"], job.payload["id"]
        found, embedder = await self._texts.text(job.uid, what, id), self._models.embedder
        if found is None or embedder is None:
            await self._jobs.done(job)
            return "gone" if found is None else "without_embedder"
        (vector,) = await embedder.embed([_text(found)])
        row = VectorRow(
            uid=job.uid,
            kind=what,
            id=id,
            model=embedder.model,
            created_at=found.created_at,
            vector=vector,
            people=tuple(found.labels.get("people", ())),
            topics=tuple(found.labels.get("topics", ())),
            entities=tuple(found.labels.get("entities", ())),
        )
        if not await self._texts.keep(job, row, found.text):
            raise ClaimLost(job.key)
        return "completed"

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`."""
        await self._jobs.failed(job, reason)

    async def after(self, job: Job) -> None:
        """See `Handler`. Nobody waits for it."""


def _text(found: IndexText) -> str:
    if found.structured is None:
        return found.text
    return conversation_text(msgspec.convert(found.structured, Structured))
