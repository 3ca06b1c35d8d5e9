"""Grouped bars as SVG: small enough to be kept beside a report and read as a difference."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["bars"]

COLOURS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860")
WIDTH, HEIGHT = 720, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 12, 56, 34
"""Around the area of the bars."""


def bars(
    title: str, groups: Sequence[str], series: Mapping[str, Sequence[float | None]], *, log: bool = False
) -> str:
    """One bar for each series in each group, its value above it; None leaves a gap. `log`: decades instead."""
    values = [value for row in series.values() for value in row if value]
    scale = _Scale(values or [1.0], log)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
        *_legend(list(series)),
        *scale.lines(),
    ]
    slot = (WIDTH - LEFT - RIGHT) / len(groups)
    width = slot * 0.8 / len(series)
    for number, group in enumerate(groups):
        left = LEFT + number * slot + slot * 0.1
        middle = LEFT + (number + 0.5) * slot
        parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(group)}</text>')
        for index, row in enumerate(series.values()):
            value = row[number]
            if value is not None:
                parts += _bar(
                    left + index * width, width, scale.y(value), value, COLOURS[index % len(COLOURS)]
                )
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: float, width: float, y: float, value: float, colour: str) -> list[str]:
    height = HEIGHT - BOTTOM - y
    said = f"{value:.0f}" if value >= 10 else f"{value:.2g}"
    return [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.92:.1f}" height="{height:.1f}" fill="{colour}"/>',
        f'<text x="{x + width * 0.46:.1f}" y="{y - 3:.1f}" text-anchor="middle" font-size="9">{said}</text>',
    ]


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], LEFT
    for index, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{COLOURS[index % len(COLOURS)]}"/>')
        parts.append(f'<text x="{x + 14}" y="37">{escape(name)}</text>')
        x += 30 + 7 * len(name)
    return parts


class _Scale:
    """Values to heights."""

    def __init__(self, values: Sequence[float], log: bool) -> None:
        self._log = log
        self._low = 10.0 ** math.floor(math.log10(min(values))) if log else 0.0
        self._high = max(values) * (1.5 if log else 1.08)

    def y(self, value: float) -> float:
        """Distance from the top."""
        if self._log:
            share = math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        else:
            share = value / self._high
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def lines(self) -> list[str]:
        """A line with its number at each step."""
        parts = []
        for tick in self._ticks():
            y = self.y(tick)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        return parts

    def _ticks(self) -> list[float]:
        if self._log:
            decades = int(math.log10(self._high / self._low)) + 1
            return [self._low * 10**number for number in range(decades)]
        step = 10.0 ** math.floor(math.log10(self._high))
        step /= next(part for part in (5, 2, 1) if self._high / (step / part) <= 10)
        return [step * number for number in range(int(self._high / step) + 1)]
