"""`toolkit watch`."""

from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import NOT_PASSED, Watcher, say, say_document


def watch(
    run: Annotated[str, completion.run_argument("RUN", "Run directory.")],
    input: Annotated[
        str,
        typer.Option(
            "--input", "-i", help="Text lines, CSV, TSV, JSONL, Parquet or a folder of files; - for standard input."
        ),
    ],
    rows: Annotated[
        int,
        typer.Option(
            "--rows", min=20, max=3000, help="Rows at most on each side; of more a random sample is compared."
        ),
    ] = 1000,
    looks: Annotated[
        int, typer.Option("--looks", min=1, help="Batches that share the probability of a false alarm.")
    ] = 20,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", min=0, max=0.49, help="Area under the classifier's curve above 0.5 that does not matter."
        ),
    ] = 0.0,
    recipe: options.RecipeOfModel = None,
    text_column: options.TextColumn = None,
    max_length: options.MaxLength = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Compare new rows without labels with the held-out rows of a run, and follow the course over batches.

    Exit code 3 when the rows are shown to differ.
    """
    given = dict(locals())
    from toolkit.api.analysis import watch as api
    from toolkit.api.documents.analysis import WatchedBatch
    from toolkit.report.pages.drift import to_text

    with Watcher() as watcher:
        watched = api.watch(**given, progress=options.caller(watcher))
    say_document(lambda: WatchedBatch.of(watched))
    say(to_text(watched.record))
    say(f"page  {watched.page}")
    if watched.claimed:
        raise typer.Exit(NOT_PASSED)
