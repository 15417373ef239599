"""`--model auto`: choose the model of a run among those on this machine.

    candidates, the smallest first ──► time a few rows ──► does enough of its training fit into the budget?
                                                                     │ yes
                                                       linear probe on a few rows, where time permits

Of those that fit, the one whose probe makes the validation labels most likely is chosen; where they were not all
probed, the largest. Without a budget the size is bounded by the device and the number of rows.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from toolkit import checkpoints, runs, sources, weights
from toolkit.checkpoints import Checkpoint
from toolkit.commands.finetune import defaults
from toolkit.commands.finetune.prepare import AUTO, check_family, steps_of, with_target
from toolkit.commands.time_budget import allocation, timing
from toolkit.commands.time_budget.allocation import Sizes
from toolkit.config import Resolved, RunConfig, time_budget
from toolkit.config.files import read_file
from toolkit.data.batching.batch import probe
from toolkit.data.load import Splits, load_splits
from toolkit.data.sources.acquire import fallback_data
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import ConfigError, ModelError, SourceError, ToolkitError
from toolkit.events import Note, Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel
from toolkit.model_names import ALIASES
from toolkit.tasks.contract import Recipe
from toolkit.training.adaptation import feature_vectors, linear_probe

ENOUGH = 0.5  # share of a model's usual steps that has to fit into the budget
CHOOSING = 0.15  # share of the budget that choosing may take
PROBING = 0.05  # share of the time left that the probe of one candidate may take
ROWS = 400  # training rows of a probe
VALIDATION_ROWS = 200
# parameters at most without a budget
ON_CPU = 35_000_000
ON_GPU = 150_000_000
ON_GPU_MANY = 400_000_000
MANY_ROWS = 20_000
_TRAINED = ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")


@dataclass(frozen=True)
class Candidate:
    """A model that may be chosen.

    Attributes:
        checkpoint: Its weights on this machine.
        parameters: How many it has.
        share: Share of its usual steps that fits into the budget; None where that was not measured.
        loss: Of its linear probe on validation rows, in nats; None where it was not probed.
    """

    checkpoint: Checkpoint
    parameters: int
    share: float | None = None
    loss: float | None = None


def choose_model(
    recipe: Recipe,
    resolved: Resolved,
    observe: Observe,
    *,
    started: float | None = None,
    resume: bool = False,
    team: Team = ALONE,
) -> Resolved:
    """Return the configuration with the chosen model; unchanged where a model is given.

    Args:
        recipe: The task.
        resolved: From `configure`.
        observe: Called with the choice and its reason.
        started: Start of the command by `time.monotonic`, for a budget.
        resume: Whether the model of an unfinished run is taken again.
        team: The processes that share the work; the main one chooses.

    Raises:
        ConfigError: None of the models fits the task.
    """
    if not is_auto(resolved.config.model):
        return resolved
    return team.from_main(lambda: _choose(recipe, resolved, observe, started, resume))


def is_auto(model: str) -> bool:
    """Whether a model is to be chosen."""
    return model == AUTO or model.startswith(f"{AUTO}:")


def _choose(recipe: Recipe, resolved: Resolved, observe: Observe, started: float | None, resume: bool) -> Resolved:
    observe(Stage("Choosing a model"))
    models, unsuitable = candidates(recipe, resolved.config)
    before = _of_unfinished(resolved.config, [model.checkpoint.name for model in models]) if resume else None
    if before is not None:
        return resolved.with_values(f"auto: {before}, of the run that is resumed", {"model": before})
    if not models:
        name = recipe.defaults.get("model", "distilbert")
        return resolved.with_values(f"auto: {name}, since no suitable model is on this machine", {"model": name})
    replacement = fallback_data(recipe, resolved.config.data)
    filled = resolved if replacement is None else resolved.with_values("fallback", {"data": replacement})
    config = filled.config
    splits = load_splits(recipe, config.data, config.training.seed, config.options)
    recipe, filled = with_target(recipe, filled, splits)
    config = defaults.fill(filled, splits.train.num_rows).config
    seconds, rows = config.training.budget, f"{splits.train.num_rows:,} rows"
    if seconds is None:
        chosen, why = _by_size(models, config, splits.train.num_rows), rows
    else:
        clock = time_budget.Clock(time_budget.process_start() if started is None else started, seconds)
        models = _measured(models, recipe, splits, config, clock) if len(models) > 1 else models
        chosen, why = best(models), f"{rows} and {time_budget.written(seconds)}"
    sentence = f"auto: {chosen.checkpoint.name}, from {why}"
    observe(Note(f"{sentence}. {_compared(models, unsuitable)}"))
    return resolved.with_values(sentence, {"model": chosen.checkpoint.name})


def best(models: Sequence[Candidate]) -> Candidate:
    """Return the candidate that makes the best of a budget.

    Args:
        models: The smallest first; unmeasured ones are larger than one that did not fit.
    """
    fitting = [model for model in models if model.share is not None and model.share >= ENOUGH]
    if not fitting:
        return max(models, key=lambda model: model.share if model.share is not None else -np.inf)
    if any(model.loss is None for model in fitting):
        return fitting[-1]
    return min(fitting, key=lambda model: model.loss if model.loss is not None else np.inf)


def _by_size(models: Sequence[Candidate], config: RunConfig, rows: int) -> Candidate:
    """Return the largest that fits the device; the smallest if none does."""
    from toolkit.training.distributed.devices import pick_device

    most = ON_CPU
    if pick_device(config.training.device) != "cpu":
        most = ON_GPU_MANY if rows >= MANY_ROWS else ON_GPU
    return max(
        (model for model in models if model.parameters <= most), key=lambda model: model.parameters, default=models[0]
    )


def _compared(models: Sequence[Candidate], unsuitable: Mapping[str, str]) -> str:
    """Describe the candidates, how far they fit into the budget, and why other models are none."""
    left_out = "; ".join(f"{name} ({reason})" for name, reason in unsuitable.items())
    others = f" Not suitable: {left_out}." if left_out else ""
    if len(models) == 1:
        return f"It is the only suitable model on this machine.{others}"
    parts = []
    for model in models:
        facts = [f"{model.parameters / 1e6:,.1f} M parameters"]
        if model.share is not None:
            facts.append(f"{100 * min(1.0, max(0.0, model.share)):.0f} % of its steps fit")
        elif any(other.share is not None for other in models):
            facts.append("not timed")
        facts += [f"probe loss {model.loss:.3f}"] if model.loss is not None else []
        parts.append(f"{model.checkpoint.name} ({', '.join(facts)})")
    return f"Candidates: {'; '.join(parts)}.{others}"


def candidates(recipe: Recipe, config: RunConfig) -> tuple[list[Candidate], dict[str, str]]:
    """Return the models that fit the task, the smallest first, and those that do not, with the reason.

    They are those that are named, or those on this machine.

    Raises:
        ConfigError: None is named after the colon.
        SourceError: One that is named does not exist.
        ModelError: One that is named does not fit.
    """
    named = [name.strip() for name in config.model.removeprefix(AUTO).removeprefix(":").split(",") if name.strip()]
    if config.model != AUTO and not named:
        raise ConfigError(
            "`auto:` has no model names.",
            "Give names separated by commas, such as auto:minilm,distilbert, or only auto.",
            id="config.malformed-value",
        )
    by_path, unsuitable = {}, {}
    for name in named or _at_hand():
        try:
            checkpoint = checkpoints.locate(name, config.loading, config.options)
            check_family(recipe, checkpoint)
        except (ModelError, SourceError, ConfigError) as error:
            if named:
                raise
            unsuitable[name] = error.problem.removesuffix(".")
            continue
        fitted = recipe.for_checkpoint(checkpoint.path)
        other_task = None if named or name in ALIASES else _trained_for(fitted, checkpoint)
        if other_task is None:
            by_path[checkpoint.path] = Candidate(checkpoint, weights.parameters(checkpoint.path))
        else:
            unsuitable[name] = other_task
    return sorted(by_path.values(), key=lambda candidate: candidate.parameters), unsuitable


def _trained_for(recipe: Recipe, checkpoint: Checkpoint) -> str | None:
    """Say that a model that is no known base model was trained for something; None where it was not."""
    architectures = checkpoints.architectures(checkpoint)
    trained = next((name for name in architectures if any(part in name for part in _TRAINED)), None)
    if trained is not None:
        return f"already trained, as {trained}"
    return "not a known base model for written text" if recipe.generate is not None else None


def _at_hand() -> list[str]:
    """Return the names of models that are on this machine: in packages, and in the Hub's cache."""
    cached = set(checkpoints.cached_models())
    names = []
    for name, alias in ALIASES.items():
        if alias.hub in cached or "{" in alias.hub:
            names.append(name)
        elif alias.packaged and checkpoints.is_there(alias.packaged):
            names.append(name if sources.hub_problem() else alias.packaged)
    known = {alias.hub for alias in ALIASES.values()}
    return [name for name in names if _is_cached(name, cached)] + sorted(cached - known)


def _is_cached(name: str, cached: set[str]) -> bool:
    """Whether an alias whose name on the Hub depends on options can be in the cache at all."""
    hub = ALIASES[name].hub if name in ALIASES else ""
    return "{" not in hub or any(cached_name.startswith(hub.partition("{")[0]) for cached_name in cached)


def _of_unfinished(config: RunConfig, names: Sequence[str]) -> str | None:
    """Return the model that was chosen for the newest unfinished run, of the output folder or of runs/."""
    if config.output is not None:
        folders = [runs.Run(Path(config.output))]
    else:
        home = runs.HOME
        there = sorted(home.iterdir(), key=lambda path: path.stat().st_mtime) if home.is_dir() else []
        folders = [runs.Run(folder) for folder in reversed(there)]
    for run in folders:
        with suppress(ToolkitError):
            if runs.is_run(run.path) and not run.complete and run.facts.get("model_choice"):
                model = read_file(run.path / "config.yaml").get("model")
                if model in names:
                    return str(model)
    return None


def _measured(
    models: Sequence[Candidate], recipe: Recipe, splits: Splits, config: RunConfig, clock: time_budget.Clock
) -> list[Candidate]:
    """Measure the candidates from the smallest on, to the first of which not enough steps fit."""
    measured = list(models)
    slow = allocation.slowness(clock.spent)
    at_hand = Sizes(splits.train.num_rows, splits.validation.num_rows, splits.test.num_rows)
    until = clock.spent + CHOOSING * clock.seconds
    for place, candidate in enumerate(models):
        if place and clock.spent > until:
            break
        longest = checkpoints.longest_input(candidate.checkpoint) or config.data.max_length
        data = config.data.model_copy(update={"max_length": min(longest, config.data.max_length)})
        own = config.model_copy(update={"data": data})
        most = min(2.0, CHOOSING / 4 * clock.seconds)
        fitted = recipe.for_checkpoint(candidate.checkpoint.path)
        timings, subject = timing.measure(candidate.checkpoint.path, fitted, splits, own, most)
        plan = allocation.unlimited_plan(fitted, own, splits)
        allocated = allocation.allocate(clock.left, at_hand, timings, slow, baselines=False, **plan)
        need = steps_of(own, splits.train.num_rows) * timings.step(own.training.batch_size)
        share = allocated.training / need
        affordable = timings.forward * (ROWS + VALIDATION_ROWS) <= PROBING * clock.left and clock.spent <= until
        loss = _probed(subject, splits, own) if share >= ENOUGH and affordable and plan["probe_rows"] else None
        measured[place] = Candidate(candidate.checkpoint, candidate.parameters, share, loss)
        if share < ENOUGH:
            break
    return measured


def _probed(subject: LoadedModel, splits: Splits, config: RunConfig) -> float | None:
    """Return the loss of a linear probe of the model on some validation rows; None where none can be fitted."""
    tables = (splits.train, ROWS), (splits.validation, VALIDATION_ROWS)
    rows = [timing.sample(table, most, config.training.seed) for table, most in tables]
    features = [encode_rows(part, subject) for part in rows]
    collate = partial(subject.recipe.collate, processor=subject.processor)
    layer = feature_vectors.output_layer(subject.model, probe(features[0], collate))
    learned, held_out = (
        feature_vectors.collected(subject.model, layer, some, collate, config.evaluation.batch_size, nullcontext)
        for some in features
    )
    probes = linear_probe.fit(learned, held_out, len(splits.labels))
    return probes[0].loss if probes else None
