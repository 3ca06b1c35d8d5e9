"""Files that are written as a whole or not at all, and folders that go when they are empty."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.store.blob_files import ABANDONED, Files
from engine.store.errors import BlobsUnavailable


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_files_and_folders_are_their_users_alone(tmp_path: Path) -> None:
    Files(tmp_path / "blobs").put("ada/recordings/a.flac", b"x")
    for path in (tmp_path / "blobs").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_folders_are_gone_with_the_last_file_in_them(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.put("ada/r/1/a", b"x")
    files.put("ada/r/2", b"x")
    files.delete(["ada/r/1/a"])
    assert everything(tmp_path) == [".partial", "ada", "ada/r", "ada/r/2"]
    files.delete(["ada/r/2"])
    assert everything(tmp_path) == [".partial"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.put("ada/a", b"x")
    with pytest.raises(BlobsUnavailable, match="ada/a/b"):
        files.put("ada/a/b", b"y")  # the folder is a file
    assert everything(tmp_path) == [".partial", "ada", "ada/a"]


KILLED = """
import os, sys
from pathlib import Path
from engine.store.blob_files import Files

files = Files(Path(sys.argv[1]))
os.replace = lambda *paths: os._exit(9)
files.put("ada/a", b"new")
"""


def test_a_process_killed_while_it_writes_leaves_the_old_file_and_the_half_one_goes_a_day_later(
    tmp_path: Path,
) -> None:
    files = Files(tmp_path)
    files.put("ada/a", b"old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)]).returncode == 9
    assert files.read("ada/a", 0, None) == b"old"
    assert [blob.name for blob in files.list("ada", "", 10)] == ["ada/a"]
    (half,) = (tmp_path / ".partial").iterdir()
    Files(tmp_path)
    assert half.exists(), "it might be another process's that writes it now"
    old = half.stat().st_mtime - ABANDONED - 60
    os.utime(half, (old, old))
    Files(tmp_path)
    assert not half.exists()
