from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from engine.store import Store

from .making import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path, trio.to_thread.run_sync, now=clock)
    yield store
    await store.close()
