"""Rules that are decided from stored predictions: metrics, slices and calibration, in pairs of rows."""

import difflib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.config.gate import CalibrationRule, MetricRule, SlicesRule
from toolkit.errors import ConfigError
from toolkit.evaluation import scores
from toolkit.evaluation.checks import slices
from toolkit.evaluation.context import chosen_classes
from toolkit.evaluation.gate.rule import Item, Loss, Pair, Rule
from toolkit.evaluation.statistics.calibration_error import calibration_error
from toolkit.evaluation.statistics.claims import non_inferiority
from toolkit.evaluation.statistics.clusters import Floats, Integers, count, kept
from toolkit.evaluation.statistics.intervals import Interval
from toolkit.metrics import Metric, RankMetric, column, load

_TAIL = 40  # resamples beyond the end of an interval
_MOST_RESAMPLES = 100_000
_SHARE, _MARGIN = 0.02, {"fraction": 0.01, "score": 0.01, "points": 1.0}  # allowed losses where none is given
_RANGES = {"fraction": 1.0, "score": 1.0, "points": 100.0}  # of a metric, by its unit


def metric(rule: MetricRule, pair: Pair) -> Rule:
    """Return the rule on a metric.

    Raises:
        ConfigError: The recipe has no metric of this name.
    """
    known = {definition.name: definition for _, definition in map(load, pair.recipe.metrics) if definition is not None}
    name = rule.name if rule.name is not None else next(iter(known), "")
    if rule.name is not None and name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"The gate names the metric `{name}`, which the recipe does not have."
            + (f" Did you mean `{near[0]}`?" if near else ""),
            f"Its metrics are {', '.join(known) or 'those of another library, without intervals'}.",
            id="config.unknown-choice",
        )
    definition, (old, new) = known.get(name), pair.aligned.columns
    computable = [d for _, d in scores.computable(old, list(known.values()), pair.aligned.labels)]
    if definition is None or definition not in computable or column(definition) not in new:
        return Rule("metric", name or "Metric", rule.margin or 0.0, "score", reason="The models have no such metric.")
    loss, figure = _loss(definition, pair)
    margin = rule.margin
    if margin is None:
        margin = _MARGIN.get(definition.unit, _SHARE * abs(figure))
    if math.isnan(loss(0.05).value):
        reason = "The metric is not defined on these rows."
        return Rule("metric", definition.title, margin, definition.unit, reason=reason)
    return Rule("metric", definition.title, margin, definition.unit, [Item("", loss, len(pair.references))])


def _loss(definition: Metric | RankMetric, pair: Pair) -> tuple[Loss, float]:
    """Return by how much a metric is worse, and its value for the old model."""
    (old, new), labels = pair.aligned.columns, pair.aligned.labels
    figure = math.nan
    if isinstance(definition, Metric):
        of_old, of_new = (
            definition.statistics(columns[column(definition)], pair.references, labels) for columns in (old, new)
        )
        figure = float(definition.aggregate(of_old.sum(axis=0)))
        if definition.proportion and _are_hits(of_old) and _are_hits(of_new):
            first, second = (of_old, of_new) if definition.higher_is_better else (of_new, of_old)
            return _of_hits(first[:, 0], second[:, 0], pair.clusters), figure
    units = len(pair.references) if pair.clusters is None else count(pair.clusters)
    size = _RANGES.get(definition.unit, abs(figure))

    def loss(error: float) -> Interval:
        resamples = min(_MOST_RESAMPLES, max(pair.config.resamples, math.ceil(_TAIL / error)))
        config = pair.config.model_copy(update={"confidence": 1 - 2 * error, "resamples": resamples})
        ahead = scores.difference(definition, new, old, pair.references, labels, config, pair.seed, pair.clusters)
        if ahead["low"] == ahead["high"]:
            return non_inferiority.agreeing(ahead["value"], size, units, error)
        if definition.higher_is_better:
            return Interval(-ahead["value"], -ahead["high"], -ahead["low"])
        return Interval(ahead["value"], ahead["low"], ahead["high"])

    return loss, figure


def _are_hits(statistics: Floats) -> bool:
    """Whether statistics (N, 2) count hits among rows."""
    return bool(((statistics[:, 0] == 0) | (statistics[:, 0] == 1)).all() and (statistics[:, 1] == 1).all())


def _of_hits(old: Floats, new: Floats, clusters: Integers | None) -> Loss:
    return lambda error: non_inferiority.paired_shares(old, new, error, clusters)


def paired_slices(rule: SlicesRule, pair: Pair) -> list[Item]:
    """Return the slices by length and class; none where the rows of a slice are not those of the table."""
    task, rows, labels = pair.recipe.task, pair.aligned.rows, pair.aligned.labels
    if task.labelled is None or task.labels_words:
        return []
    old, new = (
        np.array(
            [given == true for given, true in zip(chosen_classes(columns), pair.references, strict=True)], np.float64
        )
        for columns in pair.aligned.columns
    )
    classes = slices.classes_of(task, pair.references, labels)
    return [
        Item(
            f"{part.by}: {part.name}",
            _of_hits(old[part.members], new[part.members], kept(pair.clusters, part.members)),
            len(part.members),
        )
        for part in slices.by_content(slices.texts_of(task, rows), classes)
        if wanted(rule, part.by, part.name, len(part.members))
    ]


def wanted(rule: SlicesRule, by: str, name: str, rows: float) -> bool:
    """Whether a rule is about a slice."""
    if f"{by}: {name}" in rule.only:
        return True
    return rows >= rule.smallest and (not rule.only or by in rule.only)


def calibration(rule: CalibrationRule, pair: Pair) -> Rule:
    """Return the rule on the expected calibration error, of probabilities as the models compute them."""
    title, applies = "Expected calibration error", pair.recipe.task.stratum is not None
    if not applies or any("probabilities" not in columns for columns in pair.aligned.columns):
        reason = "It is measured where each row has one class, with probabilities."
        return Rule("calibration", title, rule.margin, "fraction", reason=reason)
    old, new = (_calibration_error(columns, pair) for columns in pair.aligned.columns)
    loss: Loss = lambda error: non_inferiority.of_separate(new(error), old(error))  # noqa: E731
    return Rule("calibration", title, rule.margin, "fraction", [Item("", loss, len(pair.references))])


def _calibration_error(columns: Any, pair: Pair) -> Callable[[float], Interval]:
    confidence = np.asarray(columns["probabilities"], np.float64).max(axis=1)
    chosen: Sequence[Any] = chosen_classes(columns)
    right = np.array([given == true for given, true in zip(chosen, pair.references, strict=True)], np.float64)
    return lambda error: calibration_error(confidence, right, 1 - 2 * error, pair.seed, pair.clusters)
