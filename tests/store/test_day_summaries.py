"""Summaries of days: one for each user and day, and begun by one process only."""

from typing import Any

import pytest

from engine.store import ConversationOpened, ConversationRow, Store
from engine.store.day_summaries import PAGE, SUMMARISE, Due
from engine.store.errors import ClaimLost
from engine.store.jobs import Job
from engine.store.records import COMPLETED, IN_PROGRESS, PROCESSING
from engine.store.user_records import DaySummaryRow

from .making import NOW, Clock, conversation

DAY = "2025-06-15"
START, END = NOW - 10, NOW + 10
DUE = Due(DAY, START, END)
LOCK, PATIENCE = 7200.0, 300.0


def summary(uid: str = "ada", date: str = DAY, **changes: Any) -> DaySummaryRow:
    values: dict[str, Any] = {"created_at": NOW, "summary": {"headline": f"{uid} on {date}"}} | changes
    return DaySummaryRow(uid=uid, id=f"{uid}-{date}", date=date, **values)


def spoken(uid: str, id: str = "c1", **changes: Any) -> ConversationRow:
    return conversation(id, uid, **{"status": COMPLETED, **changes})


async def claimed(store: Store, uid: str = "ada", owner: str = "a") -> Job:
    assert list(await store.day_summaries.begin([uid], DUE, LOCK, PATIENCE)) == [uid]
    (job,) = await store.jobs.claim(owner, [SUMMARISE], 30.0, 1)
    return job


async def test_a_summary_is_kept_in_the_place_of_the_one_of_that_day(store: Store) -> None:
    table = store.day_summaries
    await table.keep(summary())
    await table.keep(summary(date="2025-06-16"))
    await table.keep(summary("bob"))
    newer = summary(summary={"headline": "another"}, created_at=NOW + 1)
    await table.keep(newer)
    assert await table.get("ada", newer.id) == newer
    assert [row.date for row in await table.dated("ada", limit=5)] == ["2025-06-16", DAY]
    assert [row.date for row in await table.dated("ada", limit=1, offset=1)] == [DAY]
    assert await table.get("bob", newer.id) is None


async def test_what_the_schedule_made_stays_its_own_when_it_is_made_again_by_hand(store: Store) -> None:
    table = store.day_summaries
    await table.keep(summary(summary={"headline": "by hand, too early"}))
    kept = await table.keep_scheduled(await claimed(store), summary())
    assert kept == summary(scheduled=True)
    await table.keep(summary(summary={"headline": "by hand"}))
    assert await table.get("ada", kept.id) == summary(scheduled=True, summary={"headline": "by hand"})


async def test_the_schedule_keeps_one_of_a_day(store: Store, clock: Clock) -> None:
    table, job = store.day_summaries, await claimed(store)
    first = await table.keep_scheduled(job, summary())
    again = await table.keep_scheduled(job, summary(summary={"headline": "another"}, created_at=NOW + 5))
    assert again == first


async def test_a_job_that_is_somebody_elses_by_now_keeps_nothing(store: Store, clock: Clock) -> None:
    late = await claimed(store)
    clock.now += 31_000_000
    (job,) = await store.jobs.claim("b", [SUMMARISE], 30.0, 1)
    with pytest.raises(ClaimLost):
        await store.day_summaries.keep_scheduled(late, summary())
    assert await store.day_summaries.dated("ada", limit=1) == []
    await store.day_summaries.keep_scheduled(job, summary())
    assert await store.jobs.done(job)
    with pytest.raises(ClaimLost):
        await store.day_summaries.keep_scheduled(job, summary())


async def test_a_day_is_begun_once_until_its_lock_has_run_out(store: Store, clock: Clock) -> None:
    table = store.day_summaries
    assert list(await table.begin(["ada", "bob"], DUE, LOCK, PATIENCE)) == ["ada", "bob"]
    assert list(await table.begin(["ada", "eve"], DUE, LOCK, PATIENCE)) == ["eve"]
    assert list(await table.begin(["ada"], Due("2025-06-16", END, END + 20), LOCK, PATIENCE)) == ["ada"]
    assert await store.jobs.counts([SUMMARISE]) == (4, 0)
    clock.now += round(LOCK * 1e6)
    jobs = await store.jobs.claim("a", [SUMMARISE], 30.0, 10)
    assert sorted((job.uid, job.key) for job in jobs)[:2] == [("ada", DAY), ("ada", "2025-06-16")]
    await table.cover(clock.now)
    assert list(await table.begin(["ada"], DUE, LOCK, PATIENCE)) == ["ada"]


async def test_a_day_of_which_something_is_being_processed_waits(store: Store, clock: Clock) -> None:
    await store.users.change("bob", {"daily_summary_hour": 22})
    for uid in ("ada", "bob", "cleo"):
        await store.conversations.create(spoken(uid))
    await store.conversations.create(spoken("bob", "c2", status=PROCESSING, created_at=END))
    await store.conversations.create(spoken("cleo", "c2", status=PROCESSING))
    await store.conversations.create(spoken("dan", status=PROCESSING))
    uids = list(await store.day_summaries.due("UTC", 22, START, END))
    assert uids == ["ada", "bob", "cleo", "dan"]
    assert list(await store.day_summaries.begin(uids, DUE, LOCK, PATIENCE)) == uids
    jobs = await store.jobs.claim("a", [SUMMARISE], 30.0, 10)
    assert sorted(job.uid for job in jobs) == ["ada", "bob"]
    clock.now += round(PATIENCE * 1e6)
    jobs = await store.jobs.claim("b", [SUMMARISE], 30.0, 10)
    assert {"cleo", "dan"} <= {job.uid for job in jobs}


async def test_what_the_schedule_has_made_is_not_begun_again(store: Store, clock: Clock) -> None:
    table = store.day_summaries
    await table.keep(summary("bob"))
    await table.keep_scheduled(await claimed(store), summary())
    clock.now += round(LOCK * 1e6)
    assert list(await table.begin(["ada", "bob"], DUE, LOCK, PATIENCE)) == ["bob"]


async def test_how_far_the_schedule_has_come_is_remembered(store: Store) -> None:
    table = store.day_summaries
    assert await table.covered() is None
    await table.cover(NOW)
    await table.cover(NOW - 1)
    assert await table.covered() == NOW - 1


async def test_those_are_due_who_live_there_want_one_then_and_spoke_that_day(store: Store) -> None:
    hour = {"daily_summary_hour": 9}
    await store.users.change("ada", {"time_zone": "Asia/Tokyo", **hour})
    await store.users.change("bob", {"time_zone": "Asia/Tokyo"})
    await store.users.change("cleo", {"time_zone": "Asia/Tokyo", **hour, "daily_summary_enabled": False})
    await store.users.change("dan", {"time_zone": "Europe/Berlin", **hour})
    await store.users.change("eve", {"time_zone": "Asia/Tokyo", **hour})
    for uid in ("ada", "bob", "cleo", "dan", "gil"):
        await store.conversations.create(spoken(uid))
    await store.conversations.create(spoken("eve", created_at=END))
    await store.users.change("hal", {"time_zone": "Asia/Tokyo", **hour})
    hidden: list[dict[str, Any]] = [{"is_locked": True}, {"discarded": True}, {"status": IN_PROGRESS}]
    for n, changes in enumerate(hidden):
        await store.conversations.create(spoken("hal", f"c{n}", **changes))
    due = store.day_summaries.due
    assert list(await due("Asia/Tokyo", 9, START, END)) == ["ada"]
    assert list(await due("Asia/Tokyo", 22, START, END)) == ["bob"]
    assert list(await due("UTC", 22, START, END)) == ["gil"]
    assert list(await due("UTC", 9, START, END)) == []
    assert list(await store.day_summaries.zones()) == ["Asia/Tokyo", "Europe/Berlin", "UTC"]


async def test_a_day_without_settings_of_anybody_has_one_zone(store: Store) -> None:
    assert list(await store.day_summaries.zones()) == ["UTC"]


async def test_those_who_are_due_come_in_pages(store: Store) -> None:
    uids = [f"u{n:04}" for n in range(PAGE + 3)]
    for uid in uids[1::50]:
        await store.users.change(uid, {"name": uid})
    await store.conversations.apply([ConversationOpened(spoken(uid)) for uid in uids])
    first = list(await store.day_summaries.due("UTC", 22, START, END))
    rest = list(await store.day_summaries.due("UTC", 22, START, END, after=first[-1]))
    assert (first + rest, len(first)) == (uids, PAGE)
    assert list(await store.day_summaries.due("UTC", 22, START, END, after=uids[-1])) == []
