"""Settle everything before the first training step: recipe, configuration, checkpoint, data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit import checkpoints, runs
from toolkit.attention import forms, resolution
from toolkit.commands.evaluate.checks import check_columns
from toolkit.commands.few_labels import settle
from toolkit.commands.finetune import defaults, from_scratch
from toolkit.commands.finetune.teacher import Teacher
from toolkit.config import Layer, Resolved, RunConfig, leaves, resolve, validate_options
from toolkit.config.time_budget import written
from toolkit.data.load import Splits, load_splits
from toolkit.data.sources.acquire import fallback_data
from toolkit.data.streaming import load as streaming
from toolkit.errors import ConfigError
from toolkit.evaluation import thresholds
from toolkit.evaluation.checks import generation_quality
from toolkit.events import Observe, Stage
from toolkit.inference.build_model import check_restraints, lengthening
from toolkit.metrics import load
from toolkit.tasks import catalogue, loading, own_parts
from toolkit.tasks.contract import Recipe
from toolkit.training.distributed import data_parallel, sharding
from toolkit.training.loop import trackers
from toolkit.training.loss import attention_loss
from toolkit.training.loss.objective import class_weights

AUTO = "auto"  # value of `model`: to be chosen


@dataclass(frozen=True)
class Prepared:
    """Everything that is settled before the first training step.

    Attributes:
        recipe: The task.
        resolved: The complete configuration, with determined values.
        checkpoint: The pretrained weights.
        splits: The data.
        notes: Sentences for the user.
        completed: Whether the checkpoint lacked something that was learned from the training rows.
        teacher: What a student imitates; None in other trainings.
    """

    recipe: Recipe
    resolved: Resolved
    checkpoint: checkpoints.Checkpoint
    splits: Splits
    notes: tuple[str, ...]
    completed: bool = False
    teacher: Teacher | None = None

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return self.resolved.config

    @property
    def model_choice(self) -> str | None:
        """The reason for the choice of the model, where `--model auto` was given."""
        origin = self.resolved.origin("model")
        return origin if origin.startswith(f"{AUTO}:") else None


def configure(recipe_name: str, layers: Sequence[Layer]) -> tuple[Recipe, Resolved]:
    """Resolve the configuration of a recipe that the user named, from its defaults and the user's layers.

    Raises:
        RecipeError: There is no such recipe.
        ConfigError: A key or value is wrong.
    """
    catalogue.remember(recipe_name)
    return configure_stored(recipe_name, layers)


def configure_stored(recipe_name: str, layers: Sequence[Layer]) -> tuple[Recipe, Resolved]:
    """Do the same for a recipe that is stored with a model and may be run."""
    recipe_name = catalogue.canonical(recipe_name)
    recipe = loading.load(recipe_name)
    resolved = resolve([("command", {"recipe": recipe_name}), ("recipe", recipe.defaults), *layers])
    if resolved.config.data.target is not None:
        recipe = loading.load(recipe_name, resolved.config.data.target)
        resolved = resolve([("command", {"recipe": recipe_name}), ("recipe", recipe.defaults), *layers])
    recipe = own_parts.added(recipe, resolved.config.own)
    options = recipe.options
    if options is not None:
        filled = validate_options(options, resolved.config.options, resolved.origins)
        complete = resolved.with_values("recipe", {"options": filled})
        return recipe, Resolved(complete.config, {**complete.origins, **resolved.origins})
    if resolved.config.options:
        raise ConfigError(
            f"The recipe `{recipe_name}` has no options, but got {', '.join(resolved.config.options)}.",
            f"`toolkit recipes show {recipe_name}` lists every key.",
            id="config.unknown-key",
        )
    return recipe, resolved


def prepare(
    recipe: Recipe,
    resolved: Resolved,
    observe: Observe,
    *,
    resume: bool = False,
    may_compare: bool = False,
) -> Prepared:
    """Find model and data and settle every value, before anything is trained or written.

    Args:
        recipe: The task.
        resolved: From `configure`.
        observe: Called with each event.
        resume: Whether the output folder may hold a run that did not finish.
        may_compare: Whether training methods may be compared where labels are few.
    """
    runs.check_place(resolved.config.output, resume=resume)
    if resolved.config.model.partition(":")[0] == AUTO:
        raise ConfigError(
            "`--model auto` is for `toolkit finetune`.",
            "Give a model; `toolkit recipes list` shows some.",
            id="config.not-for-command",
        )
    if may_compare:
        settle.check(resolved, recipe)
    observe(Stage("Locating model and data"))
    notes = [*recipe.notes]
    query = resolved.config.evaluation.query_column
    if query is not None and resolved.config.data.group_column is None:
        resolved = resolved.with_values("evaluation.query_column", {"data": {"group_column": query}})
    afresh = from_scratch.wanted(recipe, resolved)
    if afresh:
        resolved = resolved.with_values("recipe", {"model": from_scratch.NAME, "loading": {"from_scratch": True}})
    else:
        checkpoint = checkpoints.locate(resolved.config.model, resolved.config.loading, resolved.config.options)
        notes += [checkpoint.note] if checkpoint.note else []
        check_family(recipe, checkpoint)
        recipe = recipe.for_checkpoint(checkpoint.path)
        notes += checkpoints.unasked(checkpoint, resolved.config.options)
        if recipe.generate is not None:
            recipe.load_processor(checkpoint.path, resolved.config)  # it may not know the languages
        resolved, remarks = fit_to_model(resolved, checkpoint)
        notes += remarks
    replacement = fallback_data(recipe, resolved.config.data)
    if replacement is not None:
        notes.append(f"The Hub cannot be reached; {replacement['source']} replaces {resolved.config.data.source}.")
        resolved = resolved.with_values("fallback", {"data": replacement})
    _check_configuration(recipe, resolved.config)
    if resolved.config.data.streaming:
        if not may_compare:
            raise ConfigError(
                "`data.streaming` is for `toolkit finetune`.",
                "Leave it out, and give a part of the data.",
                id="config.not-for-command",
            )
        streaming.check(recipe, resolved.config)
        resolved = resolved.with_values("streaming", {"training": {"few_labels": "off"}})
    observe(Stage("Reading data"))
    config = resolved.config
    load = streaming.load_splits if config.data.streaming else load_splits
    splits = load(recipe, config.data, config.training.seed, config.options)
    recipe, resolved = with_target(recipe, resolved, splits)
    _check_splits(recipe, resolved.config, splits)
    if afresh:
        checkpoint = from_scratch.make(recipe, resolved.config, splits, observe)
        recipe = recipe.for_checkpoint(checkpoint.path)
        resolved, remarks = fit_to_model(resolved, checkpoint)
        notes += remarks
        given = checkpoint
    else:
        given, checkpoint = checkpoint, from_scratch.completed(recipe, resolved.config, splits, checkpoint)
    if may_compare:
        resolved, splits = settle.settle(resolved, recipe, splits)
    else:
        if resolved.config.data.unlabelled is not None:
            raise ConfigError(
                "`data.unlabelled` is for `toolkit finetune`.",
                "Leave it out, or run `toolkit pretrain` first and use its result as --model.",
                id="config.not-for-command",
            )
        resolved = resolved.with_values("command", {"training": {"few_labels": "off"}})
    resolved = defaults.fill(resolved, splits.train_rows)
    check_restraints(recipe, resolved.config, checkpoint, splits.labels)
    notes += _never_warm(resolved.config, splits.train_rows)
    notes += splits.facts["notes"]
    return Prepared(recipe, resolved, checkpoint, splits, tuple(notes), checkpoint is not given)


def with_target(recipe: Recipe, resolved: Resolved, splits: Splits) -> tuple[Recipe, Resolved]:
    """Return recipe and configuration with the kind of target that was found in the data."""
    if splits.target is None:
        return recipe, resolved
    name, rule = splits.target
    recipe = recipe.for_target(name)
    if resolved.config.data.target is None:
        origin = f"from the data: {rule}" if rule else "recipe"
        resolved = resolved.with_values(origin, {"data": {"target": name}})
    if resolved.origin("training.best_metric") in ("default", "recipe"):
        best = recipe.defaults["training"]["best_metric"]
        resolved = resolved.with_values("recipe", {"training": {"best_metric": best}})
    return recipe, resolved


def check_family(recipe: Recipe, checkpoint: checkpoints.Checkpoint) -> None:
    """Refuse a checkpoint whose family is not for the task.

    Raises:
        ModelError: With what it is for.
    """
    if recipe.task.hub_task == "automatic-speech-recognition":
        checkpoints.check_transcriber(checkpoint)
    elif recipe.generate is not None:
        checkpoints.check_writer(checkpoint)
    else:
        checkpoints.check_classifier(checkpoint, recipe.task.modality)


def fit_to_model(resolved: Resolved, checkpoint: checkpoints.Checkpoint) -> tuple[Resolved, list[str]]:
    """Set values that depend on the checkpoint: learning rate and maximum length; return notes.

    Raises:
        ConfigError: The configured length is more than the model takes, or patches do not fit into pictures.
    """
    config = resolved.config
    resolution.check(checkpoint.config, config.options.get("image_size"))
    if config.training.learning_rate is None:
        kind = config.adapter.kind
        how = {"from_scratch": config.loading.from_scratch, "head_alone": config.training.freeze == "trunk"}
        rate = checkpoints.learning_rate(checkpoint, kind, **how)
        rule = checkpoints.learning_rate_rule(checkpoint, kind, **how)
        resolved = resolved.with_values(f"from the model: {rule}", {"training": {"learning_rate": rate}})
    longest = checkpoints.longest_input(checkpoint)
    notes = []
    if longest is not None and resolved.config.data.max_length > longest:
        length_given = resolved.origin("data.max_length") not in ("default", "recipe")
        method = lengthening(resolved.config)
        if length_given and method is None:
            raise ConfigError(
                f"`data.max_length` is {resolved.config.data.max_length}, "
                f"but {checkpoint.name} takes at most {longest} tokens.",
                f"Use --max-length {longest} or less, or a sparse --attention such as sliding-window:256, which "
                "extends the positions.",
                id="config.too-long-for-model",
            )
        if length_given:
            done = {"repeat": "repeated", "interpolate": "interpolated"}[str(method)]
            notes.append(f"Positions are {done} from {longest:,} to {resolved.config.data.max_length:,}.")
        else:
            resolved = resolved.with_values("from the model", {"data": {"max_length": longest}})
    return resolved, notes


def _check_machine(config: RunConfig) -> None:
    """Refuse a missing device, precision or kernel, or contradictions; torch is not imported for defaults."""
    training = config.training
    wanted = (training.device, training.precision, training.acceleration)
    if wanted != ("auto", "auto", "auto") or training.attention_kernel == "varlen":
        from toolkit.training.acceleration.autotune import configured
        from toolkit.training.distributed.devices import pick_device

        configured(training, pick_device(training.device))


def _never_warm(config: RunConfig, rows: int) -> list[str]:
    """Warn of a warm-up that takes as many steps as there are, or more."""
    steps, warmup = steps_of(config, rows), config.training.warmup_steps or 0
    if warmup < steps:
        return []
    return [
        f"`training.warmup_steps` is {warmup:,} and there are {steps:,} optimizer steps: the learning rate never "
        "reaches its peak. Lower it, or unset it so that `training.warmup_fraction` decides."
    ]


def steps_of(config: RunConfig, rows: int) -> int:
    """Return the optimizer steps of a run without a budget."""
    return math.ceil(math.ceil(rows / config.training.batch_size) * config.training.epochs)


def _check_configuration(recipe: Recipe, config: RunConfig) -> None:
    """Check what the configuration alone decides, before the data are read."""
    if len(recipe.targets) < 2 or config.data.target is not None:  # else when the kind of target is known
        _check_best_metric(recipe, config)
        _check_target(recipe, config)
    forms.parse(config.attention)
    _check_adapter(config)
    sharding.check(config.training, config.adapter)
    data_parallel.check(config.training)
    thresholds.parse(config.evaluation.operating_points)
    trackers.check(config.training.trackers)
    generation_quality.check_glossary(config.evaluation)
    _check_machine(config)


def _check_splits(recipe: Recipe, config: RunConfig, splits: Splits) -> None:
    """Check whether classes and columns that the configuration names are in the data."""
    _check_best_metric(recipe, config)
    _check_target(recipe, config)
    thresholds.class_number(config.evaluation.positive_class, splits.labels)
    _check_classes(recipe, config, splits.labels)
    check_columns(config, recipe, splits.test.column_names)
    attention_loss.check(config.loss, config.training, splits.train.column_names)
    if config.loss.class_weights is not None:
        class_weights(config.loss.class_weights, splits.labels, np.zeros(0, np.int64))  # the names are right


def _check_best_metric(recipe: Recipe, config: RunConfig) -> None:
    names = ["loss", *(metric if isinstance(metric, str) else metric.name for metric in recipe.metrics)]
    if config.training.best_metric not in names:
        raise ConfigError(
            f"`training.best_metric` is {config.training.best_metric!r}, which is not a metric of this recipe.",
            f"Choose one of {', '.join(names)}.",
            id="config.unknown-choice",
        )


def _check_classes(recipe: Recipe, config: RunConfig, labels: Sequence[str]) -> None:
    """Refuse a best metric that is not meaningful with so few classes."""
    wanted = config.training.best_metric
    chosen = next((metric for metric in recipe.metrics if wanted in (metric, getattr(metric, "name", metric))), None)
    definition = load(chosen)[1] if chosen is not None else None
    if definition is not None and len(labels) < definition.least_classes:
        raise ConfigError(
            f"`training.best_metric` is {wanted}, which is not meaningful with {len(labels)} classes.",
            "Use loss.",
            id="config.not-for-task",
        )


def _check_target(recipe: Recipe, config: RunConfig) -> None:
    """Refuse settings that have no meaning for the recipe's target.

    Raises:
        ConfigError: With the key.
    """
    wrong = recipe.task.meaningless(config)
    if wrong:
        taking = [name for name in recipe.targets if wrong[0] not in recipe.for_target(name).task.meaningless(config)]
        works = f"; it works with --target {' or '.join(taking)}" if taking else ""
        raise ConfigError(
            f"`{wrong[0]}` does not apply here: the target is {recipe.target.title or 'not one class for each row'}.",
            f"Unset it{works}.",
            id="config.not-for-task",
        )
    recipe.check(config, recipe.target)


def _check_adapter(config: RunConfig) -> None:
    if config.adapter.kind != "none" and config.training.freeze is not None:
        raise ConfigError(
            f"`training.freeze` and `adapter.kind` {config.adapter.kind} are set; adapters already freeze all weights.",
            "Unset one of them; `adapter.targets` selects the layers with adapters.",
            id="config.conflict",
        )


def plan(prepared: Prepared) -> str:
    """Describe in one sentence what `finetune` would do, and below it the values that are automatic."""
    values = {".".join(key): value for key, value in leaves(prepared.config.model_dump())}
    texts = {key: f"{value:g}" if isinstance(value, float) else f"{value}" for key, value in values.items()}
    automatic = [f"  {key} {texts[key]} ({origin})" for key, origin in prepared.resolved.automatic().items()]
    return "\n".join([_planned(prepared), *automatic])


def _planned(prepared: Prepared) -> str:
    training, rows = prepared.config.training, prepared.splits.train_rows
    steps = steps_of(prepared.config, rows)
    if training.few_labels == "on":
        return (
            f"{rows:,} labelled rows: training methods are compared by cross-validation, and the best is trained on "
            f"all of them, peak learning rate {training.learning_rate:g}, seed {training.seed}."
        )
    epochs = f"{training.epochs:g} {'epoch' if training.epochs == 1 else 'epochs'}"
    unit = "step" if steps == 1 else "steps"
    most = "" if training.budget is None else f"Within {written(training.budget)}, at most "
    return (
        f"{most}{steps:,} optimizer {unit} of {training.batch_size} examples ({epochs} of {rows:,} rows), "
        f"peak learning rate {training.learning_rate:g}, seed {training.seed}."
    )
