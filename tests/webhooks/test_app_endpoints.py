"""The endpoints of the apps that a user has enabled."""

from pathlib import Path
from typing import Any

import pytest

from engine.store.app_registry import AppRow
from engine.webhooks.apps import AppEndpoints, app_of, secrets_of, trigger_of
from tests.store.making import NOW, app

from .hosting import add_app, stored

EXTERNAL = ["external_integration"]
HOOK = "https://app.example/hook"


def integrated(triggers_on: str | None) -> dict[str, Any]:
    return {
        "capabilities": EXTERNAL,
        "external_integration": {"triggers_on": triggers_on, "webhook_url": HOOK},
    }


async def test_an_app_is_told_of_what_it_was_registered_for(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        for id, trigger in (("a", "memory_creation"), ("b", "transcript_processed"), ("c", "audio_bytes")):
            await add_app(store, id, **integrated(trigger))
        await add_app(store, "d", capabilities=["chat"])
        await add_app(store, "e", of="u2", **integrated("audio_bytes"))
        found = await AppEndpoints(store.app_registry, lambda: NOW).endpoints("u1")
        assert sorted((one.name, one.trigger) for one in found) == [
            ("app:a", "memory_created"),
            ("app:b", "realtime_transcript"),
            ("app:c", "audio_bytes"),
        ]
        assert {(one.uid, one.url, one.seconds) for one in found} == {("u1", HOOK, 4)}
        await store.apps.disable("u1", "a")
        await store.app_registry.change("maker", "b", {"private": True})
        found = await AppEndpoints(store.app_registry, lambda: NOW).endpoints("u1")
        assert [one.name for one in found] == ["app:c"]


@pytest.mark.parametrize(
    "row",
    [
        app(**integrated(None)),
        app(**integrated("day_summary")),
        app(capabilities=EXTERNAL, external_integration={"triggers_on": "audio_bytes"}),
        app(**(integrated("audio_bytes") | {"capabilities": []})),
        app(capabilities=EXTERNAL),
    ],
)
def test_an_app_without_a_trigger_or_an_address_is_told_nothing(row: AppRow) -> None:
    assert trigger_of(row) is None


def test_a_secret_that_was_replaced_signs_for_a_while() -> None:
    row = app(secret="new", old_secret="old", old_secret_until=NOW)
    assert secrets_of(row, NOW - 1) == ("new", "old")
    assert secrets_of(row, NOW) == ("new",)


def test_an_endpoints_name_says_whose_it_is() -> None:
    assert [app_of(name) for name in ("app:notes", "developer")] == ["notes", None]
