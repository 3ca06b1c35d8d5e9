"""What the README shows is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"(?ms)^```python\n(?!# \w+\.py$)(.*?)^```", README)
"""But for those with a file's name, which `tests.e2e.test_readme_receivers` runs."""
BECKETT = [
    "ever",
    "tried",
    "ever",
    "failed",
    "no",
    "matter",
    "try",
    "again",
    "fail",
    "again",
    "fail",
    "better",
]


def test_there_is_one_program_for_a_file_and_one_for_a_session_each_about_15_lines() -> None:
    assert len(PROGRAMS) == 2
    for program in PROGRAMS:
        assert len([line for line in program.splitlines() if line.strip()]) <= 18


@pytest.mark.parametrize("program", PROGRAMS, ids=["file", "session"])
def test_the_program_runs_and_prints_what_was_said(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    last = re.findall(r"[a-z]+", done.stdout.splitlines()[-1].lower())
    assert last[-2:] == BECKETT[-2:]


def test_every_command_in_the_readme_exists() -> None:
    from engine.cli.app import run

    for command in set(re.findall(r"(?<=listen )(?:serve|stream|transcribe|doctor|usage)\b", README)):
        assert run([command, "--help"]) == 0


def test_every_public_name_can_be_imported_and_nothing_heavy_comes_before_it_is_used() -> None:
    for name in engine.__all__:
        assert getattr(engine, name) is not None
    assert set(engine.__all__) <= set(dir(engine))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        engine.nothing  # noqa: B018
    heavy = "numba ctranslate2 sqlalchemy hypercorn quart trio av numpy"
    script = f"import sys, engine; print([name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
