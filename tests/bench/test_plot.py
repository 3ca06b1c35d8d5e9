"""The bars: well-formed, in proportion, labelled."""

import re
from xml.etree import ElementTree

import pytest

from bench.plot import bars

SVG = "{http://www.w3.org/2000/svg}"


def heights(svg: str) -> list[float]:
    """Of the bars, without the background and the legend."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    return [float(one.attrib["height"]) for one in found][1:]


def test_bars_are_in_proportion_and_a_missing_value_has_none() -> None:
    svg = bars("CPU", ["50", "200"], {"ours": [100.0, 300.0], "theirs & others": [200.0, None]})
    *legend, first, second, third = heights(svg)
    assert legend == [10.0, 10.0]
    assert second / first == pytest.approx(2, rel=0.01)
    assert third / first == pytest.approx(3, rel=0.01)
    said = [one.text for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"CPU", "50", "200", "ours", "theirs & others", "300"} <= set(said)


def test_on_a_logarithmic_scale_a_decade_is_the_same_everywhere() -> None:
    one, ten, hundred = heights(bars("ms", ["a", "b", "c"], {"x": [1.0, 10.0, 100.0]}, log=True))[1:]
    assert hundred - ten == pytest.approx(ten - one, abs=0.3)


@pytest.mark.parametrize("highest", [0.7, 1, 3, 9.9, 12, 99, 3500, 41000])
def test_there_are_a_handful_of_lines_whatever_the_values(highest: float) -> None:
    svg = bars("t", ["g"], {"s": [highest]})
    assert 4 <= len(re.findall("<line", svg)) <= 12
