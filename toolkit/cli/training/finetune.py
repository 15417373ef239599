"""`toolkit finetune`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, say_document, table
from toolkit.cli.deployment.push import say_pushed
from toolkit.cli.processes import start
from toolkit.distributed.membership import is_main

if TYPE_CHECKING:
    from toolkit.api.results import Run
    from toolkit.events import Event

EPILOG = (
    "`toolkit recipes list` names the recipes and presets; "
    "`toolkit recipes show NAME` shows every key with its value and meaning."
)


def finetune(
    recipe: options.Recipe,
    model: options.Model = None,
    data: options.Data = None,
    output: options.Output = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    epochs: options.Epochs = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Time limit of the whole command, such as 90s, 5m or 2h.",
        ),
    ] = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    max_length: options.MaxLength = None,
    attention: options.Attention = None,
    seed: options.Seed = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=2, help="Train with this number of seeds, from --seed on, and report mean and spread."
        ),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    target: options.Target = None,
    group_column: options.GroupColumn = None,
    time_column: options.TimeColumn = None,
    streaming: options.Streaming = False,
    trust_remote_code: options.TrustRemoteCode = False,
    from_scratch: options.FromScratch = False,
    tune_speed: Annotated[
        bool,
        typer.Option(
            "--tune-speed", help="Measure the fastest training settings on this machine once, and store them."
        ),
    ] = False,
    few: Annotated[
        bool,
        typer.Option("--few", help="Few labels: compare several training methods, and keep the best."),
    ] = False,
    unlabelled: Annotated[
        str | None,
        typer.Option(
            "--unlabelled",
            metavar="FILE",
            help="Few labels: texts without labels; also compare pretraining on them first.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the unfinished run with the same values and data.")
    ] = False,
    num_processes: Annotated[
        int | None,
        typer.Option(
            "--num-processes", help="Number of processes for data-parallel training; one per GPU when not given."
        ),
    ] = None,
    max_restarts: Annotated[
        int | None,
        typer.Option(
            "--max-restarts", help="How many times a run whose process was killed starts again from its last state."
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="ddp: each process holds the full model; fsdp: the model is sharded."),
    ] = None,
    glossary: options.Glossary = None,
    push_to: Annotated[
        str | None,
        typer.Option(
            "--push-to",
            metavar="ORG/NAME",
            help="Push to the Hub at the end, private; access is checked first.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the plan, without training.")
    ] = False,
) -> None:
    """Fine-tune a pretrained model, evaluate it on held-out data, and write model and report to a run directory.

    Options of a recipe, such as --source of translation, are listed by `toolkit recipes show RECIPE`.
    """
    given = dict(locals())
    from toolkit.api.documents.training import Finetuned
    from toolkit.api.training import finetune as api
    from toolkit.events import Finished

    if not dry_run:
        start(api.settings(given)[1].config.training)
    speaks = is_main()
    with Watcher(silent=not speaks) as watch:

        def observe(event: "Event") -> None:
            if isinstance(event, Finished):
                _conclude(event.path, recipe)
            else:
                watch(event)

        caller = options.caller(observe, options.command_line(without=["--push-to"]))
        run = api.finetune(**given, progress=caller)
    if not speaks:
        return
    say_document(lambda: Finetuned.of(run, dry_run=dry_run))
    if dry_run:
        say(f"Dry run: nothing was trained. {run.plan}")
    elif seeds is not None:
        _conclude_seeds(run)
    if run.pushed is not None:
        say_pushed(run.pushed)


def _conclude_seeds(run: "Run") -> None:
    from toolkit.report.pages.terminal import verdict_to_text

    say(verdict_to_text(run.report))
    say(table([("runs", str(run.path)), ("report", str(run.path / "report.html"))]))


def _conclude(path: Path, recipe: str) -> None:
    from toolkit.api.call.words import own_recipe
    from toolkit.api.results import Run
    from toolkit.report.pages.terminal import to_text

    run = Run(path)
    say(to_text(run.report))
    again = shlex.join(["toolkit", "evaluate", str(path), *own_recipe(recipe)])
    say(table([("model", str(run.model_path)), ("report", str(path / "report.html")), ("next", again)]))
