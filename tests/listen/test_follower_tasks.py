"""The tasks of followers: one's failure is its own."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.listen.follower_tasks import FollowerTasks


async def fails() -> None:
    raise LookupError("lost")


async def test_one_that_fails_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    tasks = FollowerTasks("following.failed")
    done = trio.Event()

    async def works() -> None:
        await done.wait()

    async with trio.open_nursery() as nursery:
        await nursery.start(tasks.run)
        tasks.start("one", fails)
        tasks.start("two", works)
        await wait_all_tasks_blocked()
        assert ["following.failed" in record.getMessage() for record in caplog.records] == [True]
        assert tasks.count == 1
        done.set()
        await tasks.idle()
        assert tasks.count == 0
        nursery.cancel_scope.cancel()
    assert not tasks.running


async def test_nothing_starts_before_it_runs() -> None:
    with pytest.raises(RuntimeError):
        FollowerTasks("following.failed").start("one", fails)
