"""`listen token`."""

from __future__ import annotations

import json
from pathlib import Path

import trio

from engine.cli.status import FAILED, USAGE
from engine.store import Store, TokenRow
from tests.cli.conftest import Listen


def verify(data_dir: Path, token: str) -> TokenRow | None:
    async def look() -> TokenRow | None:
        store = await Store.open(data_dir, trio.to_thread.run_sync)
        try:
            return await store.tokens.verify(token)
        finally:
            await store.close()

    return trio.run(look)


def test_a_key_is_printed_alone_and_serves_its_user(listen: Listen, data_dir: Path) -> None:
    outcome = listen("token", "create", "--uid", "ada", "--label", "phone")
    assert outcome.status == 0
    key = outcome.out.strip()
    assert key.startswith("omi_dev_")
    row = verify(data_dir, key)
    assert row is not None
    assert (row.uid, row.label, row.expires_at) == ("ada", "phone", None)


def test_keys_are_listed_by_id_and_never_shown_again(listen: Listen) -> None:
    key = listen("token", "create", "--uid", "ada", "--expires-days", "30").out.strip()
    listen("token", "create", "--uid", "ben")
    (row,) = json.loads(listen("token", "list", "--uid", "ada", "--json").out)
    assert row["uid"] == "ada"
    table = listen("token", "list").out
    assert row["id"] in table
    assert "valid until" in table
    assert key not in table
    assert len(table.splitlines()) == 3


def test_a_revoked_key_serves_nobody_and_cannot_be_revoked_again(listen: Listen, data_dir: Path) -> None:
    key = listen("token", "create", "--uid", "ada").out.strip()
    (row,) = json.loads(listen("token", "list", "--json").out)
    assert listen("token", "revoke", row["id"]).status == 0
    assert verify(data_dir, key) is None
    outcome = listen("token", "revoke", row["id"])
    assert outcome.status == FAILED
    assert f"there is no valid key with the id '{row['id']}'" in outcome.err
    assert "revoked" in listen("token", "list").out


def test_an_expired_key_is_listed_as_expired(listen: Listen) -> None:
    listen("token", "create", "--uid", "ada", "--expires-days", "0")
    assert "expired" in listen("token", "list").out


def test_a_key_needs_a_user(listen: Listen) -> None:
    assert listen("token", "create").status == USAGE
    assert listen("token", "create", "--uid", " ").status == USAGE


def test_a_data_directory_that_cannot_be_used_is_named(listen: Listen, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = listen("token", "list", "--data-dir", tmp_path / "file")
    assert outcome.status == FAILED
    assert str(tmp_path / "file") in outcome.err
    assert "Traceback" not in outcome.err


def test_a_key_can_be_limited_to_scopes(listen: Listen, data_dir: Path) -> None:
    key = listen(
        "token", "create", "--uid", "ada", "--scope", "memories:read", "--scope", "goals:write"
    ).out.strip()
    row = verify(data_dir, key)
    assert row is not None
    assert row.scopes == ["goals:write", "memories:read"]
    assert "goals:write, memories:read" in listen("token", "list").out
    refused = listen("token", "create", "--uid", "ada", "--scope", "everything")
    assert refused.status == USAGE
    assert "everything" in refused.err
    assert "memories:read" in refused.err
