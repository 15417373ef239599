"""The labelled rows of a run, read again from its data, and a learning curve of a probe on them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.commands.few_labels import settle
from toolkit.commands.finetune.prepare import Prepared, configure, prepare, with_target
from toolkit.commands.finetune.training import backbone
from toolkit.config import Resolved, RunConfig, merge
from toolkit.config.files import read_file
from toolkit.data.load import Splits, load_splits
from toolkit.errors import DataError, SourceError, ToolkitError
from toolkit.evaluation.context import clusters
from toolkit.evaluation.selection import learning_curve
from toolkit.evaluation.statistics.clusters import kept
from toolkit.events import Counted, Observe, Stage
from toolkit.tasks.contract import Recipe
from toolkit.training.adaptation import linear_probe, probe_kinds
from toolkit.training.adaptation.feature_vectors import HEAD, MEAN
from toolkit.training.adaptation.probe_kinds import ProbeKind

MOST_ROWS = 2000  # labelled rows of the curve, drawn by the seed
MORE = (100, 1000)  # labels whose gain is predicted


def read_again(
    run: runs.Run, recipe: Recipe, values: Mapping[str, Any], observe: Observe
) -> tuple[Recipe, RunConfig, Splits]:
    """Read the data of a run again, divided as they were.

    Args:
        run: A complete run.
        recipe: The task of its model.
        values: Nested configuration values of this call.
        observe: Called with each event.

    Returns:
        The task, the configuration of the run, and its rows.

    Raises:
        ToolkitError: They cannot be read.
        DataError: They have changed since.
    """
    recipe, resolved = _configured(run, recipe, values)
    observe(Stage("Reading the labelled rows of the run"))
    config = resolved.config
    splits = load_splits(recipe, config.data, config.training.seed, config.options)
    recipe, resolved = with_target(recipe, resolved, splits)
    resolved, splits = settle.settle(resolved, recipe, splits)
    _check_unchanged(run, resolved.config, splits)
    return recipe, resolved.config, splits


def _configured(run: runs.Run, recipe: Recipe, values: Mapping[str, Any]) -> tuple[Recipe, Resolved]:
    """Return the recipe and the configuration of a run.

    The run may be from elsewhere: it does not name a file of a recipe, nor allow code of a checkpoint to run.
    """
    stored = dict(read_file(run.path / "config.yaml"))
    name, loading = stored.get("recipe"), stored.pop("loading", None) or {}
    stored.pop("output", None)
    if not isinstance(name, str):
        raise SourceError(
            f"{run.path / 'config.yaml'} names no recipe.", "Copy the run directory again.", id="run.damaged"
        )
    scratch = {"loading": {"from_scratch": bool(loading.get("from_scratch"))}}
    given = {key: value for key, value in values.items() if key == "loading"}
    own = str(recipe.file) if name.endswith(".py") else name
    return configure(own, [("run", merge(stored, scratch)), ("flag", given)])


def _check_unchanged(run: runs.Run, config: RunConfig, splits: Splits) -> None:
    if splits.facts["fingerprint"] != (run.facts.get("data") or {}).get("fingerprint"):
        raise DataError(
            f"{config.data.source} has changed since the run was trained.",
            "Restore the file, or train again.",
            id="select.data-changed",
        )


def curve(
    run: runs.Run, recipe: Recipe, values: Mapping[str, Any], rows: int, threshold: float, observe: Observe
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the learning curve of a run's labelled rows as JSON, or why there is none.

    Args:
        run: The run.
        recipe: The task of its model.
        values: Nested configuration values of this call.
        rows: Of the next batch, on whose gain the advice is.
        threshold: The least gain that is worth them.
        observe: Called with each event.
    """
    try:
        recipe, resolved = _configured(run, recipe, values)
        if resolved.config.loading.from_scratch:
            return None, "The model was trained from scratch: there is no checkpoint whose features a probe could read."
        observe(Stage("Reading the labelled rows of the run"))
        prepared = prepare(recipe, resolved, lambda _event: None, may_compare=True)
        _check_unchanged(run, prepared.config, prepared.splits)
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
    gain = fitted.gain(labelled, rows)
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
            for more in MORE
        ],
        "next": {"labels": rows, **asdict(gain)},
        "threshold": threshold,
        "advice": learning_curve.advice(gain, threshold),
    }
