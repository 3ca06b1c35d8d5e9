"""pytest-benchmark over the same cases as `python -m bench.decode`: `pytest bench --benchmark-enable`."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import decode


@pytest.mark.parametrize("case", decode.CASES, ids=lambda case: f"{case.codec}-{case.milliseconds}ms")
def test_decode_seven_seconds(benchmark: BenchmarkFixture, case: decode.Case) -> None:
    messages = decode.messages_of(case, decode.frames_of(case))
    benchmark(decode.ours(case), messages)


@pytest.mark.parametrize("case", decode.CASES, ids=lambda case: f"{case.codec}-{case.milliseconds}ms")
def test_every_case_is_measured_against_its_peers(case: decode.Case) -> None:
    result = decode.measure(case, rounds=1)
    assert (result.bare is None) == (case.codec == "aac")
    assert min(result.ours, result.peer, result.bare or 1) > 0
