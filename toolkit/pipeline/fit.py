"""Train a prepared run: load, encode, decide how the machine computes, and keep the best weights."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models, recipes, runs
from toolkit.config import RunConfig, leaves
from toolkit.data.batch import Features, Integers, pad, probe
from toolkit.errors import RunError
from toolkit.evaluation import scores
from toolkit.metrics import load
from toolkit.pipeline import judge
from toolkit.pipeline.build import build_model
from toolkit.pipeline.events import Note, Observe, Stage
from toolkit.pipeline.inputs import encode_parts, stage_of, through_trunk
from toolkit.pipeline.prepare import Prepared
from toolkit.pipeline.resume import stoppable
from toolkit.team import Team
from toolkit.training import adapters, checkpoint, regularise, trackers, trunk
from toolkit.training.depth import freeze
from toolkit.training.loop import TrainingResult, train
from toolkit.training.objective import RATIONALE, objective_for
from toolkit.training.progress import NonFiniteLoss, Progress, Validation

SAMPLE = 2000  # train rows at most, on which the loss is taken beside validation's
ADAPTER = "adapter"  # folder of the adapters, beside the model they were merged into


def fit(
    run: runs.Run, prepared: Prepared, observe: Observe, state: checkpoint.State | None, team: Team
) -> tuple[Path, dict[str, Any]]:
    """Train, and return the folder of the best model and what the report says of the training."""
    from accelerate.utils import set_seed

    from toolkit.training.devices import accelerator_for

    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    observe(Stage("Loading the model"))
    set_seed(config.training.seed)
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = build_model(recipe, prepared.checkpoint.path, splits.labels, config)
    adapted = limit(model, prepared, observe)
    for remark in recipe.remarks(splits.train, processor, config) if hasattr(recipe, "remarks") else ():
        observe(Note(remark))
    observe(Stage(stage_of(recipe)))
    parts = (splits.train, splits.validation)
    with team.main_first():
        whole = encode_parts(parts, recipe, processor, config, observe)
    train_features, validation_features = (features.without(RATIONALE) for features in whole)
    minded = regularise.wanted(config.loss)
    if minded:
        regularise.watchable(model)
        observe(
            Note("Attention is looked at in training, so batches are padded and it is spelt out: steps are slower.")
        )
    references = judge.references(recipe, splits.validation)
    written = _written(recipe, len(references), config)

    def validate(model: Any) -> dict[str, float]:
        """Judge by the model's own loss whatever training minimises, on validation and on rows learned from."""
        subject = judge.Subject(model, processor, recipe, splits.labels, config)
        said = judge.predict_features(subject, validation_features, team=team, collate=collate, answers=written is None)
        learned = judge.predict_features(subject, sample, team=team, collate=collate, answers=False)
        columns, truth = said.columns, references
        if written is not None:
            columns = judge.predict_features(
                subject, validation_features.take(written), team=team, collate=collate
            ).columns
            truth = [references[int(row)] for row in written]
        values = scores.values(columns, truth, recipe.METRICS, splits.labels)
        if minded:
            values |= regularise.measure(model, whole[1], collate, config.evaluation.batch_size)
        return {"loss": _number(said.loss), "train_loss": _number(learned.loss), **values}

    def watch(event: Progress | Validation) -> None:
        if team.is_main:
            run.log(_as_line(event))
            log(trackers.figures(_as_line(event)), event.step)
        observe(event)

    collate = partial(recipe.collate, processor=processor)
    precision = team.from_main(lambda: _precision(run, model, train_features, collate, config))
    if team.is_main:
        run.record(precision=precision)  # a resumed run computes in the same
    tracked = config.training.trackers if team.is_main else []
    accelerator = accelerator_for(config.training, precision, run.path / "trackers" if tracked else None)
    augment = augmentation(prepared, processor)
    trained, facts = model, _input_facts(train_features)
    plain = augment is None and not minded
    below = trunk.find(model.to(accelerator.device), probe(train_features, collate)) if plain else None
    if below is not None:
        observe(Stage("Computing what the frozen trunk makes of each example"))
        encoded = list(zip(parts, (train_features, validation_features), strict=True))
        with team.main_first():
            train_features, validation_features = through_trunk(
                below, encoded, recipe, processor, config, accelerator, precision
            )
        trained, collate = below.headed(), partial(pad, padding={})
    sample = _sample(train_features, len(validation_features), config.training.seed)
    folder = run.path / "checkpoints"
    objective = regularise.regularised(
        objective_for(config.loss, splits.labels, train_features.columns["labels"]), config.loss
    )
    device = accelerator.device.type if team.size == 1 else f"{team.size} × {accelerator.device.type}"
    observe(Stage(f"Training on {device} in {precision}{f', from step {state.step}' if state is not None else ''}"))
    for note in _shared_out(config, team, state):
        observe(Note(note))
    values = {".".join(key): value for key, value in leaves(config.model_dump())}
    told = trackers.tracking(accelerator, tracked, values, lambda text: observe(Note(text)))
    with _rows_named(splits.train, folder), stoppable() as stop_asked, told as log:
        result = train(
            trained,
            whole[0] if minded else train_features,
            collate,
            config.training,
            accelerator,
            objective=objective,
            validate=validate,
            save=lambda best, step: _keep(
                model if below is not None else best, adapted, processor, checkpoint.best_path(folder, step)
            ),
            higher_is_better=higher_is_better(recipe, config.training.best_metric),
            observe=watch,
            write_state=partial(checkpoint.write, folder),
            state=state,
            stop_asked=stop_asked,
            say=lambda text: observe(Note(text)),
            team=team,
            augment=augment,
        )
    facts |= _training_facts(result, config, device, precision, team)
    facts |= {"objective": objective.name, "trainable_parameters": models.trainable(model)}
    return checkpoint.best_path(folder, result.best_step), facts


@contextmanager
def _rows_named(train: pa.Table, folder: Path) -> Iterator[None]:
    """Say of a loss that is no number which rows of the user's files were in the step, and what is still good."""
    try:
        yield
    except NonFiniteLoss as error:
        places: dict[str, list[int]] = {}
        for row in train.select(["_file", "_row"]).take(np.sort(error.rows)).to_pylist():
            places.setdefault(row["_file"], []).append(row["_row"])
        named = "; ".join(f"{file}, rows {', '.join(map(str, rows))}" for file, rows in places.items())
        state, _ = checkpoint.newest(folder)
        kept = f" The state of step {state.step} is the last good one, in {folder}." if state is not None else ""
        raise RunError(f"{error.problem} Its batch: {named}.{kept}", error.fix) from error


def _sample(features: Features, size: int, seed: int) -> Features:
    """Return training rows, the same at every validation, on which the loss is comparable with validation's."""
    random = np.random.default_rng([seed, 1])
    size = min(size, len(features), SAMPLE)
    return features.take(np.sort(random.choice(len(features), size, replace=False)))


def _written(recipe: recipes.Recipe, rows: int, config: RunConfig) -> Integers | None:
    """Return the validation rows that answers are written to, spread evenly; None where answers cost nothing."""
    if not recipes.generates(recipe):
        return None
    most = min(rows, config.training.validation_answers)
    return np.unique(np.linspace(0, rows - 1, most).astype(np.int64))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _shared_out(config: RunConfig, team: Team, state: checkpoint.State | None) -> Iterator[str]:
    """Say what becomes of the steps when several processes take them together."""
    training = config.training
    if team.size > 1:
        yield (
            f"Each step's {training.batch_size} examples are shared out among {team.size} processes, "
            f"{training.batch_size / team.size:g} to each; steps and learning rate ({training.learning_rate:g}) stay "
            "what they are with one process."
        )
    before = state.facts.get("processes", 1) if state is not None else team.size
    if before != team.size:
        yield (
            f"The state was written by {before} process{'es' if before > 1 else ''}: rounding and dropout differ from "
            "those of an uninterrupted run."
        )


def limit(model: Any, prepared: Prepared, observe: Observe) -> Any:
    """Decide which of the model's parameters move; return peft's view of it when it has adapters, else None."""
    config = prepared.config
    adapted = None
    if config.adapter.kind != "none":
        adapted = adapters.attach(model, config.adapter, prepared.checkpoint.origin, prepared.checkpoint.revision)
    if config.training.freeze is not None:
        freeze(model, config.training.freeze)
    if config.training.gradient_checkpointing:
        models.checkpoint_activations(model)
    moving, total = models.trainable(model), models.size(model)[0]
    if moving < total:
        observe(Note(f"{moving:,} of {total:,} parameters are trained."))
    return adapted


def _keep(model: Any, adapted: Any, processor: Any, folder: Path) -> None:
    """Write the model as it will be exported: adapters merged into the weights, and kept beside them as well."""
    if adapted is None:
        models.save(model, processor, folder)
        return
    with runs.aside(folder) as draft:
        models.save(adapters.merged(adapted), processor, draft)
        adapters.save(adapted, draft / ADAPTER)


def _precision(
    run: runs.Run, model: Any, features: Features, collate: Callable[..., dict[str, Any]], config: RunConfig
) -> str:
    """Decide in which precision to train: the one of the run that is resumed, asked for, or measured."""
    from toolkit.training.devices import pick_device, pick_precision
    from toolkit.training.tune import precision

    device = pick_device(config.training.device)
    if "precision" in run.facts:
        return str(run.facts["precision"])
    if config.training.precision != "auto" or device == "cuda" or not config.training.tune_speed:
        return pick_precision(config.training.precision, device)
    rows = np.argsort(features.lengths, kind="stable")
    middle = rows[len(rows) // 2 :][: config.training.micro_batch_size or config.training.batch_size]
    model.to(device).train()
    return precision(model, collate([features[int(row)] for row in middle]), probe(features, collate), device)


def higher_is_better(recipe: recipes.Recipe, metric: str) -> bool:
    """Whether a larger value of a validation figure is the better one."""
    if metric == "loss":
        return False
    named = next((m for m in recipe.METRICS if metric in (m, getattr(m, "name", m))), metric)
    definition = load(named)[1]
    return definition.higher_is_better if definition is not None else True


def _as_line(event: Progress | Validation) -> Mapping[str, Any]:
    if isinstance(event, Validation):
        return {"event": "validation", "step": event.step, "epoch": event.epoch, **event.values, "best": event.best}
    return {
        "event": "training",
        "step": event.step,
        "epoch": round(event.epoch, 4),
        "loss": event.loss,
        "learning_rate": event.learning_rate,
        "samples_per_second": round(event.samples_per_second, 2),
    }


def augmentation(prepared: Prepared, processor: Any) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """Return what changes training batches at random, if the recipe does that."""
    own = getattr(prepared.recipe, "augmentation", None)
    made: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    if own is not None:
        made = own(processor, prepared.splits.labels, prepared.config)
    return made


def _input_facts(features: Features) -> dict[str, Any]:
    tokens = {"tokens_per_example": round(float(features.lengths.mean()), 1)} if features.has_lengths else {}
    return {**tokens, "truncated": features.truncated}


def _training_facts(
    result: TrainingResult, config: RunConfig, device: str, precision: str, team: Team
) -> dict[str, Any]:
    return {
        "device": device,
        "processes": team.size,
        "precision": precision,
        "seconds": round(result.seconds, 2),
        "epochs": round(result.epochs, 3),
        "steps": result.steps,
        "samples_per_second": round(result.samples_per_second, 2),
        "waiting": round(result.waiting, 4),
        "best_step": result.best_step,
        "stopped_early": result.stopped_early,
        "optimizer": "AdamW",
        "learning_rate": config.training.learning_rate,
        "batch_size": config.training.batch_size,
        "seed": config.training.seed,
        "loss": list(result.losses),
        "evaluations": [{"step": v.step, "epoch": round(v.epoch, 4), **v.values} for v in result.validations],
    }
