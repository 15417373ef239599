"""Metrics that need no network, each defined once and usable as an `evaluate` module.

A metric is two functions: `statistics` turns each example into a row of numbers, `aggregate` turns the sum of
such rows into the figure. So the figure, its bootstrap intervals and paired differences all come from one
definition, and resampling is a matrix product. What depends on the order of the examples, such as the area under a
curve, is a `RankMetric` instead: a function of weighted examples.
"""

from toolkit.metrics.base import Metric, RankMetric, column
from toolkit.metrics.module import as_module, load

__all__ = ["Metric", "RankMetric", "as_module", "column", "load"]
