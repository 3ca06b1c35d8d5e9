from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from engine.store import Store
from tests.databases import migrated

from .making import Clock

on_sqlite = pytest.mark.parametrize("database_url", [""], ids=["sqlite"])
"""For a test that looks at the file itself."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Of the database that a test works on, so that it runs over both; empty for SQLite."""
    if request.param == "sqlite":
        return ""
    emptied: Callable[[], str] = request.getfixturevalue("emptied_postgres")
    return emptied()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock, database_url: str) -> AsyncIterator[Store]:
    folder = tmp_path if database_url else migrated(tmp_path)
    store = await Store.open(folder, trio.to_thread.run_sync, url=database_url, now=clock)
    yield store
    await store.close()
