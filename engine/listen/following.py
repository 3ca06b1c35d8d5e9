"""Those who follow live sessions: told what happens in them, and given their audio, without being waited for.

Operations: `Followings` tells all who follow one session.
Invariants: a session neither waits for a follower nor ends by one's fault: who raises is not told any more, and the
fault is logged.
Bounded by the followers a service was made with. Cost: a call each for what happens; nothing for audio.
"""

from collections.abc import Callable, Sequence
from typing import TypeVarTuple

from engine.listen.ports import Followed, Follower, Following, OpenConversation
from engine.log import get_logger
from engine.wire.messages import Segment

__all__ = ["Followings"]

log = get_logger(__name__)

Ts = TypeVarTuple("Ts")


class Followings:
    """All who follow one session. Implements `Following`."""

    def __init__(self, session: Followed, followers: Sequence[Follower]) -> None:
        self._session = session
        self._followers = tuple(followers)
        self._followings: tuple[Following, ...] = ()

    def began(self) -> None:
        """The session is about to take audio."""
        for follower in self._followers:
            self._tell(follower, self._begin, follower)

    def entered(self, conversation: OpenConversation, position: int) -> None:
        """See `Following`."""
        for following in self._followings:
            self._tell(following, following.entered, conversation, position)

    def changed(
        self,
        conversation: OpenConversation,
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        """See `Following`."""
        for following in self._followings:
            self._tell(following, following.changed, conversation, segments, deleted, offset)

    def ended(self) -> None:
        """See `Following`."""
        for following in self._followings:
            self._tell(following, following.ended)
        self._followings = ()

    def _begin(self, follower: Follower) -> None:
        following = follower.began(self._session)
        if following is not None:
            self._followings = (*self._followings, following)

    def _tell(self, whom: object, call: Callable[[*Ts], None], *args: *Ts) -> None:
        try:
            call(*args)
        except Exception as error:
            log.error("session.follower_failed", follower=type(whom).__name__, exc_info=error)
            self._followings = tuple(one for one in self._followings if one is not whom)
