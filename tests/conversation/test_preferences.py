"""What users have set, as sessions ask for it."""

from engine.config import Quota as Settings
from engine.conversation.preferences import SpeechPreferences
from engine.conversation.quota import Quota
from engine.listen.ports import Wishes
from engine.store import DatabaseUnavailable, UsageRow
from engine.store.user_records import UserRow


class Unused:
    """Implements `Usage`: nobody used anything."""

    async def read(self, uid: str | None = None, start: int | None = None) -> list[UsageRow]:
        return []


NO_QUOTA = Quota(Settings(), Unused(), lambda: 0)
SOME = Quota(Settings(audio_minutes=5), Unused(), lambda: 0)


class Users:
    """Implements `Owners`."""

    def __init__(self, row: UserRow | None) -> None:
        self.row = row

    async def get(self, uid: str) -> UserRow:
        if self.row is None:
            raise DatabaseUnavailable("locked")
        return self.row


async def test_sessions_hear_of_language_and_vocabulary() -> None:
    row = UserRow(uid="ada", language="de", single_language_mode=True, vocabulary=["Omi", "Wal"])
    wishes = await SpeechPreferences(Users(row), NO_QUOTA).get("ada")
    assert wishes == Wishes(language="de", single_language=True, vocabulary=("Omi", "Wal"))


async def test_sessions_hear_of_what_the_quota_leaves() -> None:
    wishes = await SpeechPreferences(Users(UserRow(uid="ada")), SOME).get("ada")
    assert wishes == Wishes(remaining_seconds=300.0)


async def test_a_database_that_is_gone_keeps_nobody_from_speaking() -> None:
    assert await SpeechPreferences(Users(None), NO_QUOTA).get("ada") == Wishes()
