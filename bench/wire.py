"""WebSocket frames read in C: without any care (the limit), and by our reader as the lane calls it. See wire.c."""

import ctypes
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from engine.audio.libraries import library_versions

HERE = Path(__file__).parent
NATIVE = HERE.parent / "native" / "src"


class FrameLoops:
    """One buffer of whole frames, read in both ways. Needs a C compiler."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        data = b"".join(frames)
        self._library = _compiled()
        self._size = ctypes.c_size_t(len(data))
        self._data = ctypes.create_string_buffer(data, len(data))
        self._count = len(frames)

    def bare(self) -> float:
        """Nanoseconds a frame, without any care."""
        return float(self._library.wire_bare(self._data, self._size)) / self._count

    def reader(self) -> float:
        """Nanoseconds a frame, by native/src/frame.c."""
        return float(self._library.wire_reader(self._data, self._size)) / self._count


class BareReceiver:
    """Sockets whose Opus packets are received, unmasked and decoded into buffers of 16 s, in C.

    Where there are `vendors`, it goes on to them in masked messages of 100 ms.
    """

    def __init__(self, descriptors: Sequence[int], vendors: Sequence[int] = ()) -> None:
        opus = library_versions()["opus"].path
        assert opus is not None
        self._library = _compiled()
        self._state = ctypes.c_void_p(self._library.wire_open(opus.encode()))
        for slot, descriptor in enumerate(descriptors):
            self._library.wire_add(self._state, descriptor, slot)
        for slot, descriptor in enumerate(vendors):
            self._library.wire_vendor(self._state, descriptor, slot)

    def receive(self, packets: int) -> float:
        """Nanoseconds until so many packets are decoded; they must be on their way."""
        return float(self._library.wire_receive(self._state, packets))

    def close(self) -> None:
        """Give the memory back; call once."""
        self._library.wire_close(self._state)


@cache
def _compiled() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "wire.so"
        compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
        flags = ["-std=gnu11", "-O3", "-shared", "-fPIC", f"-I{NATIVE}", "-o", str(target)]
        sources = [str(HERE / "wire.c"), str(NATIVE / "frame.c")]
        subprocess.run([*compiler, *flags, *sources, "-ldl"], check=True)
        library = ctypes.CDLL(str(target))
    library.wire_open.restype = ctypes.c_void_p
    library.wire_bare.restype = library.wire_reader.restype = library.wire_receive.restype = ctypes.c_double
    return library
