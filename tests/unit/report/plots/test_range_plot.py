"""The curve of the range test is one well-formed SVG that stays inside its frame."""

import re
import xml.etree.ElementTree as ET

import pytest

from toolkit.report.plots.range_plot import range_plot

RATES = [10 ** (n / 10) for n in range(-60, 0)]


@pytest.mark.parametrize("best", [None, 3e-4])
@pytest.mark.parametrize("losses", [[1.0] * 60, [1 - n / 100 for n in range(50)] + [10.0**n for n in range(10)]])
def test_it_is_well_formed_and_inside_its_frame(losses, best):
    svg = range_plot(RATES, losses, losses, best)
    root = ET.fromstring(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        numbers = list(map(float, re.findall(r"[\d.]+", path.attrib["d"])))
        assert len(numbers) == 2 * len(RATES)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in zip(numbers[::2], numbers[1::2], strict=True))
    assert ("0.0003" in svg) == (best is not None)
    assert "1e-6" in svg
