"""Kernels compiled once for all servers that these tests start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import engine


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> Iterator[None]:
    """Each data directory would have its own cache, and compiling takes seconds."""
    with pytest.MonkeyPatch.context() as environment:
        folder = Path(engine.__file__).parent / "audio" / "__pycache__" / "numba"
        environment.setenv("NUMBA_CACHE_DIR", str(folder))
        yield
