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


def test_points_lie_in_the_box_with_equal_axes_on_the_diagonal():
    plot = geometry.scatter([(0.0, 0.0), (10.0, 10.0), (5.0, 7.5)], diagonal=True)
    assert plot.points == [(0.0, 100.0), (100.0, 0.0), (50.0, 25.0)]
    assert plot.lines == [(0.0, 100.0, 100.0, 0.0)]
    assert [tick.text for tick in plot.x_ticks] == [tick.text for tick in plot.y_ticks]


def test_levels_are_on_the_vertical_axis_even_beyond_the_points():
    plot = geometry.scatter([(1.0, 0.5), (2.0, -0.5)], levels=[0.0, -4.0, 4.0])
    assert [y for _, y, _, _ in plot.lines] == [50.0, 100.0, 0.0]
    assert all(0 <= number <= 100 for point in plot.points for number in point)


def test_band_encloses_its_line():
    drawn = geometry.band([(0.5, 0.1, 0.0, 0.2), (1.0, 0.2, 0.1, 0.4)])
    assert drawn is not None
    assert drawn.line == "M50 75 L100 50"
    assert heights(drawn.area) == [50.0, 0.0, 75.0, 100.0]  # above from left to right, and back below
    assert geometry.band([(1.0, 0.2, 0.1, 0.4)]) is None
