"""`listen app`."""

from __future__ import annotations

import json
from pathlib import Path

import trio

from engine.cli.status import FAILED, USAGE
from engine.store import Store
from tests.cli.conftest import Listen
from tests.store.making import app


def may(data_dir: Path, key: str, uid: str) -> tuple[bool, bool]:
    """Whether the key is one of notes', and whether the user has enabled notes."""

    async def ask() -> tuple[bool, bool]:
        store = await Store.open(data_dir, trio.to_thread.run_sync)
        try:
            return await store.apps.verify("notes", key), await store.apps.is_enabled(uid, "notes")
        finally:
            await store.close()

    return trio.run(ask)


def test_an_app_has_a_key_until_it_is_revoked(listen: Listen, data_dir: Path) -> None:
    key = listen("app", "key", "create", "--app", "notes", "--owner", "ada", "--label", "v1").out.strip()
    assert may(data_dir, key, "ben") == (True, False)
    (row,) = json.loads(listen("app", "key", "list", "--app", "notes", "--json").out)
    assert (row["app_id"], row["uid"], row["label"]) == ("notes", "ada", "v1")
    table = listen("app", "key", "list").out
    assert "valid" in table
    assert key not in table
    assert listen("app", "key", "revoke", row["id"]).status == 0
    assert listen("app", "key", "revoke", row["id"]).status == FAILED
    assert may(data_dir, key, "ben") == (False, False)
    assert "revoked" in listen("app", "key", "list").out


def test_a_user_lets_an_app_in_and_out(listen: Listen, data_dir: Path) -> None:
    key = listen("app", "key", "create", "--app", "notes", "--owner", "ada").out.strip()
    assert listen("app", "enable", "notes", "--uid", "ben").status == 0
    assert may(data_dir, key, "ben") == (True, True)
    assert listen("app", "disable", "notes", "--uid", "ben").status == 0
    assert may(data_dir, key, "ben") == (True, False)
    assert listen("app", "disable", "notes", "--uid", "ben").status == FAILED
    outcome = listen("app", "enable", "other", "--uid", "ben")
    assert outcome.status == FAILED
    assert "there is no app 'other'" in outcome.err


def test_an_app_must_have_an_id_and_an_owner(listen: Listen) -> None:
    assert listen("app", "key", "create", "--app", "a/b", "--owner", "ada").status == USAGE
    assert listen("app", "key", "create", "--app", "notes", "--owner", " ").status == USAGE


async def _register(data_dir: Path) -> None:
    store = await Store.open(data_dir, trio.to_thread.run_sync)
    await store.app_registry.add(app("a", name="Whales", private=True), 10)
    await store.app_registry.add(app("b", name="Bears", capabilities=["chat", "memories"]), 10)
    await store.close()


def test_the_apps_that_are_registered_are_listed_and_removed(listen: Listen, data_dir: Path) -> None:
    trio.run(_register, data_dir)
    lines = listen("app", "list").out.splitlines()
    assert ["Bears" in lines[1], "Whales" in lines[2]] == [True, True]
    assert "chat, memories" in lines[1]
    assert "its owner" in lines[2]
    listed = listen("app", "list", "--json").out
    assert [row["name"] for row in json.loads(listed)] == ["Bears", "Whales"]
    assert "whsec_" not in listed
    assert json.loads(listen("app", "list", "--uid", "ben", "--json").out) == []
    assert listen("app", "enable", "a", "--uid", "ben").status == FAILED
    assert listen("app", "enable", "b", "--uid", "ben").status == 0
    assert [row["id"] for row in json.loads(listen("app", "list", "--uid", "ben", "--json").out)] == ["b"]
    assert listen("app", "remove", "b").status == 0
    assert listen("app", "remove", "b").status == FAILED
    assert json.loads(listen("app", "list", "--uid", "ben", "--json").out) == []
