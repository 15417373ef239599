"""The rows of an evaluation, compared with the held-out rows of the run that the model belongs to."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.watch.reference import held_out, held_out_rows, sample, vectors
from toolkit.errors import SourceError
from toolkit.evaluation import prediction_store, scores
from toolkit.evaluation.context import EvaluationContext, clusters, references
from toolkit.evaluation.shift.find import LEAST_ROWS, Settings, Side, compare
from toolkit.evaluation.statistics.claims.non_inferiority import of_separate
from toolkit.evaluation.statistics.intervals import Interval
from toolkit.events import Note, Observe, Stage

ROWS = 1000  # on each side at most
_KINDS = 2  # of claims: on the rows, and on the metric


def is_compared(subject: EvaluationInputs) -> bool:
    """Whether the rows are compared: other ones than the run's own, enough of them, for a task with `takes_shift`."""
    if subject.run is None or subject.own or not subject.recipe.task.takes_shift:
        return False
    with suppress(SourceError):  # the held-out rows may have been removed
        return subject.rows.num_rows >= LEAST_ROWS and held_out_rows(subject.run) >= LEAST_ROWS
    return False


def section(subject: EvaluationInputs, context: EvaluationContext, observe: Observe) -> dict[str, Any]:
    """Return the report's section "shift"; empty where the rows are not compared.

    Args:
        subject: The model and the rows.
        context: The rows with predictions and truth, with `shifted`.
        observe: Called with each event.
    """
    if subject.run is None or context.stored is None or not context.shifted:
        return {}
    try:
        reference = held_out(subject.run, context.stored, ROWS, observe, keep=False)
    except SourceError as missing:
        observe(Note(f"The rows are not compared with the held-out rows of the run: {missing.problem}"))
        return {}
    numbers = sample(context.rows.num_rows, ROWS, context.seed)
    rows = context.rows.take(pa.array(numbers))
    columns = {name: [values[number] for number in numbers] for name, values in context.columns.items()}
    truth = [context.references[number] for number in numbers]
    new = Side(rows, columns, clusters(context.recipe.task, rows, context.group_column), truth)
    features = vectors(context.stored.loaded, reference.side.rows, rows, observe)
    observe(Stage("Comparing the rows with the held-out rows of the run"))
    error = (1 - context.claims["shift"]) / _KINDS
    evaluation = context.config.evaluation
    settings = Settings(error, 0.0, evaluation.confidence, evaluation.resamples, context.seed)
    found = compare(context.recipe.task, context.labels, reference.side, new, reference.validation, features, settings)
    return {"shift": {**found, "metric": _metric(subject, context, 1 - error)}}


def _metric(subject: EvaluationInputs, context: EvaluationContext, confidence: float) -> Mapping[str, Any]:
    """Return the first metric on these rows, on the run's test rows, and their difference; empty without the latter."""
    recipe, first = context.recipe, context.recipe.metrics[:1]
    settings = context.config.evaluation.model_copy(update={"confidence": confidence})
    with suppress(SourceError):
        stored = prediction_store.read(subject.run.path / prediction_store.FILE)  # type: ignore[union-attr]
        own_groups = (
            stored.table[prediction_store.GROUP].to_numpy()
            if prediction_store.GROUP in stored.table.column_names
            else None
        )
        sides = (
            (context.columns, context.references, context.clusters),
            (stored.predictions.columns, references(recipe, stored.table), own_groups),
        )
        found = [
            scores.score(columns, truth, first, context.labels, settings, context.seed, groups)
            for columns, truth, groups in sides
        ]
        if all(figures and figures[0]["low"] is not None for figures in found):
            new, own = (figures[0] for figures in found)
            difference = of_separate(*(Interval(side["value"], side["low"], side["high"]) for side in (new, own)))
            keys = ("value", "low", "high")
            return {
                **{key: new.get(key, "") for key in ("name", "title", "unit", "better")},
                "new": {key: new[key] for key in keys},
                "reference": {key: own[key] for key in keys},
                "difference": asdict(difference),
                "confidence": confidence,
                "claimed": difference.low > 0 or difference.high < 0,
            }
    return {}
