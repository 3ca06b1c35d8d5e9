"""The report: its tables, ratios, doubts and plots, from recorded figures."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from bench.costs import Counted
from bench.report import LIMIT, Measured, Report, Sustained, rows, write
from engine.capacity import Capacity
from engine.cli.load_figures import LoadFigures, Process, latency


def recorded(stack: str, cpu: float, streams: int = 50, **changed: Any) -> Measured:
    """A round at 50 streams."""
    vendor = Process(cpu_seconds=1, core_share=0.1, us_per_stream_second=1, pss_kib=1, kib_per_stream=1)
    figures = LoadFigures(
        streams=streams,
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
        beyond_message=latency([0.002]),
        to_client=latency([0.004]),
        generator_core_share=0.1,
        others_core_share=0.0,
        server=msgspec.structs.replace(vendor, us_per_stream_second=cpu),
        vendor=vendor,
    )
    return Measured(stack, msgspec.structs.replace(figures, **changed), 64.0)


ROUNDS = [recorded(LIMIT, 1000), recorded("lane", 2000), recorded(LIMIT, 2000), recorded("lane", 4400)]

CAPACITY = Capacity(
    streams=400,
    us_per_stream_second=2100,
    mib_per_stream=0.5,
    limit_ms=250,
    p99_ms=90,
    others_cores=0,
    processor="one",
    cores=2,
    measured="2026-11-21T12:00:00+00:00",
)
COUNTED = Counted(
    steps={"engine.server.lane.Lane.run": 5000, "other": 10},
    nanoseconds={"engine.server.lane.Lane.run": 250_000_000, "other": 1_000_000},
    loop=400_000_000,
    process=500_000_000,
    kernel=100_000_000,
    calls={"receives": 12_500, "sends": 0},
)


def report(**changed: Any) -> Report:
    figures = ROUNDS[0].figures
    sustained = {
        "lane": Sustained(450, "", [recorded("lane", 2000, 315)]),
        "uvicorn": Sustained(150, "the generator", [recorded("uvicorn", 3500, 105)]),
    }
    whole = Report(
        ["- a machine"],
        [50],
        [LIMIT, "lane", "uvicorn"],
        ROUNDS,
        [],
        1000.0,
        sustained,
        [(COUNTED, figures)],
        CAPACITY,
    )
    return msgspec.structs.replace(whole, **changed)


def test_the_ratio_to_the_limit_is_of_the_same_round() -> None:
    table = rows(ROUNDS, [50], [LIMIT, "lane"])
    assert table[2].startswith(
        "| 50 | C limit | 1500 | 1.00 (1.00 to 1.00) | 10.0, 20.0, 20.0 | 3.0 (2.0) | 4.0 | 1.0 | 64 | 0.00 |  |"
    )
    assert table[3].startswith("| 50 | lane | 3200 | 2.10 (2.00 to 2.20) |")


def test_a_figure_that_must_not_be_believed_is_marked() -> None:
    bad = recorded("lane", 1000, generator_core_share=0.9)
    assert rows([bad], [50], ["lane"])[-1].endswith("| doubtful |")
    (doubt,) = report(measured=[bad]).doubts()
    assert doubt.startswith("lane at 50 streams: the generator itself used 90%")


@pytest.mark.parametrize(
    "changed",
    [{"missing": 3}, {"failed": {"lost": 1}}, {"expected": 0}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_number_at_which_words_were_lost_was_too_many(changed: dict[str, Any], tmp_path: Path) -> None:
    assert recorded("lane", 1000).overload == ""
    bad = recorded("lane", 1000, **changed)
    assert rows([bad], [50], ["lane"])[-1].endswith("| too many |")
    assert report(measured=[bad]).doubts() == []
    text = write(report(measured=[bad], left_out=["lane at 200 streams"]), tmp_path)
    assert f"## Too many streams\n\n- lane at 50 streams: {bad.overload}" in text
    assert "- not tried, because fewer were too many: lane at 200 streams" in text


def test_the_report_says_what_was_found_and_its_plots_are_beside_it(tmp_path: Path) -> None:
    text = write(report(), tmp_path)
    assert (tmp_path / "endtoend.md").read_text() == text
    for said in (
        "- a machine",
        "At 50 streams the lane takes 2.10 times the CPU of the C limit.",
        "| lane | 450 | 3.00 |  |",
        "| uvicorn | at least 150 | 1.00 | the generator |",
        "| server.lane.Lane.run | 20.0 | 1000 |",
        "| other threads: journals, database |  | 400 |",
        "| together (of which in the kernel: 400) | | 2000 |",
        "counts, a stream-second: receives 50.0.",
        "libopus alone, in a loop in C, takes ",
        "2000 µs, 1.25 times the limit is 1875: 125 µs would have to go",
        "400 streams a core",
        "-11% of what was found above: within 20%",
    ):
        assert said in text
    for name in ("cpu.svg", "most.svg", "latency.svg"):
        assert f"({name})" in text
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")


def test_what_a_vendor_behind_tls_costs_is_said_of_the_largest_number_that_has_both(tmp_path: Path) -> None:
    measured = [*ROUNDS, recorded("lane wss", 4000), recorded("lane", 9000, 500)]
    text = write(report(measured=measured, counts=[50, 500]), tmp_path)
    assert "At 50 streams a vendor over wss:// takes 1.25 times the CPU of one over ws://: +800 µs" in text


def test_what_was_not_asked_for_is_left_out(tmp_path: Path) -> None:
    text = write(report(limit_ms=None, sustained={}, costs=[], capacity=None), tmp_path)
    assert "##" not in text
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["cpu.svg", "endtoend.md"]


def test_a_ratio_that_must_not_be_believed_is_not_said(tmp_path: Path) -> None:
    lost = [recorded(LIMIT, 1000), recorded("lane", 2000, missing=100)]
    assert "times the CPU of the C limit" not in write(report(measured=lost), tmp_path)


def test_a_capacity_that_is_far_off_is_said(tmp_path: Path) -> None:
    far = msgspec.structs.replace(CAPACITY, streams=600)
    assert "+33% of what was found above: NOT within 20%" in write(report(capacity=far), tmp_path)
