"""engine.doctor and `listen doctor`."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import msgspec
import pytest

from engine.capacity import Capacity
from engine.cli.app import run
from engine.config import resolve
from engine.doctor import Check, _lane, capacity_check, examine
from tests.server.serving import without_descriptors


def checks(environ: dict[str, str]) -> dict[str, Check]:
    return {check.name: check for check in examine(None, environ)}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"LISTEN_DATA_DIR": str(tmp_path / "data"), "LISTEN_PORT": "0"}


def test_on_a_machine_that_was_set_up_nothing_fails(environ: dict[str, str]) -> None:
    found = checks(environ)
    assert {name for name, check in found.items() if check.status == "fail"} == set()
    assert found.keys() == {
        "configuration",
        "python",
        "compiler",
        "opus",
        "lc3",
        "aac",
        "local model",
        "transcription",
        "extraction",
        "search by meaning",
        "translation",
        "data directory",
        "files",
        "webhooks",
        "kernel cache",
        "open files",
        "memory maps",
        "memory",
        "workers",
        "lane",
        "capacity",
        "port",
    }
    assert "checksum right" in found["local model"].detail


def test_what_is_not_ok_says_what_to_do(environ: dict[str, str]) -> None:
    environ |= {"LISTEN_LIMITS_SESSIONS": "20000", "LISTEN_SESSION_RING_SECONDS": "60"}
    for check in checks(environ).values():
        assert bool(check.advice) == (check.status != "ok")


def test_every_mistake_in_the_configuration_is_a_line_and_the_rest_is_looked_at_all_the_same(
    environ: dict[str, str],
) -> None:
    found = examine(None, environ | {"LISTEN_PORT": "x", "LISTEN_PRT": "1"})
    wrong = [check for check in found if check.name == "configuration"]
    assert [check.status for check in wrong] == ["fail", "fail"]
    assert "LISTEN_PORT" in wrong[0].detail
    assert any(check.name == "port" for check in found)


def test_a_data_directory_that_is_a_file_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    check = checks(environ)["data directory"]
    assert check.status == "fail"
    assert str(tmp_path / "data") in check.detail
    assert "LISTEN_DATA_DIR" in check.advice


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert checks(environ)["data directory"].status == "fail"


def test_a_port_that_is_taken_is_a_warning(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check = checks(environ | {"LISTEN_PORT": str(port)})["port"]
    assert check.status == "warn"
    assert check.detail == f"something is listening on 127.0.0.1:{port} already"


def test_it_says_which_way_listen_sockets_come_in(environ: dict[str, str]) -> None:
    environ["LISTEN_LIMITS_SESSIONS"] = "100"
    assert (
        checks(environ)["lane"].detail == "on: room for 164 connections received and decoded in native code"
    )
    off = checks(environ | {"LISTEN_LANE": "off"})["lane"]
    assert (off.status, off.detail.partition(":")[0]) == ("ok", "off")


def test_a_lane_that_cannot_be_opened_is_a_warning(environ: dict[str, str]) -> None:
    config = resolve(None, environ).config
    with without_descriptors():
        found = _lane(config)
    assert found.status == "warn"
    assert "Too many open files" in found.detail
    assert found.advice


def test_workers_cost_memory_each_and_more_than_there_are_cores_is_a_warning(environ: dict[str, str]) -> None:
    one = checks(environ | {"LISTEN_LIMITS_SESSIONS": "1"})
    assert "1 sessions and the server with the local model may need 421 MB" in one["memory"].detail
    many = checks(environ | {"LISTEN_LIMITS_SESSIONS": "1", "LISTEN_WORKERS": "256"})
    assert "256 workers with the local model may need 107.5 GB" in many["memory"].detail
    assert (one["workers"].status, many["workers"].status) == ("ok", "warn")


def test_an_address_that_is_not_this_machines_fails(environ: dict[str, str]) -> None:
    check = checks(environ | {"LISTEN_HOST": "192.0.2.1"})["port"]
    assert check.status == "fail"
    assert "LISTEN_HOST" in check.advice


def test_a_model_folder_without_a_model_fails(environ: dict[str, str], tmp_path: Path) -> None:
    check = checks(environ | {"LISTEN_LOCAL_MODEL": str(tmp_path)})["local model"]
    assert check.status == "fail"
    assert "model.bin" in check.detail


@pytest.mark.parametrize(("port", "status"), [("0", 0), ("x", 1)])
def test_the_command_is_status_1_when_a_check_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    port: str,
    status: int,
) -> None:
    monkeypatch.setenv("LISTEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LISTEN_PORT", port)
    assert run(["doctor", "--json"]) == status
    rows = json.loads(capsys.readouterr().out)
    assert any(row["status"] == "fail" for row in rows) == bool(status)
    assert run(["doctor"]) == status
    assert "data directory" in capsys.readouterr().out


def test_it_says_who_transcribes_and_who_is_not_configured(tmp_path: Path) -> None:
    environ = {"LISTEN_DATA_DIR": str(tmp_path), "DEEPGRAM_API_KEY": "k", "LISTEN_STT_GATE": "on"}
    (check,) = [check for check in examine(environ=environ) if check.name == "transcription"]
    assert check.status == "ok"
    assert check.detail == (
        "dg-nova-3, dg-nova-2, local-whisper; not configured: soniox-stt-rt, speechmatics-rt, vosk; silence gate: on"
    )


def test_without_anybody_to_transcribe_it_says_what_to_do(tmp_path: Path) -> None:
    environ = {"LISTEN_DATA_DIR": str(tmp_path), "STT_SERVICE_MODELS": "vosk"}
    (check,) = [check for check in examine(environ=environ) if check.name == "transcription"]
    assert check.status == "fail"
    assert "DEEPGRAM_API_KEY" in check.advice


def test_a_figure_that_was_measured_beside_other_programs_is_a_warning() -> None:
    quiet = Capacity(
        streams=321,
        us_per_stream_second=2900.0,
        mib_per_stream=0.7,
        limit_ms=250,
        p99_ms=120,
        others_cores=0.1,
        processor="one",
        cores=2,
        measured="2026-11-21T12:00:00+00:00",
    )
    check = capacity_check(quiet)
    assert check.status == "ok"
    assert check.detail.startswith(
        "321 streams a core (p99 from word to segment 120 ms, accepted: 250), 0.70 MiB"
    )
    busy = capacity_check(msgspec.structs.replace(quiet, others_cores=1.4))
    assert (busy.status, "used 1.4 cores meanwhile" in busy.advice) == ("warn", True)


def test_webhooks_say_where_they_may_go_and_whom_they_trust(tmp_path: Path, environ: dict[str, str]) -> None:
    assert checks(environ)["webhooks"].detail.startswith("to public addresses, ports 80")
    allowed = checks(environ | {"LISTEN_WEBHOOK_ALLOW": "10.1.0.0/16"})["webhooks"]
    assert (allowed.status, allowed.detail) == ("ok", "to public addresses, and to 10.1.0.0/16")
    assert checks(environ | {"LISTEN_WEBHOOK_ALLOW": "169.254.0.0/16"})["webhooks"].status == "warn"
    broken = tmp_path / "authority.pem"
    broken.write_text("no certificate")
    assert checks(environ | {"LISTEN_WEBHOOK_CA_FILE": str(broken)})["configuration"].status == "fail"
