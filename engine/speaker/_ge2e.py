"""The voice encoder's network: three LSTM layers of 256, one linear layer, a unit vector of 256.

Wan, Wang, Papir, Moreno, "Generalized end-to-end loss for speaker verification" (2018), with the weights of the
Resemblyzer package (Apache-2.0, see NOTICE beside the file), which `engine.speaker.convert` put into `ge2e.npz`.

Operations: `load` reads the weights and checks that they are the ones we mean; `Network.embed` runs a batch.
Cost (`python -m bench speaker`): nearly all of it is matrix products; a batch of many windows costs far less a window
than one alone, for a step's weights are read once for all. A layer is one native call, without the interpreter's lock:
in NumPy it is some thousand, after each of which a thread that wants the lock back takes it from the event loop. NumPy
does it on machines without AVX2.
Bounded: the memory of a batch is 0.3 MB a window (0.7 MB in NumPy).
"""

import hashlib
import io
from importlib import resources

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine._native import ffi, lib

__all__ = ["BANDS", "FRAMES", "SIZE", "WEIGHTS_SHA256", "Network", "WrongWeights", "load"]

Floats = NDArray[np.float32]

FRAMES = 160
"""Frames of a window: 1.6 s."""

BANDS = 40
"""Mel bands of a frame."""

SIZE = 256
"""Numbers of an embedding, and units of a layer."""

WEIGHTS = "ge2e.npz"
WEIGHTS_SHA256 = "d56a0949d1b849d8bb8b8372416e5bc9c75a215e9a2c0af81d487e506c10f9be"

_LAYERS = 3
_GATES = 4 * SIZE
_ROWS, _PANEL, _STEPS = lib.LSTM_ROWS, lib.LSTM_PANEL, lib.LSTM_STEPS


class WrongWeights(Exception):
    """The file of weights is missing or is not the one we mean; says which digest was found and expected."""


class _Layer(msgspec.Struct, frozen=True):
    """One LSTM layer. Columns of its gates: input, forget, output, candidate."""

    inward: Floats
    recurrent: Floats
    bias: Floats
    inward_panels: Floats
    recurrent_panels: Floats


def load(*, native: bool | None = None) -> "Network":
    """The network with the weights of the package; `native`: see `Network`. Reads a disk. Raises `WrongWeights`."""
    data = read_checked(WEIGHTS, WEIGHTS_SHA256)
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Network({name: arrays[name] for name in arrays.files}, native=native)


def read_checked(name: str, sha256: str) -> bytes:
    """A file beside this one, if it is what the digest says. Reads a disk. Raises `WrongWeights`."""
    file = resources.files("engine.speaker").joinpath(name)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WrongWeights(f"{name} is not beside engine.speaker: install the package again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WrongWeights(f"{name}: its sha256 is {found}, expected {sha256}: install the package again")
    return data


class Network:
    """Whoever has it may call `embed` in several threads at once: it keeps nothing between calls."""

    def __init__(self, weights: dict[str, NDArray[np.generic]], *, native: bool | None = None) -> None:
        """`weights` by the names they have in the checkpoint of the Resemblyzer package.

        `native`: whether layers are native calls; as the machine can, unless said.
        """
        self._native = bool(lib.lstm_works()) if native is None else native
        self._layers = tuple(_layer(weights, number) for number in range(_LAYERS))
        self._linear = np.ascontiguousarray(weights["linear.weight"].T, np.float32)
        self._offset = weights["linear.bias"].astype(np.float32)

    def embed(self, windows: Floats) -> Floats:
        """Unit vectors, shape (n, 256), of `windows`: mel power, shape (n, 160, 40)."""
        count = len(windows)
        rows = -(-count // _ROWS) * _ROWS if self._native else count
        sequence: Floats = np.zeros((windows.shape[1], rows, windows.shape[2]), np.float32)
        sequence[:, :count] = windows.transpose(1, 0, 2)
        for layer in self._layers:
            sequence = _run_natively(layer, sequence) if self._native else _run(layer, sequence)
        raw = np.maximum(sequence[-1, :count] @ self._linear + self._offset, np.float32(0))
        lengths = np.maximum(np.linalg.norm(raw, axis=1), np.float32(1e-12))
        embeddings: Floats = raw / lengths.reshape(count, 1)
        return embeddings


def _layer(weights: dict[str, NDArray[np.generic]], number: int) -> _Layer:
    """Gates in our order; those that are squashed by the logistic function are halved for `_run`'s tanh."""
    order = np.r_[0:SIZE, SIZE : 2 * SIZE, 3 * SIZE : 4 * SIZE, 2 * SIZE : 3 * SIZE]
    scale = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), SIZE)

    def gates(name: str) -> Floats:
        return weights[f"lstm.{name}_l{number}"].astype(np.float32)[order]

    bias = gates("bias_ih") + gates("bias_hh")
    inward: Floats = np.ascontiguousarray(gates("weight_ih").T * scale)
    recurrent: Floats = np.ascontiguousarray(gates("weight_hh").T * scale)
    return _Layer(inward, recurrent, bias * scale, _panels(inward), _panels(recurrent))


def _panels(matrix: Floats) -> Floats:
    """The columns of a matrix taken together as `lstm.h` wants them."""
    panels = matrix.reshape(len(matrix), _GATES // _PANEL, _PANEL).transpose(1, 0, 2)
    return np.ascontiguousarray(panels)


def _run_natively(layer: _Layer, sequence: Floats) -> Floats:
    """As `_run`, in one call; `n` is a multiple of `LSTM_ROWS`."""
    frames, count, inputs = sequence.shape
    outputs = np.empty((frames, count, SIZE), np.float32)
    room = np.empty(count * SIZE * (4 * _STEPS + 1), np.float32)
    arrays = [layer.inward_panels, layer.recurrent_panels, layer.bias, outputs, room]
    rest = [ffi.from_buffer("float[]", array) for array in arrays]
    lib.lstm_run(ffi.from_buffer("float[]", sequence), frames, count, inputs, *rest)
    return outputs


def _run(layer: _Layer, sequence: Floats) -> Floats:
    """The layer's outputs over `sequence`, shape (frames, n, inputs)."""
    frames, count, inputs = sequence.shape
    coming = (sequence.reshape(-1, inputs) @ layer.inward + layer.bias).reshape(frames, count, 4 * SIZE)
    outputs = np.empty((frames, count, SIZE), np.float32)
    hidden = np.zeros((count, SIZE), np.float32)
    cell = np.zeros((count, SIZE), np.float32)
    for step in range(frames):
        gates = coming[step]
        gates += hidden @ layer.recurrent
        np.tanh(gates, out=gates)
        open_gates = gates[:, : 3 * SIZE]  # logistic(x) = (1 + tanh(x / 2)) / 2
        open_gates *= np.float32(0.5)
        open_gates += np.float32(0.5)
        cell *= open_gates[:, SIZE : 2 * SIZE]
        cell += open_gates[:, :SIZE] * gates[:, 3 * SIZE :]
        hidden = outputs[step]
        np.tanh(cell, out=hidden)
        hidden *= open_gates[:, 2 * SIZE :]
    return outputs
