"""`toolkit distill`."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document


def distill(
    run: Annotated[
        str | None,
        completion.run_argument("[RUN]", "Run directory of the teacher; the newest run when not given."),
    ] = None,
    *,
    student: Annotated[
        str,
        typer.Option(
            "--student",
            help="LAYERS=N for N evenly spaced layers of the run's model, or the name of a smaller model.",
        ),
    ],
    unlabelled: Annotated[
        Path | None,
        typer.Option("--unlabelled", help="File or folder of further rows, which the teacher labels."),
    ] = None,
    output: options.Output = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", help="Passes over the training rows; twice those of the run by default.")
    ] = None,
    batch_size: options.BatchSize = None,
    learning_rate: options.LearningRate = None,
    seed: options.Seed = None,
    recipe: options.RecipeOfModel = None,
    trust_remote_code: options.TrustRemoteCode = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the student of the same values that did not finish.")
    ] = False,
) -> None:
    """Train a smaller model on the rows of a run and on what the run's model predicts for them."""
    given = dict(locals())
    from toolkit.api.documents.training import Distilled
    from toolkit.api.training import distill as api
    from toolkit.report.pages.terminal import distillation_to_text, to_text

    given["run"], command = options.run_or_newest(run)
    with Watcher() as watch:
        made = api.distill(**given, progress=options.caller(watch, command))
    say_document(lambda: Distilled.of(made))
    say(to_text(made.report))
    say(distillation_to_text(made.report))
    say(f"run     {made.path}")
    say(f"report  {made.path / 'report.html'}")
