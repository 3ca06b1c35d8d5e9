"""All of a user at once."""

from pathlib import Path

from engine.store import IN_PROGRESS
from engine.store.user_records import MemoryRow
from tests.web.serving import T0, add, row, segment, site


async def test_a_user_reads_out_all_that_is_kept_of_them_and_nothing_of_others(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await add(served.store, row("c"), segment("s", "Hello."))
        await add(served.store, row("theirs", uid="bob"), segment("s", "Secret."))
        answer = await served.get("/v1/users/export")
        assert answer.headers["Content-Type"] == "application/json"
        told = answer.json()
        assert told["user"] == "alice"
        assert told["conversations"][0]["transcript_segments"][0]["text"] == "Hello."
        assert "Secret." not in answer.text


async def test_an_account_is_deleted_with_its_keys(tmp_path: Path) -> None:
    async with site(tmp_path, auth="token") as served:
        store = served.store
        for uid in ("alice", "bob"):
            await add(store, row("c", uid=uid), segment("s", "Hello."))
            await store.memories.put(MemoryRow(uid=uid, id="m", content="x", created_at=T0, updated_at=T0))
        await store.users.change("alice", {"name": "Alice"})
        assert (await store.users.get("alice")).name == "Alice"
        headers = {"Authorization": f"Bearer {await store.tokens.create('alice')}"}
        gone = await served.client.delete("/v1/users/delete-account", headers=headers)
        assert gone.json() == {"status": "ok", "message": "Account deleted successfully"}
        assert await store.user_data.counts("alice") == {}
        assert (await store.users.get("alice")).name == ""
        assert (await served.client.get("/v1/usage", headers=headers)).status_code == 401
        assert len(await store.conversations.list("bob")) == 1


async def test_an_account_in_a_conversation_is_not_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        await add(served.store, row("c", status=IN_PROGRESS), segment("s", "Hello."))
        answer = await served.request("DELETE", "/v1/users/delete-account")
        assert answer.status_code == 409
        assert "a conversation that has not ended" in answer.json()["detail"]
        assert await served.store.user_data.counts("alice") == {"conversations": 1, "segments": 1}
