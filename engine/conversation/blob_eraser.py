"""Erases the blobs of what was deleted, a job of a user's at a time, until it has worked."""

from typing import Protocol

from engine.conversation.ports import Jobs
from engine.log import get_logger
from engine.store.errors import ClaimLost
from engine.store.jobs import Job

__all__ = ["BlobEraser"]

log = get_logger(__name__)

PATIENCE = 3600.0
"""Seconds until an erasure that has failed as often as jobs may is tried again: it is never given up."""


class Erasures(Protocol):
    """What is to be erased; `engine.store.blob_erasures` implements it."""

    async def erase(self, job: Job) -> int:
        """Erase what waits of the job's user, and end it. Raises `ClaimLost`, `BlobsUnavailable`."""
        ...


class BlobEraser:
    """Implements `Handler` of `engine.conversation.job_runner`."""

    def __init__(self, jobs: Jobs, erasures: Erasures) -> None:
        self._jobs = jobs
        self._erasures = erasures

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        erased = await self._erasures.erase(job)
        log.info("blobs.erased", count=erased)
        return "erased"

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`. What was deleted must go, whenever its bucket comes back."""
        if not await self._jobs.retry(job, reason, PATIENCE):
            raise ClaimLost(job.key)

    async def after(self, job: Job) -> None:
        """See `Handler`: nobody waits for this."""
