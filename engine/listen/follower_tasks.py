"""The tasks in which a follower works on what sessions let it have.

Operations: `run` holds the tasks of a process; `start` adds one; `idle` waits until there is none.
Invariants: a task that fails ends by itself, and is logged; neither the others nor the server end by it.
Bounded by the sessions there are. Cancellation of `run` cancels the tasks.
"""

from collections.abc import Awaitable, Callable

import trio

from engine.log import get_logger

__all__ = ["FollowerTasks"]

log = get_logger(__name__)


class FollowerTasks:
    """One for each follower. `failed` is the event that is logged for a task that fails."""

    def __init__(self, failed: str) -> None:
        self.count = 0
        self._failed = failed
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None

    @property
    def running(self) -> bool:
        """Whether tasks can be started."""
        return self._nursery is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the tasks until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def start(self, session_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Work on a session. Raises `RuntimeError` unless `running`."""
        if self._nursery is None:
            raise RuntimeError("follower tasks are not running")
        self.count += 1
        self._nursery.start_soon(self._guarded, session_id, work)

    async def idle(self) -> None:
        """Wait until nothing is worked on."""
        while self.count:
            await self._changed.wait()

    async def _guarded(self, session_id: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            log.error(self._failed, of_session=session_id, exc_info=error)
        finally:
            self.count -= 1
            self._changed.set()
            self._changed = trio.Event()
