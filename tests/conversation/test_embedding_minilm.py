"""The local embedding model: what it says is near, how exactly, and what it refuses to load."""

from pathlib import Path

import numpy as np
import pytest
import trio

from engine.conversation.embedding.minilm import DIMENSIONS, LONGEST, MiniLm
from engine.conversation.embedding.port import EmbedderUnavailable
from engine.off_loop import worker_threads

HARBOUR = "We will meet at the harbour on Saturday for a boat trip."
SAILING = "Sailing excursion planned for the weekend, gathering at the pier."
TAXES = "The quarterly tax return is due on Monday."
QUARTER = "He must submit the taxes for the quarter by the start of the week."
PIE = "My grandmother's recipe for apple pie needs cinnamon."
TEXTS = (HARBOUR, SAILING, TAXES, QUARTER, PIE)

# Cosines of these texts in pairs, by the same weights, one by one, with the tokenizer file of the model's authors.
KNOWN = {(0, 1): 0.648, (2, 3): 0.622, (0, 2): 0.080, (0, 4): 0.017, (3, 4): 0.088}


@pytest.fixture(scope="module")
def minilm() -> MiniLm:
    """Loaded once: it takes half a second."""
    return trio.run(MiniLm.open, worker_threads(1))


async def inline(minilm: MiniLm, *texts: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return await MiniLm(minilm._network, worker_threads(1)).embed(texts)


async def test_paraphrases_are_near_and_other_subjects_far(minilm: MiniLm) -> None:
    vectors = await inline(minilm, *TEXTS)
    assert vectors.shape == (5, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    cosines = vectors @ vectors.T
    for (one, other), expected in KNOWN.items():
        assert cosines[one, other] == pytest.approx(expected, abs=0.02)
    assert min(cosines[0, 1], cosines[2, 3]) > 0.5
    assert max(cosines[0, 2], cosines[0, 3], cosines[0, 4], cosines[2, 4]) < 0.2


async def test_a_text_has_the_same_vector_in_whatever_company(minilm: MiniLm) -> None:
    long = " ".join(TEXTS * 6)
    together = await inline(minilm, long, "", *TEXTS * 6, PIE)
    alone = await inline(minilm, PIE)
    assert float(together[-1] @ alone[0]) > 0.999
    assert np.isfinite(together).all()


async def test_what_comes_after_the_longest_text_it_takes_is_left_out(minilm: MiniLm) -> None:
    words = "harbour " * LONGEST
    cut, whole = await inline(minilm, words, words + " ".join(TEXTS))
    assert float(cut @ whole) > 0.9999


async def test_no_texts_are_no_vectors(minilm: MiniLm) -> None:
    assert (await inline(minilm)).shape == (0, DIMENSIONS)


async def test_texts_are_counted(minilm: MiniLm) -> None:
    one = MiniLm(minilm._network, worker_threads(1))
    await one.embed(["a", "b"])
    statistics = one.statistics()
    assert (statistics.calls, statistics.texts) == (1, 2)


async def test_other_weights_are_refused_by_their_digest(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"not these")
    with pytest.raises(EmbedderUnavailable, match="is not the pinned file"):
        await MiniLm.open(worker_threads(1), other)


async def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"none.onnx.*cannot be read"):
        await MiniLm.open(worker_threads(1), tmp_path / "none.onnx")


async def test_a_package_that_is_missing_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.conversation.embedding.minilm.PACKAGE", "a_package_nobody_has")
    with pytest.raises(EmbedderUnavailable, match=r"pip install 'listen-engine\[local\]'"):
        await MiniLm.open(worker_threads(1))
