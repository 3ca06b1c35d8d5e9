"""What is printed of sessions with and without voices."""

import msgspec
import pytest

from bench.speaker_sessions import Arm, Round, main, rank, report
from engine.cli.load_figures import Latency
from tests.cli.test_load import FIGURES


def arm(p99: float, *late: float) -> Arm:
    figures = msgspec.structs.replace(
        FIGURES,
        segment=Latency(100, p99 / 2, p99, p99, p99),
        to_client=Latency(100, p99 / 8, p99 / 4 + 1, p99, p99),
    )
    return Arm(figures=figures, late=list(late), voices_cpu=2.0, voices_speech=100.0, measured_cpu=0.5)


def test_rounds_are_compared_one_by_one() -> None:
    said = report([Round(arm(20.0), arm(22.0, 1.0, 9.0)), Round(arm(40.0), arm(60.0, 2.0))])
    assert "median 1.30 of 2 rounds (1.10, 1.50)" in said
    assert "behind the vendor: median 1.27 of 2 rounds (1.08, 1.45)" in said
    assert "word to segment: p50 15.0 ms, p99 30.0 ms of 200 words (20.0, 40.0)" in said
    assert f"the voice encoder {0.5e6 / FIGURES.stream_seconds:.0f}" in said
    assert "2.0 s after the end of their segment (median), p95 9.0 s, of 3" in said
    assert "20.0 ms of CPU per second of speech heard" in said


def test_percentiles_are_values_that_occurred() -> None:
    assert rank([1.0, 2.0, 3.0], 0.5) == 2.0
    assert rank([1.0, 2.0, 3.0], 0.95) == 3.0
    assert rank([], 0.5) != rank([], 0.5)


@pytest.mark.campaign
def test_a_quick_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--streams", "3", "--seconds", "16", "--rounds", "1"]) == 0
    assert "decisions come" in capsys.readouterr().out
