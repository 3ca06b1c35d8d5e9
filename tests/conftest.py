"""What tests of several rooms share.

A test marked `both_ways` runs over the native lane and over the HTTP server.
"""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import database
from tests.ways import SETTING, WAYS

# Compiling the resampling kernels takes 10 s and more: once for all runs, processes and servers of the tests.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "numba"))

# How long an example takes, and how long it takes to think of one, is the machine's business, not the code's.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


LIVE_ROOMS = {"cli", "e2e", "faults", "server"}
"""Whose tests talk to servers and wait for them."""

LONG_FILES = (
    "e2e/test_receiving.py",
    "e2e/test_words.py",
    "faults/test_matrix.py",
    "native/test_sanitizers.py",
    "e2e/test_workers.py",
    "e2e/test_bad_clients.py",
    "e2e/test_restart.py",
    "e2e/test_ledger.py",
    "server/test_workers.py",
    "web/test_schemathesis.py",
    "e2e/test_vendors.py",
    "faults/test_dual_stream.py",
    "e2e/test_triggers.py",
    "conversation/test_killed.py",
    "e2e/test_leaks.py",
)
"""Half a minute and more each: begun first, so that none of them is still running when all others are done."""

LIVE_UNTIL = 0.8
"""Of all files, when the last that waits for servers begins: the short ones that only reckon end the run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order in which `make test` deals them out: those that wait are spread among those that reckon."""
    tests = Path(__file__).parent
    files = list(dict.fromkeys(item.path for item in items))
    live = [file for file in files if file.relative_to(tests).parts[0] in LIVE_ROOMS]
    rest = [file for file in files if file not in live]
    places = {file: at / len(rest) for at, file in enumerate(rest)}
    places |= {file: at / len(live) * LIVE_UNTIL for at, file in enumerate(live)}
    places |= {tests / name: float(at - len(LONG_FILES)) for at, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places[item.path])


def pytest_collection_finish() -> None:
    """What is loaded by now stays: looking through it again and again was a quarter of the tests' own work."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_ways") is not None:
        metafunc.fixturenames.append("way_in")
        metafunc.parametrize("way_in", WAYS, indirect=True)


@pytest.fixture(autouse=True)
def untouched_root() -> Iterator[None]:
    """The root logger as it was before: what a test sets up writes to a stream that is closed after it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture
def way_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way in that this test's servers are configured for, also those in processes of their own."""
    monkeypatch.setenv(SETTING, WAYS[request.param])
    return str(request.param)


@pytest.fixture(scope="session")
def emptied_postgres() -> Iterator[Callable[[], str]]:
    """Gives the URL of a migrated PostgreSQL database without a row at each call; there is but one."""
    with database() as emptied:
        yield emptied
