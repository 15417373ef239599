"""`toolkit compare`."""

from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import NOT_PASSED, Watcher, say, say_document


def compare(
    runs: Annotated[
        list[str],
        completion.run_argument("RUN_A RUN_B …", "Run directories, or folders of evaluations."),
    ],
    recipe: options.RecipeOfModel = None,
    output: options.Output = None,
    gate: Annotated[
        str | None,
        typer.Option(
            "--gate",
            help="YAML file of rules by which the second of two models may replace the first, or default; exit code 3 "
            "when not passed.",
        ),
    ] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", help="File to write the verdicts of the gate to, as JUnit XML.")
    ] = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    seed: options.Seed = None,
) -> None:
    """Compare models on the rows that all of them were evaluated on: differences, agreement, disagreements."""
    given = dict(locals())
    from toolkit.api.analysis import compare as api
    from toolkit.api.documents.analysis import Compared
    from toolkit.report.pages.terminal import comparison_to_text

    with Watcher() as watch:
        comparison = api.compare(**given, progress=options.caller(watch))
    say_document(lambda: Compared.of(comparison))
    say(comparison_to_text(comparison.report))
    say(f"report  {comparison.path / 'report.html'}")
    if comparison.passed is False:
        raise typer.Exit(NOT_PASSED)
