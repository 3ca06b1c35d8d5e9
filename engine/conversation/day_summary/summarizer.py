"""Writes summaries of days: by the language model where there is one, else by rules.

Operations: `day` reads one, `write` summarises it; `summarise` does both for its user and keeps what comes of it.
What no model answers, or answers with nothing that can be used, is written by rules, so that a day with conversations
always has a summary.
Bounded: the newest `MOST_CONVERSATIONS` of a day are read, `WHOLE_LIMIT` at a time.
Cost: a question to the model, or some 10 ms for an hour of talk in a thread.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Protocol, Unpack
from uuid import UUID, uuid5

import msgspec
import trio

from engine._config_models import Llm as LlmSettings
from engine.conversation.day_summary.days import day_bounds
from engine.conversation.day_summary.document import DEFAULT_EMOJI, DaySummary
from engine.conversation.day_summary.material import Day
from engine.conversation.day_summary.notes import DayNotes, day_messages, findings_of
from engine.conversation.day_summary.rules import Findings, by_rules
from engine.conversation.llm.ask import ask
from engine.conversation.llm.metrics import LlmMeter
from engine.conversation.llm.port import Llm, LlmAnswerError, LlmContextExceeded, LlmError
from engine.conversation.llm.schema import answer_schema
from engine.conversation.llm.sift import Sift
from engine.conversation.llm.windows import estimate_tokens
from engine.conversation.ports import Clock, Owners, People
from engine.conversation.zones import zone_of
from engine.log import get_logger
from engine.moments import instant
from engine.off_loop import OffLoop
from engine.store.conversations import PAGE_LIMIT as MOST_CONVERSATIONS
from engine.store.conversations import Chosen
from engine.store.records import COMPLETED, ConversationRow
from engine.store.user_records import DaySummaryRow
from engine.store.whole import WHOLE_LIMIT, Whole

__all__ = ["Shelves", "Summarizer", "summary_id"]

log = get_logger(__name__)

NOTES = answer_schema(DayNotes)
SMALLEST_BUDGET = 128
"""Tokens of conversations in a question; where the context leaves fewer, none is put."""
HALVINGS = 3
"""Times a question is made half as long because the model's own count found it too long."""

_MADE = UUID("0a2f6c1e-6a57-4a0b-8f39-2d1d0c7f5b10")


class Conversations(Protocol):
    """The conversations of users."""

    async def list(
        self, uid: str, *, limit: int, offset: int = 0, **chosen: Unpack[Chosen]
    ) -> list[ConversationRow]:
        """A page of a user's conversations, newest first, of those `chosen`."""
        ...


class Wholes(Protocol):
    """Conversations with all that is shown of them."""

    async def of(self, rows: Sequence[ConversationRow]) -> Sequence[Whole]:
        """Each of `rows`, without photos. Raises `ValueError` for more than `WHOLE_LIMIT`."""
        ...


class Summaries(Protocol):
    """The summaries that are kept."""

    async def keep(self, row: DaySummaryRow) -> None:
        """Keep a summary, in the place of what there was of that day; `scheduled` stays once it was."""
        ...


class Shelves(Protocol):
    """Where days lie. `engine.store.Store` is one."""

    @property
    def conversations(self) -> Conversations: ...
    @property
    def wholes(self) -> Wholes: ...
    @property
    def users(self) -> Owners: ...
    @property
    def people(self) -> People: ...
    @property
    def day_summaries(self) -> Summaries: ...


class Models(Protocol):
    """The models of this process."""

    @property
    def llm(self) -> Llm | None:
        """What writes; None while there is none."""
        ...


def summary_id(uid: str, day: date) -> str:
    """The id of a user's summary of a day: there is one."""
    return str(uuid5(_MADE, f"{uid}:{day.isoformat()}"))


class Summarizer:
    """One per process. `off_loop`: where days are read by rules; `answer_wait` (s): a user's wait for a model."""

    def __init__(
        self,
        shelves: Shelves,
        models: Models,
        settings: LlmSettings,
        now: Clock,
        meter: LlmMeter,
        off_loop: OffLoop,
        answer_wait: float,
    ) -> None:
        self._shelves = shelves
        self._models = models
        self._settings = settings
        self._now = now
        self._meter = meter
        self._off_loop = off_loop
        self._answer_wait = answer_wait

    async def summarise(self, uid: str, day: date) -> DaySummaryRow | None:
        """Summarise a day at its user's wish and keep it, in the place of what there was; None as `day`.

        By rules when the model does not answer in time. When cancelled, it may have been kept or not.
        """
        found = await self.day(uid, day)
        if found is None:
            return None
        row = None
        with trio.move_on_after(self._answer_wait):
            try:
                row = await self.write(uid, found)
            except LlmError as error:
                log.warning("day_summary.without_model", reason=error.outcome)
        if row is None:
            row = await self.write(uid, found, plain=True)
        await self._shelves.day_summaries.keep(row)
        return row

    async def day(self, uid: str, day: date) -> Day | None:
        """A user's day, in their time zone; None when nothing was said in it that may be read."""
        owner = await self._shelves.users.get(uid)
        zone = await self._off_loop(zone_of, owner.time_zone)
        start, end = day_bounds(day, zone)
        rows = await self._shelves.conversations.list(
            uid,
            limit=MOST_CONVERSATIONS,
            start=start,
            end=end - 1,
            statuses=(COMPLETED,),
            include_discarded=False,
            locked=False,
        )
        rows = sorted(rows, key=lambda row: (row.started_at, row.id))
        wholes: list[Whole] = []
        for first in range(0, len(rows), WHOLE_LIMIT):
            wholes += await self._shelves.wholes.of(rows[first : first + WHOLE_LIMIT])
        people: Mapping[str, str] = await self._shelves.people.names(uid)
        make = partial(
            Day.of,
            day,
            wholes,
            zone,
            language=owner.language or "en",
            owner_name=owner.name,
            people=people,
        )
        return await self._off_loop(make)

    async def write(self, uid: str, day: Day, *, plain: bool = False) -> DaySummaryRow:
        """The summary of a day; `plain`: without asking the model.

        Raises `LlmError` for a model that cannot be reached or refuses; where it gives no usable answer, it is done
        without.
        """
        llm = self._models.llm
        found = None if plain or llm is None else await self._asked(llm, day)
        if found is None:
            found = await self._off_loop(by_rules, day)
        now = self._now()
        summary = _summary(uid, day, found, now)
        return DaySummaryRow(
            uid=uid,
            id=summary.id,
            date=summary.date,
            created_at=now,
            summary=msgspec.json.decode(msgspec.json.encode(summary)),  # as it comes back from the database
        )

    async def _asked(self, llm: Llm, day: Day) -> Findings | None:
        sift = Sift(instant(self._now()), zone_of("UTC"))
        budget = await self._off_loop(self._budget, llm, day)
        try:
            for halved in range(HALVINGS + 1):
                try:
                    return await self._ask(llm, day, sift, budget >> halved)
                except LlmContextExceeded:
                    continue
        except LlmAnswerError as error:
            log.warning("day_summary.without_model", reason=error.outcome)
        finally:
            for reason, count in (+sift.doubts).items():
                self._meter.distrusted(reason, count)
        return None

    async def _ask(self, llm: Llm, day: Day, sift: Sift, budget: int) -> Findings | None:
        if budget < SMALLEST_BUDGET:
            return None
        return await ask(
            llm,
            await self._off_loop(day_messages, day, budget),
            NOTES,
            lambda answer: findings_of(answer, day, sift),
            asks=self._settings.asks,
            doubts=sift.doubts,
            max_tokens=self._settings.answer_tokens,
        )

    def _budget(self, llm: Llm, day: Day) -> int:
        """Tokens of conversations in one question."""
        question = sum(estimate_tokens(str(message.content)) for message in day_messages(day, 0))
        schema = estimate_tokens(msgspec.json.encode(NOTES.schema).decode())
        return llm.context_tokens - self._settings.answer_tokens - question - schema


def _summary(uid: str, day: Day, found: Findings, now: int) -> DaySummary:
    return DaySummary(
        id=summary_id(uid, day.on),
        date=day.on.isoformat(),
        created_at=instant(now).replace(tzinfo=None).isoformat(timespec="microseconds"),
        headline=found.headline,
        overview=found.overview,
        day_emoji=found.emoji or DEFAULT_EMOJI,
        stats=day.stats,
        highlights=found.highlights,
        action_items=day.action_items,
        unresolved_questions=found.questions,
        decisions_made=found.decisions,
        knowledge_nuggets=found.insights,
        locations=day.locations,
    )
