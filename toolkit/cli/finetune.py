"""`toolkit finetune`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say, table

if TYPE_CHECKING:
    from toolkit.pipeline import Prepared
    from toolkit.runs import Run

EPILOG = (
    "`toolkit recipes list` names the recipes and presets; "
    "`toolkit recipes show NAME` every key with its value and meaning."
)


def finetune(
    recipe: Annotated[
        str,
        typer.Argument(help="Name of a recipe, or the path of a recipe file.", autocompletion=options.complete_recipe),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Alias, Hub id (org/name[@revision]), folder or pkg://package/path.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    data: options.Data = None,
    output: options.Output = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    assignments: options.Assignments = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Passes over the training rows.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Examples an optimizer step sees.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="Peak step size.")] = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    trust_remote_code: options.TrustRemoteCode = False,
    tune_speed: Annotated[
        bool, typer.Option("--tune-speed", help="Measure which precision trains fastest here; remembered.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run of the same values and data that did not finish.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show what would be done, train nothing.")
    ] = False,
) -> None:
    """Fine-tune a pretrained model, judge it on data it never saw, and write model and report to a run directory."""
    flags = {
        "model": model,
        "output": output,
        "data.source": data,
        "data.max_length": max_length,
        "data.columns.text": text_column,
        "data.columns.label": label_column,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.learning_rate": learning_rate,
        "training.seed": seed,
        "training.tune_speed": tune_speed or None,
        "loading.trust_remote_code": trust_remote_code or None,
    }
    from toolkit import pipeline

    loaded, resolved = pipeline.configure(recipe, options.layers(flags, preset, config, assignments))
    with Watcher() as watch:
        prepared = pipeline.prepare(loaded, resolved, watch)
        for text in prepared.notes:
            note(f"  note: {text}")
        _announce(prepared)
        if dry_run:
            say(f"Nothing was trained: this was a dry run. {pipeline.plan(prepared)}")
            return
        run = pipeline.finetune(prepared, options.command_line(), watch, resume=resume)
    _conclude(run)


def _announce(prepared: "Prepared") -> None:
    parts = ", ".join(f"{part['rows']:,} {part['name']}" for part in prepared.splits.facts["splits"])
    note(f"  model  {prepared.checkpoint.origin}")
    note(f"  data   {prepared.splits.facts['origin']}: {parts}")
    if prepared.splits.labels:
        more = len(prepared.splits.labels) - 8
        note(f"  labels {', '.join(prepared.splits.labels[:8])}{f' and {more} more' if more > 0 else ''}")


def _conclude(run: "Run") -> None:
    from toolkit.report.text import to_text

    say(to_text(json.loads((run.path / "report.json").read_text(encoding="utf-8"))))
    say(
        table(
            [
                ("model", str(run.model)),
                ("report", str(run.path / "report.html")),
                ("again", f"toolkit evaluate {run.path}"),
            ]
        )
    )
