"""What a resampler does to tones, measured on its 16-bit output.

A resampler here is any function from int16 samples at one rate to int16 samples at another. Tones are fitted by least
squares over whole seconds away from the ends, so nothing leaks between bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Convert = Callable[[Samples], Samples]

EDGE = 0.1  # s left out at each end
HALF_SCALE = 16384.0
NEARLY_FULL_SCALE = 29000.0


def tone(frequency: float, rate: int, seconds: float, amplitude: float, *, noise: float = 0.0) -> Samples:
    """A sine, rounded to 16 bits. `noise` (its deviation, in steps of 16 bits) keeps weak products alive."""
    times = np.arange(round(seconds * rate)) / rate
    values = amplitude * np.sin(2 * np.pi * frequency * times + 0.3)
    values += noise * np.random.default_rng(7).standard_normal(values.size)
    return np.rint(values).astype(np.int16)


def fit(pcm: Samples, frequency: float, rate: int) -> tuple[float, NDArray[np.float64]]:
    """Amplitude of the sine of that frequency, and what is left without it, both away from the ends."""
    edge = round(EDGE * rate)
    return _fit(pcm[edge:-edge].astype(np.float64), frequency, rate)


def _fit(values: NDArray[np.float64], frequency: float, rate: int) -> tuple[float, NDArray[np.float64]]:
    phase = 2 * np.pi * frequency / rate * np.arange(values.size)
    basis = np.stack([np.cos(phase), np.sin(phase), np.ones_like(phase)], axis=1)
    parts = np.linalg.lstsq(basis, values, rcond=None)[0]
    return float(np.hypot(parts[0], parts[1])), values - basis @ parts


def signal_to_noise(convert: Convert, rate_in: int, rate_out: int) -> float:
    """dB at 997 Hz, 1 dB under full scale."""
    amplitude, rest = fit(convert(tone(997.0, rate_in, 2.0, NEARLY_FULL_SCALE)), 997.0, rate_out)
    return float(10 * np.log10(amplitude**2 / 2 / np.mean(rest**2)))


def ripple(convert: Convert, rate_in: int, rate_out: int, edge: float) -> float:
    """Largest deviation from a gain of 1, in dB, at 24 frequencies up to `edge` of the lower Nyquist frequency."""
    worst = 0.0
    for frequency in np.linspace(100.0, edge * min(rate_in, rate_out) / 2, 24):
        before, _ = fit(tone(frequency, rate_in, 1.2, HALF_SCALE), frequency, rate_in)
        after, _ = fit(convert(tone(frequency, rate_in, 1.2, HALF_SCALE)), frequency, rate_out)
        worst = max(worst, abs(20 * float(np.log10(after / before))))
    return worst


def _folded(frequency: float, rate: int) -> float:
    frequency %= rate
    return min(frequency, rate - frequency)


def alias(convert: Convert, rate_in: int, rate_out: int, edge: float) -> float:
    """Strongest alias inside the pass band (up to `edge` of the lower Nyquist frequency) or image outside it, in dB.

    Going down, of tones above it that fold into it; going up, the images of tones inside it.
    """
    nyquist = min(rate_in, rate_out) / 2
    if rate_in > rate_out:
        pairs = [
            (f, _folded(f, rate_out)) for f in np.linspace((2 - edge) * nyquist + 1, rate_in / 2 - 50, 40)
        ]
        pairs = [(f, g) for f, g in pairs if 50 < g <= edge * nyquist]
    else:
        pairs = [(f, rate_in - f) for f in np.linspace(200, edge * nyquist, 24)]
        pairs = [(f, g) for f, g in pairs if g < rate_out / 2 - 50]
    return max(_product(convert, rate_in, rate_out, f, g) for f, g in pairs)


def _product(convert: Convert, rate_in: int, rate_out: int, frequency: float, product: float) -> float:
    pcm = convert(tone(frequency, rate_in, 2.2, HALF_SCALE, noise=2.0))
    edge = round(EDGE * rate_out)
    rest = pcm[edge:-edge].astype(np.float64)
    if rate_out > rate_in:
        _, rest = _fit(rest, frequency, rate_out)
    amplitude, _ = _fit(rest, product, rate_out)
    return 20 * float(np.log10(amplitude / HALF_SCALE))


def strongest_spur(
    convert: Convert, rate_in: int, rate_out: int, edge: float, frequencies: Iterable[float]
) -> float:
    """Strongest line beside single tones, anywhere in the pass band, in dB relative to the tone."""
    worst = -np.inf
    for frequency in frequencies:
        amplitude, rest = fit(
            convert(tone(frequency, rate_in, 4.2, HALF_SCALE, noise=2.0)), frequency, rate_out
        )
        window = np.blackman(rest.size)
        lines = np.abs(np.fft.rfft(rest * window)) / window.sum() * 2
        inside = lines[: int(edge * min(rate_in, rate_out) / 2 * rest.size / rate_out)]
        worst = max(worst, 20 * float(np.log10(inside.max() / amplitude)))
    return float(worst)
