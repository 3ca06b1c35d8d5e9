"""Runs every benchmark's `main`, each in a process of its own: none inherits another's caches and threads.

`python -m bench [NAME ...]`. One that fails does not stop the others; it is named at the end and makes the exit
status 1.
"""

import subprocess
import sys

USUAL = ("decode", "ring", "resample", "local_stt", "gate", "store", "session")
LONG = ("endtoend", "lane")
"""Whole servers under load: only by name. `endtoend` wants the extra `bench`."""

BENCHES = USUAL + LONG


def main(names: list[str]) -> int:
    """Run the benchmarks of these names, the usual ones without names. Returns the exit status."""
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    failed = []
    for name in names or USUAL:
        print(f"\n=== bench.{name} ===", flush=True)
        run = f"import sys; from bench.{name} import main; sys.exit(main())"
        if subprocess.run([sys.executable, "-c", run], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
