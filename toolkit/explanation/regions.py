"""The object that an explanation locates in a picture: a box around its top patches.

The box holds the strongest patch and those connected with it that reach a share of its score, as boxes are
drawn from class activation maps (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", section
3.2). Boxes are left, top, right and bottom as shares of a picture's width and height.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.explanation.faithfulness import mean_interval
from toolkit.explanation.patches import Grid, hit
from toolkit.explanation.words import Floats

SHARE = 0.2  # of the strongest patch's score that a patch of the region has at least, as in Zhou et al.
FOUND = 0.5  # of intersection over union, from which on an object counts as found

Box = tuple[float, float, float, float]


def region(scores: Sequence[float] | Floats, grid: Grid, share: float = SHARE) -> Box:
    """Return the box around the strongest patch and what is connected with it.

    Args:
        scores: Of each patch, row by row; those against the class count as none.
        grid: Rows and columns of patches.
        share: Of the strongest score, that a patch has to reach.
    """
    rows, columns = grid
    values = np.clip(np.asarray(scores, np.float64).reshape(grid), 0, None)
    first = divmod(int(values.argmax()), columns)
    strong = values >= max(share * values[first], 1e-12)
    reached, edge = {first}, [first]
    while edge:
        row, column = edge.pop()
        for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if near not in reached and 0 <= near[0] < rows and 0 <= near[1] < columns and strong[near]:
                reached.add(near)
                edge.append(near)
    down, across = zip(*reached, strict=True)
    return min(across) / columns, min(down) / rows, (max(across) + 1) / columns, (max(down) + 1) / rows


def overlap(box: Box, other: Box) -> float:
    """Return the area that two boxes share, over the area that either covers (intersection over union)."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (_area(box) + _area(other) - shared)


def read_box(value: Any) -> Box | None:
    """Return a box that a table gives in pixels, left top right bottom; None where it gives none.

    Args:
        value: Four numbers, or a text of them with spaces or commas.
    """
    parts = value.strip("[]() ").replace(",", " ").split() if isinstance(value, str) else value
    try:
        left, top, right, bottom = (float(part) for part in parts)
    except (TypeError, ValueError):
        return None
    return (left, top, right, bottom) if 0 <= left < right and 0 <= top < bottom else None


def around(mask: Floats) -> Box | None:
    """Return the box around a mask with values from 0 to 1 in each pixel; None where it is 0. Shape (H, W).

    Edges are exact to fractions of a pixel: a pixel that is half covered counts as half.
    """
    if mask.max(initial=0) < 0.5:
        return None
    (left, right), (top, bottom) = _extent(mask.max(axis=0)), _extent(mask.max(axis=1))
    return left, top, right, bottom


def _extent(covered: Floats) -> tuple[float, float]:
    """Return the beginning and end of a covered range, as shares of the whole, from each place's coverage."""
    inside = np.flatnonzero(covered >= 0.5)
    first, last, beside = inside[0], inside[-1], np.pad(covered, 1)  # beside[n] lies before covered[n]
    start = first + (1 - covered[first]) - beside[first]
    end = last + covered[last] + beside[last + 2]
    return float(start) / len(covered), float(end) / len(covered)


def evaluate(
    scored: Sequence[tuple[Sequence[float] | Floats, Grid]],
    boxes: Sequence[Box],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Measure how well regions match given boxes, compared with a box in the middle.

    Args:
        scored: (scores, grid) of each picture.
        boxes: The true box of each.
        confidence: Of the intervals.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        "pictures", and the figures "pointing" (top patch on the object), "overlap" and "found" (overlap of a half or
        more) with their intervals; "middle" is the overlap of a box in the middle, as large as the true ones are on
        average.
    """
    overlaps = [overlap(region(scores, grid), box) for (scores, grid), box in zip(scored, boxes, strict=True)]
    side = [float(np.mean([box[end] - box[end - 2] for box in boxes])) / 2 for end in (2, 3)]
    middle = (0.5 - side[0], 0.5 - side[1], 0.5 + side[0], 0.5 + side[1])
    figures: Mapping[str, Sequence[float]] = {
        "pointing": [float(hit(scores, grid, box)) for (scores, grid), box in zip(scored, boxes, strict=True)],
        "overlap": overlaps,
        "found": [float(value >= FOUND) for value in overlaps],
        "middle": [overlap(middle, box) for box in boxes],
    }
    intervals = {name: mean_interval(values, confidence, resamples, seed) for name, values in figures.items()}
    return {
        "pictures": len(boxes),
        **{name: {"value": value.value, "low": value.low, "high": value.high} for name, value in intervals.items()},
    }


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
