"""Probes and metrics."""

from pathlib import Path

import pytest
import trio

from engine.web import Readiness
from tests.patience import PATIENCE
from tests.web.serving import site


async def test_readiness_turns_true_once_every_check_is_met(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        readiness = served.services.readiness
        readiness.models_loading("loading local-whisper")
        for path in ("/readyz", "/startupz"):
            answer = await served.get(path, uid=None)
            assert answer.status_code == 503
            assert answer.json() == {
                "ok": False,
                "checks": {
                    "models": {"ok": False, "detail": "loading local-whisper"},
                    "database": {"ok": False, "detail": "not checked yet"},
                    "draining": {"ok": True, "detail": "no"},
                    "capacity": {"ok": True, "detail": "0% of 4 sessions"},
                },
            }
        readiness.models_warm("local-whisper")
        assert (await served.get("/readyz", uid=None)).status_code == 503
        readiness.database_writable()
        for path in ("/readyz", "/startupz"):
            answer = await served.get(path, uid=None)
            assert answer.status_code == 200
            assert answer.json()["ok"] is True


async def test_a_server_that_has_started_stays_started_while_it_is_not_ready(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        readiness = served.services.readiness
        readiness.database_writable()
        assert (await served.get("/startupz", uid=None)).status_code == 200
        readiness.database_failed("not writable: disk full")
        answer = await served.get("/readyz", uid=None)
        assert answer.status_code == 503
        assert answer.json()["checks"]["database"]["detail"] == "not writable: disk full"
        readiness.drain()
        for path, status in (("/startupz", 200), ("/livez", 200), ("/readyz", 503)):
            assert (await served.get(path, uid=None)).status_code == status


@pytest.mark.parametrize(("load", "ready"), [(0.0, True), (0.99, True), (1.0, False)])
def test_a_full_server_takes_no_more(load: float, ready: bool) -> None:
    readiness = Readiness(session_limit=100)
    readiness.models_warm("none")
    readiness.database_writable()
    readiness.watch_load(lambda: load)
    assert readiness.ready is ready


async def test_probes_answer_while_every_worker_thread_is_taken(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        limiter = trio.to_thread.current_default_thread_limiter()
        busy = [object() for _ in range(int(limiter.available_tokens))]
        for worker in busy:
            await limiter.acquire_on_behalf_of(worker)
        with trio.fail_after(PATIENCE):
            assert (await served.get("/livez", uid=None)).status_code == 200
            assert (await served.get("/readyz", uid=None)).status_code == 503
            assert (await served.get("/metrics", uid=None)).status_code == 200
        for worker in busy:
            limiter.release_on_behalf_of(worker)


async def test_metrics_are_in_prometheus_format_and_say_what_the_probes_say(tmp_path: Path) -> None:
    async with site(tmp_path) as served:
        served.services.readiness.database_writable()
        answer = await served.get("/metrics", uid=None)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "listen_ready 1.0" in lines
    assert "listen_draining 0.0" in lines
    assert "listen_database_writable 1.0" in lines
    assert "listen_connections_total 0.0" in lines
