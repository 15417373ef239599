"""Train, export, judge and report."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models, recipes, runs
from toolkit.config import RunConfig, leaves
from toolkit.config_files import to_yaml
from toolkit.data import pictures
from toolkit.data.batch import Features, Integers, pad, probe
from toolkit.data.load import Splits
from toolkit.errors import Interrupted, RunError
from toolkit.evaluation import scores, screening
from toolkit.evaluation.calibration import fit_temperature
from toolkit.evaluation.findings import text_roles
from toolkit.evaluation.near_duplicates import MOST_COMPARED, describe
from toolkit.metrics import load
from toolkit.pipeline import fresh, judge
from toolkit.pipeline.build import build_model
from toolkit.pipeline.checks import run_checks
from toolkit.pipeline.events import Note, Observe, Stage
from toolkit.pipeline.inputs import encode_parts, stage_of, through_trunk
from toolkit.pipeline.prepare import Prepared
from toolkit.pipeline.resume import find_state, stoppable, terminable, unfinished
from toolkit.team import ALONE, Team
from toolkit.training import adapters, checkpoint, trackers, trunk
from toolkit.training.depth import freeze
from toolkit.training.loop import TrainingResult, train
from toolkit.training.objective import objective_for
from toolkit.training.progress import NonFiniteLoss, Progress, Validation

SAMPLE = 2000  # train rows at most, on which the loss is taken beside validation's
BEFORE = "Before fine-tuning"
ADAPTER = "adapter"  # folder of the adapters, beside the model they were merged into


def finetune(
    prepared: Prepared, command: str, observe: Observe, *, resume: bool = False, team: Team = ALONE
) -> runs.Run:
    """Train, export, judge and report.

    Args:
        prepared: From `prepare`.
        command: The command line, for the report.
        observe: Told what happens.
        resume: Go on with the run of the same configuration and data that did not finish.
        team: The processes that share the work; the main one alone writes.

    Returns:
        The complete run directory; in the other processes it may not be complete yet.

    Raises:
        RunError: The run could not go on; run.json says how it ended.
        Interrupted: Ctrl-C, or the machine asked the process to end.
    """
    config, splits = prepared.config, prepared.splits
    created = datetime.now(UTC)
    run, state = team.from_main(lambda: _open(prepared, created, observe, resume))
    with terminable(), _recorded(run, command, team):
        if team.is_main:
            _describe(run, prepared, command, created)
        best, training = fit(run, prepared, observe, state, team)
        observe(Stage("Judging on held-out data"))
        trained = config.loading.model_copy(update={"from_scratch": False})  # its weights are there now
        stored = judge.StoredModel(best, prepared.recipe, splits.labels, config.model_copy(update={"loading": trained}))
        said = judge.ask(stored, splits.test, "held-out test", observe, team)
        calibration = _calibration(stored, prepared, team)
        if not team.is_main:
            return run
        run.record(training=training)
        if config.evaluation.baselines:
            said = said.beside(_baselines(prepared, observe))
        circumstances = judge.Circumstances(
            command,
            created,
            "held-out test",
            prepared.checkpoint.origin,
            splits.facts,
            training,
            temperature=calibration.get("temperature"),
            thresholds=calibration.get("thresholds"),
            repeated=_find_repeated(run, prepared, observe),
            checks=run_checks(stored, splits.test, said.predictions, observe),
        )
        verdict = judge.judge(stored, said, splits.test, circumstances, observe)
        judge.store(verdict, run.path)
        with runs.aside(run.model) as draft:
            shutil.copytree(best, draft, ignore=shutil.ignore_patterns(ADAPTER))
            _write_card(draft, config, calibration)
        if (best / ADAPTER).is_dir():
            with runs.aside(run.path / ADAPTER) as draft:
                shutil.copytree(best / ADAPTER, draft)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        run.record(status="complete", environment=verdict.report["environment"], finished=finished)
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # of no more use
    return run


def _open(
    prepared: Prepared, created: datetime, observe: Observe, resume: bool
) -> tuple[runs.Run, checkpoint.State | None]:
    """Find the run to go on with and its newest state, or make a new one."""
    run = unfinished(prepared, observe) if resume else None
    if run is not None:
        return run, find_state(run, observe)
    config = prepared.config
    return runs.create(config.output, config.recipe, config.model, created), None


def _describe(run: runs.Run, prepared: Prepared, command: str, created: datetime) -> None:
    """Write into the run directory what is known before training, and the rows that the run is judged on."""
    run.record(
        status="running",
        command=command,
        recipe=prepared.config.recipe,
        created=created.isoformat(timespec="seconds"),
        model=prepared.checkpoint.origin,
        data=prepared.splits.facts,
        labels=list(prepared.splits.labels),
        notes=list(prepared.notes),
    )
    runs.write_text(run.path / "config.yaml", to_yaml(prepared.config))
    _keep_held_out(run, prepared.splits)


@contextmanager
def _recorded(run: runs.Run, command: str, team: Team) -> Iterator[None]:
    """Write into run.json how the run ended, if it does not end well; name the command that goes on."""
    again = command if "--resume" in command.split() else f"{command} --resume"

    def record(status: str) -> None:
        if team.is_main:
            with suppress(RunError, OSError):  # the disk that stopped the run may refuse this too
                run.record(status=status)

    try:
        yield
    except Interrupted as stop:
        record("interrupted")
        raise Interrupted(stop.problem, f"Go on with: {again}") from None
    except KeyboardInterrupt:
        record("interrupted")
        raise Interrupted(
            f"Interrupted. {run.path} is marked as such, and no command takes it for a whole run.",
            f"Go on with: {again}",
        ) from None
    except Exception:
        record("failed")
        raise


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
        train_features, validation_features = encode_parts(parts, recipe, processor, config, observe)
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
    below = trunk.find(model.to(accelerator.device), probe(train_features, collate)) if augment is None else None
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
    objective = objective_for(config.loss, splits.labels, train_features.columns["labels"])
    device = accelerator.device.type if team.size == 1 else f"{team.size} × {accelerator.device.type}"
    observe(Stage(f"Training on {device} in {precision}{f', from step {state.step}' if state is not None else ''}"))
    for note in _shared_out(config, team, state):
        observe(Note(note))
    values = {".".join(key): value for key, value in leaves(config.model_dump())}
    told = trackers.tracking(accelerator, tracked, values, lambda text: observe(Note(text)))
    with _rows_named(splits.train, folder), stoppable() as stop_asked, told as log:
        result = train(
            trained,
            train_features,
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


def _keep_held_out(run: runs.Run, splits: Splits) -> None:
    """Keep the rows that the run is judged on, so that it can be judged again on any machine."""
    for name, rows in (("validation", splits.validation), ("test", splits.test)):
        runs.write_table(run.path / "data" / f"{name}.parquet", pictures.embedded(rows))


def _calibration(stored: judge.StoredModel, prepared: Prepared, team: Team) -> dict[str, Any]:
    """Fit the temperature, and thresholds if asked for, on validation rows; nothing without probabilities."""
    if prepared.recipe.COLUMNS[-1].kind != "label":
        return {}
    said = judge.ask(stored, prepared.splits.validation, "validation", None, team)
    columns = said.predictions.columns
    if "probabilities" not in columns:
        return {}
    chances, truth = columns["probabilities"], judge.references(prepared.recipe, said.table)
    found = {"temperature": fit_temperature(chances, truth), "fitted_on": "validation", "rows": said.table.num_rows}
    settings = prepared.config.evaluation
    positive = screening.number_of(settings.positive_class, prepared.splits.labels)
    if positive is not None:
        found["thresholds"] = screening.thresholds(chances, truth, positive, settings.operating_points)
    return found


def _find_repeated(run: runs.Run, prepared: Prepared, observe: Observe) -> list[dict[str, Any]] | None:
    """Find the test rows that repeat a training row, and keep them for later evaluations; None where nobody looked."""
    recipe, splits = prepared.recipe, prepared.splits
    inputs = text_roles(recipe, splits.train)
    if not inputs or splits.train.num_rows + splits.test.num_rows > MOST_COMPARED:
        return None
    observe(Stage("Looking for test rows in train"))
    pairs = describe(splits.train, splits.test, inputs, recipe.COLUMNS[-1].role, splits.labels)
    runs.write_json(run.path / runs.NEAR_DUPLICATES, {"pairs": pairs})
    return pairs


def _baselines(prepared: Prepared, observe: Observe) -> dict[str, list[Any]]:
    """Return what the recipe's baselines say of test, and where answers are written what the model said untrained."""
    recipe, splits = prepared.recipe, prepared.splits
    found = judge.baseline_predictions(recipe, splits)
    if recipes.generates(recipe) and prepared.checkpoint.origin != fresh.NAME:
        observe(Stage("Asking the model as it was before fine-tuning"))
        before = judge.StoredModel(prepared.checkpoint.path, recipe, splits.labels, prepared.config)
        found[BEFORE] = list(judge.ask(before, splits.test, "held-out test", observe).predictions.columns["prediction"])
    return found


def _write_card(folder: Any, config: RunConfig, calibration: Mapping[str, Any]) -> None:
    """Store beside the weights what later commands need to use them: the recipe, and how inputs are prepared."""
    keep = {"max_length": config.data.max_length, "columns": config.data.columns, "label_map": config.data.label_map}
    card = {
        "recipe": config.recipe,
        "attention": config.attention,
        "data": keep,
        "evaluation": config.evaluation.model_dump(),
        "training": {"seed": config.training.seed},
        "options": config.options,
        **({"calibration": calibration} if calibration else {}),
    }
    runs.write_json(folder / runs.CARD, card)
