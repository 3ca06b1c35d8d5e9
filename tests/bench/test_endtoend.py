"""The servers that are compared, each under a load of a second, and the table."""

import importlib.util
import shutil
import subprocess
from typing import Any

import msgspec
import pytest

from bench.endtoend import LIMIT, Measured, measure, plan_of, rows, wanted
from bench.load.stacks import compile_program, stacks
from engine.cli.load_figures import LoadFigures, Process, latency
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
    ],
)
def test_speech_goes_to_the_vendor_and_its_words_come_back(name: str) -> None:
    with stacks([name]) as (vendor, running):
        measured = measure(plan(), running[name], vendor)
    figures = measured.figures
    assert figures.failed == {}
    assert figures.sent_frames > 100
    assert figures.expected >= 3
    assert figures.to_vendor is not None
    assert figures.to_vendor.count >= 3
    assert measured.cpu > 0


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


def recorded(stack: str, cpu: float, **changed: Any) -> Measured:
    """A round at 50 streams."""
    vendor = Process(cpu_seconds=1, core_share=0.1, us_per_stream_second=1, pss_kib=1, kib_per_stream=1)
    figures = LoadFigures(
        streams=50,
        seconds=5,
        codec="opus_fs320",
        sent_frames=12500,
        stream_seconds=250,
        messages=250,
        segments=250,
        failed={},
        expected=250,
        missing=0,
        late=latency([0.001]),
        segment=latency([0.01, 0.02]),
        to_vendor=latency([0.003]),
        to_client=latency([0.004]),
        generator_core_share=0.1,
        others_core_share=0.0,
        server=msgspec.structs.replace(vendor, us_per_stream_second=cpu),
        vendor=vendor,
    )
    return Measured(stack, msgspec.structs.replace(figures, **changed), 64.0)


def test_the_ratio_to_the_limit_is_of_the_same_round() -> None:
    measured = [
        recorded(LIMIT, 1000),
        recorded("ours", 2000),
        recorded(LIMIT, 2000),
        recorded("ours", 4400),
    ]
    table = rows(measured, [50], [LIMIT, "ours"])
    assert table[2].startswith(
        "| 50 | C limit | 1500 | 1.00 (1.00 to 1.00) | 10.0, 20.0, 20.0 | 3.0 | 4.0 | 64 | 0.00 |  |"
    )
    assert table[3].startswith("| 50 | ours | 3200 | 2.10 (2.00 to 2.20) |")


@pytest.mark.parametrize(
    "changed",
    [{"generator_core_share": 0.9}, {"missing": 3}, {"failed": {"lost": 1}}, {"expected": 0}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_figure_that_must_not_be_believed_is_marked(changed: dict[str, Any]) -> None:
    assert recorded("ours", 1000).doubt == ""
    bad = recorded("ours", 1000, **changed)
    assert bad.doubt
    assert rows([bad], [50], ["ours"])[-1].endswith("| doubtful |")


def test_without_the_peers_packages_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert wanted("uvicorn,ours") == ["ours"]
    assert "fastapi and uvicorn are not installed" in capsys.readouterr().out
