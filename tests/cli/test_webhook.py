"""`listen webhook`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
import trio
from standardwebhooks import Webhook as Verifier

from engine.cli.status import FAILED, USAGE
from engine.store import Store
from engine.store.webhook_records import DeliveryRow
from tests.cli.conftest import Listen

DAY = 1_762_000_000_000_000
"""2025-11-01T12:26:40Z"""


@pytest.fixture
def filled(data_dir: Path) -> None:
    """Two endpoints of Ada's, and three deliveries: one waits, two were dropped, one of them audio."""

    async def fill() -> None:
        store = await Store.open(data_dir, trio.to_thread.run_sync)
        try:
            await store.webhooks.set_url(
                "ada", "developer", "memory_created", "https://a.example/?key=s3cret", None
            )
            await store.webhooks.disable("ada", "developer", "audio_bytes")
            for number in range(3):
                await store.deliveries.offer(
                    DeliveryRow(
                        uid="ada",
                        id=f"msg_{number}",
                        endpoint="developer",
                        trigger="memory_created",
                        body=None if number == 2 else b"{}",
                        file="gone.pcm" if number == 2 else None,
                        created_at=DAY,
                        due_at=DAY,
                    )
                )
            for number in (1, 2):
                await store.deliveries.drop("ada", f"msg_{number}", "no room")
        finally:
            await store.close()

    trio.run(fill)


@pytest.mark.usefixtures("filled")
def test_endpoints_are_listed_without_what_their_queries_hold(listen: Listen) -> None:
    table = listen("webhook", "list", "ada").out
    assert "https://a.example/ " in table
    assert "s3cret" not in table
    assert "off: by its owner" in table
    rows = json.loads(listen("webhook", "list", "ada", "--json").out)
    assert [(row["trigger"], row["dropped"]) for row in rows] == [("audio_bytes", 0), ("memory_created", 2)]
    assert "s3cret" not in json.dumps(rows)


@pytest.mark.usefixtures("filled")
def test_deliveries_are_listed_with_their_reason(listen: Listen) -> None:
    rows = json.loads(listen("webhook", "deliveries", "ada", "--state", "dropped", "--json").out)
    assert {(row["id"], row["reason"]) for row in rows} == {("msg_1", "no room"), ("msg_2", "no room")}
    assert "msg_0" in listen("webhook", "deliveries", "ada").out
    outcome = listen("webhook", "deliveries", "ada", "--state", "lively")
    assert outcome.status == USAGE
    assert "use one of pending" in outcome.err


@pytest.mark.usefixtures("filled")
def test_what_failed_is_sent_again_by_id_or_since_a_time(listen: Listen) -> None:
    assert listen("webhook", "replay", "ada", "--since", "2025-11-02").out == "0 to be sent again.\n"
    said = listen("webhook", "replay", "ada", "--since", "2025-11-01").out
    assert said == "1 to be sent again. 1 more cannot be: their audio is not kept any more.\n"
    outcome = listen("webhook", "replay", "ada", "--id", "msg_1")
    assert (outcome.status, "msg_1" in outcome.err) == (FAILED, True)
    for wrong in ((), ("--id", "msg_1", "--since", "2025-11-01"), ("--since", "yesterday")):
        assert listen("webhook", "replay", "ada", *wrong).status == USAGE


class Got(NamedTuple):
    """A request's target, its headers and its body."""

    target: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[Got]]]:
    """Its address, and what it was sent."""
    got: list[Got] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"thanks")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/?token=s3cret", got
        server.shutdown()


def test_an_address_is_tried_as_webhooks_would(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as (url, got):
        refused = listen("webhook", "test", url)
        assert refused.status == FAILED
        assert "not on the public Internet" in refused.err
        monkeypatch.setenv("LISTEN_WEBHOOK_ALLOW", "127.0.0.0/8")
        said = listen("webhook", "test", url).out.splitlines()
    assert said[1:] == ["200, 6 bytes"]
    (request,) = got
    secret = said[0].removeprefix("signed with ")
    body = Verifier(secret).verify(request.body, request.headers)
    assert request.target == "/?token=s3cret&uid=test"
    assert (body["structured"]["title"], body["delivery_id"]) == ("A test", request.headers["webhook-id"])
    with answering(404) as (url, _):
        outcome = listen("webhook", "test", url)
    assert (outcome.status, "only 2xx is a success" in outcome.err) == (FAILED, True)
    assert listen("webhook", "test", "ftp://example.com/").status == USAGE
    outcome = listen("webhook", "test", "https://example.com/", "--trigger", "news")
    assert (outcome.status, "use one of audio_bytes" in outcome.err) == (USAGE, True)


@pytest.mark.parametrize(
    ("trigger", "query", "names"),
    [
        ("realtime_transcript", "session_id=" + "0" * 32, ["segments", "session_id", "delivery_id"]),
        ("day_summary", "", ["uid", "created_at", "summary", "summary_json", "delivery_id"]),
        ("audio_bytes", "sample_rate=16000", []),
    ],
)
@pytest.mark.usefixtures("filled")
def test_an_address_is_tried_as_each_trigger_and_signed_with_a_users_secret(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, trigger: str, query: str, names: list[str]
) -> None:
    monkeypatch.setenv("LISTEN_WEBHOOK_ALLOW", "127.0.0.0/8")
    with answering(200) as (url, got):
        for _ in range(2):
            assert (
                listen("webhook", "test", url, "--trigger", trigger, "--user", "ada").out == "200, 6 bytes\n"
            )
    one, another = got
    assert one.target == "/?token=s3cret" + (f"&{query}" if query else "") + "&uid=ada"
    assert one.headers["webhook-id"] != another.headers["webhook-id"]
    if names:
        assert list(json.loads(one.body)) == names
    else:
        assert (one.body, one.headers["content-type"]) == (bytes(32_000), "application/octet-stream")
