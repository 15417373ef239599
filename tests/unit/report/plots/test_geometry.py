"""The loss curve: training and validation are two lines on the same axis."""

import re

from toolkit.report.plots import geometry


def heights(line: str) -> list[float]:
    """Return the y of each point of an SVG path, in percent from the top."""
    return [float(y) for _, y in re.findall(r"([\d.]+)[ ,]([\d.]+)", line)]


def test_the_gap_between_train_and_validation_is_drawn():
    recorded = [(1, 1.0), (2, 0.5)]
    drawn = geometry.curve(recorded, [(1, 0.8), (2, 0.9)], 1, [(1, 0.7), (2, 0.2)])
    assert drawn is not None
    held_out, learned = heights(drawn.validation), heights(drawn.learned)
    assert len(held_out) == len(learned) == 2
    gaps = [below - above for above, below in zip(held_out, learned, strict=True)]
    assert 0 < gaps[0] < gaps[1]  # the loss on train rows lies lower, and further with each validation
    assert gaps[1] == 7 * gaps[0]


def test_no_line_is_drawn_where_nothing_was_measured():
    drawn = geometry.curve([(1, 1.0), (2, 0.5)], [], None)
    assert drawn is not None
    assert (drawn.learned, drawn.validation, drawn.dots) == ("", "", [])
    assert geometry.curve([(1, 1.0)], [], None) is None
