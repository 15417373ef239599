"""Few labels: training methods from one checkpoint, compared by cross-validation.

    for each fold                                     `training.selection`
        for each way                                  the same checkpoint each time
            train on the other folds → logits of this fold
        fine-tuning is dropped where it is clearly behind

Training methods, the cheapest first: a logistic regression on the frozen features; a backbone that is tuned with a
supervised contrastive loss, and a logistic regression on its features; fine-tuning from the first of them on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.setup import Material, gather
from toolkit.config import RunConfig
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers, probe
from toolkit.data.tables.split import row_keys
from toolkit.errors import ModelError
from toolkit.events import Note, Observe, Stage
from toolkit.training.adaptation import contrastive, linear_probe, mean_pooling, selection
from toolkit.training.adaptation.linear_probe import HEAD, MEAN, Floats
from toolkit.training.adaptation.selection import OutOfFold
from toolkit.training.loop.objective import RATIONALE, Objective, objective_for
from toolkit.training.loop.progress import Progress, Validation
from toolkit.training.loop.train import TrainingResult, train

PROBE = "linear probe"
CONTRASTIVE = "contrastive fine-tuning"
FINE_TUNING = "fine-tuning"
FOLDS = 3
_FEWEST_TO_FINE_TUNE = 32  # rows; with fewer, cross-validation cannot separate fine-tuning from the contrastive method
_CLEARLY = 2.0  # standard errors by which another feature or method must beat the one that is best on average
_NOTHING_TRAINED = TrainingResult(0, 0, 0.0, 0.0, 0.0, 0.0, 0, False, (), (), 0, 0)


@dataclass(frozen=True)
class Bench:
    """The checkpoint that every training method starts from, and the rows.

    Attributes:
        model: On its device; `restart` makes it the checkpoint again.
        layer: Its output layer.
        initial: The initial weights by name, on the CPU.
        frozen: What reaches the output layer of all rows with these weights. Shape (N, D).
        features: Model inputs of all rows to learn from.
        labels: Their class numbers. Shape (N,).
        folds: Number of each row's fold. Shape (N,).
        classes: How many classes there are.
        material: The processor, and what stacks rows.
        config: The run's configuration.
        accelerator: Computes in the run's precision.
        stop_asked: Whether to stop.
        say: Called with notes for the user.
        pooled: Whether a layer that averages the tokens was added to the checkpoint.
    """

    model: Any
    layer: Any
    initial: Mapping[str, Any]
    frozen: Floats
    features: Features
    labels: Integers
    folds: Integers
    classes: int
    material: Material
    config: RunConfig
    accelerator: Any
    stop_asked: Callable[[], bool]
    say: Callable[[str], None]
    pooled: bool = False

    def restart(self) -> None:
        """Reset the model to the checkpoint."""
        self.model.load_state_dict(self.initial)

    def vectors(self, features: Features) -> Mapping[str, Floats]:
        """Return vectors (rows, D) by pooling, in the order of the rows."""
        numbers, parts = zip(
            *linear_probe.vectors(
                self.model,
                self.layer,
                features,
                self.material.collate,
                self.config.evaluation.batch_size,
                self.accelerator.autocast,
            ),
            strict=True,
        )
        order = np.argsort(np.concatenate(numbers), kind="stable")
        return {name: np.concatenate([part.by_pooling[name] for part in parts])[order] for name in parts[0].by_pooling}

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
Way = Callable[[Bench, Integers, Watch], Trained]


def bench(prepared: Prepared, observe: Observe, stop_asked: Callable[[], bool]) -> Bench:
    """Load the checkpoint, with mean pooling where that is the better feature."""
    from toolkit.training.acceleration import autotune
    from toolkit.training.distributed.devices import accelerator_for, pick_device

    config, labels = prepared.config, prepared.splits.labels
    material = gather(prepared, (prepared.splits.train,), observe)
    features = material.features[0].without(RATIONALE)
    device = pick_device(config.training.device)
    accelerator = accelerator_for(config.training, autotune.asked(config.training, device).precision)
    model = material.model.to(accelerator.device)
    batch = probe(features, material.collate)
    layer = linear_probe.output_layer(model, batch)
    if layer is None:
        raise ModelError(
            f"{type(model).__name__} has no linear output layer, which the comparison of training methods needs.",
            "Use `--set training.few_labels=off`.",
            id="model.no-linear-head",
        )
    numbers = np.asarray(features.columns["labels"], np.int64)
    made = Bench(
        model=model,
        layer=layer,
        initial={},
        frozen=np.zeros((0, 0), np.float32),
        features=features,
        labels=numbers,
        folds=selection.folds_of(numbers, _groups(prepared), FOLDS, config.training.seed),
        classes=len(labels),
        material=material,
        config=config,
        accelerator=accelerator,
        stop_asked=stop_asked,
        say=lambda text: observe(Note(text)),
    )
    observe(Stage("Computing features of the pretrained model"))
    vectors = made.vectors(features)
    pooled = None
    if config.training.mean_pooling and MEAN in vectors:
        alone = {pooling: _of_frozen(made, vectors[pooling]) for pooling in (MEAN, HEAD)}
        if selection.choose(alone, noise=_CLEARLY) == MEAN:
            pooled = mean_pooling.add(model, layer, batch)
    initial = {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}
    frozen = vectors[HEAD] if pooled is None else made.vectors(features)[HEAD]
    return replace(made, initial=initial, frozen=frozen, pooled=pooled is not None)


def _of_frozen(bench: Bench, vectors: Floats) -> OutOfFold:
    """Return out-of-fold logits of logistic regressions on vectors (N, D)."""
    logits = np.zeros((len(vectors), bench.classes))
    done = np.unique(bench.folds).tolist()
    for fold in done:
        weight, bias = bench.regression(vectors, np.flatnonzero(bench.folds != fold))
        logits[bench.folds == fold] = vectors[bench.folds == fold] @ weight.T + bias
    return OutOfFold(logits, bench.labels, bench.folds, done)


def _groups(prepared: Prepared) -> Integers:
    """Return a number for each row; equal texts, or rows of one group where there is a group column, share one."""
    rows, group = prepared.splits.train, prepared.config.data.group_column
    if group is not None and group in rows.column_names:
        _, numbers = np.unique([str(value) for value in rows[group].to_pylist()], return_inverse=True)
        return np.asarray(numbers, np.int64)
    inputs = prepared.recipe.task.inputs_in(rows)
    _, numbers = np.unique(row_keys(rows, inputs), return_inverse=True)
    return np.asarray(numbers, np.int64)


def compared(bench: Bench, observe: Observe) -> tuple[dict[str, OutOfFold], dict[str, float]]:
    """Return the out-of-fold logits of each training method, and its duration in seconds."""
    folds = bench.folds
    empty = np.zeros((len(bench.labels), bench.classes))
    ways = [name for name in WAYS if name != FINE_TUNING or len(bench.labels) >= _FEWEST_TO_FINE_TUNE]
    found = {name: OutOfFold(empty.copy(), bench.labels, folds, ()) for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    left = list(ways)
    for fold in np.unique(folds).tolist():
        for name in left:
            observe(Stage(f"Comparing training methods, fold {fold + 1} of {FOLDS}: {name}"))
            begun = time.perf_counter()
            trained = WAYS[name](bench, np.flatnonzero(folds != fold), lambda _event: None)
            held_out = folds == fold
            found[name].logits[held_out] = trained.logits[held_out]
            found[name] = replace(found[name], done=(*found[name].done, fold))
            seconds[name] += time.perf_counter() - begun
        left = [name for name in left if name != FINE_TUNING or not selection.is_behind(name, found)]
    return found, seconds


def _probed(bench: Bench, rows: Integers, _watch: Watch) -> Trained:
    """Fit a logistic regression on the frozen features."""
    bench.restart()
    weight, bias = bench.regression(bench.frozen, rows)
    bench.install(weight, bias)
    logits = bench.frozen @ weight.T + bias
    return Trained(weight, bias, logits, _NOTHING_TRAINED, "logistic regression", bench.config.training)


def _contrasted(bench: Bench, rows: Integers, watch: Watch) -> Trained:
    """Tune the backbone with a contrastive loss, and fit a logistic regression on its features."""
    bench.restart()
    config = contrastive.plan(bench.config.training, len(rows), bench.classes)
    objective = contrastive.objective()
    with contrastive.without_output_layer(bench.model, bench.layer):
        result = _train(bench, contrastive.shuffled(bench.features.take(rows)), config, objective, watch)
    vectors = bench.vectors(bench.features)[HEAD]
    weight, bias = bench.regression(vectors, rows)
    bench.install(weight, bias)
    named = f"{objective.name}, then logistic regression"
    return Trained(weight, bias, vectors @ weight.T + bias, result, named, config)


def _fine_tuned(bench: Bench, rows: Integers, watch: Watch) -> Trained:
    """Fine-tune from the linear probe, for the configured number of epochs."""
    _probed(bench, rows, watch)
    names = [str(number) for number in range(bench.classes)]
    objective = objective_for(bench.config.loss, names, bench.labels[rows])
    result = _train(bench, bench.features.take(rows), bench.config.training, objective, watch)
    weight, bias = (part.detach().float().cpu().numpy() for part in (bench.layer.weight, bench.layer.bias))
    logits = bench.vectors(bench.features)[HEAD] @ weight.T + bias
    return Trained(weight, bias, logits, result, objective.name, bench.config.training)


def choose(found: Mapping[str, OutOfFold]) -> str:
    """Return the method to keep: contrastive fine-tuning, unless another is better by two standard errors.

    On a few dozen rows cross-validation tells ways apart by little more than chance, and with so few labels contrastive
    fine-tuning is the best on average (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts", table 2).

    Args:
        found: By name; one that was dropped after a fold cannot be kept.
    """
    whole = {name: candidate for name, candidate in found.items() if len(candidate.done) == len(found[PROBE].done)}
    return selection.choose(
        {name: whole[name] for name in sorted(whole, key=lambda name: name != CONTRASTIVE)}, noise=_CLEARLY
    )


WAYS: Mapping[str, Way] = {PROBE: _probed, CONTRASTIVE: _contrasted, FINE_TUNING: _fine_tuned}


def _train(
    bench: Bench, features: Features, config: TrainingConfig, objective: Objective, watch: Watch
) -> TrainingResult:
    """Train to the last planned step, with a random state of its own; there are no rows to validate on."""
    from accelerate.utils import set_seed

    set_seed(config.seed)
    plain = config.model_copy(
        update={"best_metric": "loss", "evaluate_every": 10**9, "early_stopping_patience": None, "trackers": []}
    )
    return train(
        bench.model,
        features,
        bench.material.collate,
        plain,
        bench.accelerator,
        objective=objective,
        validate=lambda _model: {"loss": 0.0},
        save=lambda _model, _step: None,
        higher_is_better=False,
        observe=watch,
        stop_asked=bench.stop_asked,
        say=bench.say,
    )
