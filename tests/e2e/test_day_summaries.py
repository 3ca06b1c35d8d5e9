"""Two server processes on one database come to the same hour: each day is summarised once, and told once.

Real processes, real time: the hour is the one that has just been, which whoever starts first makes up for.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from standardwebhooks import Webhook as Verifier

from engine.store import COMPLETED, ConversationRow, SegmentsChanged, Store
from engine.store.database import wall_clock
from engine.store.day_summaries import SUMMARISE
from engine.store.user_records import DaySummaryRow
from engine.wire.messages import Segment
from tests.e2e.process import started
from tests.patience import PATIENCE
from tests.webhooks.receiving import Received, Receiver, receiver

HOUR = 3_600_000_000
USERS = [f"user-{n}" for n in range(12)]
Seen = trio.TaskStatus[None]
SETTINGS = {"LISTEN_WEBHOOK_ALLOW": "127.0.0.0/8"}
DOCUMENTED = (
    "id",
    "date",
    "created_at",
    "headline",
    "overview",
    "day_emoji",
    "stats",
    "highlights",
    "action_items",
    "unresolved_questions",
    "decisions_made",
    "knowledge_nuggets",
    "locations",
)
"""What `summary_json` has."""


async def prepare(store: Store, hook: Receiver) -> date:
    """All users spoke on the day that is summarised at the hour that was last reached, and want to be told."""
    hour = wall_clock() // HOUR * HOUR
    now = datetime.fromtimestamp(hour / 1_000_000, UTC)
    day = now.date() if now.hour >= 12 else now.date() - timedelta(1)
    spoke = round(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000
    for uid in USERS:
        await store.users.change(uid, {"daily_summary_hour": now.hour})
        await store.webhooks.set_url(uid, "developer", "day_summary", hook.url(), None)
        await store.conversations.create(
            ConversationRow(
                uid=uid,
                id="c1",
                status=COMPLETED,
                created_at=spoke,
                started_at=spoke,
                finished_at=spoke,
                last_speech_at=spoke,
                timeout_seconds=120,
                structured={"title": f"What {uid} said", "overview": "It was short."},
            )
        )
        said = Segment(id="s1", text="We decided to meet on Friday.", start=0.0, end=2.0)
        await store.conversations.apply([SegmentsChanged(uid, "c1", (said,), spoke, spoke)])
    await store.day_summaries.cover(hour - HOUR)
    return day


async def serve(
    folder: Path, settings: Mapping[str, object], hours: int, told: trio.Event, *, task_status: Seen
) -> None:
    """A server, until everybody was told; `started` when its processes have seen to who is due."""
    async with started(folder, **settings) as server:
        with trio.fail_after(PATIENCE):
            await server.log.until("day_summary.hour", count=hours)
        task_status.started()
        await told.wait()
        assert await server.terminate() == 0


def check_request(request: Received, row: DaySummaryRow, secret: str) -> None:
    """Byte for byte as documented, of the row that is kept."""
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    sent = msgspec.json.decode(request.body)["created_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", sent)
    assert (
        request.body
        == b'{"uid":%b,"created_at":"%b","summary":%b,"summary_json":%b,"delivery_id":"%b"}'
        % (
            msgspec.json.encode(row.uid),
            sent.encode(),
            msgspec.json.encode(repr(row.summary)),
            msgspec.json.encode(row.summary),
            request.headers["webhook-id"].encode(),
        )
    )
    assert tuple(row.summary) == DOCUMENTED
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+", row.summary["created_at"])  # no offset, as documented
    Verifier(secret).verify(request.body, dict(request.headers))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_two_processes_make_and_tell_each_users_day_once(
    tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    """Two workers on SQLite, two servers on PostgreSQL."""
    workers, folders, settings = 2, [tmp_path], dict(SETTINGS)
    if database == "postgresql":
        emptied: Callable[[], str] = request.getfixturevalue("emptied_postgres")
        settings["LISTEN_DATABASE_URL"] = emptied()
        workers, folders = 1, [tmp_path / "one", tmp_path / "two"]
    url = settings.get("LISTEN_DATABASE_URL", "")
    store = await Store.open(tmp_path, trio.to_thread.run_sync, url=url)
    async with receiver() as hook, trio.open_nursery() as nursery:
        day, told = await prepare(store, hook), trio.Event()
        settings["LISTEN_WORKERS"] = str(workers)
        async with trio.open_nursery() as starting:
            for folder in folders:
                starting.start_soon(nursery.start, partial(serve, folder, settings, workers, told))
        await hook.until(len(USERS))
        told.set()
    assert sorted(each.target for each in hook.requests) == sorted(f"/hook?uid={uid}" for uid in USERS)
    for each in hook.requests:
        uid = each.target.removeprefix("/hook?uid=")
        (row,) = await store.day_summaries.dated(uid, limit=5)
        assert (row.date, row.scheduled) == (day.isoformat(), True)
        assert row.summary["headline"] == f"What {uid} said"
        (secret,) = await store.webhooks.secrets(uid, "unused")
        check_request(each, row, secret.secret)
    assert await store.jobs.counts([SUMMARISE]) == (0, 0)
    await store.close()
