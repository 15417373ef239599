"""The labelled rows of a run, read again from its data, and a learning curve of a probe on them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.commands.finetune import trained_run
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training import backbone
from toolkit.errors import ToolkitError
from toolkit.evaluation.context import clusters
from toolkit.evaluation.selection import learning_curve
from toolkit.evaluation.statistics.clusters import kept
from toolkit.events import Counted, Observe, Stage
from toolkit.training.adaptation import linear_probe, probe_kinds
from toolkit.training.adaptation.feature_vectors import HEAD, MEAN
from toolkit.training.adaptation.probe_kinds import ProbeKind

MOST_ROWS = 2000  # labelled rows of the curve, drawn by the seed
DECISIVE = 100  # more labels on whose gain the advice is: of a small batch the gain is always small
FAR = 1000  # more labels whose gain is told, too


def curve(
    target: str, recipe_name: str | None, loading: Mapping[str, Any], rows: int, threshold: float, observe: Observe
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the learning curve of a run's labelled rows as JSON, or why there is none.

    Args:
        target: The run.
        recipe_name: The file of its recipe, where that is not installed.
        loading: Values of `loading` that the user gave now.
        rows: Of the next batch, whose gain is told.
        threshold: The least gain of `DECISIVE` labels that is worth them.
        observe: Called with each event.
    """
    try:
        trained = trained_run.read(target, recipe_name, loading)
        if trained.from_scratch:
            return None, "The model was trained from scratch: there is no checkpoint whose features a probe could read."
        observe(Stage("Reading the labelled rows of the run"))
        prepared = trained.prepared(lambda _event: None)
    except ToolkitError as error:
        return None, error.problem
    config, task = prepared.config, prepared.recipe.task
    kind = prepared.recipe.target.probe or probe_kinds.ONE_CLASS
    labelled = prepared.splits.train
    if prepared.splits.validation.num_rows:
        labelled = pa.concat_tables([labelled, prepared.splits.validation], promote_options="default")
    seed = config.training.seed
    order = np.random.default_rng([seed, 17]).permutation(labelled.num_rows)
    some = np.sort(order[:MOST_ROWS])
    together = clusters(task, labelled, config.data.group_column)
    together = kept(together, some)
    vectors, labels = _vectors(prepared, labelled.take(pa.array(some)), observe)
    if labels.ndim == 1 and labels.dtype.kind == "f":
        labels = (labels - labels.mean()) / max(float(labels.std()), 1e-12)  # errors as shares of the variance
    observe(Stage("Measuring a learning curve on frozen features"))
    errors_of = _errors_of(kind, vectors, labels, len(prepared.splits.labels), seed)
    measured = learning_curve.measure(
        errors_of, len(vectors), seed, together, lambda done, total: observe(Counted(done, total))
    )
    if measured is None:
        return None, f"{len(vectors):,} labelled rows are too few for a learning curve."
    fitted = learning_curve.fit(measured, seed, together, config.evaluation.confidence)
    return _facts(kind, measured, fitted, labelled.num_rows, rows, threshold), None


def _vectors(prepared: Prepared, rows: pa.Table, observe: Observe) -> tuple[Any, Any]:
    """Return vectors (N, D) and labels of rows by the checkpoint that the run started from, in their order."""
    checkpoint = backbone.load(prepared, rows, observe)
    observe(Stage("Computing features of the pretrained model"))
    _, vectors = checkpoint.in_order()
    pooling = MEAN if MEAN in vectors.by_pooling else HEAD
    return vectors.by_pooling[pooling].astype(np.float64), vectors.labels


def _errors_of(kind: ProbeKind, vectors: Any, labels: Any, classes: int, seed: int) -> learning_curve.Errors:
    """Return the errors of probes; the penalty is chosen by cross-validation once for each number of rows."""
    penalties: dict[int, float] = {}

    def errors(fitted: Any, predicted: Any) -> Any:
        if not kind.learnable(labels[fitted]):
            return None
        size = len(fitted)
        if size not in penalties:
            penalties[size] = linear_probe.choose_penalty(vectors[fitted], labels[fitted], classes, seed, kind)[0]
        weight, bias = kind.regression(vectors[fitted], labels[fitted], penalties[size], classes)
        return kind.errors(vectors[predicted] @ weight.T + bias, labels[predicted])

    return errors


def _facts(
    kind: ProbeKind,
    measured: learning_curve.Measured,
    fitted: learning_curve.Curve,
    labelled: int,
    rows: int,
    threshold: float,
) -> dict[str, Any]:
    decisive = fitted.gain(labelled, DECISIVE)
    a, b, c = (float(value) for value in fitted.laws[0])
    return {
        "error": kind.error,
        "labelled": labelled,
        "measured_on": int(measured.errors.shape[1]),
        "draws": learning_curve.DRAWS,
        "folds": learning_curve.FOLDS,
        "confidence": fitted.confidence,
        "points": list(learning_curve.points(measured, fitted)),
        "law": {"a": a, "b": b, "c": c},
        "now": asdict(fitted.error(labelled)),
        "floor": asdict(fitted.floor),
        "gains": [
            {"labels": more, "far": labelled + more > 2 * labelled, **asdict(fitted.gain(labelled, more))}
            for more in sorted({rows, FAR} - {DECISIVE})
        ],
        "decisive": {"labels": DECISIVE, **asdict(decisive)},
        "threshold": threshold,
        "advice": learning_curve.advice(decisive, threshold),
    }
