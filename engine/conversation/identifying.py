"""Who speaks in live sessions, by voice, among those a user has enrolled or named; and by the names people say.

Operations: `Identifier` follows all sessions of a process while its `tasks` run; `statistics`.
Invariants: a session never waits for it, and no fault of it reaches a session or the server: identification of that
session ends, and it is counted. What it does in one session see `engine.conversation.identified`.
Bounded by the sessions there are. Cost: what a voice costs see `engine.speaker.encoding`.
Cancellation: what waits is forgotten here; the segments stay as they are.
"""

import msgspec

from engine.conversation.identification import OUTCOMES, Means
from engine.conversation.identified import IdentifiedSession
from engine.listen.follower_tasks import FollowerTasks
from engine.listen.ports import Followed

__all__ = ["Identifier", "IdentifierStatistics"]


class IdentifierStatistics(msgspec.Struct, frozen=True):
    """Sessions followed now, and what became of turns, by `OUTCOMES`."""

    sessions: int
    outcomes: dict[str, int]


class Identifier:
    """One per process. Implements `Follower`."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self.tasks = FollowerTasks("identifying.failed")

    def began(self, session: Followed) -> IdentifiedSession | None:
        """See `Follower`."""
        parameters = session.parameters
        wanted = parameters.include_speech_profile and not parameters.multi_channel
        if not self.tasks.running or not wanted or parameters.custom_stt:
            return None
        following = IdentifiedSession(self._means, session)
        self.tasks.start(session.id, following.run)
        return following

    def statistics(self) -> IdentifierStatistics:
        """How many are followed, and what became of what was said."""
        outcomes = self._means.outcomes
        return IdentifierStatistics(self.tasks.count, {one: outcomes[one] for one in OUTCOMES})
