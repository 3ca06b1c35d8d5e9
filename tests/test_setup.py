"""The Makefile: what it says when something is missing, and when it sets up again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = {
    "help",
    "prerequisites",
    "setup",
    "serve",
    "test",
    "check",
    "bench",
    "fuzz",
    "guard",
    "campaign",
    "clean",
}


def make(*arguments: str, folder: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a fresh shell: not as a child of the make that may be running these tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    for name in ("CC", "PYTHON"):
        inherited.pop(name, None)
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=inherited | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence, without make's own line about the failed target."""
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    return lines[0]


def test_help_names_every_target_with_what_it_does() -> None:
    listed = dict(re.findall(r"(?m)^  make (\w+) +(.+)$", make("help").stdout))
    assert listed.keys() == TARGETS
    declared = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    assert declared == TARGETS


def test_this_machine_has_what_is_needed() -> None:
    done = make("prerequisites", PYTHON=sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_python_that_is_not_there_is_named() -> None:
    assert complaint(make("prerequisites", "PYTHON=python9.9")) == (
        "Set-up needs Python 3.11 or newer: there is no python9.9."
    )


def test_without_any_python_the_names_that_were_tried_are_listed(tmp_path: Path) -> None:
    for tool in ("make", "bash", "sh"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    sentence = complaint(make("prerequisites", PATH=str(tmp_path)))
    assert sentence.startswith("Set-up needs Python 3.11 or newer: none of python3 ")


def test_a_compiler_that_is_not_there_is_named() -> None:
    sentence = complaint(make("prerequisites", PYTHON=sys.executable, CC="no-such-cc"))
    assert sentence == (
        "Set-up needs a C compiler (no-such-cc is not on the PATH; install it or name another with CC=)."
    )


def test_a_compiler_that_does_not_work_is_named_with_what_it_says(tmp_path: Path) -> None:
    broken = program(tmp_path / "cc", "echo 'fatal error: stdio.h: No such file' >&2; exit 1")
    sentence = complaint(make("prerequisites", PYTHON=sys.executable, CC=str(broken)))
    assert f"a C compiler that works ({broken} says: fatal error: stdio.h: No such file)" in sentence


@pytest.mark.parametrize(
    ("patch", "missing"),
    [
        ("import sys; sys.version_info = (3, 9, 2)", "Python 3.11 or newer ("),
        (
            "import importlib.util as u; f = u.find_spec;"
            " u.find_spec = lambda n: None if n == 'ensurepip' else f(n)",
            "Python's venv module with ensurepip (Debian, Ubuntu: the package python3-venv)",
        ),
        (
            "import sysconfig as s; s.get_path = lambda name: '/nowhere'",
            "Python's headers (no Python.h in /nowhere; Debian, Ubuntu: python3-dev)",
        ),
    ],
    ids=["too old", "no venv", "no headers"],
)
def test_what_python_lacks_is_named_in_one_sentence(tmp_path: Path, patch: str, missing: str) -> None:
    # A Python that answers as one on a poorer machine would.
    (tmp_path / "sitecustomize.py").write_text(patch)
    script = f'PYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"'
    poorer = program(tmp_path / "python3", script)
    assert missing in complaint(make("prerequisites", PYTHON=str(poorer)))


def test_several_things_missing_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.version_info = (3, 9, 2)")
    script = f'PYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"'
    poorer = program(tmp_path / "python3", script)
    sentence = complaint(make("prerequisites", PYTHON=str(poorer), CC="no-such-cc"))
    assert ", and a C compiler (no-such-cc" in sentence


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The parts that set-up looks at, with a stamp newer than all of them."""
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "native", tmp_path / "native")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    return tmp_path


def plan(tree: Path, target: str) -> str:
    return make("--dry-run", target, folder=tree).stdout


def test_set_up_happens_once(tree: Path) -> None:
    assert "pip install" not in plan(tree, "serve")
    assert "listen serve" in plan(tree, "serve")
    (tree / ".venv" / ".ready").unlink()
    assert "pip install" in plan(tree, "serve")


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "native/build.py", "native/src/ring.c"])
def test_set_up_happens_again_when_what_it_builds_from_changed(tree: Path, name: str) -> None:
    stamp = (tree / ".venv" / ".ready").stat()
    os.utime(tree / name, (stamp.st_atime + 10, stamp.st_mtime + 10))
    assert "pip install" in plan(tree, "test")


@pytest.mark.parametrize("target", sorted(TARGETS - {"help", "prerequisites", "clean"}))
def test_every_target_sets_up_first(tree: Path, target: str) -> None:
    (tree / ".venv" / ".ready").unlink()
    assert "pip install" in plan(tree, target)


def test_no_target_needs_more_rights_than_the_users() -> None:
    assert "sudo" not in (ROOT / "Makefile").read_text()


def test_what_must_hold_before_a_change_is_accepted_is_check_test_and_guard() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-3:] == ["make check", "make test", "make guard"]
