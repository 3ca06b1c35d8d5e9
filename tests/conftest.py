"""Both ways in: a test marked `both_ways` runs over the native lane and over the HTTP server."""

import pytest

from tests.ways import SETTING, WAYS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_ways") is not None:
        metafunc.fixturenames.append("way_in")
        metafunc.parametrize("way_in", WAYS, indirect=True)


@pytest.fixture
def way_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way in that this test's servers are configured for, also those in processes of their own."""
    monkeypatch.setenv(SETTING, WAYS[request.param])
    return str(request.param)
