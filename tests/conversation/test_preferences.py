"""What users have set, as sessions ask for it."""

from engine.conversation.preferences import SpeechPreferences
from engine.listen.ports import Wishes
from engine.store import DatabaseUnavailable
from engine.store.user_records import UserRow


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
    wishes = await SpeechPreferences(Users(row)).get("ada")
    assert wishes == Wishes(language="de", single_language=True, vocabulary=("Omi", "Wal"))


async def test_a_database_that_is_gone_keeps_nobody_from_speaking() -> None:
    assert await SpeechPreferences(Users(None)).get("ada") == Wishes()
