"""Makes `ge2e.npz` from the checkpoint in the Resemblyzer package; run once, by hand, when the weights change.

    pip download --no-deps resemblyzer==0.1.4 && unzip resemblyzer-*.whl
    python -m engine.speaker.convert resemblyzer/pretrained.pt engine/speaker/ge2e.npz

The checkpoint is a file of PyTorch's old format: five pickles (magic number, version, system, the tree, the keys of the
storages), then each storage as a count of elements in 64 bits and the elements themselves. Pickles can run any code, so
they are read here without PyTorch by an unpickler that makes tensors, ordered dictionaries and nothing else.
"""

import hashlib
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["CHECKPOINT_SHA256", "main", "read_checkpoint"]

CHECKPOINT_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
"""`resemblyzer/pretrained.pt` in the wheel of Resemblyzer 0.1.4."""

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class _Storage(msgspec.Struct):
    """Elements that come after the pickles."""

    dtype: type[np.generic]
    elements: NDArray[Any] | None = None


class _Tensor(msgspec.Struct):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> NDArray[Any]:
        assert self.storage.elements is not None, "storages are read before tensors are asked for"
        elements = self.storage.elements[self.offset :]
        bytes_apart = [stride * elements.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(elements, self.shape, bytes_apart).copy()


def _rebuild(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: object
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name}: a checkpoint of weights has no business with it")

    def persistent_load(self, pid: Any) -> _Storage:
        _kind, dtype, key, *_rest = pid
        return self.storages.setdefault(key, _Storage(dtype))


def read_checkpoint(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """The tensors of `model_state`, by name. Raises `pickle.UnpicklingError` for what is no such checkpoint."""
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _VERSION:
        raise pickle.UnpicklingError("not a file of PyTorch's old format")
    _Unpickler(file).load()  # byte order and sizes of the machine that wrote it: little, as everywhere
    tree = _Unpickler(file)
    root = tree.load()
    for key in _Unpickler(file).load():
        storage = tree.storages[key]
        count = int.from_bytes(file.read(8), "little")
        item = np.dtype(storage.dtype).itemsize
        storage.elements = np.frombuffer(file.read(count * item), storage.dtype)
    return {name: tensor.array() for name, tensor in root["model_state"].items()}


def main(arguments: list[str]) -> int:
    """`CHECKPOINT OUTPUT`: convert, and print the digest that belongs into `engine.speaker._ge2e`."""
    source, target = map(Path, arguments)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest != CHECKPOINT_SHA256:
        print(f"{source}: sha256 {digest}, expected {CHECKPOINT_SHA256}", file=sys.stderr)
        return 1
    with source.open("rb") as file:
        state = read_checkpoint(file)
    wanted = {name: array for name, array in state.items() if name.startswith(("lstm.", "linear."))}
    np.savez(target, **wanted)  # type: ignore[arg-type]
    print(hashlib.sha256(target.read_bytes()).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
