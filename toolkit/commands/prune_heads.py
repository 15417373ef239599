"""Prune attention heads of a trained model, the least important first, and measure quality and cost."""

import copy
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

import toolkit
from toolkit import models, runs
from toolkit.attention import heads
from toolkit.commands.evaluate.document import ReportContext, evaluate_predictions, store
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.evaluate.run import baselines_of
from toolkit.commands.evaluate.stored_model import stored_card
from toolkit.commands.finetune.calibrate import calibrate
from toolkit.commands.finetune.training.validation import higher_is_better
from toolkit.data.batching.batch import Features, plan_evaluation
from toolkit.errors import ConfigError, ModelError, RunError
from toolkit.evaluation import prediction_store, scores, thresholds
from toolkit.evaluation.context import EvaluationContext, references
from toolkit.evaluation.predict_rows import identity, predict_rows
from toolkit.events import Counted, Note, Observe, Stage
from toolkit.inference import timing
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel, StoredModel
from toolkit.inference.predict_features import predict_features
from toolkit.report.pages.attention import pruning
from toolkit.report.plots import explanation_images
from toolkit.runs import checksums

BEFORE = "Before pruning"
STEPS = 10  # points of the curve besides the full model
_ROUNDS = 11  # of timing the whole model and the pruned one in turn
_TIMED = 16  # examples at most in a timed pass


@dataclass(frozen=True)
class Pruning:
    """How many heads to leave out.

    Attributes:
        rows: Validation rows at most on which importance is measured.
        tolerance: How much of the headline metric may be lost on validation rows.
        share: Share of all heads to leave out; what the tolerance allows when None.
        pictures: Whether to draw the curve as a PNG file too.
    """

    rows: int = 500
    tolerance: float = 0.01
    share: float | None = None
    pictures: bool = False


def prune_heads(
    subject: EvaluationInputs, wanted: Pruning, output: str | None, command: str, observe: Observe
) -> tuple[runs.Run, dict[str, Any]]:
    """Measure the importance of each head, prune step by step, and store the smallest model that is good enough.

    Importance and curve are taken on validation rows; the pruned model is evaluated on the held-out test rows.

    Args:
        subject: A run, from `prepare_evaluation`.
        wanted: How many heads to leave out.
        output: Run directory of the pruned model; under runs/ when None.
        command: The command line, for the reports.
        observe: Called with each event.

    Returns:
        A run of its own, and what pruning.json in it holds.

    Raises:
        ConfigError: The model is not a run, or matplotlib is not installed.
        ModelError: It does not learn classes, or its heads cannot be left out.
    """
    created = datetime.now(UTC)
    run = _run(subject)
    runs.check_place(output)
    if wanted.pictures:
        explanation_images.check()
    if not (run.path / "data" / "validation.parquet").is_file() and run.facts.get("few_labels"):
        raise RunError(
            f"{run.path} has no validation rows to prune by: all of its few labels were used for training.",
            "Train it again with `--set training.few_labels=off`, or with a validation part.",
            id="run.no-validation-rows",
        )
    whole = subject.stored(observe, slim=False)
    loaded = whole.loaded
    rows = checksums.read_rows(run.path / "data" / "validation.parquet")
    features = encode_rows(rows, loaded)
    batches = _batches(loaded, features, wanted.rows)
    layers = heads.find(loaded.model, batches[0])
    observe(Stage(f"Measuring the importance of {sum(layer.heads for layer in layers)} heads"))
    values = heads.importance(loaded.model, layers, batches)
    observe(Stage("Pruning heads, the least important first"))
    truth = references(subject.recipe, rows)
    curve = _curve(loaded, features, truth, values, batches[len(batches) // 2], observe)
    name = _headline(curve[0])
    upward = higher_is_better(subject.recipe, name)
    chosen = _choose(curve, name, wanted, upward=upward)
    pruned = heads.by_layer(heads.order(values)[: curve[chosen]["left_out"]])
    if not all(point["cut"] for point in curve):
        observe(Note("The heads of this model family can be masked but not removed, so the cost does not change."))
    made = _store(subject, run, whole, pruned, output, command, created, observe)
    result = {
        "command": command,
        "created": created.isoformat(timespec="seconds"),
        "version": toolkit.__version__,
        "model": subject.checkpoint.name,
        "metric": name,
        "higher_is_better": upward,
        "share": wanted.share,
        "tolerance": None if wanted.share is not None else wanted.tolerance,
        "validation_rows": rows.num_rows,
        "importance": [row.tolist() for row in values],
        "curve": curve,
        "chosen": chosen,
        "pruned_heads": {str(layer): listed for layer, listed in pruned.items()},
    }
    runs.write_json(made.path / "pruning.json", result)
    runs.write_text(made.path / "pruning.html", pruning.to_html(result))
    if wanted.pictures:
        explanation_images.draw_curve(result, made.path / "pruning.png")
    return made, result


def _run(subject: EvaluationInputs) -> runs.Run:
    if subject.run is None or not subject.own:
        raise ConfigError("Pruning needs the validation rows of a run.", "Give a run directory.", id="run.not-a-run")
    if subject.recipe.generate is not None:
        raise ModelError(
            "The model generates texts, but pruning is for models that choose classes.",
            "Give a run of a recipe such as `sentiment` or `image`.",
            id="model.not-a-classifier",
        )
    return subject.run


def _batches(loaded: LoadedModel, features: Features, most: int) -> list[dict[str, Any]]:
    """Return batches of some of the examples on the model's device, longest first."""
    rows = np.unique(np.linspace(0, len(features) - 1, min(len(features), most)).astype(np.int64))
    chosen = features.take(rows)
    collate = partial(loaded.recipe.collate, processor=loaded.processor)
    return [
        {name: tensor.to(loaded.model.device) for name, tensor in collate([chosen[int(row)] for row in plan]).items()}
        for plan in plan_evaluation(chosen.lengths, loaded.config.evaluation.batch_size)
    ]


def _curve(
    loaded: LoadedModel,
    features: Features,
    truth: Sequence[Any],
    values: Sequence[heads.Floats],
    batch: Mapping[str, Any],
    observe: Observe,
) -> list[dict[str, Any]]:
    """Evaluate the model on all examples with more and more heads pruned."""
    ranked = heads.order(values)
    total = sum(map(len, values))
    counts = {min(len(ranked), round(total * step / STEPS)) for step in range(STEPS)} | {len(ranked)}
    curve = []
    for number, count in enumerate(sorted(counts), 1):
        model = copy.deepcopy(loaded.model)
        pruned = heads.by_layer(ranked[:count])
        heads.zero(heads.find(model, batch), pruned)
        cut = heads.slimmed(model, batch, pruned)
        without_heads = LoadedModel(model, loaded.processor, loaded.recipe, loaded.labels, loaded.config)
        predictions = predict_features(without_heads, features)
        curve.append(
            {
                "left_out": count,
                "share": count / total,
                "cut": cut,
                "loss": predictions.loss,
                **scores.values(predictions.columns, truth, loaded.recipe.metrics, loaded.labels),
                "parameters": models.size(model)[0],
                "flops": _flops(model, batch),
                **_time(loaded.model, model, batch),
            }
        )
        observe(Counted(number, len(counts)))
    return curve


def _flops(model: Any, batch: Mapping[str, Any]) -> float:
    """Return the multiplications and additions of a forward pass, for each example of a batch."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(**batch)
    return float(counter.get_total_flops()) / len(batch["labels"])


def _time(whole: Any, pruned: Any, batch: Mapping[str, Any]) -> dict[str, float]:
    """Time a pruned model and the full one alternately, so that other work on the machine affects both equally.

    Returns:
        "seconds" of a forward pass of the pruned model for each example, the median; "time", the median of its share
        of the whole model's time in the same round, and "time_low" and "time_high", the quartiles.
    """
    some = {name: tensor[:_TIMED] for name, tensor in batch.items()}
    taken = timing.in_turn((whole, pruned), (some, some), _ROUNDS)
    low, middle, high = np.quantile(taken[:, 1] / taken[:, 0], (0.25, 0.5, 0.75)).tolist()
    return {"seconds": float(np.median(taken[:, 1])), "time": middle, "time_low": low, "time_high": high}


def _headline(point: Mapping[str, Any]) -> str:
    """Return the name of the first metric; the loss where there is none."""
    named = list(point)
    after = named[named.index("loss") + 1]
    return "loss" if after == "parameters" else after


def _choose(curve: Sequence[Mapping[str, Any]], name: str, wanted: Pruning, *, upward: bool) -> int:
    """Return the number of the point with the most heads left out that is good enough."""
    if wanted.share is not None:
        return max(number for number, point in enumerate(curve) if point["share"] <= wanted.share + 1e-9)
    sign = 1 if upward else -1
    least = sign * curve[0][name] - wanted.tolerance
    return max(number for number, point in enumerate(curve) if sign * point[name] >= least)


def _copy_facts(run: runs.Run, made: runs.Run, command: str, created: datetime) -> None:
    """Give a new run the facts, the configuration and the held-out rows of the one that it is pruned from."""
    keep = {key: value for key, value in run.facts.items() if key not in ("status", "command", "created", "finished")}
    if keep.get("training") is not None:  # of the full model, not of these weights
        keep["training"] = {**keep["training"], "best_step": None, "stopped_early": None}
    when = created.isoformat(timespec="seconds")
    made.record(**keep, status="running", command=command, created=when, pruned_from=run.path.name)
    shutil.copy(run.path / "config.yaml", made.path / "config.yaml")
    shutil.copytree(run.path / "data", made.path / "data")
    checksums.record(made.path, ["data/validation.parquet", "data/test.parquet"])


def _store(
    subject: EvaluationInputs,
    run: runs.Run,
    whole: StoredModel,
    pruned: heads.Pruned,
    output: str | None,
    command: str,
    created: datetime,
    observe: Observe,
) -> runs.Run:
    """Write the pruned model as a new run, evaluated on the held-out rows like the full one.

    `whole` is pruned in place.
    """
    made = runs.create(output, "pruned", subject.checkpoint.name, created)
    _copy_facts(run, made, command, created)
    # before any head is masked: the model is the same object
    before = prediction_store.find([run.path / prediction_store.FILE], identity(whole, subject.rows))
    if before is None:
        before = predict_rows(whole, subject.rows, subject.split, observe)
    loaded = whole.loaded
    heads.zero(heads.find(loaded.model, heads.inputs_for(loaded.model)), pruned)
    models.save(loaded.model, loaded.processor, made.model)
    facts = {key: value for key, value in stored_card(subject.checkpoint).items() if key != "calibration"}
    facts |= {"pruned_heads": {str(layer): listed for layer, listed in pruned.items()}}
    runs.write_json(made.model / runs.CARD, facts)
    origin = run.facts["model"]  # the report is of a model fine-tuned from it, as the whole one's is
    config = subject.config.model_copy(update={"model": origin})
    stored = StoredModel(made.model, subject.recipe, subject.labels, config)
    observe(Stage("Evaluating the pruned model on held-out data"))
    predictions = predict_rows(stored, subject.rows, subject.split, observe)
    calibration = calibrate(stored, runs.read_table(made.path / "data" / "validation.parquet"))
    runs.write_json(made.model / runs.CARD, {**facts, **({"calibration": calibration} if calibration else {})})
    predictions = predictions.beside(
        {BEFORE: list(before.predictions.columns["prediction"]), **baselines_of(run, subject.rows.num_rows, observe)}
    )
    report_context = ReportContext(
        command,
        created,
        subject.split,
        origin,
        subject.facts,
        made.facts.get("training"),
        shlex.join(["toolkit", "evaluate", str(made.path)]),
    )
    context = EvaluationContext(
        subject.rows,
        predictions.predictions,
        subject.recipe,
        subject.labels,
        config,
        temperature=calibration.get("temperature"),
        fit=calibration.get("fit"),
        thresholds=thresholds.Thresholds.of(calibration.get("screening")),
        stored=stored,
    )
    verdict = evaluate_predictions(context, predictions, report_context)
    store(verdict, made.path)
    checksums.record_weights(made)
    made.record(status="complete", environment=verdict.report["environment"])
    return made
