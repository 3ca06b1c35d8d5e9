"""What is remembered of users for a while, and no longer."""

from engine.remembered import Remembered


class Reading:
    """Counts what is read, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.read: list[str] = []

    async def __call__(self, uid: str) -> int:
        self.read.append(uid)
        return len(self.read)

    def clock(self) -> float:
        return self.now


async def test_a_value_is_read_again_when_it_is_old_or_another() -> None:
    reading = Reading()
    known = Remembered[int](5, 10, reading.clock)
    assert [await known.get("ada", reading), await known.get("ada", reading)] == [1, 1]
    reading.now = 5.0
    assert await known.get("ada", reading) == 2
    known.forget("ada")
    assert await known.get("ada", reading) == 3


async def test_what_is_old_is_let_go_when_others_are_read() -> None:
    reading = Reading()
    known = Remembered[int](5, 10, reading.clock)
    for reading.now, uid in ((0.0, "ada"), (4.0, "bob"), (6.0, "eve")):
        await known.get(uid, reading)
    assert list(known) == ["bob", "eve"]


async def test_what_was_read_while_something_changed_is_not_remembered() -> None:
    reading = Reading()
    known = Remembered[int](5, 10, reading.clock)

    async def changed_meanwhile(uid: str) -> int:
        known.forget(uid)
        return await reading(uid)

    assert await known.get("ada", changed_meanwhile) == 1
    assert list(known) == []
