"""Tests of the usual voice."""

import numpy as np
import pytest

from engine.speaker import usual
from engine.speaker.embedding import WrongWeights
from engine.speaker.usual import apart, load


def test_a_voice_is_seen_from_the_usual_one() -> None:
    away = np.zeros_like(load())
    away[3] = 0.4
    assert np.allclose(apart(load() + away), away / 0.4, atol=1e-6)
    assert not apart(load()).any()


def test_the_usual_voice_is_a_mean_of_directions() -> None:
    assert 0.5 < float(np.linalg.norm(load())) < 1
    assert (load() >= 0).all()


def test_another_file_than_ours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual, "USUAL_SHA256", "0" * 64)
    usual.load.cache_clear()
    with pytest.raises(WrongWeights, match=r"usual\.npy: its sha256 is .*expected 0000"):
        usual.load()
