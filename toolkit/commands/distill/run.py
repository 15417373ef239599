"""Distil the model of a run into a smaller one, which is a run of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.commands.distill import rows, student
from toolkit.commands.evaluate.stored_model import find_stored
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.run import finetune
from toolkit.commands.finetune.teacher import Teacher
from toolkit.commands.finetune.trained_run import TrainedRun
from toolkit.config import merge
from toolkit.errors import ModelError
from toolkit.evaluation import prediction_store
from toolkit.evaluation.predict_rows import identity, predict_rows
from toolkit.events import Note, Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.inference.predict_features import predict_features

_LEAST = 1e-12  # probability whose logarithm is kept


def distill(
    source: TrainedRun,
    wanted: str,
    unlabelled: str | None,
    given: Mapping[str, Any],
    command: str,
    observe: Observe,
    *,
    resume: bool = False,
) -> runs.Run:
    """Train a student on the training rows of a run and on what the run's model says of them.

    Args:
        source: The run.
        wanted: LAYERS=N, or the name of a model.
        unlabelled: File or folder of further rows, which the teacher labels; None without any.
        given: Nested values of the configuration that the user gave now.
        command: The command line, for the report.
        observe: Called with each event.
        resume: Resume the student of the same values that did not finish.

    Raises:
        ToolkitError: As of `finetune`; or the student does not fit the run.
    """
    prepared = source.with_values(merge(student.configured(source, wanted, unlabelled), given), observe, resume=resume)
    source.check_unchanged(prepared.config, prepared.splits)
    student.check(prepared)
    for text in prepared.notes:
        observe(Note(text))
    prepared = taught(source, prepared, observe)
    run = finetune(prepared, command, observe, resume=resume)
    run.record(distilled_from=source.run.path.name)
    return run


def taught(source: TrainedRun, prepared: Prepared, observe: Observe) -> Prepared:
    """Return the training of a student with its teacher: the answers of the run's model to its rows.

    Raises:
        ModelError: The classes of the run's model are not those of the rows.
        ConfigError: As of `student.check_inputs`.
    """
    loading = {key: getattr(prepared.config.loading, key) for key in ("trust_remote_code", "allow_pickle")}
    device = {"device": prepared.config.training.device}
    checkpoint, recipe, config, labels = find_stored(
        str(source.run.path), {"loading": loading, "training": device}, source.recipe_name
    )
    if list(labels) != list(prepared.splits.labels):
        raise ModelError(
            f"The classes of the teacher, {', '.join(labels)}, are not those of the rows, "
            f"{', '.join(prepared.splits.labels)}.",
            "Train the run again on these rows.",
            id="model.classes-mismatch",
        )
    stored = StoredModel(checkpoint.path, recipe, labels, config)
    student.check_inputs(prepared, stored, checkpoint)
    splits, more = prepared.splits, 0
    observe(Stage("The teacher answers the training rows"))
    targets = _logarithms(stored, splits.train, observe)
    if prepared.config.distillation.unlabelled is not None:
        observe(Stage("The teacher labels the rows without labels"))
        further, left_out = rows.unlabelled(prepared)
        more = further.num_rows
        if more:
            answers = _logarithms(stored, further, observe)
            role = prepared.recipe.task.target.role
            splits = rows.with_rows(splits, role, further, answers.argmax(axis=1).tolist(), left_out)
            targets = np.concatenate([targets, answers])
            observe(Note(splits.facts["notes"][-1]))
    kept = prediction_store.find([source.run.path / prediction_store.FILE], identity(stored, splits.test))
    known = kept or predict_rows(stored, splits.test, "held-out test", observe)
    settings = prepared.config.distillation
    facts = {
        "teacher": source.run.path.name,
        "layers_kept": settings.layers,
        **{key: getattr(settings, key) for key in ("temperature", "soft", "hard", "relations")},
        "hidden": settings.hidden_weight,
        "unlabelled_rows": more,
    }
    answers_of_test = list(known.predictions.columns["prediction"])
    return replace(prepared, splits=splits, teacher=Teacher(stored, targets, answers_of_test, facts))


def _logarithms(stored: StoredModel, table: pa.Table, observe: Observe) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the logarithms of the model's probabilities for each row. Shape (N, C)."""
    loaded = stored.loaded
    answers = predict_features(loaded, encode_rows(table, loaded), observe)
    found = np.asarray(answers.columns["probabilities"], np.float64)
    return np.log(np.maximum(found, _LEAST)).astype(np.float32)
