"""The report's sections on ordered classes: how far predictions are from the truth, and on which side."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import bootstrap, share
from toolkit.metrics.means import mean


def sections(context: EvaluationContext) -> dict[str, Any]:
    """Return the sections of one class a row, and the distances of predictions from the truth."""
    settings = context.config.evaluation
    given, level = context.columns["prediction"], context.claims["centre"]
    distances = distance(given, context.references, settings, context.seed, context.clusters, level)
    return {**scores.class_sections(context), "distance": distances}


def distance(
    predictions: Sequence[int],
    references: Sequence[int],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the share of the rows at each distance (Wilson), and the mean of prediction minus truth, in classes.

    Args:
        predictions: Numbers of classes, in their order.
        references: The truth.
        config: Confidence and resamples.
        seed: Of the bootstrap.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
        claimed: Confidence of the mean's interval, which says on which side predictions are; as the others when None.
    """
    level = config.confidence if claimed is None else claimed
    signed = np.asarray(predictions, np.int64) - np.asarray(references, np.int64)
    apart, everyone = np.abs(signed), np.ones(len(signed), bool)
    counts = np.bincount(apart)
    shares = [share(apart == number, everyone, config.confidence, clusters) for number in range(len(counts))]
    statistics = np.stack([signed, np.ones(len(signed))], axis=1).astype(np.float64)
    settings: dict[str, Any] = {"confidence": level, "resamples": config.resamples, "seed": seed}
    centre = bootstrap(statistics, mean, **settings, clusters=clusters)
    known = centre.low < centre.high
    return {
        "classes": [
            {
                "distance": number,
                "count": int(count),
                "share": {"value": part.value, "low": part.low, "high": part.high},
            }
            for number, (count, part) in enumerate(zip(counts, shares, strict=True))
        ],
        "too_low": int((signed < 0).sum()),
        "too_high": int((signed > 0).sum()),
        "signed": {
            "value": centre.value,
            "low": centre.low if known else None,
            "high": centre.high if known else None,
        },
        "signed_confidence": level,
    }
