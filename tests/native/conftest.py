"""A lane for a test."""

from collections.abc import Iterator

import pytest

from engine._native import lib
from tests.native.lanes import Laned


@pytest.fixture(name="laned")
def _laned() -> Iterator[Laned]:
    laned = Laned()
    yield laned
    lib.lane_close(laned.lane)
    for server in laned.servers.values():
        server.close()
