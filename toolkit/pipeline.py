"""The stages in their order: this is what the commands do.

    RunConfig → Splits → (model, processor) → train() → run directory → Scores → report
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import toolkit
from toolkit import environment, models, recipes, runs
from toolkit.config import Layer, Resolved, RunConfig, resolve, to_yaml, validate_options
from toolkit.data.batch import Features, encode
from toolkit.data.inspect import Part
from toolkit.data.inspect import inspect as describe_parts
from toolkit.data.load import Splits, Table, fallback_data, load_splits, load_table, part_facts, read_path
from toolkit.data.split import fingerprint, shared_rows
from toolkit.errors import ConfigError, DataError, RunError, SourceError
from toolkit.evaluation import scores
from toolkit.evaluation.predict import Predictions, predict
from toolkit.report.build import build
from toolkit.report.render import to_html, to_markdown
from toolkit.training.loop import Progress, TrainingResult, Validation, train


@dataclass(frozen=True)
class Stage:
    """A stage of the work begins."""

    name: str


@dataclass(frozen=True)
class Note:
    """Something that the user should know."""

    text: str


@dataclass(frozen=True)
class Counted:
    """How far a stage without a loss has come."""

    done: int
    total: int


Event = Stage | Note | Counted | Progress | Validation
Observe = Callable[[Event], None]


@dataclass(frozen=True)
class Prepared:
    """Everything that is settled before the first training step.

    Attributes:
        recipe: The task.
        resolved: The complete configuration; what was found out is filled in.
        checkpoint: The pretrained weights.
        splits: The data.
        notes: Sentences for the user.
    """

    recipe: recipes.Recipe
    resolved: Resolved
    checkpoint: models.Checkpoint
    splits: Splits
    notes: tuple[str, ...]

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return self.resolved.config


def configure(recipe_name: str, layers: Sequence[Layer]) -> tuple[recipes.Recipe, Resolved]:
    """Resolve the configuration of a recipe from its defaults and the user's layers.

    Raises:
        RecipeError: There is no such recipe.
        ConfigError: A key or value is wrong.
    """
    recipe = recipes.load(recipe_name)
    resolved = resolve([("command", {"recipe": recipe_name}), ("recipe", recipe.DEFAULTS), *layers])
    options = getattr(recipe, "Options", None)
    if options is not None:
        return recipe, resolved.with_values("recipe", {"options": validate_options(options, resolved.config.options)})
    if resolved.config.options:
        raise ConfigError(
            f"The recipe `{recipe_name}` has no options of its own, but {', '.join(resolved.config.options)} was given.",
            f"`toolkit recipes show {recipe_name}` lists every key.",
        )
    return recipe, resolved


def prepare(recipe: recipes.Recipe, resolved: Resolved, observe: Observe) -> Prepared:
    """Find model and data and settle every value, before anything is trained or written."""
    observe(Stage("Looking for model and data"))
    notes = []
    checkpoint = models.locate(resolved.config.model, resolved.config.loading)
    if checkpoint.note:
        notes.append(checkpoint.note)
    replacement = fallback_data(recipe, resolved.config.data)
    if replacement is not None:
        notes.append(f"The Hub cannot be reached; {replacement['source']} stands in for {resolved.config.data.source}.")
        resolved = resolved.with_values("fallback", {"data": replacement})
    found: dict[str, Any] = {}
    if resolved.config.training.learning_rate is None:
        found["learning_rate"] = models.learning_rate(checkpoint)
    resolved = resolved.with_values("model", {"training": found})
    _check_best_metric(recipe, resolved.config)
    longest = models.longest_input(checkpoint)
    if longest is not None and resolved.config.data.max_length > longest:
        if resolved.origin("data.max_length") != "default":
            raise ConfigError(
                f"`data.max_length` is {resolved.config.data.max_length}, but {checkpoint.name} takes at most {longest} tokens.",
                f"Use --max-length {longest} or less.",
            )
        resolved = resolved.with_values("model", {"data": {"max_length": longest}})
    observe(Stage("Reading data"))
    splits = load_splits(recipe, resolved.config.data, resolved.config.training.seed)
    return Prepared(recipe, resolved, checkpoint, splits, (*notes, *splits.facts["notes"]))


def _check_best_metric(recipe: recipes.Recipe, config: RunConfig) -> None:
    names = ["loss", *(metric if isinstance(metric, str) else metric.name for metric in recipe.METRICS)]
    if config.training.best_metric not in names:
        raise ConfigError(
            f"`training.best_metric` is {config.training.best_metric!r}, which this recipe does not compute.",
            f"Choose one of {', '.join(names)}.",
        )


def plan(prepared: Prepared) -> str:
    """Say in one sentence what `finetune` would do."""
    training, rows = prepared.config.training, prepared.splits.train.num_rows
    steps = math.ceil(math.ceil(rows / training.batch_size) * training.epochs)
    return (
        f"{steps:,} optimizer steps of {training.batch_size} examples ({training.epochs:g} epochs of {rows:,} rows), "
        f"peak learning rate {training.learning_rate:g}, seed {training.seed}."
    )


def finetune(prepared: Prepared, command: str, observe: Observe) -> runs.Run:
    """Train, export, evaluate and report.

    Args:
        prepared: From `prepare`.
        command: The command line, for the report.
        observe: Told what happens.

    Returns:
        The complete run directory.

    Raises:
        RunError: The run could not go on; run.json says where it stopped.
    """
    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    created = datetime.now(UTC)
    run = runs.create(config.output, config.recipe, config.model, created)
    run.record(status="running", command=command, recipe=config.recipe, created=created.isoformat(timespec="seconds"))
    try:
        runs.write_text(run.path / "config.yaml", to_yaml(config))
        run.record(model=_origin(prepared.checkpoint), data=splits.facts, labels=list(splits.labels), notes=list(prepared.notes))
        _keep_held_out(run, splits)
        result, facts = _train(run, prepared, observe)
        run.record(training=facts)
        observe(Stage("Judging on held-out data"))
        model, processor = _reload(run.path / "checkpoint", recipe, splits.labels, config)
        encoder = _encoder(recipe, processor, config)
        predictions, truncated = _predict(model, splits.test, recipe, processor, encoder, config, observe)
        baselines = _baseline_predictions(recipe, splits) if config.evaluation.baselines else {}
        warnings = _warnings(splits.test.num_rows, truncated, config)
        report = _report(
            prepared.recipe, config, splits.test, splits.labels, predictions, baselines,
            command=command, created=created, split="held-out test", origin=_origin(prepared.checkpoint),
            model=model, data=splits.facts, training=facts, warnings=warnings,
        )  # fmt: skip
        _save_predictions(run.path / "predictions.parquet", splits.test, predictions, baselines)
        _write_card(run.path / "checkpoint", config, splits.labels)
        (run.path / "checkpoint").rename(run.model)
        _write_report(run.path, report)
        run.record(status="complete", environment=report["environment"], finished=_now())
    except KeyboardInterrupt:
        run.record(status="interrupted")
        raise
    except Exception:
        _record_failure(run)
        raise
    return run


def _record_failure(run: runs.Run) -> None:
    try:
        run.record(status="failed")
    except (RunError, OSError):
        pass  # the disk that stopped the run may refuse this too; a run that is not "complete" is never used


def _train(run: runs.Run, prepared: Prepared, observe: Observe) -> tuple[TrainingResult, dict[str, Any]]:
    from accelerate.utils import set_seed

    from toolkit.training.devices import accelerator_for

    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    observe(Stage("Loading the model"))
    accelerator = accelerator_for(config.training)
    set_seed(config.training.seed)
    processor = recipe.load_processor(prepared.checkpoint.path, config)
    model = recipe.build_model(prepared.checkpoint.path, splits.labels, config)
    observe(Stage("Tokenizing"))
    encoder = _encoder(recipe, processor, config)
    train_features, validation_features = encoder(splits.train), encoder(splits.validation)
    collate = partial(recipe.collate, processor=processor)
    references = _references(recipe, splits.validation)

    def validate(model: Any) -> dict[str, float]:
        said = _run_model(model, validation_features, recipe, processor, config, accelerator.device)
        values = scores.values(said.columns["prediction"], references, recipe.METRICS, splits.labels)
        return {"loss": said.loss if said.loss is not None else float("nan"), **values}

    def watch(event: Progress | Validation) -> None:
        run.log(_as_line(event))
        observe(event)

    observe(Stage(f"Training on {accelerator.device.type}"))
    result = train(
        model,
        train_features,
        collate,
        config.training,
        accelerator,
        validate=validate,
        save=lambda best: models.save(best, processor, run.path / "checkpoint"),
        higher_is_better=_higher_is_better(recipe, config.training.best_metric),
        observe=watch,
    )
    return result, _training_facts(result, config, accelerator, train_features)


def _higher_is_better(recipe: recipes.Recipe, metric: str) -> bool:
    if metric == "loss":
        return False
    definition = next((m for m in recipe.METRICS if not isinstance(m, str) and m.name == metric), None)
    return definition.higher_is_better if definition is not None else True


def _as_line(event: Progress | Validation) -> dict[str, Any]:
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
        "best_step": result.best_step,
        "stopped_early": result.stopped_early,
        "optimizer": "AdamW",
        "learning_rate": config.training.learning_rate,
        "batch_size": config.training.batch_size,
        "seed": config.training.seed,
        "loss": list(result.losses),
        "evaluations": [{"step": v.step, "epoch": round(v.epoch, 4), **v.values} for v in result.validations],
    }


def evaluate(
    target: str, data: Mapping[str, Any], recipe_name: str | None, output: str | None, command: str, observe: Observe
) -> tuple[Path, dict[str, Any]]:
    """Judge a run, a folder or a Hub model on data, reloading it from disk.

    Args:
        target: Run directory, alias, folder or Hub id.
        data: Data settings that replace the run's; empty means the run's own held-out rows.
        recipe_name: The task; the run's or the model's own when None.
        output: Folder for the report; inside the run, or under runs/, when None.
        command: The command line, for the report.
        observe: Told what happens.

    Returns:
        The folder of the report, and the report.
    """
    observe(Stage("Looking for model and data"))
    run = runs.Run(Path(target)) if runs.is_run(Path(target)) else None
    own = run is not None and "source" not in data
    checkpoint = models.locate(target, _loading(data))
    config = _evaluation_config(checkpoint, run, recipe_name, data)
    recipe = recipes.load(config.recipe)
    labels = models.label_names(checkpoint)
    observe(Stage("Reading data"))
    baselines: dict[str, list[Any]] = {}
    if run is not None and own:
        rows = read_path(run.path / "data" / "test.parquet")
        facts = run.facts["data"]
        baselines = _stored_baselines(run, recipe)
        split = "held-out test"
    else:
        table = load_table(recipe, config.data, labels)
        part = next(part for part in ("test", "all", "validation", "train") if part in table.parts)
        rows, split = table.parts[part], "given" if part == "all" else part
        facts = _table_facts(recipe, config, table.origin, rows, part, labels, [*table.notes], table.counts)
    processor = recipe.load_processor(checkpoint.path, config)
    model, _ = _reload(checkpoint.path, recipe, labels, config)
    observe(Stage("Judging"))
    encoder = _encoder(recipe, processor, config)
    predictions, truncated = _predict(model, rows, recipe, processor, encoder, config, observe)
    created = datetime.now(UTC)
    report = _report(
        recipe, config, rows, labels, predictions, baselines,
        command=command, created=created, split=split, origin=_origin(checkpoint), model=model,
        data=facts, training=run.facts.get("training") if run is not None and own else None,
        warnings=_warnings(rows.num_rows, truncated, config),
    )  # fmt: skip
    folder = _evaluation_folder(run, output, target, config, created, own=own)
    _save_predictions(folder / "predictions.parquet", rows, predictions, baselines)
    _write_report(folder, report)
    return folder, report


def _loading(data: Mapping[str, Any]) -> Any:
    return resolve([("flag", {"recipe": "-", "loading": data.get("loading", {})})]).config.loading


def _evaluation_config(
    checkpoint: models.Checkpoint, run: runs.Run | None, recipe_name: str | None, data: Mapping[str, Any]
) -> RunConfig:
    """Take the configuration of the run, or the one stored with the model, and lay the new data settings on it."""
    stored: dict[str, Any] = {}
    card = checkpoint.path / "toolkit.json"
    if card.is_file():
        stored = json.loads(card.read_text(encoding="utf-8"))
    name = recipe_name or stored.get("recipe") or (run.facts.get("recipe") if run else None) or "sentiment"
    over: dict[str, Any] = {"data": {k: v for k, v in data.items() if k != "loading"}, "model": checkpoint.name}
    if "source" in data:
        stored.get("data", {}).pop("where", None)
    stored.pop("recipe", None)
    longest = models.longest_input(checkpoint)
    _, resolved = configure(name, [("model", stored), ("flag", over)])
    if longest is not None and resolved.config.data.max_length > longest:
        resolved = resolved.with_values("model", {"data": {"max_length": longest}})
    return resolved.config


def _table_facts(
    recipe: recipes.Recipe, config: RunConfig, origin: str, rows: pa.Table, part: str, labels: Sequence[str],
    notes: list[str], counts: Mapping[str, int],
) -> dict[str, Any]:  # fmt: skip
    roles = [c.role for c in recipe.COLUMNS if c.role in rows.column_names]
    label = next((c.role for c in recipe.COLUMNS if c.kind == "label"), None)
    return {
        "source": config.data.source,
        "origin": origin,
        "fingerprint": fingerprint({"test": rows}, roles),
        "splits": [part_facts(part, rows, label, labels, given=True)],
        "counts": dict(counts),
        "notes": notes,
    }


def _evaluation_folder(
    run: runs.Run | None, output: str | None, target: str, config: RunConfig, created: datetime, *, own: bool
) -> Path:
    if output is not None:
        return Path(output)
    if run is None:
        return runs.create(None, "evaluate", target, created).path
    source = Path(config.data.source).stem or "data"
    return run.path / "evaluations" / ("held-out" if own else f"{source}-{created:%Y%m%d-%H%M%S}")


def _stored_baselines(run: runs.Run, recipe: recipes.Recipe) -> dict[str, list[Any]]:
    stored = read_path(run.path / "predictions.parquet")
    return {
        name: stored[f"baseline: {name}"].to_pylist()
        for name in getattr(recipe, "BASELINES", {})
        if f"baseline: {name}" in stored.column_names
    }


def _encoder(recipe: recipes.Recipe, processor: Any, config: RunConfig) -> Callable[[pa.Table], Features]:
    roles = [column.role for column in recipe.COLUMNS]

    def encode_rows(rows: pa.Table) -> Features:
        present = [role for role in roles if role in rows.column_names]
        return encode(rows.select(present), lambda batch: recipe.preprocess(batch, processor, config))

    return encode_rows


def _run_model(
    model: Any, features: Features, recipe: recipes.Recipe, processor: Any, config: RunConfig, device: Any, observe: Observe | None = None
) -> Predictions:
    return predict(
        model,
        features,
        partial(recipe.collate, processor=processor),
        recipe.predictions,
        batch_size=config.evaluation.batch_size,
        device=device,
        observe=None if observe is None else lambda done, total: observe(Counted(done, total)),
    )


def _predict(
    model: Any, rows: pa.Table, recipe: recipes.Recipe, processor: Any,
    encoder: Callable[[pa.Table], Features], config: RunConfig, observe: Observe,
) -> tuple[Predictions, int]:  # fmt: skip
    features = encoder(rows)
    return _run_model(model, features, recipe, processor, config, model.device, observe), features.truncated


def _reload(folder: Path, recipe: recipes.Recipe, labels: Sequence[str], config: RunConfig) -> tuple[Any, Any]:
    """Load what was saved, so that the figures are those of the files and not of what was in memory."""
    from toolkit.training.devices import pick_device

    model = recipe.build_model(folder, labels, config).eval().to(pick_device(config.training.device))
    return model, recipe.load_processor(folder, config)


def _references(recipe: recipes.Recipe, rows: pa.Table) -> list[Any]:
    target = recipe.COLUMNS[-1].role
    found: list[Any] = rows[target].to_pylist()
    return found


def _baseline_predictions(recipe: recipes.Recipe, splits: Splits) -> dict[str, list[Any]]:
    functions = getattr(recipe, "BASELINES", {})
    return {name: function(splits.train, splits.test, splits.labels) for name, function in functions.items()}


def _warnings(rows: int, truncated: int, config: RunConfig) -> list[str]:
    warnings = []
    if truncated:
        warnings.append(f"{truncated:,} of {rows:,} test examples were cut at {config.data.max_length} tokens.")
    if rows < 100:
        warnings.append(f"Only {rows} test examples: the intervals are wide, and small differences cannot be seen.")
    return warnings


def _report(
    recipe: recipes.Recipe, config: RunConfig, rows: pa.Table, labels: Sequence[str], predictions: Predictions,
    baselines: Mapping[str, list[Any]], *, command: str, created: datetime, split: str, origin: str, model: Any,
    data: Mapping[str, Any], training: Mapping[str, Any] | None, warnings: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    references = _references(recipe, rows)
    said = predictions.columns["prediction"]
    parameters, size_bytes = models.size(model)
    return build(
        title=_title(config),
        recipe=config.recipe,
        command=command,
        created=created.isoformat(timespec="seconds"),
        version=toolkit.__version__,
        model={
            "name": config.model,
            "origin": origin,
            "architecture": type(model).__name__,
            "parameters": parameters,
            "size_bytes": size_bytes,
        },
        evaluation=scores.evaluation_section(predictions, rows, references, recipe, labels, config, split),
        baselines=[
            scores.baseline_section(name, theirs, said, references, recipe.METRICS, labels, config)
            for name, theirs in baselines.items()
        ],
        data=data,
        training=training,
        environment=environment.describe(),
        config=config.model_dump(),
        warnings=warnings,
    )


def _title(config: RunConfig) -> str:
    name = config.model if config.model.startswith("pkg://") else Path(config.model.rstrip("/")).name
    return f"{Path(config.recipe).stem.replace('_', ' ').capitalize()} with {name}"


def _origin(checkpoint: models.Checkpoint) -> str:
    return checkpoint.origin


def _keep_held_out(run: runs.Run, splits: Splits) -> None:
    import pyarrow.parquet as pq

    for name, rows in (("validation", splits.validation), ("test", splits.test)):
        with runs.aside(run.path / "data" / f"{name}.parquet") as draft:
            pq.write_table(rows, draft)


def _save_predictions(path: Path, rows: pa.Table, predictions: Predictions, baselines: Mapping[str, list[Any]]) -> None:
    import pyarrow.parquet as pq

    columns = {name: rows[name] for name in ("_file", "_row", "label", "labels") if name in rows.column_names}
    columns |= {name: pa.array(values) for name, values in predictions.columns.items()}
    columns |= {f"baseline: {name}": pa.array(values) for name, values in baselines.items()}
    with runs.aside(path) as draft:
        pq.write_table(pa.table(columns), draft)


def _write_card(folder: Path, config: RunConfig, labels: Sequence[str]) -> None:
    """Store beside the weights what later commands need to use them: the recipe and how inputs are prepared."""
    keep = {"max_length": config.data.max_length, "columns": config.data.columns, "label_map": config.data.label_map}
    runs.write_json(folder / "toolkit.json", {"recipe": config.recipe, "data": keep, "options": config.options})


def _write_report(folder: Path, report: dict[str, Any]) -> None:
    runs.write_json(folder / "report.json", report)
    runs.write_text(folder / "report.md", to_markdown(report))
    runs.write_text(folder / "report.html", to_html(report))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_data_named(data: Mapping[str, Any], target: str) -> None:
    """Refuse to judge a bare model on nothing."""
    if "source" not in data and not runs.is_run(Path(target)):
        raise DataError(f"{target} is no run directory, so it brings no held-out data of its own.", "Name the data to judge it on with --data.")


@dataclass(frozen=True)
class Inspected:
    """What `inspect` found.

    Attributes:
        table: The rows in the recipe's roles.
        parts: What each part holds.
        unit: What lengths are counted in: "tokens", or "words" where no tokenizer is at hand.
        shared: What stands on both sides of a border between parts → how many rows.
    """

    table: Table
    parts: Sequence[Part]
    unit: str
    shared: Mapping[str, int]


def inspect(recipe: recipes.Recipe, config: RunConfig) -> Inspected:
    """Look at a data source the way a run would, and train nothing.

    Raises:
        DataError: The table does not fit the recipe.
    """
    table = load_table(recipe, config.data)
    notes = []
    try:
        checkpoint = models.locate(config.model, config.loading)
        processor = recipe.load_processor(checkpoint.path, config)
        unlimited = config.model_copy(update={"data": config.data.model_copy(update={"max_length": 1_000_000})})
        lengths_of: Any = partial(recipe.preprocess, processor=processor, config=unlimited)
        unit = "tokens"
    except SourceError as error:
        lengths_of, unit = None, "words"
        notes.append(f"{error.problem} Lengths are counted in words; name a tokenizer with --model.")
    parts = describe_parts(table, recipe.COLUMNS, lengths_of)
    inputs = [c.role for c in recipe.COLUMNS if c.kind in ("text", "words")]
    shared = {}
    for held_out in ("validation", "test"):
        if "train" in table.parts and held_out in table.parts:
            present = [role for role in inputs if role in table.parts["train"].column_names]
            shared[f"train rows in {held_out}"] = shared_rows(table.parts["train"], table.parts[held_out], present)
    return Inspected(replace(table, notes=(*table.notes, *notes)), parts, unit, shared)
