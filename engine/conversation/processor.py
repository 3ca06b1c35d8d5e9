"""Does the jobs of conversations: processes those that have ended, erases those that were deleted.

Operations: `run` works until cancelled; `wake` says that there is a job; `wait` for one conversation's; what
`before_reading` is given is awaited before one is read; `when_done` is told of each that was completed or has failed
here. How jobs are claimed, tried again and given up is `engine.conversation.job_runner`'s; any process may process any
user's conversation.
Bounded: two conversations of one user are extracted beside each other and kept one after the other, so that the
second knows the memories of the first.
Known doubts: reading hours of talk by rules takes seconds, most of them pauses (`engine.conversation.extract.pauses`);
other conversations wait meanwhile.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import trio
from msgspec.structs import replace

from engine._config_conversation import Conversation as Settings
from engine.conversation.app_prompt import run_prompt
from engine.conversation.chat.ports import AppPrompts, NoApps, Persona
from engine.conversation.indexer import Indexer, Texts
from engine.conversation.job_runner import JobRunner, JobStatistics, Meter
from engine.conversation.llm.port import LlmError
from engine.conversation.models import Models
from engine.conversation.photos import PhotoDescriber
from engine.conversation.ports import (
    Clock,
    Conversations,
    Jobs,
    Memories,
    Owners,
    People,
    Photos,
    Processing,
    Wholes,
)
from engine.conversation.process import Material, extract, joined, processed, transcript_of
from engine.conversation.quota import Quota
from engine.conversation.structured import Extraction
from engine.conversation.vector_search import Vectors
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable
from engine.store.indexed import INDEX
from engine.store.jobs import ERASE, PROCESS, Job
from engine.store.photos import DESCRIBE
from engine.store.processing import Processed
from engine.store.records import ConversationRow
from engine.store.user_records import PhotoRow
from engine.store.whole import Whole

__all__ = ["Processor", "Shelves"]

log = get_logger(__name__)

Told = Callable[[str, str], Awaitable[None]]
Step = Callable[[ConversationRow], Awaitable[None]]


class Shelves(Protocol):
    """Where what is processed lies. `engine.store.Store` is one."""

    @property
    def jobs(self) -> Jobs: ...
    @property
    def processing(self) -> Processing: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def wholes(self) -> Wholes: ...
    @property
    def photos(self) -> Photos: ...
    @property
    def memories(self) -> Memories: ...
    @property
    def people(self) -> People: ...
    @property
    def users(self) -> Owners: ...
    @property
    def vectors(self) -> Vectors: ...
    @property
    def indexing(self) -> Texts: ...


class Processor:
    """One per process. Implements `Handler` for `PROCESS`."""

    def __init__(
        self,
        shelves: Shelves,
        models: Models,
        settings: Settings,
        wall_clock: Clock,
        meter: Meter,
        quota: Quota | None = None,
        apps: AppPrompts | None = None,
    ) -> None:
        """`quota`: what is made of users over it is locked; `apps`: those whose prompt may be put to a conversation."""
        self._shelves = shelves
        self._quota = quota
        self._apps = apps or NoApps()
        self._models = models
        self._settings = settings
        self._wall_clock = wall_clock
        self._keeping: dict[str, tuple[trio.Lock, int]] = {}
        self._told: list[Told] = []
        self._before: list[Step] = []
        self.jobs = JobRunner(shelves.jobs, settings, wall_clock, meter)
        self.jobs.add(PROCESS, self)
        self.jobs.add(ERASE, _Eraser(shelves))
        self.describer = PhotoDescriber(shelves.jobs, shelves.photos, models)
        self.jobs.add(DESCRIBE, self.describer)
        self.jobs.add(INDEX, Indexer(shelves.jobs, shelves.indexing, models))

    def when_done(self, told: Told) -> None:
        """Call `told` with the uid and id of each conversation that was completed or has failed here."""
        self._told.append(told)

    def before_reading(self, step: Step) -> None:
        """Await `step` with each conversation that is to be processed, before it is read."""
        self._before.append(step)

    def wake(self) -> None:
        """There is a job to be done."""
        self.jobs.wake()

    def statistics(self) -> JobStatistics:
        """What there is to be done."""
        return self.jobs.statistics()

    async def wait(self, uid: str, id: str, seconds: float) -> None:
        """Return once the conversation is not being processed any more, wherever that is done, or time is up.

        Raises `DatabaseUnavailable`.
        """
        await self.jobs.wait(uid, PROCESS, id, seconds)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled, beginning with what an earlier process left."""
        task_status.started()
        while True:
            try:
                await self._shelves.processing.sweep()
            except DatabaseUnavailable as error:
                log.warning("jobs.waiting_for_database", error=str(error))
                await trio.sleep(self._settings.claim_time)
            else:
                break
        await self.jobs.run()

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        shelves, uid, id = self._shelves, job.uid, job.key
        row = await shelves.conversations.get(uid, id)
        if row is None:
            await shelves.jobs.done(job)
            return "gone"
        for step in self._before:
            await step(row)
        sources = await self._sources(job)
        material = Material(
            row=await self._locked(row),
            segments=await shelves.conversations.segments(uid, id),
            photos=await self._photos(uid, [id, *(whole.row.id for whole in sources)]),
            owner=await shelves.users.get(uid),
            people=await shelves.people.names(uid),
        )
        force = bool(job.payload.get("force"))
        if sources and not job.payload.get("extract", True):
            found = joined(sources)
        else:
            models, language = self._models, job.payload.get("language")
            found = await extract(material, models.extractor, models.plain, force=force, language=language)
        for notice in found.notices:
            log.info("processing.notice", conversation=id, notice=notice)
        results = await self._app_results(job, material, found)
        async with self._one_at_a_time(uid):
            done = await self._made(job, material, found, force)
            done = replace(done, changes={**done.changes, "apps_results": results})
            await shelves.processing.finish(job, done, source_delay=self._settings.erase_delay)
        discarded = bool(done.changes["discarded"])
        count = len(material.segments)
        log.info("conversation.completed", conversation=id, segment_count=count, discarded=discarded)
        return "discarded" if discarded else "completed"

    async def _sources(self, job: Job) -> list[Whole]:
        """What the conversation is merged from, in time order."""
        ids = job.payload.get("sources", ())
        found = [await self._shelves.wholes.get(job.uid, id, pictures=False) for id in ids]
        return [whole for whole in found if whole is not None]

    async def _photos(self, uid: str, ids: Sequence[str]) -> Sequence[PhotoRow]:
        found = [photo for id in ids for photo in await self._shelves.photos.of_conversation(uid, id)]
        return await self.describer.described(found)

    async def _app_results(self, job: Job, material: Material, found: Extraction) -> list[dict[str, Any]]:
        """What apps made of the conversation; anew by the one that the job names, if its user has enabled it."""
        results, llm, named = list(material.row.apps_results), self._models.llm, job.payload.get("app_id")
        if llm is None or material.row.is_locked or not (named or found.structured.title):
            return results
        for app in await self._prompts(job.uid, named):
            try:
                content = await run_prompt(
                    llm, app.prompt, transcript_of(material, job.payload.get("language"))
                )
            except LlmError as error:
                if named:
                    raise
                # An app must not keep a conversation from being completed.
                log.warning("processing.app_failed", app=app.app_id, outcome=error.outcome)
                continue
            others = [result for result in results if result.get("app_id") != app.app_id]
            results = [*others, {"app_id": app.app_id, "content": content}]
        return results

    async def _prompts(self, uid: str, named: str | None) -> Sequence[Persona]:
        if not named:
            return await self._apps.prompts(uid)
        app = await self._apps.prompt(uid, named)
        return [] if app is None else [app]

    async def _locked(self, row: ConversationRow) -> ConversationRow:
        """The conversation, locked if its owner is over the quota when it is first processed."""
        if self._quota is None or row.processing_version or not await self._quota.is_over(row.uid):
            return row
        return replace(row, is_locked=True)

    async def _made(self, job: Job, material: Material, found: Extraction, force: bool) -> Processed:
        """With vectors; without them when at the last try there is still no service to make them."""
        shelves, now = self._shelves, self._wall_clock()
        arguments = shelves.vectors, shelves.memories
        try:
            return await processed(material, found, self._models.embedder, *arguments, now=now, force=force)
        except LlmError as error:
            if job.failures + 1 < self._settings.tries:
                raise
            log.error("conversation.without_vectors", conversation=job.key, error=str(error))
            return await processed(material, found, None, *arguments, now=now, force=force, later=True)

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`."""
        await self._shelves.processing.fail(job, reason)
        log.error("conversation.failed", conversation=job.key, reason=reason)

    async def after(self, job: Job) -> None:
        """See `Handler`."""
        for told in self._told:
            await told(job.uid, job.key)

    @asynccontextmanager
    async def _one_at_a_time(self, uid: str) -> AsyncIterator[None]:
        lock, users = self._keeping.get(uid, (trio.Lock(), 0))
        self._keeping[uid] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._keeping.pop(uid)
            if users > 1:
                self._keeping[uid] = lock, users - 1


class _Eraser:
    """Implements `Handler` for `ERASE`."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def do(self, job: Job) -> str:
        """See `Handler`."""
        await self._shelves.processing.erase_due(job)
        return "completed"

    async def give_up(self, job: Job, reason: str) -> None:
        """See `Handler`."""
        await self._shelves.jobs.failed(job, reason)

    async def after(self, job: Job) -> None:
        """See `Handler`. Nobody waits for it."""
