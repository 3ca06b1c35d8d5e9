"""What placing users needs to know of them, as a Protocol that each worker implements."""

from collections.abc import Collection
from typing import Protocol

__all__ = ["Users"]


class Users(Protocol):
    """The users' sessions and conversations in this process."""

    async def adopt(self, uid: str) -> None:
        """Take up what another process left unfinished. Raises `DatabaseUnavailable`."""
        ...

    async def release(self, uid: str) -> bool:
        """Let another process have them; False, with nothing changed, while a session writes to one."""
        ...

    def drop(self, uid: str) -> None:
        """Another process has them already."""
        ...

    def idle(self, uid: str) -> bool:
        """Whether nothing of the user is here: no open conversation, no connect within the last minute."""
        ...

    def hand_over(self, uid: str) -> tuple[float, ...]:
        """How many seconds ago the user connected, each time within the last minute; then forget it."""
        ...

    def taken_over(self, uid: str, ages: Collection[float]) -> None:
        """The user connected elsewhere, so many seconds ago each."""
        ...

    async def unfinished(self) -> Collection[str]:
        """All users with conversations that are not finished, wherever. Raises `DatabaseUnavailable`."""
        ...
