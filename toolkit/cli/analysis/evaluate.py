"""`toolkit evaluate`."""

from typing import Annotated

import typer

from toolkit import choices
from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document


def evaluate(
    run: Annotated[
        str | None,
        completion.model_argument("[MODEL]", "Run directory, alias, folder or Hub id; the newest run when not given."),
    ] = None,
    data: options.Data = None,
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    max_length: options.MaxLength = None,
    checks: Annotated[
        str | None,
        typer.Option(
            "--checks",
            help=f"Additional checks: {', '.join(choices.CHECKS)}, or all.",
            autocompletion=completion.checks,
        ),
    ] = None,
    glossary: options.Glossary = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Predict again, even if predictions for these rows are stored.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check model, data and labels, without an evaluation.")
    ] = False,
) -> None:
    """Load a model and evaluate it on its run's held-out rows, or on your own data."""
    given = dict(locals())
    from toolkit.api.analysis import evaluate as api
    from toolkit.api.documents.analysis import Evaluated

    given["run"], command = options.run_or_newest(run)
    with Watcher() as watch:
        evaluation = api.evaluate(**given, progress=options.caller(watch, command))
    say_document(lambda: Evaluated.of(evaluation, dry_run=dry_run))
    if dry_run:
        say(f"Dry run: nothing was evaluated. {evaluation.plan}")
        return
    from toolkit.report.pages.terminal import to_text

    say(to_text(evaluation.report))
    say(f"report  {evaluation.path / 'report.html'}")
