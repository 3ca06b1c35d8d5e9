"""The servers that are compared, each under a load of a second."""

import importlib.util
import shutil
import subprocess
from typing import Any

import msgspec
import pytest

from bench.endtoend import measure, plan_of, wanted
from bench.load.stacks import compile_program, stacks
from engine.cli.load_run import LoadPlan

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
needs_peer = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))),
    reason="the extra `bench` is not installed",
)


def plan() -> LoadPlan:
    return msgspec.structs.replace(plan_of(3, 1.2), ramp=0.1, settle=0.2)


@needs_compiler
@pytest.mark.parametrize(
    "name",
    [
        "C limit",
        pytest.param("uvicorn", marks=needs_peer),
        pytest.param("lane", marks=pytest.mark.campaign),
        pytest.param("lane wss", marks=pytest.mark.campaign),
    ],
)
def test_speech_goes_to_the_vendor_and_its_words_come_back(name: str) -> None:
    with stacks([name]) as started:
        measured = measure(plan(), started.running[name], started.vendors)
    figures = measured.figures
    assert figures.failed == {}
    assert figures.sent_frames > 100
    assert figures.expected >= 3
    assert figures.to_vendor is not None
    assert figures.to_vendor.count >= 3
    assert measured.cpu > 0


def test_each_run_is_of_other_users_so_that_no_words_of_the_last_one_are_in_it() -> None:
    assert len({plan_of(3, 1.2).uid for _ in range(3)}) == 3


@needs_compiler
def test_the_c_programs_compile_without_warnings(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "cc -Wall -Wextra -Werror")
    for name in ("vendor", "climit"):
        assert compile_program(name, tmp_path).exists()


@needs_compiler
def test_the_vendor_counts_what_it_is_sent(tmp_path: Any) -> None:
    program = compile_program("vendor", tmp_path)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as vendor:
        assert vendor.stdout is not None
        assert int(vendor.stdout.readline()) > 0
        out, _ = vendor.communicate("\n")
    assert msgspec.json.decode(out) == {
        "connections": 0,
        "live": 0,
        "audio_bytes": 0,
        "messages": 0,
        "results": 0,
    }
    assert vendor.returncode == 0


def test_without_the_peers_packages_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert wanted("uvicorn,ours") == ["ours"]
    assert "fastapi and uvicorn are not installed" in capsys.readouterr().out
