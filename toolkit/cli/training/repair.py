"""`toolkit repair`."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document


def repair(
    run: Annotated[
        str | None,
        completion.run_argument("[RUN]", "Run directory; the newest run when not given."),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(
            "--decisions", help="CSV file of decisions on the doubts: trains again on the corrected rows, and compares."
        ),
    ] = None,
    annotator_column: Annotated[
        str | None,
        typer.Option("--annotator-column", help="Column that names who labelled each row: measures their agreement."),
    ] = None,
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    trust_remote_code: options.TrustRemoteCode = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the training on corrected rows that did not finish.")
    ] = False,
) -> None:
    """Find doubtful training rows of a run, and train again on those that you corrected."""
    given = dict(locals())
    from toolkit.api.documents.training import Repaired
    from toolkit.api.training import repair as api
    from toolkit.report.pages.repair import gain_to_text, to_text

    given["run"], command = options.run_or_newest(run)
    with Watcher() as watch:
        outcome = api.repair(**given, progress=options.caller(watch, command))
    say_document(lambda: Repaired.of(outcome))
    if outcome.comparison is None:
        say(to_text(outcome.summary))
        say(f"page    {outcome.path / 'repair.html'}")
        say(f"table   {outcome.path / 'doubts.csv'}")
    else:
        say(gain_to_text(outcome.summary))
        say(f"run     {outcome.path}")
        say(f"report  {outcome.comparison.path / 'report.html'}")
