"""`toolkit finetune`."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, one_line, say, table
from toolkit.cli.processes import member, start
from toolkit.cli.push import push_now

if TYPE_CHECKING:
    from toolkit.commands.finetune.prepare import Prepared
    from toolkit.runs import Run

EPILOG = (
    "`toolkit recipes list` names the recipes and presets; "
    "`toolkit recipes show NAME` every key with its value and meaning."
)


def finetune(
    recipe: options.Recipe,
    model: options.Model = None,
    data: options.Data = None,
    output: options.Output = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Passes over the training rows.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Time that the whole command may take, such as 90s, 5m or 2h: the best model in that time.",
        ),
    ] = None,
    batch_size: options.BatchSize = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Peak step size.")] = None,
    max_length: options.MaxLength = None,
    attention: Annotated[
        str | None,
        typer.Option(
            "--attention",
            help="sliding-window:W[:G], block-sparse:B[:R], top-k:K, top-blocks:B:K, or FORM+FORM in turns, not dense.",
        ),
    ] = None,
    seed: options.Seed = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=2, help="Train with so many seeds, from --seed on, and report mean and spread."),
    ] = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    group_column: Annotated[
        str | None,
        typer.Option("--group-column", help="Column whose values stay on one side of every split, as patients must."),
    ] = None,
    trust_remote_code: options.TrustRemoteCode = False,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Begin with random weights in the model's form, or in one made for the data."
        ),
    ] = False,
    tune_speed: Annotated[
        bool,
        typer.Option("--tune-speed", help="Measure what trains fastest here, once, and remember it."),
    ] = False,
    few: Annotated[
        bool,
        typer.Option("--few", help="Few labels: compare cheap and costly ways of training, and keep the best."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run of the same values and data that did not finish.")
    ] = False,
    num_processes: Annotated[
        int | None,
        typer.Option("--num-processes", help="Processes that share each step; one for each GPU when not given."),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="ddp: each process keeps the model; fsdp: each keeps a slice of it."),
    ] = None,
    glossary: options.Glossary = None,
    push_to: Annotated[
        str | None,
        typer.Option("--push-to", metavar="ORG/NAME", help="Push to the Hub at the end, private; checked beforehand."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show what would be done, train nothing.")
    ] = False,
) -> None:
    """Fine-tune a pretrained model, judge it on data it never saw, and write model and report to a run directory.

    Options of a recipe's own, such as --source of translation, are explained by `toolkit recipes show RECIPE`.
    """
    flags = options.training_flags(
        model=model,
        data=data,
        batch_size=batch_size,
        max_length=max_length,
        seed=seed,
        text_column=text_column,
        label_column=label_column,
        trust_remote_code=trust_remote_code,
    )
    flags |= {
        "output": output,
        "data.group_column": group_column,
        "attention": attention,
        "training.epochs": epochs,
        "training.budget": budget,
        "training.learning_rate": learning_rate,
        "training.num_processes": num_processes,
        "training.strategy": strategy,
        "evaluation.glossary": glossary,
        "training.tune_speed": tune_speed or None,
        "training.few_labels": "on" if few else None,
        "loading.from_scratch": from_scratch or None,
    }
    from toolkit.commands import verbs
    from toolkit.config.time_budget import process_start
    from toolkit.errors import ConfigError
    from toolkit.hub.upload import Destination

    started = process_start()

    if push_to is not None and seeds is not None:
        raise ConfigError(
            "--seeds makes several runs, and --push-to pushes one.",
            "Push the one you choose afterwards.",
            id="config.conflict",
        )
    loaded, resolved = verbs.configure(recipe, options.layers(flags, preset, config, assignments))
    training = resolved.config.training
    if training.budget is not None and seeds is not None:
        raise ConfigError(
            "--seeds makes several runs, and --budget limits one.",
            "Give --epochs instead of --budget.",
            id="config.conflict",
        )
    if not dry_run:
        start(training.num_processes, training.device)
    with member(training.device) as team, Watcher(silent=not team.is_main) as watch:
        if push_to is not None and team.is_main:
            verbs.check_destination(Destination(push_to), watch)
        resolved = verbs.choose_model(loaded, resolved, watch, started=started, resume=resume, team=team)
        with team.main_first():
            prepared = verbs.prepare(loaded, resolved, watch, resume=resume, may_compare=True)
        if push_to is not None and team.is_main:
            scratch = prepared.config.loading.from_scratch
            verbs.check_licence(Destination(push_to), prepared.checkpoint.origin, from_scratch=scratch)
        if team.is_main:
            _announce(prepared)
        if dry_run:
            if resume:
                verbs.unfinished(prepared, watch)
            if team.is_main:
                say(f"Nothing was trained: this was a dry run. {verbs.plan(prepared)}")
            return
        command = options.command_line(without=["--push-to"])
        if seeds is not None:
            home, report = verbs.finetune_seeds(prepared, seeds, command, watch, resume=resume, team=team)
            if team.is_main:
                _conclude_seeds(home, report)
            return
        run = verbs.finetune(prepared, command, watch, resume=resume, team=team, started=started)
        if team.is_main:
            try:
                _conclude(run, recipe)
            finally:  # whether or not there was somebody to read it
                if push_to is not None:
                    push_now(str(run.path), recipe, Destination(push_to), watch)


def _announce(prepared: "Prepared") -> None:
    for text in prepared.notes:
        note(f"  note: {text}")
    parts = ", ".join(f"{part['rows']:,} {part['name']}" for part in prepared.splits.facts["splits"])
    note(f"  model  {prepared.checkpoint.origin}")
    note(f"  data   {prepared.splits.facts['origin']}: {parts}")
    if prepared.splits.labels:
        more = len(prepared.splits.labels) - 8
        note(f"  labels {one_line(', '.join(prepared.splits.labels[:8]))}{f' and {more} more' if more > 0 else ''}")


def _conclude_seeds(home: Path, report: dict[str, Any]) -> None:
    from toolkit.report.pages.terminal import verdict_to_text

    say(verdict_to_text(report))
    say(table([("runs", str(home)), ("report", str(home / "report.html"))]))


def _conclude(run: "Run", recipe: str) -> None:
    from toolkit.report.pages.terminal import to_text

    say(to_text(json.loads((run.path / "report.json").read_text(encoding="utf-8"))))
    say(
        table(
            [
                ("model", str(run.model)),
                ("report", str(run.path / "report.html")),
                ("again", shlex.join(["toolkit", "evaluate", str(run.path), *options.own_recipe(recipe)])),
            ]
        )
    )
