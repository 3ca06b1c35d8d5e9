"""Runs benchmarks' `main`, each in a process of its own: none inherits another's caches and threads.

`python -m bench [NAME ...]`, or `python -m bench NAME OPTIONS` for one with options. One that fails does not stop the
others; it is named at the end and makes the exit status 1.
"""

import subprocess
import sys

USUAL = (
    "stages",
    "decode",
    "ring",
    "resample",
    "local_stt",
    "gate",
    "store",
    "vectors",
    "session",
    "extraction",
    "speaker",
    "dialogues",
)
LONG = ("endtoend", "lane", "results", "guard", "webhooks", "speaker_sessions")
"""Whole servers under load, and what is run by itself: only by name."""

BENCHES = USUAL + LONG


def main(arguments: list[str]) -> int:
    """Run the benchmarks of these names, the usual ones without names. Returns the exit status."""
    first = next((at for at, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:first], arguments[first:]
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    if options and len(names) != 1:
        print(f"{' '.join(options)}: options are for one benchmark, which must be named.", file=sys.stderr)
        return 2
    failed = []
    for name in names or USUAL:
        print(f"\n=== bench.{name} ===", flush=True)
        run = f"import sys; from bench.{name} import main; sys.exit(main(*sys.argv[1:] and [sys.argv[1:]]))"
        if subprocess.run([sys.executable, "-c", run, *options], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nFailed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
