"""Probe the checkpoint before fine-tuning: a first metric, a baseline, and the initial head."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit import models
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.setup import TrainingSetup
from toolkit.commands.finetune.training.tokenize import encode_parts
from toolkit.config import RunConfig
from toolkit.data.batching.batch import Integers, Ragged, probe
from toolkit.distributed.process_group import Team
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict_features import predict_features
from toolkit.report.document.figures import shown
from toolkit.training.adaptation import feature_vectors, linear_probe, mean_pooling, number_head, probe_kinds
from toolkit.training.adaptation.feature_vectors import Vectors
from toolkit.training.adaptation.linear_probe import Probe
from toolkit.training.loss import attention_loss, class_balance
from toolkit.training.loss.objective import RATIONALE


@dataclass(frozen=True)
class Start:
    """The initial weights of the output layer.

    Attributes:
        probe: Its weights; None where it keeps random ones.
        pooling_layer: Whether a layer that averages the tokens was added to the model.
        adjustment: Strength of the logit adjustment in training.
    """

    probe: Probe | None
    pooling_layer: bool
    adjustment: float


@dataclass(frozen=True)
class Begun:
    """The result of the linear probe.

    Attributes:
        facts: For the report: {"figure", "unit", "pooling", "accuracy", "loss", "installed", "pooling_layer",
            "logit_adjustment"}; None where nothing was probed.
        predictions: Of the best probe for each test row; None where no baseline is wanted.
        title: Of these predictions as a baseline.
    """

    facts: Mapping[str, Any] | None = None
    predictions: Sequence[Any] | None = None
    title: str = probe_kinds.ONE_CLASS.baseline

    @property
    def installed(self) -> bool:
        """Whether the model's last layer holds the probe's weights now."""
        return bool(self.facts and self.facts["installed"])


def begin(
    setup: TrainingSetup,
    prepared: Prepared,
    accelerator: Any,
    observe: Observe,
    team: Team,
    most_rows: int | None = None,
    *,
    on_test: bool = True,
    recorded: Mapping[str, Any] | None = None,
) -> Begun:
    """Fit a linear probe, set the model's last layer to it, and predict the test rows with it.

    Where a probe of the mean of all tokens is better than one of what the last layer reads, and there are few rows to
    change that by fine-tuning, a layer that pools by the mean is added to the model.

    Args:
        setup: The model, with what moves in it, and its inputs.
        prepared: The run.
        accelerator: Computes in the run's precision.
        observe: Called with each event.
        team: The processes that share the work; all start from the main one's probe.
        most_rows: Training rows that it learns from at most; by the number of classes when None.
        on_test: Whether there is time to predict the test rows.
        recorded: The facts of the run that is resumed, which decide instead of this probe.
    """
    config, recipe = prepared.config, prepared.recipe
    wanted = config.training.linear_probe and not config.loading.from_scratch
    if not wanted or not recipe.task.takes_linear_probe:
        return Begun()
    observe(Stage("Fitting a linear probe on the frozen features"))
    train, validation = (features.without(RATIONALE) for features in setup.features)
    model = setup.model.to(accelerator.device)
    batch = probe(train, setup.collate)
    layer = feature_vectors.output_layer(model, batch)
    reading = {
        "collate": setup.collate,
        "batch_size": config.evaluation.batch_size,
        "autocast": accelerator.autocast,
    }
    classes = len(prepared.splits.labels)
    most = most_rows or linear_probe.rows_for(classes)
    kind = recipe.target.probe or probe_kinds.ONE_CLASS
    by_word = isinstance(train.columns["labels"], Ragged)

    def fitted() -> list[Probe]:
        rows = np.random.default_rng([config.training.seed, 2]).permutation(len(train))
        some = train.take(np.sort(rows[:most]))
        learned, held_out = (feature_vectors.collected(model, layer, rows, **reading) for rows in (some, validation))
        balance = _may_balance(config) and not by_word and recipe.target.objective is None
        return linear_probe.fit(learned, held_out, classes, config.training.seed, balance=balance, kind=kind)

    probes = team.from_main(fitted)
    if not probes:
        return Begun()
    best = probes[0]
    trainable = layer is not None and layer.weight.requires_grad
    few = len(train) <= linear_probe.rows_for(classes)
    pools = few and _may_pool(config) and setup.adapted is None and trainable
    start = _start(model, layer, batch, probes, recorded, pools=pools)
    if config.loss.logit_adjustment is not None:
        start = replace(start, adjustment=config.loss.logit_adjustment)
    installed = trainable and start.probe is not None
    initial = start.probe
    if installed and initial is not None:
        if start.adjustment and not by_word:
            shift = start.adjustment * class_balance.log_shares(np.asarray(train.columns["labels"], np.int64), classes)
            initial = linear_probe.balanced(initial, shift)
        if recipe.target.standardized:
            scale = number_head.Scale.of(train.columns["labels"])
            initial = linear_probe.standardized(initial, scale.mean, scale.deviation)
        linear_probe.install(layer, initial)
    predictions = None
    if team.is_main and on_test and config.evaluation.baselines and (installed or not by_word):
        splits, quiet = prepared.splits, lambda _event: None
        (test,) = encode_parts((splits.test,), recipe, splits.labels, setup.processor, config, quiet)
        if by_word:  # which word is which, the recipe knows
            subject = LoadedModel(model, setup.processor, recipe, prepared.splits.labels, config)
            with models.plainly(model):
                predictions = predict_features(subject, test).columns["prediction"]
        else:
            predictions = _predictions(best, feature_vectors.vectors(model, layer, test, **reading), len(test))
            if recipe.target.probe is None:
                predictions = [recipe.target.of_class(number, splits.labels) for number in predictions]
    observe(Note(_sentences(best, start, installed=installed, by_word=by_word)))
    facts = {
        "figure": kind.figure,
        "unit": kind.unit,
        "pooling": best.pooling,
        "accuracy": best.accuracy,
        "loss": best.loss,
        "installed": installed,
        "pooling_layer": start.pooling_layer,
        "logit_adjustment": start.adjustment,
    }
    return Begun(facts, predictions, kind.baseline)


def _start(
    model: Any,
    layer: Any,
    batch: Mapping[str, Any],
    probes: Sequence[Probe],
    recorded: Mapping[str, Any] | None,
    *,
    pools: bool,
) -> Start:
    """Choose the initial output layer, and add mean pooling where it reads the mean."""
    best = probes[0]
    by_pooling = {probe.pooling: probe for probe in probes}
    mean, head = by_pooling.get(feature_vectors.MEAN), by_pooling.get(feature_vectors.HEAD)
    decided = recorded or {"pooling_layer": pools and best is mean, "logit_adjustment": best.adjustment}
    pooled = mean_pooling.add(model, layer, batch) if decided["pooling_layer"] and mean is not None else None
    start = linear_probe.scaled(mean, pooled) if mean is not None and pooled is not None else head
    return Start(start, pooled is not None, float(decided["logit_adjustment"]))


def _sentences(best: Probe, start: Start, *, installed: bool, by_word: bool) -> str:
    """Describe the probe's accuracy and the start of fine-tuning."""
    read = linear_probe.in_words(best.pooling)
    figure = best.kind.figure
    parts = [
        f"{figure[0].upper()}{figure[1:]} of the linear probe: {shown(best.accuracy, best.kind.unit)} on validation "
        f"{'words' if by_word else 'examples'}; features: {read}."
    ]
    if start.pooling_layer:
        parts.append("Mean pooling was added to the model.")
    elif installed and start.probe is not None and start.probe is not best:
        parts.append(f"Fine-tuning starts from the probe on the {start.probe.pooling}: {start.probe.accuracy:.1%}.")
    if start.adjustment:
        parts.append(f"Training adjusts the logits for class frequencies (loss.logit_adjustment {start.adjustment:g}).")
    return " ".join(parts)


def _may_balance(config: RunConfig) -> bool:
    """Whether no class weighting of the loss is configured."""
    loss = config.loss
    return loss.logit_adjustment is None and loss.class_weights is None and not loss.focal_gamma


def _may_pool(config: RunConfig) -> bool:
    """Whether the configuration leaves attention alone, which the added layer sets to be uniform."""
    return config.training.mean_pooling and config.attention == "dense" and not attention_loss.wanted(config.loss)


def _predictions(best: Probe, batches: Iterable[tuple[Integers, Vectors]], rows: int) -> list[Any]:
    """Return the prediction for each row, in their order."""
    predictions: list[Any] = [None] * rows
    for numbers, vectors in batches:
        for number, predicted in zip(numbers, best.predictions(vectors.by_pooling[best.pooling]), strict=True):
            predictions[int(number)] = predicted
    return predictions
