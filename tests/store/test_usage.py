from engine.moments import HOUR as AN_HOUR
from engine.store import Store, UsageAdded, UsageRow, hour_of

from .making import HOUR, NOW, usage_row


async def test_entries_of_one_hour_add_up(store: Store) -> None:
    await store.usage.add(
        "e1", usage_row(audio_seconds=1.5, words=3, sessions=1, vendor_seconds={"local": 1.5})
    )
    await store.usage.add(
        "e2",
        usage_row(audio_seconds=2.0, speech_seconds=1.0, segments=2, vendor_seconds={"local": 2, "dg": 1}),
    )
    assert await store.usage.read("u1") == [
        UsageRow(
            uid="u1",
            hour=HOUR,
            audio_seconds=3.5,
            speech_seconds=1.0,
            words=3,
            segments=2,
            sessions=1,
            vendor_seconds={"local": 3.5, "dg": 1.0},
        )
    ]


async def test_an_entry_is_added_once_however_it_is_repeated(store: Store) -> None:
    entries = [UsageAdded(f"e{n}", usage_row(words=1, vendor_seconds={"local": 1.0})) for n in range(3)]
    await store.conversations.apply(entries)
    await store.conversations.apply([entries[1], UsageAdded("e3", usage_row(words=10)), entries[1]])
    await store.usage.add("e0", entries[0].row)
    (row,) = await store.usage.read()
    assert (row.words, row.vendor_seconds) == (13, {"local": 3.0})


async def test_two_users_may_use_the_same_entry_id(store: Store) -> None:
    await store.usage.add("e1", usage_row("u1", words=1))
    await store.usage.add("e1", usage_row("u2", words=2))
    assert [(row.uid, row.words) for row in await store.usage.read()] == [("u1", 1), ("u2", 2)]


async def test_usage_is_read_per_user_and_time(store: Store) -> None:
    hours = [HOUR, HOUR + AN_HOUR, HOUR + 2 * AN_HOUR]
    for uid in ("u1", "u2"):
        for hour in hours:
            await store.usage.add(f"{uid}{hour}", usage_row(uid, hour, words=1))
    assert len(await store.usage.read()) == 6
    assert [row.hour for row in await store.usage.read("u1")] == hours
    assert [row.hour for row in await store.usage.read("u1", start=hours[1])] == hours[1:]
    assert [row.hour for row in await store.usage.read("u1", end=hours[1])] == hours[:1]


async def test_entry_ids_are_forgotten_but_not_the_sums(store: Store) -> None:
    await store.usage.add("old", usage_row(words=1))
    await store.forget(HOUR + 2 * AN_HOUR)
    await store.usage.add("old", usage_row(words=1))
    (row,) = await store.usage.read("u1")
    assert row.words == 2


def test_the_hour_of_a_time_is_its_beginning() -> None:
    assert hour_of(NOW) == HOUR
    assert hour_of(HOUR) == HOUR
    assert hour_of(HOUR + AN_HOUR - 1) == HOUR
