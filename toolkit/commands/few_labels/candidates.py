"""Few labels: training methods from one checkpoint, compared by cross-validation.

    for each fold                                     `training.selection`
        for each method                               the same checkpoint each time
            train on the other folds → logits of this fold
        fine-tuning is dropped where it is clearly worse

Training methods, the cheapest first: a logistic regression on the frozen features; a backbone that is tuned with a
supervised contrastive loss, and a logistic regression on its features; fine-tuning from the first of them on. Where
there are texts without labels, the same again from a checkpoint that was pretrained on them.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training import backbone
from toolkit.commands.finetune.training.backbone import Backbone
from toolkit.config import RunConfig
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers
from toolkit.data.division import groups
from toolkit.errors import ModelError
from toolkit.evaluation.context import clusters
from toolkit.events import Note, Observe, Stage
from toolkit.training.adaptation import contrastive, linear_probe, mean_pooling, selection
from toolkit.training.adaptation.feature_vectors import HEAD, MEAN, Floats
from toolkit.training.adaptation.selection import OutOfFold
from toolkit.training.loop.arguments import Callbacks, TrainingData
from toolkit.training.loop.progress import Progress, Validation
from toolkit.training.loop.train import TrainingResult, train
from toolkit.training.loss.objective import Objective, objective_for

PROBE = "linear probe"
CONTRASTIVE = "contrastive fine-tuning"
FINE_TUNING = "fine-tuning"
ADAPTED = " after pretraining"  # behind the name of a method that starts from a checkpoint pretrained on other texts
FOLDS = 3
_FEWEST_TO_FINE_TUNE = 32  # rows; with fewer, cross-validation cannot separate fine-tuning from the contrastive method
_CLEARLY = 2.0  # standard errors by which another feature or method must exceed the default one
_NOTHING_TRAINED = TrainingResult(0, 0, 0.0, 0.0, 0.0, 0.0, 0, False, (), (), 0, 0)


@dataclass(frozen=True)
class CandidateInputs(Backbone):
    """The checkpoint that every training method starts from, and the rows.

    Attributes:
        layer: The output layer, without which methods cannot be compared.
        initial: The initial weights by name, on the CPU.
        frozen: What reaches the output layer of all rows with these weights. Shape (N, D).
        labels: Their class numbers. Shape (N,).
        folds: Number of each row's fold. Shape (N,).
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
        classes: How many classes there are.
        config: The run's configuration.
        stop_requested: Whether to stop.
        say: Called with notes for the user.
        pooled: Whether a layer that averages the tokens was added to the checkpoint.
    """

    layer: Any
    initial: Mapping[str, Any]
    frozen: Floats
    labels: Integers
    folds: Integers
    clusters: Integers | None
    classes: int
    config: RunConfig
    stop_requested: Callable[[], bool]
    say: Callable[[str], None]
    pooled: bool = False

    def restart(self) -> None:
        """Reset the model to the checkpoint."""
        self.model.load_state_dict(self.initial)

    def vectors(self, features: Features) -> Mapping[str, Floats]:
        """Return vectors (rows, D) by pooling, in the order of the rows."""
        return self.in_order(features)[1].by_pooling

    def regression(self, vectors: Floats, rows: Integers) -> tuple[Floats, Floats]:
        """Return weight (C, D) and bias (C,) of a logistic regression on the vectors of some of the rows."""
        seed = self.config.training.seed
        return linear_probe.regression(vectors[rows], self.labels[rows], self.classes, seed)

    def install(self, weight: Floats, bias: Floats) -> None:
        """Set the output layer."""
        linear_probe.set_weights(self.layer, weight, bias)


@dataclass(frozen=True)
class Trained:
    """The result of one training method on some rows; the model holds the weights.

    Attributes:
        weight: Of the output layer. Shape (C, D).
        bias: Shape (C,).
        logits: Of all rows. Shape (N, C).
        result: Of the training loop.
        objective: What was minimised.
        config: How.
    """

    weight: Floats
    bias: Floats
    logits: Floats
    result: TrainingResult
    objective: str
    config: TrainingConfig


Watch = Callable[[Progress | Validation], None]
TrainOn = Callable[[CandidateInputs, Integers, Watch], Trained]


@dataclass(frozen=True)
class Method:
    """A training method and what it starts from.

    Attributes:
        train_on: Trains on some rows.
        inputs: The checkpoint and the rows.
    """

    train_on: TrainOn
    inputs: CandidateInputs

    def train(self, rows: Integers, watch: Watch) -> Trained:
        """Train on some rows, from the checkpoint."""
        return self.train_on(self.inputs, rows, watch)


def methods(inputs: CandidateInputs, adapted: CandidateInputs | None = None) -> dict[str, Method]:
    """Return the training methods that are compared, by name.

    Args:
        inputs: The checkpoint and the rows.
        adapted: The same rows, with the checkpoint that was pretrained on texts without labels.
    """
    allowed = dict(METHODS)
    if len(inputs.labels) < _FEWEST_TO_FINE_TUNE:
        del allowed[FINE_TUNING]
    named = {name: Method(train_on, inputs) for name, train_on in allowed.items()}
    if adapted is not None:
        named |= {f"{name}{ADAPTED}": Method(train_on, adapted) for name, train_on in allowed.items()}
    return named


def prepare_inputs(prepared: Prepared, observe: Observe, stop_requested: Callable[[], bool]) -> CandidateInputs:
    """Load the checkpoint, with mean pooling where that is the better feature."""
    config, labels = prepared.config, prepared.splits.labels
    checkpoint = backbone.load(prepared, prepared.splits.train, observe)
    model, features = checkpoint.model, checkpoint.features
    if checkpoint.layer is None:
        raise ModelError(
            f"{type(model).__name__} has no linear output layer, which the comparison of training methods needs.",
            "Use `--set training.few_labels=off`.",
            id="model.no-linear-head",
        )
    numbers = np.asarray(features.columns["labels"], np.int64)
    task, rows = prepared.recipe.task, prepared.splits.train
    together = groups.of_folds(rows, config.data.group_column or task.clusters_in(rows), task.inputs_in(rows))
    made = CandidateInputs(
        **vars(checkpoint),
        initial={},
        frozen=np.zeros((0, 0), np.float32),
        labels=numbers,
        folds=selection.folds_of(numbers, together, FOLDS, config.training.seed),
        clusters=clusters(prepared.recipe.task, prepared.splits.train, prepared.config.data.group_column),
        classes=len(labels),
        config=config,
        stop_requested=stop_requested,
        say=lambda text: observe(Note(text)),
    )
    observe(Stage("Computing features of the pretrained model"))
    vectors = made.vectors(features)
    pooled = None
    if config.training.mean_pooling and MEAN in vectors:
        alone = {pooling: _of_frozen(made, vectors[pooling]) for pooling in (MEAN, HEAD)}
        if selection.choose(alone, noise=_CLEARLY) == MEAN:
            pooled = mean_pooling.add(model, checkpoint.layer, checkpoint.batch)
    initial = {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}
    frozen = vectors[HEAD] if pooled is None else made.vectors(features)[HEAD]
    return replace(made, initial=initial, frozen=frozen, pooled=pooled is not None)


def _of_frozen(inputs: CandidateInputs, vectors: Floats) -> OutOfFold:
    """Return out-of-fold logits of logistic regressions on vectors (N, D)."""
    logits = np.zeros((len(vectors), inputs.classes))
    done = np.unique(inputs.folds).tolist()
    for fold in done:
        weight, bias = inputs.regression(vectors, np.flatnonzero(inputs.folds != fold))
        logits[inputs.folds == fold] = vectors[inputs.folds == fold] @ weight.T + bias
    return OutOfFold(logits, inputs.labels, inputs.folds, done, inputs.clusters)


def compared(methods: Mapping[str, Method], observe: Observe) -> tuple[dict[str, OutOfFold], dict[str, float]]:
    """Return the out-of-fold logits of each training method, and its duration in seconds."""
    inputs = methods[PROBE].inputs
    folds = inputs.folds
    empty = np.zeros((len(inputs.labels), inputs.classes))
    results = {name: OutOfFold(empty.copy(), inputs.labels, folds, (), inputs.clusters) for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    left = list(methods)
    for fold in np.unique(folds).tolist():
        for name in left:
            observe(Stage(f"Comparing training methods, fold {fold + 1} of {FOLDS}: {name}"))
            begun = time.perf_counter()
            trained = methods[name].train(np.flatnonzero(folds != fold), lambda _event: None)
            held_out = folds == fold
            results[name].logits[held_out] = trained.logits[held_out]
            results[name] = replace(results[name], done=(*results[name].done, fold))
            seconds[name] += time.perf_counter() - begun
        left = [
            name for name in left if methods[name].train_on is not _fine_tuned or not selection.is_behind(name, results)
        ]
    return results, seconds


def _probed(inputs: CandidateInputs, rows: Integers, _watch: Watch) -> Trained:
    """Fit a logistic regression on the frozen features."""
    inputs.restart()
    weight, bias = inputs.regression(inputs.frozen, rows)
    inputs.install(weight, bias)
    logits = inputs.frozen @ weight.T + bias
    return Trained(weight, bias, logits, _NOTHING_TRAINED, "logistic regression", inputs.config.training)


def _contrasted(inputs: CandidateInputs, rows: Integers, watch: Watch) -> Trained:
    """Tune the backbone with a contrastive loss, and fit a logistic regression on its features."""
    inputs.restart()
    config = contrastive.plan(inputs.config.training, len(rows), inputs.classes)
    objective = contrastive.objective()
    with contrastive.without_output_layer(inputs.model, inputs.layer):
        result = _train(inputs, contrastive.shuffled(inputs.features.take(rows)), config, objective, watch)
    vectors = inputs.vectors(inputs.features)[HEAD]
    weight, bias = inputs.regression(vectors, rows)
    inputs.install(weight, bias)
    named = f"{objective.name}, then logistic regression"
    return Trained(weight, bias, vectors @ weight.T + bias, result, named, config)


def _fine_tuned(inputs: CandidateInputs, rows: Integers, watch: Watch) -> Trained:
    """Fine-tune from the linear probe, for the configured number of epochs."""
    _probed(inputs, rows, watch)
    names = [str(number) for number in range(inputs.classes)]
    objective = objective_for(inputs.config.loss, names, inputs.labels[rows])
    result = _train(inputs, inputs.features.take(rows), inputs.config.training, objective, watch)
    weight, bias = (part.detach().float().cpu().numpy() for part in (inputs.layer.weight, inputs.layer.bias))
    logits = inputs.vectors(inputs.features)[HEAD] @ weight.T + bias
    return Trained(weight, bias, logits, result, objective.name, inputs.config.training)


def choose(results: Mapping[str, OutOfFold]) -> str:
    """Return the method to keep: contrastive fine-tuning, unless another is better by two standard errors.

    On a few dozen rows cross-validation distinguishes methods only a little better than chance, and with so few labels
    contrastive fine-tuning is the best on average (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts",
    table 2).

    Args:
        results: By name; one that was dropped after a fold cannot be kept.
    """
    whole = {name: candidate for name, candidate in results.items() if len(candidate.done) == len(results[PROBE].done)}
    return selection.choose(
        {name: whole[name] for name in sorted(whole, key=lambda name: name != CONTRASTIVE)}, noise=_CLEARLY
    )


def reason(chosen: str) -> str:
    """Say why `choose` returned a method."""
    if chosen == CONTRASTIVE:
        return f"no other method is better by more than {_CLEARLY:g} standard errors"
    return f"it is better than {CONTRASTIVE} by more than {_CLEARLY:g} standard errors"


METHODS: Mapping[str, TrainOn] = {PROBE: _probed, CONTRASTIVE: _contrasted, FINE_TUNING: _fine_tuned}


def _train(
    inputs: CandidateInputs, features: Features, config: TrainingConfig, objective: Objective, watch: Watch
) -> TrainingResult:
    """Train to the last planned step, with a random state of its own; there are no rows to validate on."""
    from accelerate.utils import set_seed

    set_seed(config.seed)
    plain = config.model_copy(
        update={"best_metric": "loss", "evaluate_every": 10**9, "early_stopping_patience": None, "trackers": []}
    )
    return train(
        inputs.model,
        TrainingData(features, inputs.setup.collate),
        plain,
        inputs.accelerator,
        objective=objective,
        callbacks=Callbacks(watch, inputs.say, stop_requested=inputs.stop_requested),
    )
