"""The Integration API: an app with its key, and a user who has let it in or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from engine.store.user_records import MemoryRow
from tests.web.serving import T0, Site, add, row, segment, site

PATH = "/v2/integrations/notes"
GIVING: list[tuple[str, dict[str, Any]]] = [
    ("/user/conversations", {"text": "Hello."}),
    ("/user/memories", {"memories": [{"content": "x"}]}),
]
LISTS = ["/conversations", "/memories"]


class App:
    """An app as it calls the server."""

    def __init__(self, served: Site, key: str) -> None:
        self.served = served
        self.key = key

    async def get(self, path: str, uid: str = "alice", **params: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.served.client.get(PATH + path, params={"uid": uid, **params}, headers=headers)

    async def post(self, path: str, body: dict[str, Any], uid: str = "alice") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return await self.served.client.post(PATH + path, params={"uid": uid}, json=body, headers=headers)


@asynccontextmanager
async def app(data_dir: Path) -> AsyncIterator[App]:
    """An app that Alice has enabled."""
    async with site(data_dir) as served:
        key = await served.store.apps.create_key("notes", "maker")
        assert (await served.request("POST", "/v1/apps/enable?app_id=notes")).status_code == 200
        yield App(served, key)


async def test_an_app_gives_a_conversation_that_is_then_its_users(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        body = {"text": "Ann: we meet on Monday.", "text_source": "audio_transcript"}
        answer = await notes.post("/user/conversations", body)
        assert (answer.status_code, answer.json()) == (200, {})
        (kept,) = await notes.served.store.conversations.list("alice")
        assert (kept.app_id, kept.source, kept.status) == ("notes", "external_integration", "processing")


async def test_an_app_tells_what_is_so_about_a_user(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        told = {"memories": [{"content": " Likes whales. ", "tags": ["sea"]}, {"content": "Sails."}]}
        assert (await notes.post("/user/memories", told)).json() == {}
        kept = await notes.served.store.memories.shown("alice", limit=10)
        assert sorted((one.content, one.app_id) for one in kept) == [
            ("Likes whales.", "notes"),
            ("Sails.", "notes"),
        ]
        (await notes.get("/memories")).json()
        listed = (await notes.get("/memories", limit=1)).json()["memories"]
        assert len(listed) == 1


async def test_what_a_text_says_about_a_user_is_read_out_of_it(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        text = "I work as a nurse at the children's hospital.\nI am allergic to peanuts."
        assert (await notes.post("/user/memories", {"text": text, "text_source": "email"})).json() == {}
        kept = await notes.served.store.memories.shown("alice", limit=10)
        assert any("peanuts" in one.content or "nurse" in one.content for one in kept)
        assert {one.app_id for one in kept} == {"notes"}


async def test_an_app_reads_what_is_kept_of_the_user_who_let_it_in(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        store = notes.served.store
        said = [segment(f"s{n}", f"{n}", start=n) for n in range(3)]
        await add(store, row("c"), *said)
        await add(store, row("gone", discarded=True))
        await add(store, row("locked", is_locked=True))
        (found,) = (await notes.get("/conversations")).json()["conversations"]
        assert len(found["transcript_segments"]) == 3
        (found,) = (await notes.get("/conversations", max_transcript_segments=2)).json()["conversations"]
        assert [one["text"] for one in found["transcript_segments"]] == ["0", "1"]
        found = (await notes.get("/conversations", include_discarded="true")).json()["conversations"]
        assert sorted(one["id"] for one in found) == ["c", "gone"]
        assert (await notes.get("/conversations", statuses="failed")).json() == {"conversations": []}
        await store.memories.put(
            MemoryRow(uid="alice", id="m", content="Sails.", created_at=T0, updated_at=T0)
        )
        (memory,) = (await notes.get("/memories")).json()["memories"]
        assert memory["content"] == "Sails."


async def test_of_a_user_who_has_not_let_it_in_an_app_has_nothing(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        await add(notes.served.store, row("c", uid="bob"))
        for _ in range(2):
            for uid in ("bob", "nobody"):
                answers = [await notes.get(path, uid) for path in LISTS]
                answers += [await notes.post(path, body, uid) for path, body in GIVING]
                for answer in answers:
                    assert answer.status_code == 403
                    assert answer.json() == {"detail": "App is not enabled for this user"}
        assert (await notes.served.request("POST", "/v1/apps/disable?app_id=notes")).status_code == 200
        assert (await notes.get("/conversations")).status_code == 403
        assert await notes.served.store.conversations.count("bob") == 1


@pytest.mark.parametrize("key", ["sk_unknown", "omi_dev_x", "dev:alice"])
async def test_a_wrong_key_opens_nothing(tmp_path: Path, key: str) -> None:
    async with app(tmp_path) as notes:
        notes.key = key
        for answer in [await notes.get("/conversations"), await notes.post(*GIVING[0])]:
            assert answer.status_code == 403
            assert answer.json() == {"detail": "Invalid integration API key"}
        without = await notes.served.client.get(f"{PATH}/conversations?uid=alice")
        assert without.status_code == 401


async def test_a_key_opens_its_own_app_alone_and_no_other_route(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        headers = {"Authorization": f"Bearer {notes.key}"}
        other = await notes.served.client.get("/v2/integrations/other/memories?uid=alice", headers=headers)
        assert other.status_code == 403
        assert (await notes.get("/conversations", uid="")).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/user/conversations", {}),
        ("/user/conversations", {"text": "x", "text_source": "email"}),
        ("/user/memories", {}),
        ("/user/memories", {"text": " ", "memories": []}),
        ("/user/memories", {"text": "x", "text_source": "message"}),
        ("/user/memories", {"memories": [{"content": " "}]}),
    ],
)
async def test_what_is_neither_is_refused(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    async with app(tmp_path) as notes:
        assert (await notes.post(path, body)).status_code == 422


async def test_only_an_app_that_there_is_can_be_enabled(tmp_path: Path) -> None:
    async with app(tmp_path) as notes:
        assert (await notes.served.request("POST", "/v1/apps/enable?app_id=other")).status_code == 404
        assert (await notes.served.request("POST", "/v1/apps/disable?app_id=other")).status_code == 404


async def test_the_older_way_to_tell_a_user_something_takes_all_in_its_body(tmp_path: Path) -> None:
    async with app(tmp_path) as calling:
        said = {"aid": "notes", "uid": "alice", "message": "Drink water"}
        path, headers = "/v1/integrations/notification", {"Authorization": f"Bearer {calling.key}"}
        told = await calling.served.client.post(path, json=said, headers=headers)
        assert (told.status_code, told.json()) == (200, {"status": "Ok"})
        (message,) = await calling.served.store.messages.list("alice")
        assert (message.text, message.app_id) == ("Drink water", "notes")
        for wrong, status in (({"aid": "other"}, 403), ({"uid": "bob"}, 403), ({"message": " "}, 422)):
            answer = await calling.served.client.post(path, json=said | wrong, headers=headers)
            assert answer.status_code == status, answer.text
        assert (await calling.served.client.post(path, json=said)).status_code == 401
        assert (await calling.served.client.post(path, content=b"{", headers=headers)).status_code == 400
