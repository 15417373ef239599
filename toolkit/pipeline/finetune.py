"""Train, export, judge and report."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import models, recipes, runs
from toolkit.config import RunConfig, to_yaml
from toolkit.data.batch import Features
from toolkit.data.load import Splits
from toolkit.errors import Interrupted, RunError
from toolkit.evaluation import scores
from toolkit.pipeline import judge
from toolkit.pipeline.events import Note, Observe, Stage
from toolkit.pipeline.prepare import Prepared
from toolkit.pipeline.resume import find_state, stoppable, unfinished
from toolkit.training import checkpoint
from toolkit.training.loop import TrainingResult, train
from toolkit.training.progress import Progress, Validation


def finetune(prepared: Prepared, command: str, observe: Observe, *, resume: bool = False) -> runs.Run:
    """Train, export, judge and report.

    Args:
        prepared: From `prepare`.
        command: The command line, for the report.
        observe: Told what happens.
        resume: Go on with the run of the same configuration and data that did not finish.

    Returns:
        The complete run directory.

    Raises:
        RunError: The run could not go on; run.json says how it ended.
        Interrupted: Ctrl-C, or the machine asked the process to end.
    """
    config, splits = prepared.config, prepared.splits
    created = datetime.now(UTC)
    run = unfinished(prepared, observe) if resume else None
    state = find_state(run, observe) if run is not None else None
    if run is None:
        run = runs.create(config.output, config.recipe, config.model, created)
    with _recorded(run):
        run.record(
            status="running",
            command=command,
            recipe=config.recipe,
            created=created.isoformat(timespec="seconds"),
            model=prepared.checkpoint.origin,
            data=splits.facts,
            labels=list(splits.labels),
            notes=list(prepared.notes),
        )
        runs.write_text(run.path / "config.yaml", to_yaml(config))
        _keep_held_out(run, splits)
        best, training = _train(run, prepared, observe, state)
        run.record(training=training)
        observe(Stage("Judging on held-out data"))
        subject = judge.reload(best, prepared.recipe, splits.labels, config)
        verdict = judge.judge(
            subject,
            splits.test,
            judge.baseline_predictions(prepared.recipe, splits) if config.evaluation.baselines else {},
            judge.Circumstances(command, created, "held-out test", prepared.checkpoint.origin, splits.facts, training),
            observe,
        )
        judge.store(verdict, run.path)
        with runs.aside(run.model) as draft:
            shutil.copytree(best, draft)
            _write_card(draft, config)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        run.record(status="complete", environment=verdict.report["environment"], finished=finished)
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # of no more use
    return run


@contextmanager
def _recorded(run: runs.Run) -> Iterator[None]:
    """Write into run.json how the run ended, if it does not end well."""
    try:
        yield
    except Interrupted:
        run.record(status="interrupted")
        raise
    except KeyboardInterrupt:
        run.record(status="interrupted")
        raise Interrupted(
            f"Interrupted. {run.path} is marked as such, and no command takes it for a whole run.",
            "Go on with the same command and --resume, or remove the folder.",
        ) from None
    except Exception:
        with suppress(RunError, OSError):  # the disk that stopped the run may refuse this too
            run.record(status="failed")
        raise


def _train(
    run: runs.Run, prepared: Prepared, observe: Observe, state: checkpoint.State | None
) -> tuple[Path, dict[str, Any]]:
    """Train, and return the folder of the best model and what the report says of the training."""
    from accelerate.utils import set_seed

    from toolkit.training.devices import accelerator_for

    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    observe(Stage("Loading the model"))
    set_seed(config.training.seed)
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = recipe.build_model(prepared.checkpoint.path, splits.labels, config)
    observe(Stage("Tokenizing"))
    train_features = judge.encode_rows(splits.train, recipe, processor, config)
    validation_features = judge.encode_rows(splits.validation, recipe, processor, config)
    references = judge.references(recipe, splits.validation)

    def validate(model: Any) -> dict[str, float]:
        subject = judge.Subject(model, processor, recipe, splits.labels, config)
        said = judge.predict_features(subject, validation_features)
        values = scores.values(said.columns["prediction"], references, recipe.METRICS, splits.labels)
        return {"loss": said.loss if said.loss is not None else float("nan"), **values}

    def watch(event: Progress | Validation) -> None:
        run.log(_as_line(event))
        observe(event)

    collate = partial(recipe.collate, processor=processor)
    precision = _precision(run, model, train_features, collate, config)
    run.record(precision=precision)  # a resumed run computes in the same
    accelerator = accelerator_for(config.training, precision)
    folder = run.path / "checkpoints"
    note = f"Training on {accelerator.device.type} in {precision}" + (
        f", from step {state.step}" if state is not None else ""
    )
    observe(Stage(note))
    with stoppable() as stop_asked:
        result = train(
            model,
            train_features,
            collate,
            config.training,
            accelerator,
            validate=validate,
            save=lambda best, step: models.save(best, processor, checkpoint.best_path(folder, step)),
            higher_is_better=_higher_is_better(recipe, config.training.best_metric),
            observe=watch,
            write_state=partial(checkpoint.write, folder),
            state=state,
            stop_asked=stop_asked,
            say=lambda text: observe(Note(text)),
        )
    return checkpoint.best_path(folder, result.best_step), _training_facts(result, config, accelerator, train_features)


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
    batch = {name: tensor.to(device) for name, tensor in collate([features[int(row)] for row in middle]).items()}
    return precision(model, batch, device)


def _higher_is_better(recipe: recipes.Recipe, metric: str) -> bool:
    if metric == "loss":
        return False
    definition = next((m for m in recipe.METRICS if not isinstance(m, str) and m.name == metric), None)
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


def _training_facts(result: TrainingResult, config: RunConfig, accelerator: Any, features: Features) -> dict[str, Any]:
    return {
        "device": accelerator.device.type,
        "precision": {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision),
        "seconds": round(result.seconds, 2),
        "epochs": round(result.epochs, 3),
        "steps": result.steps,
        "samples_per_second": round(result.samples_per_second, 2),
        "tokens_per_example": round(float(features.lengths.mean()), 1),
        "truncated": features.truncated,
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
        runs.write_table(run.path / "data" / f"{name}.parquet", rows)


def _write_card(folder: Any, config: RunConfig) -> None:
    """Store beside the weights what later commands need to use them: the recipe, and how inputs are prepared."""
    keep = {"max_length": config.data.max_length, "columns": config.data.columns, "label_map": config.data.label_map}
    card = {
        "recipe": config.recipe,
        "data": keep,
        "evaluation": config.evaluation.model_dump(),
        "training": {"seed": config.training.seed},
        "options": config.options,
    }
    runs.write_json(folder / "toolkit.json", card)
