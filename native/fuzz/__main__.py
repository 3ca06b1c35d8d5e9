"""Coverage-guided fuzzing with libFuzzer: `python -m native.fuzz [SECONDS]`, all targets at once.

Begins with the committed corpus (tests/native/corpus); what coverage adds to it is kept in build/fuzz. An input that
breaks something is left there as `crash-…`, and the exit status is 1.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from engine.audio.libraries import library_versions
from native.fuzz.build import TARGETS, compile_target

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "native" / "corpus"
WORK = ROOT / "build" / "fuzz"
USUAL_SECONDS = 600
LONGEST_INPUT = 4096


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    if shutil.which("clang") is None:
        print(
            "make fuzz needs clang with its libFuzzer (Debian, Ubuntu: the package clang).", file=sys.stderr
        )
        return 2
    seconds = int(arguments[0]) if arguments else USUAL_SECONDS
    WORK.mkdir(parents=True, exist_ok=True)
    try:
        programs = {target: compile_target(target, ["clang"], WORK, coverage=True) for target in TARGETS}
    except subprocess.CalledProcessError as error:
        print(f"clang cannot build the targets with libFuzzer:\n{error.stderr}", file=sys.stderr)
        return 2
    running = {target: _start(target, program, seconds) for target, program in programs.items()}
    failed = [target for target, process in running.items() if process.wait()]
    for target in TARGETS:
        lines = _report(target).read_text().splitlines()
        print(f"{target}: " + next((line for line in reversed(lines) if "cov:" in line), "nothing was run"))
        if target in failed:
            print("\n".join(lines[-40:]))
    return 1 if failed else 0


def _report(target: str) -> Path:
    return WORK / f"{target}.log"


def _start(target: str, program: Path, seconds: int) -> subprocess.Popen[bytes]:
    found = WORK / f"{target}-corpus"
    found.mkdir(exist_ok=True)
    libraries = {f"FUZZ_LIB{name.upper()}": info.path or "" for name, info in library_versions().items()}
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-print_final_stats=1"]
    with _report(target).open("wb") as report:
        return subprocess.Popen(
            [program, *options, f"-artifact_prefix={WORK}/", found, CORPUS / target],
            env={**os.environ, **libraries},
            stdout=report,
            stderr=report,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
