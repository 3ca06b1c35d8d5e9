"""The real models, loaded once for all tests of this room."""

from pathlib import Path

import pytest

from engine.stt._whisper import Whisper
from engine.stt.models import locate


@pytest.fixture(scope="session")
def whisper() -> Whisper:
    """Whisper tiny.en with its default window."""
    return Whisper.load(locate("tiny.en", None), threads=2, window=10.0)


@pytest.fixture(scope="session")
def tiny_folder() -> Path:
    """Where the files of tiny.en are."""
    return locate("tiny.en", None).folder
