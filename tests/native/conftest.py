"""A lane for a test."""

from collections.abc import Iterator

import pytest

from tests.native.lanes import Laned


@pytest.fixture(name="laned")
def _laned() -> Iterator[Laned]:
    laned = Laned()
    yield laned
    laned.close()
