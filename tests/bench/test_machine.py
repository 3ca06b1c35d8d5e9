"""What a report says of its machine."""

import platform
import re

from bench.machine import machine


def test_everything_that_figures_depend_on_is_named() -> None:
    text = "\n".join(machine())
    assert platform.release() in text
    assert platform.python_version() in text
    assert re.search(r"\d+ cores, \d+\.\d GiB", text)
    assert re.search(r"trio \d.*numpy \d", text)
    assert re.search(r"opus \S", text)
    assert re.search(r"load averages at the start: \d+\.\d\d, ", text)
