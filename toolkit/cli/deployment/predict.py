"""`toolkit predict`."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import completion, options
from toolkit.cli.console import Watcher, note, prints_document, say, say_document, say_row
from toolkit.errors import ConfigError


def predict(
    run: Annotated[
        str,
        completion.model_argument("MODEL", "Run directory, folder or Hub id."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT]...",
            help="Texts, or paths of pictures or recordings, whose predictions are printed; of pairs both texts.",
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option("--input", "-i", help="Text lines, CSV, TSV, JSONL, Parquet or .po; - for standard input."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="CSV, TSV, JSONL or Parquet file to write, for generated texts also .txt or .po; - for JSON lines "
            "on standard output, each as soon as it is computed.",
        ),
    ] = None,
    recipe: options.RecipeOfModel = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Write the score of every class.")] = False,
    max_error: Annotated[
        float | None,
        typer.Option("--max-error", help="Answer only where at most this share of the answers is wrong, such as 0.05."),
    ] = None,
    sets: Annotated[
        float | None,
        typer.Option(
            "--sets", help="Write sets of classes that hold the true one for this share of rows, such as 0.9."
        ),
    ] = None,
    sets_by_class: Annotated[
        bool, typer.Option("--sets-by-class", help="Sets hold it for this share of the rows of each class.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also write an explanation of each prediction; many times slower.")
    ] = False,
    text_column: options.TextColumn = None,
    max_length: options.MaxLength = None,
    config: options.ConfigFile = None,
    set: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Predict the given inputs, or every row of a file, and write predictions next to the rows, in their order.

    Repeat the command to resume after an interruption.
    """
    given = dict(locals())
    from toolkit.api.deployment import predict as api
    from toolkit.api.documents.deployment import Predicted

    if str(output) == "-":
        if prints_document():
            raise ConfigError(
                "--output - prints a line for each row on standard output, and --json one document.",
                "Write the rows to a file, or leave out --json: the lines are JSON.",
                id="config.conflict",
            )
        given["output"] = say_row
    with Watcher() as watch:
        done = api.predict(**given, progress=options.caller(watch))
    say_document(lambda: Predicted.of(done))
    if isinstance(done, list):
        for prediction in done:
            say(prediction.line)
        return
    if done.failed:
        note(f"{done.failed:,} of {done.rows:,} rows have no prediction; the first is {done.first_failure}.")
    if done.path is not None:
        say(f"{done.rows:,} rows in {done.path}")
        if done.marked:
            say(f"rows with placeholders or markup: {done.marked:,}; predictions that keep them: {done.kept:,}")
