"""Requests with an Idempotency-Key: done once, answered alike every time."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from sqlalchemy import Connection, update

from engine.store.tables import idempotency
from engine.store.user_records import MemoryRow
from engine.web.idempotency import KEY_CHARACTERS
from tests.patience import PATIENCE

from .serving import Site, site

PATH = "/v3/memories"


async def post(site: Site, key: str, content: str = "Likes tea.", uid: str = "alice") -> httpx2.Response:
    headers = {"Authorization": f"Bearer dev:{uid}", "Idempotency-Key": key}
    return await site.client.post(PATH, json={"content": content}, headers=headers)


async def count(site: Site, uid: str = "alice") -> int:
    return await site.store.memories.count(uid)


async def test_the_same_request_creates_once_and_is_answered_alike(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        first = await post(running, "k1")
        again = await post(running, "k1")
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert await count(running) == 1
        await post(running, "k2")
        assert await count(running) == 2


async def test_a_key_is_one_users_and_one_requests(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        await post(running, "k1")
        assert (await post(running, "k1", uid="bob")).status_code == 200
        other = await post(running, "k1", "Likes coffee.")
        assert other.status_code == 409
        assert "Idempotency-Key=k1" in other.json()["detail"]
        assert (await count(running), await count(running, "bob")) == (1, 1)


@pytest.mark.parametrize(
    ("path", "listed", "body"),
    [
        (PATH, PATH, {"content": "Likes tea."}),
        ("/v1/action-items", "/v1/action-items", {"description": "Buy tea"}),
        ("/v1/folders", "/v1/folders", {"name": "Tea"}),
        ("/v1/users/people", "/v1/users/people", {"name": "Ada"}),
        ("/v1/goals", "/v1/goals/all", {"title": "Drink tea", "goal_type": "numeric", "target_value": 3}),
        (
            "/v1/dev/user/conversations/from-segments",
            "/v1/conversations",
            {"transcript_segments": [{"text": "We drink tea.", "start": 0, "end": 2}]},
        ),
    ],
)
async def test_what_was_made_before_a_process_died_is_not_made_a_second_time(
    path: str, listed: str, body: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        """The process died before the answer was kept."""

    def long_ago(connection: Connection) -> None:
        connection.execute(update(idempotency).values(created_at=0))

    headers = {"Authorization": "Bearer dev:alice", "Idempotency-Key": "k1"}
    async with site(tmp_path) as running:
        with monkeypatch.context() as patched:
            patched.setattr(running.store.idempotency, "finish", lost)
            first = await running.client.post(path, json=body, headers=headers)
        assert first.status_code == 200, first.text
        before = (await running.client.get(listed, headers=headers)).json()
        await running.store._database.write(long_ago)
        again = await running.client.post(path, json=body, headers=headers)
        assert again.status_code == 200, again.text
        after = (await running.client.get(listed, headers=headers)).json()
        assert again.json()["id"] == first.json()["id"]
        assert len(str(before)) > 10
        assert _ids(after) == _ids(before)


def _ids(listed: Any) -> list[str]:
    rows = listed if isinstance(listed, list) else next(iter(listed.values()))
    return [row["id"] for row in rows]


async def test_a_request_that_was_refused_leaves_its_key_free(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        assert (await post(running, "k1", " ")).status_code == 422
        assert (await post(running, "k1")).status_code == 200


async def test_the_same_request_is_refused_while_it_is_being_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path) as running:
        entered, go_on = trio.Event(), trio.Event()
        put = running.store.memories.put

        async def slow(*rows: MemoryRow) -> None:
            entered.set()
            await go_on.wait()
            await put(*rows)

        monkeypatch.setattr(running.store.memories, "put", slow)
        answers: list[httpx2.Response] = []

        async def ask() -> None:
            answers.append(await post(running, "k1"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await entered.wait()
            assert (await post(running, "k1")).status_code == 409
            go_on.set()
        assert answers[0].status_code == 200
        assert (await post(running, "k1")).content == answers[0].content
        assert await count(running) == 1


async def test_a_client_that_goes_away_finds_its_answer_when_it_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path) as running:
        entered, go_on, kept = trio.Event(), trio.Event(), trio.Event()
        put, finish = running.store.memories.put, running.store.idempotency.finish

        async def slow(*rows: MemoryRow) -> None:
            entered.set()
            await go_on.wait()
            await put(*rows)

        async def finished(*arguments: Any) -> None:
            await finish(*arguments)
            kept.set()

        monkeypatch.setattr(running.store.memories, "put", slow)
        monkeypatch.setattr(running.store.idempotency, "finish", finished)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(post, running, "k1")
            await entered.wait()
            nursery.cancel_scope.cancel()
        go_on.set()
        with trio.fail_after(PATIENCE):
            await kept.wait()
        assert (await post(running, "k1")).status_code == 200
        assert await count(running) == 1


@pytest.mark.parametrize("key", ["", "x" * (KEY_CHARACTERS + 1)])
async def test_a_key_that_cannot_be_is_refused(tmp_path: Path, key: str) -> None:
    async with site(tmp_path) as running:
        answer = await post(running, key)
        assert answer.status_code == 422
        assert await count(running) == 0


async def test_the_document_says_which_routes_take_a_key(tmp_path: Path) -> None:
    async with site(tmp_path) as running:
        paths = (await running.get("/openapi.json")).json()["paths"]
    create, read = paths[PATH]["post"], paths[PATH]["get"]
    assert [one["name"] for one in create["parameters"] if one["in"] == "header"] == ["Idempotency-Key"]
    assert "409" in create["responses"]
    assert not [one for one in read["parameters"] if one["in"] == "header"]
