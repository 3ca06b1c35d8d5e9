"""Fails when a path got slower or does more: measured ratios and counts against `budgets.toml`.

    python -m bench.guard [--record FILE]

A ratio fails only when the lower end of its interval is above the budget: noise widens the interval, so that a busy
machine lets a small loss pass rather than failing without one. A count fails when it is above its budget at all. What
is measured and has no budget fails, too, and the other way round: nothing goes unguarded by a change of names.
"""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.counts import counts
from bench.interleaved import Turns, take_turns
from bench.stages import stages, table

__all__ = ["BUDGETS", "Budgets", "Readings", "judge", "read_budgets"]

BUDGETS = Path(__file__).with_name("budgets.toml")
ROUNDS = 150


class Budgets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that is accepted: our time over the reference's, and counts."""

    ratios: dict[str, float]
    counts: dict[str, float]


class Readings(msgspec.Struct, frozen=True):
    """What was measured."""

    turns: dict[str, Turns]
    counts: dict[str, float]


def read_budgets(path: Path = BUDGETS) -> Budgets:
    """From the file. Raises msgspec.ValidationError or tomllib.TOMLDecodeError."""
    return msgspec.convert(tomllib.loads(path.read_text()), Budgets)


def judge(readings: Readings, budgets: Budgets) -> list[str]:
    """A sentence for each stage or count that is over its budget; none when all is well."""
    complaints = []
    for name, turns in readings.turns.items():
        low, high = turns.interval
        most = budgets.ratios.get(name)
        if most is not None and low > most:
            complaints.append(
                f"{name}: {turns.ratio:.2f} times its reference ({low:.2f} to {high:.2f}), accepted: {most:g}"
            )
    for name, count in readings.counts.items():
        most = budgets.counts.get(name)
        if most is not None and count > most:
            complaints.append(f"{name}: {count:g}, accepted: {most:g}")
    return complaints + _unmatched(readings, budgets)


def _unmatched(readings: Readings, budgets: Budgets) -> list[str]:
    complaints = []
    for section, measured, budgeted in (
        ("ratios", readings.turns.keys(), budgets.ratios.keys()),
        ("counts", readings.counts.keys(), budgets.counts.keys()),
    ):
        new, gone = sorted(measured - budgeted), sorted(budgeted - measured)
        complaints += [f"{name}: has no budget in [{section}]" for name in new]
        complaints += [f"{name}: has a budget in [{section}], and was not measured" for name in gone]
    return complaints


def main(given: Sequence[str] = ()) -> int:
    """Measure and judge. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.guard", description="See the module's documentation."
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="also keep what was measured, as JSON")
    arguments = parser.parse_args(given)
    budgets = read_budgets()
    with stages() as measured:
        readings = Readings(take_turns(measured, ROUNDS), counts())
        print("\n".join(table(measured, readings.turns)))
    print("\n| count | measured | accepted |\n|---|---:|---:|")
    for name, count in readings.counts.items():
        print(f"| {name} | {count:g} | {budgets.counts.get(name, 0):g} |")
    if arguments.record:
        arguments.record.write_bytes(msgspec.json.encode(readings))
    complaints = judge(readings, budgets)
    for complaint in complaints:
        print(f"over budget: {complaint}", file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
