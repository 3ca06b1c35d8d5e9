"""What a process had heard and not cut is known after it died, however it died."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.webhooks.marks import Left, Marks

DYING = """
import os, signal, sys
from pathlib import Path
from engine.webhooks.marks import Marks

marks = Marks(Path(sys.argv[1]))
for number in range(100):
    mark = marks.open("ada", f"app:{number}", "s1")
    mark.set(cut=number * 10, heard=number * 10 + number)
    if number % 2:
        mark.close()
os.kill(os.getpid(), signal.SIGKILL)
"""


def left(folder: Path) -> list[Left]:
    marks = Marks(folder)
    found = [one for _, several in marks.left_behind() for one in several]
    marks.close()
    return found


def test_a_killed_process_leaves_what_it_had_not_cut(tmp_path: Path) -> None:
    dying = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    assert dying.returncode == -9
    assert sorted(left(tmp_path), key=lambda one: one.cut) == [
        Left(uid="ada", endpoint=f"app:{number}", session="s1", cut=number * 10, heard=number * 11)
        for number in range(2, 100, 2)  # of the first there is nothing to be told
    ]


def test_a_living_processes_marks_are_its_own(tmp_path: Path) -> None:
    living = Marks(tmp_path)
    living.open("ada", "developer", "s1").set(cut=0, heard=5)
    assert left(tmp_path) == []
    living.close()
    assert [one.heard for one in left(tmp_path)] == [5]


def test_a_process_that_ends_with_nothing_marked_leaves_no_file(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    mark = marks.open("ada", "developer", "s1")
    mark.set(cut=0, heard=5)
    mark.close()
    mark.close()
    marks.close()
    marks.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_told_of_can_be_forgotten(tmp_path: Path) -> None:
    dead = Marks(tmp_path)
    dead.open("ada", "developer", "s1").set(cut=0, heard=5)
    dead.close()
    marks = Marks(tmp_path)
    ((path, _),) = marks.left_behind()
    marks.settle(path)
    marks.settle(path)
    assert list(marks.left_behind()) == []
    marks.close()


@pytest.mark.parametrize("damage", [b"", b"\xff" * 1024, b"\x00" * 5000, bytes(range(256)) * 8])
def test_a_damaged_file_says_nothing_and_stops_nobody(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "damaged.marks").write_bytes(damage)
    assert left(tmp_path) == []


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    with pytest.raises(ValueError, match="do not fit a slot"):
        marks.open("u" * 1024, "developer", "s1")
    marks.close()
