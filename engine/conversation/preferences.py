"""What users have set about how they are transcribed, as sessions ask for it."""

from engine.conversation.ports import Owners
from engine.conversation.quota import Quota
from engine.listen.ports import Wishes
from engine.log import get_logger
from engine.store.errors import DatabaseUnavailable

__all__ = ["SpeechPreferences"]

log = get_logger(__name__)


class SpeechPreferences:
    """Implements `engine.listen.ports.Preferences`. A session does not wait for a database that is gone."""

    def __init__(self, users: Owners, quota: Quota) -> None:
        self._users = users
        self._quota = quota

    async def get(self, uid: str) -> Wishes:
        """See `Preferences`."""
        try:
            row = await self._users.get(uid)
            remaining = await self._quota.remaining(uid)
        except DatabaseUnavailable as error:
            log.warning(
                "settings.unknown", error=str(error), loss="language, vocabulary and quota of the user"
            )
            return Wishes()
        return Wishes(
            language=row.language,
            single_language=row.single_language_mode,
            vocabulary=tuple(row.vocabulary),
            remaining_seconds=remaining,
        )
