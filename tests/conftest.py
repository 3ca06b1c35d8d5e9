"""What tests of several rooms share.

A test marked `both_ways` runs over the native lane and over the HTTP server.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import database
from tests.ways import SETTING, WAYS

# Compiling the resampling kernels takes 10 s and more: once for all runs, processes and servers of the tests.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / "build" / "numba"))

# How long an example takes is the machine's business, not the code's.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


LIVE_ROOMS = {"e2e": "e2e", "cli": "servers", "faults": "servers", "server": "servers"}
"""Whose tests talk to servers in real time: one after the other, beside those that only reckon."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    tests = Path(__file__).parent
    for item in items:
        group = LIVE_ROOMS.get(item.path.relative_to(tests).parts[0])
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_ways") is not None:
        metafunc.fixturenames.append("way_in")
        metafunc.parametrize("way_in", WAYS, indirect=True)


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
