"""pytest-benchmark over the calls of `python -m bench.ring`: `pytest bench --benchmark-enable`."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import ring


@pytest.mark.parametrize("name", ring.everyday_calls())
def test_call(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(ring.everyday_calls()[name])
