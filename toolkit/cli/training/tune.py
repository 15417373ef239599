"""`toolkit tune`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, say, say_document, table


def tune(
    recipe: options.Recipe,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Total number of trainings, including earlier ones.")
    ] = 20,
    search: Annotated[
        list[str] | None,
        typer.Option("--search", help="KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A|B|C; repeatable."),
    ] = None,
    space: Annotated[
        Path | None, typer.Option("--space", help="YAML file of the search space, with lines as for --search.")
    ] = None,
    model: options.Model = None,
    data: options.Data = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Folder of the search; under runs/, the same for the same command, when not given."
        ),
    ] = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    batch_size: options.BatchSize = None,
    max_length: options.MaxLength = None,
    seed: options.Seed = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    target: options.Target = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Search hyperparameters by the validation metric; repeat the command to resume, or run it in parallel.

    The default space is learning rate, epochs, batch size, weight decay, dropout and warm-up, except values that are
    set.
    """
    given = dict(locals())
    from toolkit.api.documents.training import Tuned
    from toolkit.api.training import tune as api

    again = f"{options.command_line(without=['--trials'])} --trials {trials}"
    with Watcher() as watch:
        searched = api.tune(**given, progress=options.caller(watch, again))
    say_document(lambda: Tuned.of(searched))
    keys = list(searched.best.values)
    header = ("trial", "state", searched.metric, *(key.rpartition(".")[2] for key in keys), "")
    rows = [
        (
            f"{trial.number + 1}{' *' if trial == searched.best else ''}",
            trial.state,
            "" if trial.value is None else f"{trial.value:.4f}",
            *(_shown(trial.values.get(key)) for key in keys),
            trial.error or "",
        )
        for trial in searched.trials
    ]
    say(table(rows, header))
    say(f"\nBest: trial {searched.best.number + 1}, {searched.metric} {searched.best.value:.4f} on validation.")
    if searched.lead is not None:
        say(searched.lead.sentence(searched.metric))
    for piece in searched.advice:
        say(f"Advice: {piece['evidence']} {piece['advice']}")
        if piece["command"]:
            say(f"  {piece['command']}")
    say(table([("preset", str(searched.preset)), ("train", searched.command)]))


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
