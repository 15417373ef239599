"""`toolkit select`."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, say, say_document, table


def select(
    run: Annotated[
        str,
        completion.run_argument("RUN", "Run directory, folder or Hub id of the model."),
    ],
    pool: Annotated[
        str | None,
        typer.Option("--pool", help="Rows without labels, in any form that `predict --input` reads; - for stdin."),
    ] = None,
    labelled: Annotated[
        str | None,
        typer.Option("--labelled", help="Instead of --pool: chosen rows with their labels, to join with the run's."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the rows, with a page next to it; with --labelled a folder."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", "-n", help="How many rows to choose.")] = 100,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            help="uncertainty-diverse, uncertainty, diverse or random; by the number of labels when not given.",
        ),
    ] = None,
    random_share: Annotated[
        float, typer.Option("--random-share", help="Share of the rows drawn at random, to estimate quality on.")
    ] = 0.1,
    pool_rows: Annotated[
        int, typer.Option("--pool-rows", help="Rows of the pool to consider; of more they are drawn at random.")
    ] = 10_000,
    tool: Annotated[str, typer.Option("--for", help="csv, label-studio or argilla.")] = "csv",
    with_suggestions: Annotated[
        bool,
        typer.Option("--with-suggestions", help="Show predictions in the labelling tool; they bias annotators."),
    ] = False,
    stop_below: Annotated[
        float, typer.Option("--stop-below", help="Stop when 100 more labels reduce the error by less than this.")
    ] = 0.005,
    no_curve: Annotated[bool, typer.Option("--no-curve", help="Do not measure a learning curve.")] = False,
    recipe: options.RecipeOfModel = None,
    text_column: options.TextColumn = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    seed: options.Seed = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Choose the rows of a pool to label next, and predict what more labels would gain."""
    given = dict(locals())
    from toolkit.api.analysis import select as api
    from toolkit.api.documents.analysis import Selected
    from toolkit.report.pages import selection

    with Watcher() as watch:
        answer = api.select(**given, progress=options.caller(watch))
    say_document(lambda: Selected.of(answer))
    for sentence in answer.sentences:
        say(sentence)
    curve = answer.curve
    if curve is not None:
        say()
        say(table(selection.gains(curve), ("more labels", "predicted gain", "")))
    say()
    say(table([("written", file) for file in answer.files]) if answer.files else answer.preview)
