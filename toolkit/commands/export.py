"""Export a model to a format that other programs run, and verify its predictions on held-out rows."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import toolkit
from toolkit import models, runs
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.commands.evaluate.stored_model import shown
from toolkit.commands.finetune.run import write_card
from toolkit.config import merge
from toolkit.data.batching.batch import Features, Ragged, probe
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation import scores
from toolkit.evaluation.context import clusters, references
from toolkit.events import Note, Observe, Stage
from toolkit.exporting import graph, measures, parity, schema, stored_exports
from toolkit.exporting.runtime import FILES, Graph, has_fast_bf16
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel, StoredModel
from toolkit.inference.predict import Predictions
from toolkit.inference.predict_features import predict_features
from toolkit.runs import checksums
from toolkit.runs.lock import sole_writer

EIGHT_BITS = "onnx-int8"
STANDALONE = "run.py"  # predicts with an export that classifies texts, without the toolkit
CALIBRATION = 128  # rows that set the ranges of activations
CHOICE = 256  # further rows, on which the quantization methods are compared
# predictions are compared on one device, in one precision
_CIRCUMSTANCES = {"training": {"device": "cpu"}, "evaluation": {"precision": "fp32"}}


@dataclass(frozen=True)
class _HeldBack:
    """Rows that 8 bits are chosen on, and where they are from."""

    rows: pa.Table
    source: str


@dataclass(frozen=True)
class Exported:
    """The outcome.

    Attributes:
        folder: The exported model.
        report: As `export.json` holds it.
    """

    folder: Path
    report: schema.Export


def export(
    target: str,
    form: str,
    output: str | None,
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    *,
    rows: int = 1000,
    tolerance: float | None = None,
) -> Exported:
    """Export a model, predict held-out rows with the export, and write how far the predictions agree.

    Args:
        target: Run directory, alias, folder or Hub id.
        form: One of `graph.FORMS`.
        output: Folder to write; exports/FORM in the run, or under runs/, when None.
        values: Nested configuration values laid over the stored ones; `data.source` gives other rows to predict.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        rows: Maximum number of held-out rows to predict.
        tolerance: Share of them that may get another prediction; the form's default when None.

    Raises:
        ConfigError: The form does not exist, or does not suit the task.
        RunError: The export disagrees by more than is allowed; nothing was written then.
    """
    if form not in graph.FORMS:
        raise ConfigError(
            f"There is no export form `{form}`.", f"Forms: {', '.join(graph.FORMS)}.", id="config.unknown-choice"
        )
    graph.check_installed(form)
    subject = prepare_evaluation(target, merge(dict(values), _CIRCUMSTANCES), recipe_name, observe)
    _check_suits(subject, form)
    folder = _place(subject, form, output)
    measured, held_back = _parted(subject, form, rows)
    stored = subject.stored(observe)
    observe(Stage(f"Predicting {measured.num_rows:,} rows with the model"))
    features = _encoded(stored.loaded, measured)
    original = predict_features(stored.loaded, features, observe)
    observe(Stage(f"Exporting to {form}"))
    with sole_writer(folder), runs.aside(folder) as draft:
        compare = parity.comparison(subject.recipe.target, references(subject.recipe, measured), form, subject.config)
        chosen = _write(stored, form, features, held_back, compare, draft, observe)
        observe(Stage("Predicting the same rows with the export"))
        loaded = _loaded(stored, form, draft)
        exported = predict_features(loaded, features, observe)
        allowed = parity.limits(form, tolerance)
        together = clusters(subject.recipe.task, measured, subject.config.data.group_column)
        agreement, moved = compare(original.columns, exported.columns, together)
        parity.check(agreement, moved, allowed, form)
        observe(Stage("Timing both"))
        texts = subject.recipe.task.texts_in(measured)
        report = schema.Export(
            version=toolkit.__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            form=form,
            model=shown(target),
            recipe=subject.config.recipe,
            labels=list(subject.labels),
            decision=subject.recipe.task.decision,
            calibration=dict(stored.calibration),
            pairs=len(texts) > 1,
            inputs=list(measures.inputs(stored.loaded, features).columns),
            max_length=subject.config.data.max_length if texts else None,
            rows=measured.num_rows,
            split=subject.split,
            confidence=subject.config.evaluation.confidence,
            tolerance=allowed.share,
            drift_tolerance=allowed.drift,
            agreement=agreement,
            drift=moved,
            difference=_difference(subject, measured, original, exported),
            weights=stored_exports.digests(subject.checkpoint.path),
            original_bytes=measures.size_on_disk(subject.checkpoint.path),
            exported_bytes=measures.size_on_disk((draft / FILES.get(form, graph.MANIFEST)).parent),
            threads=measures.threads(),
            original_speed=measures.speed(stored.loaded, features),
            exported_speed=measures.speed(loaded, features),
            bf16=_in_bf16(stored.loaded, form, draft, features, original, partial(compare, clusters=together)),
            quantization=chosen,
        )
        manifest = runs.read_object(draft / graph.MANIFEST) if (draft / graph.MANIFEST).is_file() else {}
        runs.write_json(draft / graph.MANIFEST, {**manifest, **report.model_dump()})
    return Exported(folder, report)


def _check_suits(subject: EvaluationInputs, form: str) -> None:
    """Refuse a form that cannot represent the task.

    Raises:
        ConfigError: The task generates text, and the form is one graph.
    """
    if subject.recipe.generate is not None and form != "safetensors":
        raise ConfigError(
            f"{subject.config.recipe} generates text token by token, which one graph cannot represent: --to {form} is "
            "for tasks whose predictions need one forward pass.",
            "Use --to safetensors; `toolkit predict` and `toolkit serve` generate text.",
            id="export.text-generation",
        )


def _place(subject: EvaluationInputs, form: str, output: str | None) -> Path:
    """Return where to write: a new folder, or one that holds an earlier export, which is replaced whole."""
    inside = subject.run.path / "exports" / form if subject.run is not None else None
    folder = Path(output) if output else inside or runs.HOME / f"export-{runs.slug(subject.checkpoint.name)}-{form}"
    if (
        folder.exists()
        and not (folder / graph.MANIFEST).is_file()
        and not (folder.is_dir() and not any(folder.iterdir()))
    ):
        raise ConfigError(
            f"{folder} already exists and is not an earlier export.",
            "Give another --output, or remove it first.",
            id="output.exists",
        )
    return folder


def _parted(subject: EvaluationInputs, form: str, most: int) -> tuple[pa.Table, _HeldBack | None]:
    """Return the rows to predict, drawn by the run's seed, and for 8 bits other rows to choose the quantization on.

    Raises:
        DataError: There are not enough rows for both.
    """
    order = np.random.default_rng(subject.config.training.seed).permutation(subject.rows.num_rows)
    validation = subject.run.path / "data" / "validation.parquet" if subject.run is not None and subject.own else None
    if form != EIGHT_BITS or (validation is not None and validation.is_file()):
        measured, others = order[:most], None
    else:
        measured, others = np.array_split(order, [min(most, len(order) // 2)])
    if not len(measured):
        raise DataError("There are no rows to predict.", "Give a table with rows with --data.", id="data.no-rows")
    taken = subject.rows.take(pa.array(np.sort(measured)))
    if form != EIGHT_BITS:
        return taken, None
    if others is None and validation is not None:
        held_back = _HeldBack(checksums.read_rows(validation), "validation")
    else:
        held_back = _HeldBack(subject.rows.take(others), subject.split)
    left = held_back.rows.num_rows
    if left < 4:
        raise DataError(
            f"Only {left} rows are left to calibrate 8-bit quantization on.",
            "Give a larger table with --data.",
            id="data.too-few-rows",
        )
    return taken, held_back


def _encoded(subject: LoadedModel, rows: pa.Table) -> Features:
    features = encode_rows(rows, subject)
    return (
        features if subject.recipe.generate is not None else features.without("labels")
    )  # the loss is not a prediction


def _write(
    stored: StoredModel,
    form: str,
    features: Features,
    others: _HeldBack | None,
    compare: parity.Compare,
    draft: Path,
    observe: Observe,
) -> schema.Quantization | None:
    """Write the exported model and all files that it needs."""
    model, processor, recipe = stored.loaded.model, stored.loaded.processor, stored.recipe
    card = stored.folder / runs.CARD
    if form == "safetensors":
        models.save(model, processor, draft)
        if card.is_file():
            shutil.copy(card, draft / runs.CARD)
        else:
            write_card(draft, stored.config, stored.labels, stored.config.data.label_map, {})
        return None
    collate = partial(recipe.collate, processor=processor)
    inputs = measures.inputs(stored.loaded, features)
    ragged = [name for name, column in inputs.columns.items() if isinstance(column, Ragged)]
    sample = _as_floats(_two_or_more(inputs, collate), processor)
    exported = graph.trace(model, sample, "torch-export" if form == "torch-export" else "onnx", ragged)
    chosen = None
    if others is not None:
        exported, chosen = _in_eight_bits(stored, exported, others, compare, draft, observe)
    graph.save(exported, draft, form)
    models.save_processor(processor, model, draft)
    if form.startswith("onnx") and recipe.task.decision is not None:
        shutil.copy(Path(graph.__file__).with_name(STANDALONE), draft / STANDALONE)
    return chosen


def _two_or_more(features: Features, collate: Any) -> dict[str, Any]:
    """Return a batch to trace with: the size of a single example would be traced as constant."""
    return probe(features.take(np.arange(len(features)).repeat(2)) if len(features) < 4 else features, collate)


def _as_floats(batch: Mapping[str, Any], processor: Any) -> dict[str, Any]:
    """Normalise pictures as the image processor does, whose output the graph is to take."""
    import torch

    from toolkit.data.images.pixels import normalised

    bytes_ = {name for name, values in batch.items() if values.dtype == torch.uint8}
    return {name: normalised(values, processor) if name in bytes_ else values for name, values in batch.items()}


def _in_eight_bits(
    stored: StoredModel, exported: Any, held_back: _HeldBack, compare: parity.Compare, draft: Path, observe: Observe
) -> tuple[Any, schema.Quantization]:
    """Quantize by both methods, and keep the one that agrees better on rows that it was not calibrated on."""
    random, rows = np.random.default_rng(stored.config.training.seed), held_back.rows
    drawn = random.permutation(rows.num_rows)
    calibrating, comparing = np.array_split(drawn[: CALIBRATION + CHOICE], [min(CALIBRATION, rows.num_rows // 2)])
    subject = stored.loaded
    parts = [rows.take(pa.array(np.sort(part))) for part in (calibrating, comparing)]
    known, new = (_encoded(subject, part) for part in parts)
    compare = partial(compare, clusters=clusters(stored.recipe.task, parts[1], stored.config.data.group_column))
    known = measures.inputs(subject, known)
    collate = partial(stored.recipe.collate, processor=subject.processor)
    batches = [
        _as_floats(collate([known[int(row)] for row in part]), subject.processor)
        for part in np.array_split(np.argsort(known.lengths, kind="stable"), range(16, len(known), 16))
    ]
    before = predict_features(subject, new).columns
    program = exported.program
    programs, candidates = {}, []
    for method in graph.QUANTIZATION_METHODS:
        observe(Stage(f"Quantizing to 8 bits, {method}"))
        programs[method] = graph.quantized(program, method, batches)
        trial = draft.with_name(f"{method}")
        graph.save(graph.replaced(exported, programs[method]), trial, EIGHT_BITS)
        quantized = replace(subject, model=Graph(trial, EIGHT_BITS, subject.processor))
        after = predict_features(quantized, new).columns
        batching = _batching(quantized, new, after, compare)
        shutil.rmtree(trial)
        agreement, moved = compare(before, after)
        candidates.append(schema.Candidate(way=method, agreement=agreement, drift=moved, batching=batching))
    # of equals the first, which depends on no batch
    best = max(candidates, key=lambda candidate: candidate.agreement.same)
    agreements = ", ".join(f"{candidate.way} {candidate.agreement.value:.1%}" for candidate in candidates)
    observe(Note(f"8 bits agree on {agreements} of {len(new):,} {held_back.source} rows: {best.way} is used."))
    alone = best.batching.agreement
    if alone.same < alone.rows:
        observe(
            Note(
                f"{alone.rows - alone.same:,} of {alone.rows:,} rows get a different prediction in a batch than alone: "
                "dynamic ranges are those of a whole batch. Predict one row at a time where that matters."
            )
        )
    chosen = schema.Quantization(
        chosen=best.way, calibrated_on=held_back.source, calibration_rows=len(known), candidates=candidates
    )
    return graph.replaced(exported, programs[best.way]), chosen


def _batching(
    subject: LoadedModel, rows: Features, together: parity.Columns, compare: parity.Compare
) -> schema.Batching:
    """Measure whether predictions depend on the other rows of a batch: predict again, one row at a time."""
    settings = subject.config.evaluation
    single = subject.config.model_copy(update={"evaluation": settings.model_copy(update={"batch_size": 1})})
    alone = predict_features(replace(subject, config=single), rows).columns
    agreement, moved = compare(alone, together)
    return schema.Batching(batch_size=settings.batch_size, agreement=agreement, drift=moved)


def _loaded(stored: StoredModel, form: str, draft: Path) -> LoadedModel:
    """Load the export as a predictor like the model's."""
    if form == "safetensors":
        return StoredModel(draft, stored.recipe, stored.labels, stored.config).loaded
    return replace(stored.loaded, model=Graph(draft, form, stored.loaded.processor))


def _in_bf16(
    subject: LoadedModel,
    form: str,
    draft: Path,
    features: Features,
    original: Predictions,
    compare: parity.Compare,
) -> schema.Reduced | None:
    """Compare a graph that the runtime computes in bf16; None where it does not."""
    if form != "openvino" or not has_fast_bf16():
        return None
    loaded = replace(subject, model=Graph(draft, form, subject.processor, INFERENCE_PRECISION_HINT="bf16"))
    agreement, moved = compare(original.columns, predict_features(loaded, features).columns)
    return schema.Reduced(agreement=agreement, drift=moved, speed=measures.speed(loaded, features))


def _difference(
    subject: EvaluationInputs, rows: pa.Table, before: Predictions, after: Predictions
) -> schema.Difference | None:
    """Compare the recipe's first metric of both; None where it has no interval of its own."""
    truth, config = references(subject.recipe, rows), subject.config
    seed, depending = config.training.seed, clusters(subject.recipe.task, rows, config.data.group_column)
    for _, metric in scores.computable(after.columns, subject.recipe.metrics, subject.labels):
        if metric is None:
            continue
        difference = scores.difference(
            metric, after.columns, before.columns, truth, subject.labels, config.evaluation, seed, depending
        )
        each = [
            scores.values(predictions.columns, truth, [metric], subject.labels)[metric.name]
            for predictions in (before, after)
        ]
        return schema.Difference(
            metric=metric.name,
            title=metric.title,
            original=each[0],
            exported=each[1],
            value=difference["value"],
            low=difference["low"],
            high=difference["high"],
        )
    return None
