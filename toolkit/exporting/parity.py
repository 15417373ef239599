"""Whether an exported model makes the predictions of the original model, on the same rows."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.config import RunConfig
from toolkit.errors import RunError
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import share
from toolkit.exporting.schema import Agreement, Drift
from toolkit.tasks.spans import WORD_PROBABILITIES
from toolkit.tasks.task import Target

FLOAT_DRIFT = 1e-3  # tolerated difference of a probability, or of a scaled number, without 8-bit rounding
TOLERANCE = {"onnx-int8": 0.05}  # share of the rows that may get another prediction
FLOAT_TOLERANCE = 0.001
NUMBER_DRIFT = {"onnx-int8": 0.1}  # difference from which on scaled numbers are other predictions

Columns = Mapping[str, Sequence[Any]]  # name → one value a row
Compare = Callable[..., tuple[Agreement, Drift | None]]  # (of the model, of the export, clusters of the rows)


@dataclass(frozen=True)
class Limits:
    """The accepted differences.

    Attributes:
        share: Share of the rows that may get another prediction.
        drift: Tolerated difference of a probability or a scaled number; None sets no limit.
    """

    share: float
    drift: float | None


def limits(form: str, share: float | None) -> Limits:
    """Return the limits of a form: the user's share, or the usual one.

    Args:
        form: One of `graph.FORMS`.
        share: As given; None takes the usual one.
    """
    return Limits(
        TOLERANCE.get(form, FLOAT_TOLERANCE) if share is None else share, None if form in TOLERANCE else FLOAT_DRIFT
    )


def number_scale(target: Target, truth: Sequence[Any]) -> float | None:
    """Return the unit in which numbers are compared; None for a target without numbers.

    It is the standard deviation of the data, and at least a thousandth of the largest, which is well above the
    rounding errors of float32.

    Args:
        target: The kind of target.
        truth: The true values of the rows.
    """
    if not target.standardized:
        return None
    values = np.asarray(truth, np.float64)
    return max(float(values.std()), 1e-3 * float(np.abs(values).max())) or 1.0


def equality(target: Target, scale: float | None, form: str) -> Callable[[Any, Any], bool]:
    """Return a function that says whether a prediction of a model and one of its export are the same.

    Args:
        target: The kind of target.
        scale: From `number_scale`.
        form: One of `graph.FORMS`.
    """
    if scale is None:
        return target.same
    bound = NUMBER_DRIFT.get(form, FLOAT_DRIFT) * scale
    return lambda ours, theirs: abs(ours - theirs) <= bound


def comparison(target: Target, truth: Sequence[Any], form: str, config: RunConfig) -> Compare:
    """Return a function that compares the predictions of a model and of its export for the same rows.

    Args:
        target: The kind of target.
        truth: The true values of the rows.
        form: One of `graph.FORMS`.
        config: Of the model.
    """
    scale = number_scale(target, truth)
    equal = equality(target, scale, form)
    return lambda before, after, clusters=None: (
        agreement(before, after, config.evaluation.confidence, equal, clusters),
        drift(before, after, scale),
    )


def agreement(
    before: Mapping[str, Sequence[Any]],
    after: Mapping[str, Sequence[Any]],
    confidence: float,
    equal: Callable[[Any, Any], bool] = operator.eq,
    clusters: Integers | None = None,
) -> Agreement:
    """Count the rows on which two models give the same prediction, with Wilson's interval of their share.

    Args:
        before: Name → one value a row, of the model.
        after: The same of what was exported.
        confidence: For example 0.95.
        equal: Whether two predictions are the same.
        clusters: Number of each row's cluster; None where rows are independent.
    """
    same = [equal(a, b) for a, b in zip(before["prediction"], after["prediction"], strict=True)]
    alike = share(same, [True] * len(same), confidence, clusters)
    return Agreement(value=alike.value, low=alike.low, high=alike.high, rows=len(same), same=sum(same))


def drift(
    before: Mapping[str, Sequence[Any]], after: Mapping[str, Sequence[Any]], scale: float | None = None
) -> Drift | None:
    """Measure how far probabilities moved, of rows or of their words, or numbers; None for a task without.

    Args:
        before: Name → one value a row, of the model.
        after: The same of what was exported.
        scale: From `number_scale`: the unit of differences of numbers; None where classes are predicted.
    """
    if scale is not None:
        apart = np.abs(np.subtract(before["prediction"], after["prediction"], dtype=np.float64)) / scale
        return Drift(largest=float(apart.max()), mean=float(apart.mean()), of_numbers=True)
    name = next((n for n in ("probabilities", WORD_PROBABILITIES) if n in before and n in after), None)
    if name is None:
        return None
    rows = [columns[name] for columns in (before, after)]
    if name == WORD_PROBABILITIES:
        rows = [[word for sentence in side for word in sentence if word is not None] for side in rows]
    flat = [np.concatenate([np.asarray(row, float) for row in side]) if len(side) else np.zeros(0) for side in rows]
    moved = np.abs(flat[0] - flat[1])
    return Drift(largest=float(moved.max()), mean=float(moved.mean())) if moved.size else None


def check(match: Agreement, moved: Drift | None, allowed: Limits, form: str) -> None:
    """Refuse an export that disagrees with its model by more than is allowed.

    Raises:
        RunError: It does; the message holds the figures.
    """
    # NaN must fail as well, so the condition is positive
    probabilities = moved is None or allowed.drift is None or moved.largest <= allowed.drift
    if (match.rows - match.same) / match.rows <= allowed.share and probabilities:  # 29 of 50 rows are 0.58
        return
    off = "" if moved is None else f" {moved.what.capitalize()} are off by up to {moved.size}"
    bound = "" if allowed.drift is None or moved is None else f"; at most {allowed.drift:g} is allowed"
    advice = "Use --to onnx, which does not quantize" if form == "onnx-int8" else "Use --to safetensors"
    raise RunError(
        f"The predictions of the export differ from the model's: {match.rows - match.same:,} of {match.rows:,} "
        f"held-out rows get another prediction; at most {allowed.share:.2%} is allowed (--tolerance {allowed.share:g})."
        f"{off}{bound}{'.' if off else ''}",
        f"Nothing was written. {advice}, or allow more with --tolerance.",
        id="export.different-predictions",
    )
