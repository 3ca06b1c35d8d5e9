"""What goes wrong with a request, as its client sees it."""

import io
import json
import sqlite3
from pathlib import Path

import trio

from engine.config import Web
from engine.log import configure_logging
from engine.store import Store, UsageRow
from tests.patience import PATIENCE
from tests.server.raw import connect
from tests.web.serving import site


async def test_an_unknown_route_and_a_wrong_method_are_answered_in_json(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        unknown = await served.get("/v1/nothing")
        assert unknown.status_code == 404
        assert unknown.json().keys() == {"detail"}
        wrong = await served.request("PUT", "/v1/conversations")
        assert wrong.status_code == 405
        assert wrong.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert wrong.json().keys() == {"detail"}


class Broken:
    async def read(
        self, uid: str, start: int | None, end: int | None, *, limit: int, offset: int
    ) -> list[UsageRow]:
        raise RuntimeError("on purpose")


async def test_an_unforeseen_error_is_a_500_without_details_and_is_logged(tmp_path: Path) -> None:
    lines = io.StringIO()
    configure_logging("json", "info", lines)
    async with site(tmp_path, usage=Broken()) as served:
        answer = await served.get("/v1/usage")
        assert answer.status_code == 500
        assert answer.json() == {"detail": "Internal error"}
        assert (await served.get("/livez")).status_code == 200
    (logged,) = [json.loads(line) for line in lines.getvalue().splitlines() if "request.failed" in line]
    assert "RuntimeError: on purpose" in logged["exception"]


async def test_a_database_that_cannot_be_used_is_a_503_to_be_tried_again(tmp_path: Path) -> None:
    async def damaged(store: Store) -> None:
        await trio.to_thread.run_sync(_drop_usage, tmp_path)

    async with site(tmp_path, filled=damaged) as served:
        answer = await served.get("/v1/usage")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json() == {"detail": "The database cannot be used right now"}


def _drop_usage(folder: Path) -> None:
    with sqlite3.connect(folder / "listen.db") as connection:
        connection.execute("DROP TABLE usage")
    connection.close()


async def test_a_body_over_the_limit_is_a_413(tmp_path: Path) -> None:
    async with site(tmp_path, web=Web(body_limit=1024)) as served:
        answer = await served.request("POST", "/v1/conversations", content=b"x" * 1025)
        assert answer.status_code == 413
        assert answer.json().keys() == {"detail"}


async def test_a_body_that_never_comes_is_given_up(tmp_path: Path) -> None:
    head = b"POST /v1/conversations?uid=alice HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    async with site(tmp_path, web=Web(request_timeout=0.2)) as served, connect(served.port) as client:
        await client.send(head)
        answer = await client.read_end()
    assert answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 503"))


class Stuck:
    async def read(
        self, uid: str, start: int | None, end: int | None, *, limit: int, offset: int
    ) -> list[UsageRow]:
        await trio.sleep_forever()
        raise AssertionError("never comes here")


async def test_a_request_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async with site(tmp_path, web=Web(request_timeout=0.2), usage=Stuck()) as served:
        with trio.fail_after(PATIENCE):
            answer = await served.get("/v1/usage")
        assert answer.status_code == 503
        assert "web.request_timeout (0.2 s)" in answer.json()["detail"]
