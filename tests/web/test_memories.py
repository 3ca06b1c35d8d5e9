"""/v3/memories: written, read, changed and judged by their owner alone."""

from pathlib import Path
from typing import Any

from engine.store.user_records import MemoryRow

from .serving import T0, Site, site


def memory(id: str, uid: str = "alice", age: int = 0, **fields: Any) -> MemoryRow:
    at = T0 - age
    return MemoryRow(**{"content": f"Fact {id}."} | fields, uid=uid, id=id, created_at=at, updated_at=at)


async def contents(site: Site, **query: Any) -> list[str]:
    return [one["content"] for one in (await site.get("/v3/memories", **query)).json()]


async def test_a_memory_written_by_hand_is_read_with_every_field(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        made = await running.request(
            "POST", "/v3/memories", json={"content": " Likes tea. ", "category": "x"}
        )
        assert made.status_code == 200
        document = made.json()
        assert document | {"id": "", "created_at": "", "updated_at": ""} == {
            "id": "",
            "uid": "alice",
            "content": "Likes tea.",
            "category": "manual",
            "visibility": "private",
            "tags": [],
            "created_at": "",
            "updated_at": "",
            "conversation_id": None,
            "memory_id": None,
            "reviewed": True,
            "user_review": True,
            "manually_added": True,
            "edited": False,
            "scoring": None,
            "is_locked": False,
            "app_id": None,
        }
        assert (await running.get("/v3/memories")).json() == [document]
        assert (await running.get("/v3/memories", "bob")).json() == []
        assert (await running.get("/v3/memories", None)).status_code == 401


async def test_the_first_page_is_whole_whatever_limit_says_and_the_others_are_not(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.memories.put(*(memory(str(n), age=n) for n in range(5)))
        assert await contents(running, limit=2) == [f"Fact {n}." for n in range(5)]
        assert await contents(running, limit=2, offset=1) == ["Fact 1.", "Fact 2."]


async def test_several_are_written_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        body = {"memories": [{"content": "One.", "tags": ["a"]}, {"content": "Two.", "visibility": "public"}]}
        made = (await running.request("POST", "/v3/memories/batch", json=body)).json()
        assert made["created_count"] == 2
        assert (
            {one["content"] for one in made["memories"]} == set(await contents(running)) == {"One.", "Two."}
        )


async def test_a_memory_is_changed_shown_to_others_and_deleted(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.memories.put(memory("1"), memory("2"))
        for path, value in (("", "New."), ("/visibility", "public")):
            answer = await running.request("PATCH", f"/v3/memories/1{path}", params={"value": value})
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        row = await running.store.memories.get("alice", "1")
        assert row is not None
        assert (row.content, row.edited, row.visibility) == ("New.", True, "public")
        assert (await running.request("DELETE", "/v3/memories/1")).json() == {"status": "ok"}
        assert await contents(running) == ["Fact 2."]
        await running.request("DELETE", "/v3/memories")
        assert await contents(running) == []


async def test_one_that_its_owner_says_is_wrong_is_not_shown_again(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.memories.put(memory("1"), memory("2"))
        await running.request("POST", "/v3/memories/1/review", params={"value": "false"})
        await running.request("POST", "/v3/memories/2/review", params={"value": "true"})
        assert await contents(running) == ["Fact 2."]


async def test_a_locked_one_shows_its_beginning_and_cannot_be_touched(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.memories.put(memory("1", content="x" * 100, is_locked=True))
        assert await contents(running) == ["x" * 70 + "..."]
        for method, path in (("PATCH", "?value=y"), ("DELETE", ""), ("POST", "/review?value=true")):
            assert (await running.request(method, f"/v3/memories/1{path}")).status_code == 402


async def test_nobody_else_can_touch_it_and_mistakes_are_named(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await running.store.memories.put(memory("1", uid="bob"))
        for method, path in (
            ("PATCH", "/1?value=y"),
            ("PATCH", "/1/visibility?value=public"),
            ("POST", "/1/review?value=false"),
            ("DELETE", "/1"),
        ):
            answer = await running.request(method, f"/v3/memories{path}")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Memory not found"})
        await running.request("DELETE", "/v3/memories")
        assert await running.store.memories.get("bob", "1") == memory("1", uid="bob")
        for method, path, body, named in (
            ("POST", "", {"content": " "}, "content"),
            ("POST", "", {}, "content"),
            ("POST", "", {"content": "x", "visibility": "secret"}, "visibility"),
            ("PATCH", "/1", None, "value"),
            ("PATCH", "/1/visibility?value=secret", None, "value"),
            ("GET", "?limit=0", None, "limit"),
        ):
            answer = await running.request(method, f"/v3/memories{path}", json=body)
            assert answer.status_code == 422, path
            assert named in answer.json()["detail"]
