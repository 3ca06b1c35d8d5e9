"""A layer of the voice encoder, against a slow model in double precision."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine._native import ffi, lib

UNITS = 256
Array = NDArray[np.float64]

pytestmark = pytest.mark.skipif(not lib.lstm_works(), reason="this machine has no AVX2 and FMA")


def panels(matrix: Array) -> Array:
    """As `lstm.h` says."""
    return np.stack([matrix[:, at : at + lib.LSTM_PANEL] for at in range(0, 4 * UNITS, lib.LSTM_PANEL)])


def run(sequence: Array, inward: Array, recurrent: Array, bias: Array) -> NDArray[np.float32]:
    steps, rows, inputs = sequence.shape
    outputs = np.full((steps, rows, UNITS), np.nan, np.float32)
    room = np.full(rows * UNITS * (4 * lib.LSTM_STEPS + 1), np.nan, np.float32)
    given = [np.ascontiguousarray(one, np.float32) for one in (panels(inward), panels(recurrent), bias)]
    arrays = [ffi.from_buffer("float[]", array) for array in (*given, outputs, room)]
    first = np.ascontiguousarray(sequence, np.float32)
    lib.lstm_run(ffi.from_buffer("float[]", first), steps, rows, inputs, *arrays)
    return outputs


def slow(sequence: Array, inward: Array, recurrent: Array, bias: Array) -> Array:
    hidden = cell = np.zeros((sequence.shape[1], UNITS))
    outputs = []
    for inputs in sequence:
        gates = np.tanh(inputs @ inward + hidden @ recurrent + bias).reshape(-1, 4, UNITS)
        coming, kept, shown = (0.5 + 0.5 * gates[:, gate] for gate in range(3))
        cell = kept * cell + coming * gates[:, 3]
        hidden = shown * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs)


@pytest.mark.parametrize("steps", [1, 4, 7])
@pytest.mark.parametrize("rows", [4, 12])
@pytest.mark.parametrize("inputs", [1, 40, UNITS])
@pytest.mark.parametrize("size", [0.1, 100.0])
def test_a_layer_is_as_the_slow_model_says(steps: int, rows: int, inputs: int, size: float) -> None:
    random = np.random.default_rng(steps + rows + inputs)
    sequence = size * random.standard_normal((steps, rows, inputs))
    inward, recurrent = (0.1 * random.standard_normal((many, 4 * UNITS)) for many in (inputs, UNITS))
    weights = inward, recurrent, random.standard_normal(4 * UNITS)
    rounded = [one.astype(np.float32).astype(np.float64) for one in weights]
    sequence = sequence.astype(np.float32).astype(np.float64)
    assert np.abs(run(sequence, *weights) - slow(sequence, *rounded)).max() < 2e-5 * max(1.0, size)
