"""Each user's day is summarised when their hour comes, through changes of clocks, restarts and two processes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from engine.config import Conversation, DaySummary, Llm
from engine.conversation.day_summary import Summarizer
from engine.conversation.job_runner import JobRunner
from engine.conversation.llm.metrics import NoMeter
from engine.conversation.llm.port import Llm as LlmPort
from engine.conversation.llm.port import LlmUnavailable
from engine.metrics import Metrics
from engine.store import (
    COMPLETED,
    PROCESSING,
    ConversationOpened,
    ConversationRow,
    DatabaseUnavailable,
    Store,
)
from engine.store.day_summaries import SUMMARISE, Due
from engine.store.user_records import DaySummaryRow
from engine.webhooks.day_summaries import Schedule, SummaryMaker, webhook_body
from tests.conversation.test_day_summary_summarizer import Scripted
from tests.databases import migrated
from tests.listen.harness import inline

SECOND = 1_000_000
HOUR = 3600 * SECOND


def at(text: str, zone: str = "UTC") -> int:
    """Microseconds since the epoch of a local time."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp()) * SECOND


FRIDAY = Due("2026-11-20", at("2026-11-20T00:00"), at("2026-11-21T00:00"))


class Models:
    llm: LlmPort | None = None


class Told:
    """Takes deliveries: one for each key, as the real ones."""

    def __init__(self) -> None:
        self.offers = 0
        self.bodies: dict[tuple[str, str, str], Any] = {}

    async def offer(self, uid: str, trigger: str, body: bytes, *, key: str) -> int:
        self.offers += 1
        self.bodies.setdefault((uid, trigger, key), msgspec.json.decode(body))
        return 1

    def dates(self, uid: str) -> list[str]:
        return sorted(key for who, _, key in self.bodies if who == uid)


class World:
    """A store whose wall clock follows Trio's from `began` on."""

    def __init__(self, store: Store, began: int) -> None:
        self.store = store
        self.began = began
        self.told = Told()
        self.models = Models()
        self.writer = Summarizer(store, self.models, Llm(), self.now, NoMeter(), inline, 10.0)

    def now(self) -> int:
        return self.began + round(trio.current_time() * SECOND)

    async def lives(self, uid: str, zone: str, hour: int | None = None, **changes: Any) -> None:
        hours = {} if hour is None else {"daily_summary_hour": hour}
        await self.store.users.change(uid, {"time_zone": zone, **hours, **changes})

    async def speaks(self, uid: str, zone: str, first: str, count: int) -> None:
        """At noon of so many days."""
        noons = [at(f"{day}T12:00", zone) for day in days(first, count)]
        rows = [ConversationOpened(conversation(uid, noon)) for noon in noons]
        await self.store.conversations.apply(rows)

    async def spoke(self, uid: str, moment: str, **changes: Any) -> None:
        await self.store.conversations.create(replace(conversation(uid, at(moment)), **changes))

    async def until(self, text: str) -> None:
        """Let time pass."""
        await trio.sleep((at(text) - self.now()) / SECOND)

    @asynccontextmanager
    async def process(self, tries: int = 3, **settings: Any) -> AsyncIterator[None]:
        """A process that summarises, until the block ends."""
        conversations = Conversation(claim_time=3600.0, tries=tries)
        runner = JobRunner(self.store.jobs, conversations, self.now, Metrics())
        runner.add(SUMMARISE, SummaryMaker(self.store, self.writer, self.told, self.now, tries))
        calendar = self.store.day_summaries
        schedule = Schedule(calendar, DaySummary(**settings), self.now, inline, runner.wake)
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            nursery.start_soon(schedule.run)
            yield
            nursery.cancel_scope.cancel()

    async def made(self, uid: str) -> Sequence[DaySummaryRow]:
        """The earliest first."""
        return list(reversed(await self.store.day_summaries.dated(uid, limit=100)))


@asynccontextmanager
async def world(folder: Path, began: str) -> AsyncIterator[World]:
    there: list[World] = []
    store = await Store.open(
        migrated(folder), inline, now=lambda: there[0].now() if there else 0, user_cache_seconds=0
    )
    there.append(World(store, at(began)))
    yield there[0]
    await store.close()


def conversation(uid: str, moment: int) -> ConversationRow:
    return ConversationRow(
        uid=uid,
        id=f"at-{moment}",
        status=COMPLETED,
        created_at=moment,
        started_at=moment,
        finished_at=moment,
        last_speech_at=moment,
        timeout_seconds=120,
        external_data={"text": "Hello there."},
        structured={"title": "Talk", "overview": "Words."},
    )


def days(first: str, count: int) -> list[str]:
    return [(date.fromisoformat(first) + timedelta(n)).isoformat() for n in range(count)]


PLACES: dict[str, tuple[str, int | None, float]] = {
    "nothing set": ("UTC", None, 22.0),
    "skipped and repeated": ("Europe/Berlin", 2, 2.0),
    "evening": ("Europe/Berlin", 22, 22.0),
    "midnight": ("America/Havana", 0, 0.0),
    "half an hour": ("Asia/Kolkata", 22, 22.5),
    "saves half an hour": ("Australia/Lord_Howe", 2, 2.0),
    "early": ("Pacific/Kiritimati", 7, 7.0),
    "late": ("Pacific/Pago_Pago", 23, 23.0),
}
"""Zone, hour, and the first local time of most days at which it is a full hour in UTC and that hour was reached."""


@pytest.mark.parametrize("first", ["2026-03-08", "2026-03-29", "2026-04-04", "2026-10-25", "2026-11-01"])
async def test_every_day_is_summarised_once_whatever_the_clocks_do(
    tmp_path: Path, autojump_clock: MockClock, first: str
) -> None:
    """Thirty hours each: Havana's spring, Europe's, the end of summer on Lord Howe, Europe's autumn, Havana's."""
    async with world(tmp_path, f"{first}T00:00") as it:
        before = (date.fromisoformat(first) - timedelta(2)).isoformat()
        for uid, (zone, hour, _) in PLACES.items():
            if hour is not None:
                await it.lives(uid, zone, hour)
            await it.speaks(uid, zone, before, 6)
        async with it.process(), it.process():
            await trio.sleep(30 * 3600 + 60)
        for uid, (zone, hour, usual) in PLACES.items():
            rows = await it.made(uid)
            dates = [row.date for row in rows]
            assert dates == days(dates[0], len(dates)), uid
            assert len(dates) in (1, 2), uid
            assert it.told.dates(uid) == dates
            of_the_day_before = hour is not None and hour < 12
            for row in rows:
                made = datetime.fromtimestamp(row.created_at / SECOND, ZoneInfo(zone))
                assert 0 <= made.hour + made.minute / 60 - usual <= 1, (uid, made)
                assert made.date() - date.fromisoformat(row.date) == timedelta(of_the_day_before)


async def test_a_webhook_is_told_what_is_kept_under_one_key(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-21T21:30") as it:
        await it.spoke("ada", "2026-11-21T09:00")
        async with it.process():
            await it.until("2026-11-21T22:01")
        (row,) = await it.made("ada")
    (((uid, trigger, key), body),) = it.told.bodies.items()
    assert (uid, trigger, key) == ("ada", "day_summary", "2026-11-21")
    assert body["summary_json"] == row.summary
    assert row.scheduled


def test_the_body_is_an_object_and_the_text_of_a_dict() -> None:
    summary = {"headline": "It's a day", "n": None}
    row = DaySummaryRow(uid="ada", id="x", date="2026-11-21", created_at=1, summary=summary)
    body = msgspec.json.decode(webhook_body(row, at("2026-11-21T22:00") + 5))
    assert list(body.items()) == [
        ("uid", "ada"),
        ("created_at", "2026-11-21T22:00:00.000005+00:00"),
        ("summary", """{'headline': "It's a day", 'n': None}"""),
        ("summary_json", summary),
    ]


async def test_hours_that_no_server_saw_are_made_up_for_within_the_time_that_is_set(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T12:30") as it:
        for uid, hour in (("nine", 9), ("twenty", 20), ("two", 2)):
            await it.lives(uid, "UTC", hour)
            await it.speaks(uid, "UTC", "2026-11-18", 6)
        async with it.process():
            await it.until("2026-11-20T19:30")
        await it.until("2026-11-21T03:30")
        async with it.process(catch_up=12 * 3600.0):
            await trio.sleep(60)
            assert it.told.dates("twenty") == ["2026-11-20"]
            assert it.told.dates("two") == ["2026-11-20"]
            await it.until("2026-11-21T08:30")
        await it.until("2026-11-22T12:30")
        async with it.process(catch_up=12 * 3600.0):
            await it.until("2026-11-22T12:45")
        assert it.told.dates("nine") == ["2026-11-21"]
        assert it.told.dates("twenty") == ["2026-11-20"]
        assert it.told.dates("two") == ["2026-11-20", "2026-11-21"]


async def test_a_server_that_starts_for_the_first_time_begins_with_the_hour_it_is_in(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-21T22:59") as it:
        await it.spoke("ada", "2026-11-21T09:00")
        await it.lives("bob", "UTC", 21)
        await it.spoke("bob", "2026-11-21T09:00")
        async with it.process():
            await trio.sleep(30)
        assert (it.told.dates("ada"), it.told.dates("bob")) == (["2026-11-21"], [])


async def test_a_clock_that_is_set_makes_nothing_twice_and_leaves_no_gap(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T21:30") as it:
        await it.speaks("ada", "UTC", "2026-11-19", 5)
        async with it.process():
            await it.until("2026-11-20T22:30")
            it.began -= 2 * HOUR
            await it.until("2026-11-20T23:30")
            assert it.told.dates("ada") == ["2026-11-20"]
            it.began += 24 * 365 * HOUR
            await trio.sleep(120)
            it.began -= 24 * 365 * HOUR
            await it.until("2026-11-21T23:30")
        assert it.told.dates("ada") == ["2026-11-20", "2026-11-21"]
        assert len(await it.made("ada")) == 2


@pytest.mark.parametrize("step", ["begin", "day", "keep_scheduled", "offer", "done"])
async def test_a_process_that_dies_leaves_its_work_to_the_next_and_nothing_is_made_twice(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It dies when the step is done and nobody was told, `day` (which changes nothing) before it."""
    async with world(tmp_path, "2026-11-20T21:30") as it:
        await it.spoke("ada", "2026-11-20T09:00")
        summaries = it.store.day_summaries
        owners: dict[str, Any] = {"day": it.writer, "offer": it.told, "done": it.store.jobs}
        owner = owners.get(step, summaries)
        real, died = getattr(owner, step), trio.Event()

        async def dies(*arguments: Any, **named: Any) -> Any:
            if step != "day":
                await real(*arguments, **named)
            died.set()
            await trio.sleep_forever()

        with monkeypatch.context() as patched:
            patched.setattr(owner, step, dies)
            async with it.process():
                await died.wait()
        made = await it.made("ada")
        async with it.process():
            await it.until("2026-11-21T00:30")
        (row,) = await it.made("ada")
        assert made in ([], [row])
        assert it.told.dates("ada") == ["2026-11-20"]
        assert await it.store.jobs.counts([SUMMARISE]) == (0, 0)


async def test_whoever_wants_none_or_said_nothing_gets_none(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T21:30") as it:
        for uid in ("off", "silent", "locked", "away"):
            await it.lives(uid, "UTC", 22, daily_summary_enabled=uid != "off")
        await it.spoke("off", "2026-11-20T09:00")
        await it.spoke("silent", "2026-11-20T09:00", external_data=None)
        await it.spoke("locked", "2026-11-20T09:00", is_locked=True)
        async with it.process():
            await it.until("2026-11-20T22:05")
            await it.spoke("silent", "2026-11-20T22:02")
            await it.until("2026-11-20T23:30")
        assert it.told.bodies == {}
        assert [await it.made(uid) for uid in ("off", "silent", "locked", "away")] == [[]] * 4


async def test_a_conversation_that_is_still_processed_at_the_hour_is_in_the_summary(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T21:30") as it:
        await it.spoke("ada", "2026-11-20T09:00")
        await it.spoke("ada", "2026-11-20T21:45", status=PROCESSING)
        async with it.process(wait_for_processing=600.0):
            await it.until("2026-11-20T22:05")
            assert it.told.bodies == {}
            (late,) = await it.store.conversations.list("ada", statuses=[PROCESSING])
            assert await it.store.conversations.set_status("ada", late.id, COMPLETED)
            await it.until("2026-11-20T22:15")
        (body,) = it.told.bodies.values()
        assert body["summary_json"]["stats"]["total_conversations"] == 2


async def test_whoever_turns_it_off_while_it_waits_gets_none(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T22:00") as it:
        await it.spoke("ada", "2026-11-20T09:00")
        assert await it.store.day_summaries.begin(["ada"], FRIDAY, 7200.0, 300.0)
        await it.lives("ada", "UTC", daily_summary_enabled=False)
        async with it.process():
            await trio.sleep(3600)
        assert (it.told.offers, await it.made("ada")) == (0, [])
        assert await it.store.jobs.counts([SUMMARISE]) == (0, 0)


async def test_a_summary_made_by_hand_is_made_anew_when_the_hour_comes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T12:30") as it:
        await it.spoke("ada", "2026-11-20T09:00")
        by_hand = await it.writer.summarise("ada", date(2026, 11, 20))
        await it.spoke("ada", "2026-11-20T18:00")
        async with it.process():
            await it.until("2026-11-20T22:30")
        (row,) = await it.made("ada")
        assert by_hand is not None
        assert (by_hand.id, by_hand.summary["stats"]["total_conversations"]) == (row.id, 1)
        assert row.summary["stats"]["total_conversations"] == 2
        assert it.told.bodies["ada", "day_summary", "2026-11-20"]["summary_json"] == row.summary


async def test_while_the_database_is_away_the_hour_waits(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, "2026-11-20T21:30") as it:
        await it.spoke("ada", "2026-11-20T09:00")

        async def gone(*_: Any, **__: Any) -> Any:
            raise DatabaseUnavailable("gone")

        async with it.process():
            with monkeypatch.context() as patched:
                patched.setattr(it.store.day_summaries, "due", gone)
                await it.until("2026-11-20T22:20")
                assert it.told.bodies == {}
            await it.until("2026-11-20T22:25")
        assert it.told.dates("ada") == ["2026-11-20"]


@pytest.mark.parametrize("tries", [1, 3])
async def test_a_model_that_is_away_is_asked_again_then_rules_write(
    tmp_path: Path, autojump_clock: MockClock, tries: int
) -> None:
    async with world(tmp_path, "2026-11-20T21:30") as it:
        await it.spoke("ada", "2026-11-20T09:00")
        it.models.llm = llm = Scripted(*[LlmUnavailable("nobody", "connect")] * tries)
        async with it.process(tries=tries):
            await it.until("2026-11-20T23:30")
        (row,) = await it.made("ada")
        assert len(llm.asked) == tries
        assert row.summary["headline"] == "Talk"


async def test_a_day_that_cannot_be_read_is_given_up_and_the_others_are_not(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with world(tmp_path, "2026-11-20T21:30") as it:
        await it.spoke("ada", "2026-11-20T09:00", structured={"title": 5})
        await it.spoke("bob", "2026-11-20T09:00")
        async with it.process(tries=2):
            await it.until("2026-11-20T23:30")
        assert (it.told.dates("ada"), it.told.dates("bob")) == ([], ["2026-11-20"])
        (job,) = await it.store.jobs.list_failed()
        assert (job.uid, job.key) == ("ada", "2026-11-20")
