"""Jobs on blobs: what was deleted is erased, pictures are moved out of their rows; each as often as it takes."""

from collections.abc import Awaitable, Callable

from engine.conversation.ports import Jobs
from engine.log import get_logger
from engine.store.errors import ClaimLost
from engine.store.jobs import Job

__all__ = ["BlobJobs"]

log = get_logger(__name__)

PATIENCE = 3600.0
"""Seconds until a job that has failed as often as jobs may is tried again: it is never given up."""


class BlobJobs:
    """Those of one kind. Implements `Handler` of `engine.conversation.job_runner`."""

    def __init__(self, jobs: Jobs, work: Callable[[Job], Awaitable[int]], outcome: str) -> None:
        """`work` does a job and ends it: how many blobs that were. It raises `ClaimLost`, `BlobsUnavailable`."""
        self._jobs = jobs
        self._work = work
        self._outcome = outcome

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        count = await self._work(job)
        log.info(f"blobs.{self._outcome}", count=count)
        return self._outcome

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`. It must happen, whenever the bucket comes back."""
        if not await self._jobs.retry(job, reason, PATIENCE):
            raise ClaimLost(job.key)

    async def after(self, job: Job) -> None:
        """See `Handler`: nobody waits for this."""
