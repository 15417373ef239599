"""Probe the checkpoint before fine-tuning: the first figure, a baseline, and where the head begins."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from toolkit import models, recipes
from toolkit.data.batch import Integers, Ragged, probe
from toolkit.pipeline import judge
from toolkit.pipeline.events import Note, Observe, Stage
from toolkit.pipeline.inputs import encode_parts
from toolkit.pipeline.material import Material
from toolkit.pipeline.prepare import Prepared
from toolkit.team import Team
from toolkit.training import linear_probe
from toolkit.training.linear_probe import Probe, Vectors
from toolkit.training.objective import RATIONALE

BASELINE = "Frozen features + logistic regression"


@dataclass(frozen=True)
class Begun:
    """What probing the checkpoint gave.

    Attributes:
        installed: Whether the model's last layer holds the probe's weights now.
        facts: For the report: {"pooling", "accuracy", "loss", "installed"}; None where nothing was probed.
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
) -> Begun:
    """Fit a linear probe, set the model's last layer to it, and predict the test rows with it.

    Args:
        material: The model, with what moves in it, and its inputs.
        prepared: The run.
        accelerator: Computes in the run's precision.
        observe: Told what happens.
        team: The processes that share the work; all begin with the main one's probe.
        most_rows: Training rows that it learns from at most; by the number of classes when None.
        on_test: Whether there is time to predict the test rows.
    """
    config, recipe = prepared.config, prepared.recipe
    wanted = config.training.linear_probe and not config.loading.from_scratch
    if not wanted or not recipes.has_classes(recipe) or recipes.generates(recipe):
        return Begun()
    observe(Stage("Fitting a logistic regression on the frozen features"))
    train, validation = (features.without(RATIONALE) for features in material.features)
    model = material.model.to(accelerator.device)
    layer = linear_probe.output_layer(model, probe(train, material.collate))
    take = partial(
        linear_probe.vectors,
        model,
        layer,
        collate=material.collate,
        batch_size=config.evaluation.batch_size,
        autocast=accelerator.autocast,
    )

    def fitted() -> list[Probe]:
        classes = len(prepared.splits.labels)
        rows = np.random.default_rng([config.training.seed, 2]).permutation(len(train))
        some = train.take(np.sort(rows[: most_rows or linear_probe.rows_for(classes)]))
        learned, held_out = (linear_probe.joined([part for _, part in take(features=f)]) for f in (some, validation))
        return linear_probe.fit(learned, held_out, classes)

    probes = team.from_main(fitted)
    if not probes:
        return Begun()
    best = probes[0]
    head = next((one for one in probes if one.pooling == linear_probe.HEAD), None)
    installed = layer is not None and layer.weight.requires_grad and head is not None
    if head is not None and installed:
        linear_probe.install(layer, head)
    by_word = isinstance(train.columns["labels"], Ragged)
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
    begun = f" Fine-tuning begins from that on the {head.pooling}: {head.accuracy:.1%}." if head and installed else ""
    begun = begun if head is not best else ""
    observe(Note(f"It is right on {best.accuracy:.1%} of the validation {unit}; it reads {read}.{begun}"))
    facts = {"pooling": best.pooling, "accuracy": best.accuracy, "loss": best.loss, "installed": installed}
    return Begun(installed, facts, predictions)


def _predictions(best: Probe, batches: Iterable[tuple[Integers, Vectors]], rows: int) -> list[int]:
    """Return the class of each row, in their order."""
    found = [0] * rows
    for numbers, vectors in batches:
        for number, predicted in zip(numbers, best.predictions(vectors.by_pooling[best.pooling]), strict=True):
            found[int(number)] = predicted
    return found
