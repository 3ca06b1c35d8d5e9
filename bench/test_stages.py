"""pytest-benchmark over our side of `python -m bench stages`: `pytest bench --benchmark-enable`."""

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.guard import read_budgets
from bench.interleaved import Stage
from bench.stages import stages


@pytest.fixture(scope="module", name="measured")
def _measured() -> Iterator[dict[str, Stage]]:
    with stages() as found:
        yield {stage.name: stage for stage in found}


@pytest.mark.parametrize("name", read_budgets().ratios)
def test_turn(benchmark: BenchmarkFixture, measured: dict[str, Stage], name: str) -> None:
    benchmark(measured[name].ours)
