"""Samples of voices, taken from conversations that are over once somebody has named a speaker in them.

Operations: `Learner` does the jobs.
Bounded and cost: see `engine.conversation.rehearing`, which hears the recording.
"""

from typing import Protocol

from engine.conversation.rehearing import Rehearing
from engine.store.jobs import Job

__all__ = ["Learner"]


class Jobs(Protocol):
    """The ends of jobs."""

    async def done(self, job: Job) -> bool:
        """It is done and forgotten; False when the claim was lost."""
        ...

    async def failed(self, job: Job, error: str) -> bool:
        """It is not tried again; False when the claim was lost."""
        ...


class Learner:
    """Learns from what was named in conversations that are over. Implements `Handler` for `LEARN`."""

    def __init__(self, jobs: Jobs, rehearing: Rehearing) -> None:
        self._jobs = jobs
        self._rehearing = rehearing

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        await self._rehearing.learn(job.uid, job.key)
        await self._jobs.done(job)
        return "completed"

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`."""
        await self._jobs.failed(job, reason)

    async def after(self, job: Job) -> None:
        """See `Handler`. Nobody waits for it."""
