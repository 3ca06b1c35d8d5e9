"""Endpoints as their owners set them, and the secrets they are signed with."""

from engine.store import Store

from .making import NOW, Clock

HOUR = 3600.0
MICROS = 3_600_000_000


async def test_setting_a_url_turns_the_endpoint_on_and_an_empty_one_off(store: Store) -> None:
    assert await store.webhooks.get("ada", "developer", "memory_created") is None
    row = await store.webhooks.set_url("ada", "developer", "memory_created", "https://a.example/", None)
    assert (row.url, row.enabled, row.settings_at, row.created_at) == ("https://a.example/", True, NOW, NOW)
    assert await store.webhooks.get("ada", "developer", "memory_created") == row
    row = await store.webhooks.set_url("ada", "developer", "memory_created", "", None)
    assert (row.url, row.enabled) == ("", False)


async def test_enabling_keeps_the_url_and_forgets_failures(store: Store, clock: Clock) -> None:
    await store.webhooks.set_url("ada", "developer", "audio_bytes", "https://a.example/", 7)
    assert not (await store.webhooks.disable("ada", "developer", "audio_bytes")).enabled
    clock.now += 1
    row = await store.webhooks.enable("ada", "developer", "audio_bytes")
    assert (row.url, row.seconds, row.enabled, row.failures, row.disabled_at) == (
        "https://a.example/",
        7,
        True,
        0,
        None,
    )
    assert row.settings_at == clock.now


async def test_endpoints_of_one_user_are_listed_and_no_others(store: Store) -> None:
    await store.webhooks.set_url("ada", "developer", "memory_created", "https://a.example/", None)
    await store.webhooks.enable("ada", "app:diary", "memory_created")
    await store.webhooks.set_url("bob", "developer", "memory_created", "https://b.example/", None)
    assert [row.name for row in await store.webhooks.list("ada")] == ["app:diary", "developer"]
    assert await store.webhooks.forget("ada", "app:diary") == 1
    assert [row.uid for row in await store.webhooks.list("ada") + await store.webhooks.list("bob")] == [
        "ada",
        "bob",
    ]


async def test_it_is_known_whether_anybody_has_an_endpoint(store: Store) -> None:
    assert not await store.webhooks.any_set()
    await store.webhooks.enable("ada", "app:diary", "memory_created")
    assert await store.webhooks.any_set()


async def test_the_first_secret_is_made_once(store: Store) -> None:
    (first,) = await store.webhooks.secrets("ada", "whsec_1")
    (again,) = await store.webhooks.secrets("ada", "whsec_2")
    assert first == again
    assert (first.secret, first.expires_at) == ("whsec_1", None)


async def test_a_replaced_secret_signs_until_its_time_is_over(store: Store, clock: Clock) -> None:
    await store.webhooks.secrets("ada", "whsec_1")
    clock.now += 1
    rows = await store.webhooks.rotate("ada", "whsec_2", HOUR)
    assert [(row.secret, row.expires_at) for row in rows] == [
        ("whsec_2", None),
        ("whsec_1", clock.now + MICROS),
    ]
    clock.now += MICROS
    assert [row.secret for row in await store.webhooks.secrets("ada", "whsec_3")] == ["whsec_2"]
    assert (await store.user_data.counts("ada"))["webhook_secrets"] == 2
    await store.webhooks.rotate("ada", "whsec_4", 0.0)
    assert [row.secret for row in await store.webhooks.secrets("ada", "whsec_5")] == ["whsec_4"]


async def test_however_often_it_is_rotated_few_secrets_sign(store: Store, clock: Clock) -> None:
    for number in range(10):
        clock.now += 1
        rows = await store.webhooks.rotate("ada", f"whsec_{number}", HOUR)
    assert [row.secret for row in rows] == [f"whsec_{number}" for number in (9, 8, 7, 6, 5)]
    assert (await store.user_data.counts("ada"))["webhook_secrets"] == 5
