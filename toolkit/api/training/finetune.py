"""`finetune`: choose the model, prepare, train, evaluate, and push where requested."""

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.api.call import tables, words
from toolkit.api.call.caller import Caller, called
from toolkit.api.deployment.push import Pushed
from toolkit.api.results import Run
from toolkit.commands.finetune.prepare import AUTO, Prepared, configure, plan, prepare
from toolkit.commands.finetune.resume import unfinished
from toolkit.commands.finetune.run import finetune as train
from toolkit.commands.finetune.seeds import finetune_seeds
from toolkit.commands.publish.push import check_destination, check_licence, pack, push
from toolkit.commands.time_budget.auto_model import choose_model
from toolkit.commands.time_budget.limits import check as check_budget
from toolkit.config import Resolved
from toolkit.distributed.membership import check_number, member
from toolkit.distributed.process_group import Team
from toolkit.errors import ConfigError, RunError, ToolkitError
from toolkit.events import Event, Finished, Note, Observe, Settled
from toolkit.hub.destinations import Destination
from toolkit.tasks.contract import Recipe


def finetune(
    recipe: str | Path,
    *,
    model: str | Path | None = None,
    data: Any = None,
    output: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] | None = None,
    epochs: float | None = None,
    budget: str | float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    attention: str | None = None,
    seed: int | None = None,
    seeds: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    target: str | None = None,
    group_column: str | None = None,
    time_column: str | None = None,
    streaming: bool = False,
    trust_remote_code: bool = False,
    from_scratch: bool = False,
    tune_speed: bool = False,
    few: bool = False,
    unlabelled: Path | str | None = None,
    resume: bool = False,
    num_processes: int | None = None,
    max_restarts: int | None = None,
    strategy: str | None = None,
    glossary: str | Path | None = None,
    push_to: str | None = None,
    dry_run: bool = False,
    progress: bool | Caller = True,
) -> Run:
    """Fine-tune a pretrained model, evaluate it on held-out data, and write model and report to a run directory.

    This is `toolkit finetune`; see also `toolkit finetune --help`. A call is one process, on one GPU at most, unless a
    launcher such as torchrun started the program as several.

    Args:
        recipe: Name of a recipe, or the path of a recipe file.
        model: Alias, Hub id, folder or pkg://package/path.
        data: Name or path; or a pandas DataFrame, an Arrow table, a Dataset or a DatasetDict, which is written to a
            Parquet file under runs/tables/ and read from there.
        output: The run directory; a new folder under runs/ when None.
        preset: Named values that come with the toolkit.
        config: YAML file of values.
        set: Dotted key → value for any key of the configuration, or texts KEY=VALUE.
        epochs: Number of passes over the training rows.
        budget: Time that the call may take: seconds, or a text such as "5m".
        batch_size: Examples that an optimizer step sees.
        learning_rate: Peak learning rate.
        max_length: Tokens that an example may have.
        attention: A sparse form of attention.
        seed: Random seed.
        seeds: Train with this number of seeds, from `seed` on; the run's `.seeds` are those of each.
        text_column: Column that holds the text.
        label_column: Column that holds the label.
        target: What the label column holds: class, classes, stars or number; inferred when not given.
        group_column: Column of groups that are never divided between splits.
        time_column: Column of dates or numbers: the latest rows become the test part.
        streaming: Read training rows from the disk while training runs, for data larger than memory.
        trust_remote_code: Run Python code that comes with the checkpoint.
        from_scratch: Start from random weights.
        tune_speed: Measure the fastest training settings on this machine once, and store them.
        few: Few labels: compare several training methods, and keep the best.
        unlabelled: File of texts without labels; with few labels, pretraining on them is compared too.
        resume: Resume the unfinished run with the same values and data.
        num_processes: How many processes a launcher started; another number is refused.
        max_restarts: Of the command line, which starts processes; here it is only stored with the run.
        strategy: "ddp" or "fsdp".
        glossary: CSV or TSV of terms and their translations.
        push_to: Repository on the Hub, org/name, to which the model is pushed at the end.
        dry_run: Check everything and train nothing; the run that is returned has a `.plan` and no folder.
        progress: Whether to show a bar; the command line passes its caller instead. Notes are warnings of the logger
            "toolkit", whatever this is.

    Raises:
        ToolkitError: As the command line prints it; `toolkit.errors` lists the kinds.
    """
    given = {**locals(), "recipe": str(recipe), "data": tables.stored(data)}
    loaded, resolved = settings(given)
    options = {word: value for word, value in given.items() if word != "recipe"}
    if not dry_run:
        check_number(resolved.config.training.num_processes)
    device = resolved.config.training.device
    with called(progress, "finetune", [str(recipe)], options) as caller, member(device) as team:
        observe = caller.observe if team.is_main else _unseen
        destination = Destination(push_to) if push_to is not None and team.is_main else None
        prepared = _prepared(loaded, resolved, destination, resume, caller, observe, team)
        if dry_run:
            if resume:
                unfinished(prepared, observe)
            budget = prepared.config.training.budget
            if budget is not None:
                check_budget(budget, time.monotonic() - caller.started)
            return Run(None, plan(prepared))
        if seeds is not None:
            home, _ = finetune_seeds(prepared, seeds, caller.command, observe, resume=resume, team=team)
            return Run(home)
        run = train(prepared, caller.command, observe, resume=resume, team=team, started=caller.started)
        pushed = None
        try:
            observe(Finished(run.path))
        finally:  # whether or not the output could be read
            if destination is not None:
                pushed = _push(run.path, str(recipe), destination, observe)
        return Run(run.path, pushed=pushed)


def settings(given: Mapping[str, Any]) -> tuple[Recipe, Resolved]:
    """Return the recipe and the configuration of a call of `finetune`.

    Args:
        given: The arguments of the call.

    Raises:
        ConfigError: A key or value is wrong, or two of them exclude each other.
    """
    if given["push_to"] is not None and given["seeds"] is not None:
        raise ConfigError(
            "--seeds makes several runs, but --push-to pushes one.",
            "Push one of them afterwards with `toolkit push`.",
            id="config.conflict",
        )
    output = None if given["output"] is None else str(given["output"])
    flags = {**words.flags(given), "output": output, "training.few_labels": "on" if given["few"] else None}
    layers = words.layers(flags, given["preset"], given["config"], words.assignments(given["set"]))
    loaded, resolved = configure(str(given["recipe"]), layers)
    if resolved.config.training.budget is not None and given["seeds"] is not None:
        raise ConfigError(
            "--seeds makes several runs, but --budget limits one.",
            "Give --epochs instead of --budget.",
            id="config.conflict",
        )
    if resolved.config.data.streaming and (given["seeds"] is not None or resolved.config.model.startswith(AUTO)):
        raise ConfigError(
            "--seeds and --model auto do not work with streaming: they need all training rows in memory.",
            "Give one model, and --seed.",
            id="data.streaming-unsupported",
        )
    return loaded, resolved


def _prepared(
    recipe: Recipe,
    resolved: Resolved,
    destination: Destination | None,
    resume: bool,
    caller: Caller,
    observe: Observe,
    team: Team,
) -> Prepared:
    """Prepare model and data, check the permission for the push at the end, and report both."""
    if destination is not None:
        check_destination(destination, observe)
    resolved = choose_model(recipe, resolved, observe, started=caller.started, resume=resume, team=team)
    with team.main_first():
        prepared = prepare(recipe, resolved, observe, resume=resume, may_compare=True)
    if destination is not None:
        scratch = prepared.config.loading.from_scratch
        check_licence(destination, prepared.checkpoint.origin, from_scratch=scratch)
    for text in prepared.notes:
        observe(Note(text))
    facts = prepared.splits.facts
    parts = {part["name"]: part["rows"] for part in facts["splits"]}
    observe(Settled(prepared.checkpoint.origin, facts["origin"], parts, prepared.splits.labels))
    return prepared


def _push(run: Path, recipe: str, destination: Destination, observe: Observe) -> Pushed:
    """Push a new run; when that fails, say how to push it later."""
    try:
        plan = pack(str(run), destination, None, observe, recipe_name=recipe)
        return Pushed(plan, push(plan, observe))
    except ToolkitError as error:
        later = shlex.join(["toolkit", "push", str(run), destination.name, *words.own_recipe(recipe)])
        raise RunError(
            f"The run is complete, but it was not pushed. {error.problem}", f"{error.fix} Then: {later}", id=error.id
        ) from error


def _unseen(event: Event) -> None:
    """Ignore the event, in all processes of a run but the main one."""
