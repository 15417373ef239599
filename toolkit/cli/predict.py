"""`toolkit predict`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say, say_json


def predict(
    target: Annotated[str, typer.Argument(metavar="MODEL", help="Run directory, folder or Hub id.")],
    source: Annotated[
        str, typer.Option("--input", "-i", help="Text lines, CSV, TSV, JSONL, Parquet or .po; - for standard input.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="CSV, TSV, JSONL or Parquet file to write; what writes texts writes .txt and .po too; - for JSON "
            "lines on standard output, each as soon as it is known.",
        ),
    ],
    recipe: options.RecipeOfModel = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Write the score of every class.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Write what each answer rests on, too; many times slower.")
    ] = False,
    text_column: options.TextColumn = None,
    max_length: options.MaxLength = None,
    assignments: options.Assignments = None,
    trust_remote_code: options.TrustRemoteCode = False,
) -> None:
    """Ask a model about every row of a file, and write what it says beside the rows, in their order.

    A run that was stopped goes on where it was by the same command.
    """
    from toolkit import pipeline

    flags = {
        "data.columns.text": text_column,
        "data.max_length": max_length,
        "loading.trust_remote_code": trust_remote_code or None,
    }
    values = options.merged(flags, assignments)
    with Watcher() as watch:
        done = pipeline.predict(
            target,
            source,
            output,
            values,
            recipe,
            watch,
            all_scores=all_scores,
            explained=explain,
            tell=_say_row if str(output) == "-" else None,
            command=options.command_line(),
        )
    if done.bad:
        note(f"{done.bad:,} of {done.rows:,} rows have no prediction; the first is {done.first}.")
    if done.output is not None:
        say(f"{done.rows:,} rows in {done.output}")
        if done.marked:
            say(f"rows with placeholders or markup: {done.marked:,}; answers that hold the same: {done.kept:,}")


def _say_row(row: dict[str, Any]) -> None:
    line = json.dumps(row, ensure_ascii=False, default=str)
    say_json(line.encode("utf-8", "backslashreplace").decode("utf-8"))  # half a character stays the escape that it was
