"""Codec libraries called from a loop in C: what decoding costs when nothing is around it."""

import ctypes
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine._native import ffi, lib
from engine.audio.decoder import Decoder
from engine.audio.intake import open_intake
from engine.audio.libraries import library_versions
from engine.audio.ring import Ring

SOURCE = Path(__file__).with_name("bare.c")


class BareLoop:
    """Frames through the library's own decode function, one stream. Needs a C compiler."""

    _library: ctypes.CDLL | None = None

    def __init__(self, codec: str) -> None:
        library = self.compiled()
        name = {"opus": "opus", "opus_fs320": "opus", "lc3": "lc3", "lc3_fs1030": "lc3"}.get(codec, "")
        if name:
            path = library_versions()[name].path
            assert path is not None
            self._state = ctypes.c_void_p(getattr(library, f"bare_open_{name}")(path.encode()))
        else:
            self._state = ctypes.c_void_p(library.bare_open_pcm())
        self._bits = 8 if codec == "pcm8" else 16

    def nanoseconds(self, frames: Sequence[bytes]) -> float:
        """CPU of one pass over `frames`, measured in C."""
        lengths = (ctypes.c_int32 * len(frames))(*map(len, frames))
        data = b"".join(frames)
        return float(self.compiled().bare_pass(self._state, data, lengths, len(frames), self._bits))

    @classmethod
    def compiled(cls) -> ctypes.CDLL:
        """bench/bare.c as a library."""
        if cls._library is None:
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "bare.so"
                compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
                flags = ["-O3", "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"]
                subprocess.run([*compiler, *flags], check=True)
                library = ctypes.CDLL(str(target))
            library.bare_open_opus.restype = library.bare_open_lc3.restype = ctypes.c_void_p
            library.bare_open_pcm.restype = ctypes.c_void_p
            library.bare_pass.restype = ctypes.c_double
            library.bare_sessions.restype = None
            cls._library = library
        return cls._library


class SessionsInOneCall:
    """One message for each of several native decoders: one call from Python, then a loop in C, as in the lane."""

    def __init__(self, streams: Sequence[tuple[Decoder, Ring]], messages: Sequence[bytes]) -> None:
        """`messages` are all of one length."""
        self._intakes = [open_intake(*stream, margin=0, keepalive=0, alarm=1) for stream in streams]
        natives = [intake.native for intake in self._intakes if intake is not None]
        addresses = ctypes.c_void_p * len(natives)
        decode = ffi.addressof(lib, "codec_decode_ring")
        self._arguments = (
            ctypes.c_void_p(_address(decode)),
            addresses(*(_address(native.codec) for native in natives)),
            addresses(*(_address(native.ring) for native in natives)),
            b"".join(messages),
            ctypes.c_size_t(len(messages[0])),
            len(natives),
        )
        self._call = BareLoop.compiled().bare_sessions

    def __call__(self) -> None:
        self._call(*self._arguments)


def _address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))
