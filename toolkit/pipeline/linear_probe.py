"""Probe the checkpoint before fine-tuning: the first figure, a baseline, and where the head begins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from toolkit import models, recipes
from toolkit.config import RunConfig
from toolkit.data.batch import Integers, Ragged, probe
from toolkit.pipeline import judge
from toolkit.pipeline.events import Note, Observe, Stage
from toolkit.pipeline.inputs import encode_parts
from toolkit.pipeline.material import Material
from toolkit.pipeline.prepare import Prepared
from toolkit.team import Team
from toolkit.training import class_balance, linear_probe, mean_pooling, regularise
from toolkit.training.linear_probe import Probe, Vectors
from toolkit.training.objective import RATIONALE

BASELINE = "Frozen features + logistic regression"


@dataclass(frozen=True)
class Begun:
    """What probing the checkpoint gave.

    Attributes:
        installed: Whether the model's last layer holds the probe's weights now.
        facts: For the report: {"pooling", "accuracy", "loss", "installed", "pooling_layer",
            "logit_adjustment"}; None where nothing was probed.
        predictions: Of the best probe for each test row; None where no baseline is wanted.
    """

    installed: bool = False
    facts: Mapping[str, Any] | None = None
    predictions: Sequence[Any] | None = None


def begin(
    material: Material,
    prepared: Prepared,
    accelerator: Any,
    observe: Observe,
    team: Team,
    most_rows: int | None = None,
    *,
    on_test: bool = True,
    recorded: bool | None = None,
) -> Begun:
    """Fit a linear probe, set the model's last layer to it, and predict the test rows with it.

    Where a probe of the mean of all tokens is better than one of what the last layer reads, and there are few rows to
    change that by fine-tuning, a layer that pools by the mean is added to the model.

    Args:
        material: The model, with what moves in it, and its inputs.
        prepared: The run.
        accelerator: Computes in the run's precision.
        observe: Told what happens.
        team: The processes that share the work; all begin with the main one's probe.
        most_rows: Training rows that it learns from at most; by the number of classes when None.
        on_test: Whether there is time to predict the test rows.
        recorded: Whether that layer was added in the run that is resumed; None decides anew.
    """
    config, recipe = prepared.config, prepared.recipe
    wanted = config.training.linear_probe and not config.loading.from_scratch
    if not wanted or not recipes.has_classes(recipe) or recipes.generates(recipe):
        return Begun()
    observe(Stage("Fitting a logistic regression on the frozen features"))
    train, validation = (features.without(RATIONALE) for features in material.features)
    model = material.model.to(accelerator.device)
    batch = probe(train, material.collate)
    layer = linear_probe.output_layer(model, batch)
    take = partial(
        linear_probe.vectors,
        model,
        layer,
        collate=material.collate,
        batch_size=config.evaluation.batch_size,
        autocast=accelerator.autocast,
    )
    classes = len(prepared.splits.labels)
    most = most_rows or linear_probe.rows_for(classes)

    def fitted() -> list[Probe]:
        rows = np.random.default_rng([config.training.seed, 2]).permutation(len(train))
        some = train.take(np.sort(rows[:most]))
        learned, held_out = (linear_probe.joined([part for _, part in take(features=f)]) for f in (some, validation))
        return linear_probe.fit(learned, held_out, classes, config.training.seed, balance=_may_balance(config))

    probes = team.from_main(fitted)
    if not probes:
        return Begun()
    best = probes[0]
    by_word = isinstance(train.columns["labels"], Ragged)
    of_layer = layer is not None and layer.weight.requires_grad
    mean = next((one for one in probes if one.pooling == linear_probe.MEAN), None)
    better = mean is best and len(train) <= most and _may_pool(config) and material.adapted is None
    pools = better if recorded is None else recorded
    pooled = mean_pooling.add(model, layer, batch) if pools and of_layer and mean is not None else None
    head = next((one for one in probes if one.pooling == linear_probe.HEAD), None)
    start = linear_probe.scaled(mean, pooled) if pooled is not None and mean is not None else head
    installed = of_layer and start is not None
    adjustment = 0.0 if by_word else best.adjustment
    if adjustment and start is not None:
        shares = class_balance.log_shares(np.asarray(train.columns["labels"], np.int64), classes)
        start = linear_probe.balanced(start, adjustment * shares)
    if installed and start is not None:
        linear_probe.install(layer, start)
    predictions = None
    if team.is_main and on_test and config.evaluation.baselines and (installed or not by_word):
        (test,) = encode_parts((prepared.splits.test,), recipe, material.processor, config, lambda _event: None)
        if by_word:  # which word is which, the recipe knows
            subject = judge.Subject(model, material.processor, recipe, prepared.splits.labels, config)
            with models.plainly(model):
                predictions = judge.predict_features(subject, test).columns["prediction"]
        else:
            predictions = _predictions(best, take(features=test), len(test))
    unit = "words" if by_word else "examples"
    read = {"mean": "the mean of all tokens"}.get(best.pooling, f"the {best.pooling}")
    begun = ""
    if pooled is not None:
        begun = " A layer that averages the tokens was added to the model."
    elif installed and head is not None and head is not best:
        begun = f" Fine-tuning begins from that on the {head.pooling}: {head.accuracy:.1%}."
    if adjustment:
        begun += f" Frequent classes are held back in training (loss.logit_adjustment {adjustment:g})."
    observe(Note(f"It is right on {best.accuracy:.1%} of the validation {unit}; it reads {read}.{begun}"))
    facts = {
        "pooling": best.pooling,
        "accuracy": best.accuracy,
        "loss": best.loss,
        "installed": installed,
        "pooling_layer": pooled is not None,
        "logit_adjustment": adjustment,
    }
    return Begun(installed, facts, predictions)


def _may_balance(config: RunConfig) -> bool:
    """Whether nothing was said about the weight of classes in the loss."""
    loss = config.loss
    return loss.logit_adjustment is None and loss.class_weights is None and not loss.focal_gamma


def _may_pool(config: RunConfig) -> bool:
    """Whether the configuration leaves attention alone, which the added layer sets to be uniform."""
    return config.training.mean_pooling and config.attention == "dense" and not regularise.wanted(config.loss)


def _predictions(best: Probe, batches: Iterable[tuple[Integers, Vectors]], rows: int) -> list[int]:
    """Return the class of each row, in their order."""
    found = [0] * rows
    for numbers, vectors in batches:
        for number, predicted in zip(numbers, best.predictions(vectors.by_pooling[best.pooling]), strict=True):
            found[int(number)] = predicted
    return found
