"""`listen usage`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from engine.cli.status import USAGE
from engine.store import Store, UsageRow
from tests.cli.conftest import Listen

HOUR = 3_600_000_000
MORNING = 1_793_523_600_000_000  # 2026-11-01 09:00 UTC


@pytest.fixture
def used(data_dir: Path) -> None:
    async def add() -> None:
        store = await Store.open(data_dir, trio.to_thread.run_sync)
        for number, (uid, hour) in enumerate([("ada", MORNING), ("ada", MORNING + HOUR), ("ben", MORNING)]):
            row = UsageRow(
                uid=uid, hour=hour, audio_seconds=60.0, words=100, sessions=1, vendor_seconds={"local": 20.5}
            )
            await store.usage.add(str(number), row)
        await store.close()

    trio.run(add)


@pytest.mark.usefixtures("used")
def test_rows_and_their_sums_are_shown(listen: Listen) -> None:
    lines = listen("usage").out.splitlines()
    assert lines[0].split()[:3] == ["hour", "user", "audio"]
    assert len(lines) == 5
    assert lines[-1].split() == ["total", "180.0", "0.0", "300", "0", "0", "3", "61.5"]


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--uid", "ada"], [("ada", MORNING), ("ada", MORNING + HOUR)]),
        (["--since", "2026-11-01T10:00"], [("ada", MORNING + HOUR)]),
        (["--until", "2026-11-01T11:00+01:00"], [("ada", MORNING), ("ben", MORNING)]),
        (["--since", "2026-11-02"], []),
    ],
)
def test_users_and_times_narrow_it_down(
    listen: Listen, arguments: list[str], found: list[tuple[str, int]]
) -> None:
    rows = json.loads(listen("usage", *arguments, "--json").out)
    assert [(row["uid"], row["hour"]) for row in rows] == found


def test_nothing_used_is_said_in_words(listen: Listen) -> None:
    assert listen("usage").out == "Nothing was used in that time.\n"


def test_a_time_that_is_none_is_wrong_usage(listen: Listen) -> None:
    outcome = listen("usage", "--since", "yesterday")
    assert outcome.status == USAGE
    assert "--since 'yesterday' is not a time: give a date or time as 2026-11-01" in outcome.err
