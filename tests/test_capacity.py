"""What a machine was measured to carry, and the limit that follows from it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from engine.capacity import FILE, Capacity, processor, read_capacity, write_capacity
from engine.config import resolve

HERE = Capacity(
    streams=321,
    us_per_stream_second=2900.0,
    mib_per_stream=0.7,
    limit_ms=250,
    p99_ms=120,
    others_cores=0.1,
    processor=processor(),
    cores=os.cpu_count() or 1,
    measured="2026-11-21T12:00:00+00:00",
)


def test_what_was_kept_is_read_again_and_replaces_what_was_there(tmp_path: Path) -> None:
    assert read_capacity(tmp_path / "new") is None
    write_capacity(tmp_path / "new", HERE)
    later = msgspec.structs.replace(HERE, streams=400)
    write_capacity(tmp_path / "new", later)
    assert read_capacity(tmp_path / "new") == later
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE]


@pytest.mark.parametrize("changed", [{"processor": "another"}, {"cores": 4096}, {"streams": 0}])
def test_a_figure_of_another_machine_or_of_nothing_is_none(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    write_capacity(tmp_path, msgspec.structs.replace(HERE, **changed))
    assert read_capacity(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"streams": "many"}'])
def test_a_file_that_holds_no_figure_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_capacity(tmp_path) is None


def test_the_figure_is_the_limit_of_sessions_unless_one_is_given(tmp_path: Path) -> None:
    environ = {"LISTEN_DATA_DIR": str(tmp_path)}
    assert resolve(None, environ).config.limits.sessions == 1000
    write_capacity(tmp_path, HERE)
    measured = resolve(None, environ)
    assert measured.config.limits.sessions == 321
    assert measured.sources["limits.sessions"].startswith("default measured by `listen doctor --capacity`")
    given = resolve(None, environ | {"LISTEN_LIMITS_SESSIONS": "50"})
    assert given.config.limits.sessions == 50


def test_a_figure_beyond_what_may_be_configured_is_the_most_that_may(tmp_path: Path) -> None:
    write_capacity(tmp_path, msgspec.structs.replace(HERE, streams=50_000))
    assert resolve(None, {"LISTEN_DATA_DIR": str(tmp_path)}).config.limits.sessions == 20_000
