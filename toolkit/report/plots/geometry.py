"""Geometry of the report's plots, without drawing.

Horizontal positions are percentages of the plot's width and vertical ones are pixels (interval plot) or
percentages (training curve). An SVG that is laid out in percentages fills a phone and a desktop without scaling
its text, so the templates need neither JavaScript nor a charting library.

    intervals()    one dot with a whisker for each system, all on one axis
    curve()        training loss, smoothed, with the validation loss and the best step
    reliability()  accuracy against confidence
    scatter()      a point for each row
    band()         a share along another, with its interval
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its position, in percent, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Whisker:
    """A value with its interval, in percent of the axis; without an interval, `low` and `high` are the value's."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class IntervalPlot:
    """Whiskers in the order of the systems given, above one shared axis."""

    whiskers: list[Whisker]
    ticks: list[Tick]


@dataclass(frozen=True)
class CurvePlot:
    """Paths in a 100 × 100 box whose origin is the top left corner.

    Attributes:
        raw: Path of the recorded training loss; empty where nothing was recorded.
        smooth: Path of its moving average.
        validation: Path through the validation losses.
        dots: The validation losses themselves.
        learned: Path through the losses on train rows, taken at the same steps and in the same way.
        best: Position of the best step, or None.
        x_ticks: Steps.
        y_ticks: Losses; `at` counts from the top.
    """

    raw: str
    smooth: str
    validation: str
    dots: list[Point]
    learned: str
    best: float | None
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True)
class ReliabilityPlot:
    """Bins in a 100 × 100 box whose origin is the top left corner.

    Attributes:
        bins: (confidence, accuracy, upper end of its interval, lower end, radius of the dot in pixels) of each.
        ticks: Shares for both axes; `at` counts from the left.
        low: Where the axes begin, as a share.
    """

    bins: list[tuple[float, float, float, float, float]]
    ticks: list[Tick]
    low: float


@dataclass(frozen=True)
class ScatterPlot:
    """Points in a 100 × 100 box whose origin is the top left corner.

    Attributes:
        points: The points.
        lines: (x, y, x, y) of straight lines, the first of which is the main one.
        x_ticks: Of the horizontal axis.
        y_ticks: Of the vertical axis; `at` counts from the top.
    """

    points: list[Point]
    lines: list[tuple[float, float, float, float]]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True)
class BandPlot:
    """A line and the area of its intervals in a 100 × 100 box whose origin is the top left corner.

    Attributes:
        line: Path of the values.
        area: Path around the intervals.
        x_ticks: Of the horizontal axis.
        y_ticks: Of the vertical axis; `at` counts from the top.
    """

    line: str
    area: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def nice_ticks(low: float, high: float, target: int = 5) -> list[float]:
    """Round numbers, evenly spaced, the first at or below `low` and the last at or above `high`.

    Args:
        low: Smallest value to cover.
        high: Largest value to cover; may equal `low`.
        target: About how many ticks are wanted.
    """
    if high - low <= 1e-9 * max(abs(low), abs(high)) + 1e-100:  # one value (or rounding noise): make room around it
        pad = abs(low) * 0.1 or 0.5
        low, high = low - pad, high + pad
    rough = (high - low) / max(target - 1, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = magnitude * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_text(value: float, step: float, percent: bool) -> str:
    """The tick's number with as many decimals as distinguish it from its neighbours."""
    scale = 100 if percent else 1
    spacing = abs(step * scale) or 1.0
    decimals = next((n for n in range(9) if math.isclose(spacing, round(spacing, n), rel_tol=1e-6)), None)
    plain = decimals is not None and spacing < 1e12
    text = (f"{value * scale:,.{decimals}f}" if plain else f"{value * scale:.3g}").replace("-", "−")
    return f"{text} %" if percent else text


def place(value: float, low: float, high: float) -> float:
    """Percentage of the way from `low` to `high`, rounded for a short document."""
    return round(100 * (value - low) / (high - low), 2)


def _ticks(values: Sequence[float], percent: bool = False) -> list[Tick]:
    """Ticks spread over the whole axis, which runs from the first value to the last."""
    step = values[1] - values[0]
    return [Tick(place(value, values[0], values[-1]), tick_text(value, step, percent)) for value in values]


def intervals(
    systems: Sequence[tuple[float, float | None, float | None]], percent: bool, target: int = 6
) -> IntervalPlot | None:
    """Set several values with their intervals on one axis.

    Args:
        systems: (value, low, high) for each row; low and high may be None.
        percent: The values are fractions, so that the axis ends at 0 % and 100 %.
        target: About how many ticks are wanted.

    Returns:
        The plot, or None where there is nothing to compare.
    """
    if not systems:
        return None
    whole = [(value if low is None else low, value, value if high is None else high) for value, low, high in systems]
    axis = nice_ticks(min(map(min, whole)), max(map(max, whole)), target)
    if percent and min(map(min, whole)) >= 0 and max(map(max, whole)) <= 1:
        axis = [tick for tick in axis if -1e-9 <= tick <= 1 + 1e-9]
    return IntervalPlot(
        whiskers=[Whisker(*(place(number, axis[0], axis[-1]) for number in row)) for row in whole],
        ticks=_ticks(axis, percent),
    )


def moving_average(values: Sequence[float]) -> list[float]:
    """Exponential moving average over about a twentieth of the series, corrected for its start.

    The correction divides by the weights seen so far (Kingma and Ba 2015, section 3), so that the first average is
    the first value and not a mixture with zero.
    """
    span = max(1.0, len(values) / 20)
    decay = 1 - 2 / (span + 1)
    total = weight = 0.0
    averages = []
    for value in values:
        total = decay * total + (1 - decay) * value
        weight = decay * weight + (1 - decay)
        averages.append(total / weight)
    return averages


def thin(points: Sequence[Point], limit: int = 300) -> list[Point]:
    """At most `limit` points: the means of neighbours that fall into the same of `limit` equal groups."""
    if len(points) <= limit:
        return list(points)
    edges = [round(index * len(points) / limit) for index in range(limit + 1)]
    groups = [points[start:end] for start, end in pairwise(edges)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def path(points: Sequence[Point]) -> str:
    """SVG path data through the points; empty for none."""
    return " ".join(f"{'L' if index else 'M'}{x:g} {y:g}" for index, (x, y) in enumerate(points))


def curve(
    training: Sequence[Point],
    validation: Sequence[Point],
    best_step: float | None,
    learned: Sequence[Point] = (),
) -> CurvePlot | None:
    """Draw the losses against the steps.

    Args:
        training: (step, loss) as recorded.
        validation: (step, loss) of each evaluation.
        best_step: Step whose weights were kept.
        learned: (step, loss) on train rows at each evaluation.

    Returns:
        The plot, or None where fewer than two losses were recorded.
    """
    recorded = [*training, *validation, *learned]
    if len(recorded) < 2:
        return None
    averaged = list(zip([x for x, _ in training], moving_average([y for _, y in training]), strict=True))
    steps = nice_ticks(0, max(x for x, _ in recorded), target=6)
    losses = nice_ticks(min(y for _, y in recorded), max(y for _, y in recorded))
    last = max(x for x, _ in recorded) or 1.0  # the axis ends where training did, not at the next round number

    def box(points: Sequence[Point]) -> list[Point]:
        return [(place(x, 0, last), round(100 - place(y, losses[0], losses[-1]), 2)) for x, y in points]

    dots = box(validation)
    spacing = steps[1] - steps[0]
    return CurvePlot(
        raw=path(box(thin(training))),
        smooth=path(box(thin(averaged))),
        validation=path(dots),
        dots=dots,
        learned=path(box(learned)),
        best=place(best_step, 0, last) if best_step is not None and 0 <= best_step <= last else None,
        x_ticks=[Tick(place(step, 0, last), tick_text(step, spacing, False)) for step in steps if step <= last],
        y_ticks=[Tick(100 - tick.at, tick.text) for tick in _ticks(losses)],
    )


def reliability(
    bins: Sequence[tuple[float, float, float, float, float]],
) -> ReliabilityPlot | None:
    """Draw accuracy against confidence.

    Args:
        bins: (mean confidence, accuracy, low, high, number of examples) of each bin that holds examples.

    Returns:
        The plot, whose axes share one scale so that the diagonal is perfect calibration; or None where there are no
        bins.
    """
    if not bins:
        return None
    smallest = min(min(confidence, low) for confidence, _, low, _, _ in bins)
    axis = [tick for tick in nice_ticks(max(0.0, smallest), 1.0, target=6) if -1e-9 <= tick <= 1 + 1e-9]
    most = max(count for *_, count in bins) or 1

    def up(value: float) -> float:
        return round(100 - place(value, axis[0], 1), 2)

    return ReliabilityPlot(
        bins=[
            (place(confidence, axis[0], 1), up(accuracy), up(high), up(low), round(3 + 4 * math.sqrt(count / most), 1))
            for confidence, accuracy, low, high, count in bins
        ],
        ticks=_ticks(axis, percent=True),
        low=axis[0],
    )


def scatter(points: Sequence[Point], *, diagonal: bool = False, levels: Sequence[float] = ()) -> ScatterPlot:
    """Draw points.

    Args:
        points: At least one.
        diagonal: Whether both axes share one scale, with the line on which both values are equal.
        levels: Values of the vertical axis at which a line is drawn.
    """
    xs, ys = [x for x, _ in points], [*(y for _, y in points), *levels]
    if diagonal:
        xs = ys = [*xs, *ys]
    across, up = nice_ticks(min(xs), max(xs)), nice_ticks(min(ys), max(ys))

    def box(x: float, y: float) -> Point:
        return place(x, across[0], across[-1]), round(100 - place(y, up[0], up[-1]), 2)

    lines = [(0.0, 100.0, 100.0, 0.0)] if diagonal else []
    lines += [(0.0, height, 100.0, height) for _, height in (box(across[0], level) for level in levels)]
    return ScatterPlot(
        points=[box(x, y) for x, y in points],
        lines=lines,
        x_ticks=_ticks(across),
        y_ticks=[Tick(100 - tick.at, tick.text) for tick in _ticks(up)],
    )


def band(points: Sequence[tuple[float, float, float, float]]) -> BandPlot | None:
    """Draw a share along another one, from 0 to 100 %.

    Args:
        points: (position, value, low, high), by position.

    Returns:
        The plot; None for fewer than two points.
    """
    if len(points) < 2:
        return None
    across = nice_ticks(0.0, 1.0, target=6)
    up = [tick for tick in nice_ticks(0.0, max(high for *_, high in points)) if tick <= 1 + 1e-9]

    def box(x: float, y: float) -> Point:
        return place(x, 0.0, 1.0), round(100 - place(y, up[0], up[-1]), 2)

    upper, lower = [box(x, high) for x, _, _, high in points], [box(x, low) for x, _, low, _ in points]
    return BandPlot(
        line=path([box(x, value) for x, value, _, _ in points]),
        area=f"{path([*upper, *reversed(lower)])} Z",
        x_ticks=_ticks(across, percent=True),
        y_ticks=[Tick(100 - tick.at, tick.text) for tick in _ticks(up, percent=True)],
    )
