"""Models of which no other is both as good and as cheap."""

from collections.abc import Sequence


def front(costs: Sequence[float], values: Sequence[float], *, upward: bool) -> list[bool]:
    """Return of each model whether it is on the Pareto front.

    One is off the front where another costs no more and is no worse, and is cheaper or better.

    Args:
        costs: Of each model; lower is better.
        values: The metric of each.
        upward: Whether a higher metric is better.
    """
    points = [(cost, -value if upward else value) for cost, value in zip(costs, values, strict=True)]
    return [
        not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)
        for point in points
    ]
