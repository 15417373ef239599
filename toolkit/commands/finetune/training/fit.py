"""Train a prepared run: load, encode, choose precision and kernels, and keep the best weights."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models, runs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.resume import stoppable
from toolkit.commands.finetune.training import probe as finetune_probe
from toolkit.commands.finetune.training.facts import input_facts, log_line, training_facts
from toolkit.commands.finetune.training.setup import TrainingSetup, gather, objective_of, units_of
from toolkit.commands.finetune.training.tokenize import through_backbone
from toolkit.commands.finetune.training.validation import (
    BestPredictions,
    Validator,
    counted,
    higher_is_better,
    sample,
    tolerance,
    written,
)
from toolkit.commands.time_budget.limits import Limits
from toolkit.config import RunConfig, leaves
from toolkit.data.batching.batch import Features, pad, probe
from toolkit.distributed.process_group import Team
from toolkit.errors import RunError
from toolkit.evaluation.context import references
from toolkit.events import Note, Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel
from toolkit.training.acceleration import frozen_features
from toolkit.training.acceleration.autotune import ComputeSettings
from toolkit.training.adaptation import adapters
from toolkit.training.adaptation.number_head import Units
from toolkit.training.loop import checkpoint, trackers
from toolkit.training.loop.arguments import Callbacks, Selection, StepControl, StreamedSteps, TrainingData
from toolkit.training.loop.progress import NonFiniteLoss, Progress, Validation
from toolkit.training.loop.train import train
from toolkit.training.loss import attention_loss
from toolkit.training.loss.objective import RATIONALE

ADAPTER = "adapter"  # folder of the adapters, next to the model they were merged into


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of the training loop, after the choice of precision and kernels.

    Attributes:
        model: The trained module: the whole model, or its head where the backbone's features are stored.
        train: Its training inputs.
        validation: Its validation inputs.
        collate: Stacks them.
        whole: Whether `model` is the whole model.
    """

    model: Any
    train: Features
    validation: Features
    collate: Callable[[Sequence[Any]], dict[str, Any]]
    whole: bool


@dataclass(frozen=True)
class Fitted:
    """The result of training.

    Attributes:
        best: Folder of the best model.
        facts: Facts about the training for the report.
        baselines: Predictions of the test rows by intermediate models; empty in all processes but the main one.
        out_of_fold: (Probabilities of each class, labels) of the training rows by models that were not trained on them,
            where they serve as validation rows; else None.
        validation: The best model's predictions of the validation rows, column by column; None where they are not
            those of the stored weights to the bit.
    """

    best: Path
    facts: dict[str, Any]
    baselines: dict[str, list[Any]]
    out_of_fold: tuple[list[list[float]], list[int]] | None = None
    validation: Mapping[str, Sequence[Any]] | None = None


def fit(
    run: runs.Run,
    prepared: Prepared,
    observe: Observe,
    state: checkpoint.State | None,
    team: Team,
    limits: Limits | None = None,
) -> Fitted:
    """Train, starting from the linear probe if there is one and within a time budget if any; keep the best model."""
    from toolkit.training.distributed.devices import accelerator_for

    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    setup = gather(prepared, (splits.train, splits.validation), observe, team)
    with_attention_loss = attention_loss.wanted(config.loss)
    if with_attention_loss:
        attention_loss.watchable(setup.model)
        observe(Note("The attention loss disables packing and fused attention; training is slower."))
    say = _say(observe)
    compute = team.from_main(lambda: _compute_settings(run, setup, config, say, limits))
    tracked = config.training.trackers if team.is_main else []
    accelerator = accelerator_for(config.training, compute.precision, run.path / "trackers" if tracked else None)
    probing = (None, True) if limits is None else (limits.allocation.probe_rows, limits.allocation.probe_test)
    before = run.facts.get("linear_probe") if state is not None else None
    begun = finetune_probe.begin(
        setup, prepared, accelerator, observe, team, probing[0], on_test=probing[1], recorded=before
    )
    if team.is_main and begun.facts is not None:
        run.record(linear_probe=begun.facts)
    inputs = training_inputs(setup, prepared, accelerator, compute, observe, team)
    objective = objective_of(prepared, inputs.train.columns["labels"], adjustment_of(config, begun), accelerator.device)
    train_features = setup.features[0] if with_attention_loss else inputs.train
    train_features = train_features if prepared.teacher is None else prepared.teacher.taught(train_features)
    units = units_of(setup, prepared)
    validate = _validator(inputs, setup, prepared, team, units)
    device = accelerator.device.type if team.size == 1 else f"{team.size} × {accelerator.device.type}"
    resumed = f", from step {state.step}" if state is not None else ""
    observe(Stage(f"Training on {device} in {compute.precision}{', compiled' if compute.compiled else ''}{resumed}"))
    for note in _shared_out(config, team, state):
        say(note)
    folder, metric = run.path / "checkpoints", config.training.best_metric
    # a random head or model would win only by chance
    trained_start = begun.installed or (recipe.generate is not None and not config.loading.from_scratch)
    values = {".".join(key): value for key, value in leaves(config.model_dump())}
    tracking = trackers.tracking(accelerator, tracked, values, say, lambda names: run.record(tracked=dict(names)))
    with (
        _rows_named(splits.train if splits.stream is None else None, folder),
        stoppable() as stop_requested,
        tracking as log,
    ):
        result = train(
            inputs.model,
            TrainingData(
                train_features,
                inputs.collate,
                setup.augment,
                _streamed(setup, prepared),
            ),
            config.training,
            accelerator,
            objective=objective,
            selection=Selection(
                validate,
                save=lambda best, step: _keep(
                    best if inputs.whole else setup.model, setup, checkpoint.best_path(folder, step), units
                ),
                higher_is_better=higher_is_better(recipe, metric),
                tolerance=tolerance(recipe, metric, counted(recipe, metric, splits.validation, splits.labels)),
                validate_first=trained_start or limits is not None,
                keep_start=trained_start,
                early=validate.early(),
            ),
            callbacks=Callbacks(
                _logged(run, log, observe, team, validate.predicted),
                say,
                stop_requested=stop_requested,
                write_state=partial(checkpoint.write, folder),
            ),
            control=StepControl(state, limit=None if limits is None else limits.step_plan(config.training, team)),
            team=team,
            compute=compute,
        )
    facts = input_facts(setup.features[0], recipe, every_row=splits.stream is None)
    facts |= training_facts(result, config, device, compute, team)
    facts |= {"objective": objective.name, "trainable_parameters": models.trainable(setup.model)}
    facts |= {"budget": limits.facts(result)} if limits is not None else {}
    facts |= {"linear_probe": begun.facts} if begun.facts is not None else {}
    baselines = {begun.title: list(begun.predictions)} if begun.predictions is not None else {}
    same = inputs.whole and setup.adapted is None  # merging adapters rounds
    predicted = validate.predicted.of(result.best_step) if same else None
    return Fitted(checkpoint.best_path(folder, result.best_step), facts, baselines, validation=predicted)


def _logged(
    run: runs.Run,
    log: Callable[[Mapping[str, float], int], None],
    observe: Observe,
    team: Team,
    predicted: BestPredictions,
) -> Callable[[Progress | Validation], None]:
    """Return an observer that also writes progress to the run's log and to the trackers, and notes best predictions."""

    def watch(event: Progress | Validation) -> None:
        shown = event.early if isinstance(event, Validation) else not event.whole  # to the user alone
        if isinstance(event, Validation) and not shown:
            predicted.note(event)
        if team.is_main and not shown:
            run.log(log_line(event))
            log(trackers.figures(log_line(event)), event.step)
        observe(event)

    return watch


def adjustment_of(config: RunConfig, begun: finetune_probe.Begun) -> float:
    """Return the logit adjustment: that of the linear probe, or the configured one where there is none."""
    return float((begun.facts or {}).get("logit_adjustment", config.loss.logit_adjustment or 0.0))


def _say(observe: Observe) -> Callable[[str], None]:
    return lambda text: observe(Note(text))


def _compute_settings(
    run: runs.Run, setup: TrainingSetup, config: RunConfig, say: Callable[[str], None], limits: Limits | None
) -> ComputeSettings:
    """Choose precision and kernels: of the resumed run, as configured, or as measured; record the choice."""
    from toolkit.training.acceleration import autotune
    from toolkit.training.distributed.devices import pick_device

    device = pick_device(config.training.device)
    chosen = autotune.recorded(run.facts)
    if chosen is None and config.training.tune_speed:
        features, collate = setup.features[0].without(RATIONALE), setup.collate
        rows = np.argsort(features.lengths, kind="stable")
        middle = rows[len(rows) // 2 :][: config.training.micro_batch_size or config.training.batch_size]
        setup.model.to(device).train()
        steps = math.ceil(len(features) / config.training.batch_size * config.training.epochs)
        steps = steps if limits is None else min(steps, limits.steps(config.training.batch_size))
        trial = None if attention_loss.wanted(config.loss) else probe(features, collate)
        batch = collate([features[int(row)] for row in middle])
        chosen = autotune.measured(setup.model, batch, trial, config.training, device, steps, say)
    chosen = chosen or autotune.configured(config.training, device)
    run.record(acceleration=config.training.acceleration, **chosen.facts())
    return chosen


def training_inputs(
    setup: TrainingSetup, prepared: Prepared, accelerator: Any, compute: ComputeSettings, observe: Observe, team: Team
) -> TrainingInputs:
    """Choose the module and inputs to train: the head on stored features where the backbone is frozen and fixed."""
    config, splits = prepared.config, prepared.splits
    train_features, validation_features = (features.without(RATIONALE) for features in setup.features)
    plain = setup.augment is None and not attention_loss.wanted(config.loss)
    plain = plain and config.training.acceleration == "auto" and splits.stream is None
    model, collate = setup.model.to(accelerator.device), setup.collate
    below = frozen_features.find(model, probe(train_features, collate)) if plain else None
    if below is None and config.training.freeze == "trunk" and plain:
        observe(Note(frozen_features.why_not(model)))
    if below is None:
        return TrainingInputs(model, train_features, validation_features, collate, whole=True)
    observe(Stage("Computing features of the frozen backbone"))
    parts = [(splits.train, train_features), (splits.validation, validation_features)]
    with team.main_first():
        known, held_out = through_backbone(
            below, parts, prepared.recipe, splits.labels, setup.processor, config, accelerator, compute.precision
        )
    return TrainingInputs(below.headed(), known, held_out, partial(pad, padding={}), whole=False)


def _streamed(setup: TrainingSetup, prepared: Prepared) -> StreamedSteps | None:
    """Return the training rows that are read while training runs, if any."""
    splits = prepared.splits
    if splits.stream is None:
        return None
    subject = LoadedModel(setup.model, setup.processor, prepared.recipe, splits.labels, prepared.config)
    return StreamedSteps(splits.stream, partial(encode_rows, subject=subject))


def _validator(
    inputs: TrainingInputs,
    setup: TrainingSetup,
    prepared: Prepared,
    team: Team,
    units: Units,
) -> Validator:
    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    truth = references(recipe, splits.validation)

    def attention(model: Any) -> dict[str, float]:
        if not attention_loss.wanted(config.loss):
            return {}
        return attention_loss.measure(model, setup.features[1], inputs.collate, config.evaluation.batch_size)

    return Validator(
        LoadedModel(inputs.model, setup.processor, recipe, splits.labels, config),
        inputs.validation,
        sample(inputs.train, len(inputs.validation), config.training.seed),
        truth,
        inputs.collate,
        team,
        written(recipe, len(truth), config),
        attention,
        units,
    )


@contextmanager
def _rows_named(train: pa.Table | None, folder: Path) -> Iterator[None]:
    """Add the last valid state to the error of a non-finite loss, and the rows of the batch where they are known."""
    try:
        yield
    except NonFiniteLoss as error:
        state, _ = checkpoint.newest(folder)
        kept = f" The last valid state is that of step {state.step}, in {folder}." if state is not None else ""
        if train is None:
            raise RunError(f"{error.problem}{kept}", error.fix, id=error.id) from error
        places: dict[str, list[int]] = {}
        for row in train.select(["_file", "_row"]).take(np.sort(error.rows)).to_pylist():
            places.setdefault(row["_file"], []).append(row["_row"])
        named = "; ".join(f"{file}, rows {', '.join(map(str, rows))}" for file, rows in places.items())
        fix = f"{error.fix} If it fails at the same step again, check these rows."
        raise RunError(f"{error.problem} Its batch: {named}.{kept}", fix, id=error.id) from error


def _shared_out(config: RunConfig, team: Team, state: checkpoint.State | None) -> Iterator[str]:
    """Describe the division of a step among several processes, and into several forward passes."""
    training = config.training
    share, most = training.batch_size / team.size, training.micro_batch_size
    if team.size > 1:
        yield (
            f"The {training.batch_size} examples of each step are divided among {team.size} processes, "
            f"{share:g} each; steps and learning rate ({training.learning_rate:g}) "
            "are those of one process."
        )
    if most is not None and most < share:
        yield (
            f"Gradients of {share:g} examples{' in each process' if team.size > 1 else ''} are accumulated "
            f"over forward passes of at most {most}."
        )
    before = state.facts.get("processes", 1) if state is not None else team.size
    if before != team.size:
        yield (
            f"The state was written by {before} process{'es' if before > 1 else ''}: rounding and dropout differ from "
            "an uninterrupted run."
        )


def _keep(model: Any, setup: TrainingSetup, folder: Path, units: Units) -> None:
    """Write the model as it will be exported: with adapters merged into the weights, and also as files of their own."""
    if setup.adapted is None:
        with units.of_data():
            models.save(model, setup.processor, folder)
        return
    with units.of_data(), runs.aside(folder) as draft:
        models.save(adapters.merged(setup.adapted), setup.processor, draft)
        adapters.save(setup.adapted, draft / ADAPTER)
