"""Predictions that have a distance from the truth, as sections of blocks: ordered classes, and numbers."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.plots import geometry
from toolkit.report.sections.blocks import Block, Cell, Scatter, Section, Table, Text, estimated


def distance(result: Mapping[str, Any]) -> list[Section]:
    """How many classes predictions are away from the truth, and on which side."""
    rows = [
        [Cell(formats.count(row["distance"])), Cell(formats.count(row["count"])), estimated(row["share"])]
        for row in result["classes"]
    ]
    if not rows:
        return []
    lead = f"The classes are ordered. {formats.count(result['too_low'])} examples are predicted too low and "
    lead += f"{formats.count(result['too_high'])} too high; the mean of prediction minus truth is "
    lead += f"{formats.estimate(result['signed'], 'score', signed=True)} classes{_level(result['signed_confidence'])}."
    table = Table("Distance from the truth", ["Classes away from the truth", "Examples", "Share"], rows)
    return [Section("distance", "Distance from the truth", lead, [table])]


def residuals(result: Mapping[str, Any]) -> list[Section]:
    """Predicted numbers against true ones, the coverage of prediction intervals, and errors by size of the value."""
    centre = result["mean"]
    if centre["value"] is None:
        return []
    lead = "A residual is the prediction minus the true value. Their mean is "
    lead += f"{formats.estimate(centre, 'value', signed=True)}{_level(result['mean_confidence'])}{_bias(centre)}."
    width = result["intervals"]["half_width"]
    if width is not None:
        lead += f" Prediction intervals of ± {formats.measure(width, 'value')} were chosen on validation rows to "
        lead += f"contain {formats.measure(result['intervals']['nominal'], 'fraction')} of the true values; of these "
        lead += f"rows they contain {formats.estimate(result['intervals']['observed'], 'fraction')}."
    return [Section("residuals", "Residuals", lead, [*_plots(result["drawn"], width), *_quarters(result)])]


def _level(confidence: float | None, each: str = "") -> str:
    """The level of an interval, which is that of a claim."""
    return f" ({each}at {100 * confidence:.4g} %)" if confidence is not None else ""


def _bias(centre: Mapping[str, Any]) -> str:
    if centre["low"] is None or centre["low"] <= 0 <= centre["high"]:
        return ": no significant bias"
    return f": predictions are too {'high' if centre['value'] > 0 else 'low'} on average"


def _plots(drawn: list[list[float | None]], width: float | None) -> list[Block]:
    pairs = [(point[0], point[1]) for point in drawn if len(point) == 2]
    points = [(x, y) for x, y in pairs if x is not None and y is not None]
    if len(points) < 2:
        return []
    ends = [] if width is None else [-width, width]
    caption = "On the dashed line the prediction equals the true value."
    caption += f" {len(points)} rows are drawn, evenly spaced by their residuals if there are more."
    below = "At the dashed line the residual is zero"
    below += "; the dotted lines are the ends of the prediction intervals." if ends else "."
    return [
        Scatter("Prediction by true value", geometry.scatter(points, diagonal=True), "true value", caption),
        Scatter(
            "Residual by prediction",
            geometry.scatter([(y, y - x) for x, y in points], levels=[0.0, *ends]),
            "prediction",
            below,
        ),
    ]


def _quarters(result: Mapping[str, Any]) -> list[Block]:
    rows = [
        [
            Cell(f"{formats.measure(row['low'], 'value')} to {formats.measure(row['high'], 'value')}"),
            Cell(formats.count(row["rows"])),
            estimated(row["error"], "value"),
            estimated(row["residual"], "value", signed=True),
            estimated(row["difference"], "value", signed=True, alert="significantly worse" if row["worse"] else ""),
        ]
        for row in result["quarters"]
    ]
    if not rows:
        return []
    columns = ["True value", "Examples", "Mean absolute error", "Mean residual", "Error minus that of the others"]
    text = "Where a model is not certain, it predicts low values too high and high values too low, which is usual. The "
    text += f"intervals of the last column hold jointly{_level(result['quarters_confidence'], 'each ')}."
    return [Table("By quarter of the true value", columns, rows), Text(text)]
