"""`toolkit predict`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import options
from toolkit.cli.console import Watcher, note, say, say_json
from toolkit.errors import ConfigError


def predict(
    target: Annotated[str, typer.Argument(metavar="MODEL", help="Run directory, folder or Hub id.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INPUT]...", help="Texts, or files of pictures, to predict here and now."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--input", "-i", help="Text lines, CSV, TSV, JSONL, Parquet or .po; - for standard input."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="CSV, TSV, JSONL or Parquet file to write; what writes texts writes .txt and .po too; - for JSON "
            "lines on standard output, each as soon as it is known.",
        ),
    ] = None,
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
    """Predict what is typed, or every row of a file, and write predictions beside the rows, in their order.

    A run that was stopped goes on where it was by the same command.
    """
    from toolkit.commands import verbs

    flags = {
        "data.columns.text": text_column,
        "data.max_length": max_length,
        "loading.trust_remote_code": trust_remote_code or None,
    }
    values = options.merged(flags, assignments)
    if inputs and not (source or output or explain):
        with Watcher() as watch:
            found = verbs.predict_inputs(target, inputs, values, recipe, watch, all_scores=all_scores)
        for row in found:
            say(_line(row, all_scores))
        return
    source, output = _places(inputs, source, output)
    with Watcher() as watch:
        done = verbs.predict(
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


def _places(inputs: list[str] | None, source: str | None, output: Path | None) -> tuple[str, Path]:
    """Return which file is read and which is written.

    Raises:
        ConfigError: One of them is not named, or inputs are typed as well.
    """
    if inputs:
        raise ConfigError(
            "Inputs were typed, which are printed here; --input, --output and --explain are of files.",
            "Leave these out, or write the inputs into a file.",
            id="config.conflict",
        )
    if source is None or output is None:
        missing = "--input" if source is None else "--output"
        raise ConfigError(
            f"There is nothing to predict: {missing} is missing.",
            'Type a text behind the model, as in `toolkit predict RUN "a text"`, or give --input FILE --output FILE.',
            id="config.nothing-given",
        )
    return source, output


def _line(row: dict[str, Any], all_scores: bool) -> str:
    """Return the prediction of one input as a line: the class with its score, labels with their words, or a text."""
    if row["problem"] is not None:
        return f"(no prediction: {row['problem']})  {row['input']}"
    prediction = row["prediction"]
    if isinstance(prediction, list):
        words = row["input"].split()
        pairs = zip(words, prediction, strict=False) if len(words) == len(prediction) else ((p, "") for p in prediction)
        return "  ".join(f"{word}/{label}" if label else str(word) for word, label in pairs)
    if row.get("score") is None:
        return str(prediction)
    score = row["score"] if all_scores else row.get("calibrated_score", row["score"])
    scores = {name.removeprefix("score: "): value for name, value in row.items() if name.startswith("score: ")}
    more = f"  ({', '.join(f'{name} {100 * value:.1f} %' for name, value in scores.items())})" if scores else ""
    return f"{prediction}  {100 * score:.1f} %{more}  {row['input']}"


def _say_row(row: dict[str, Any]) -> None:
    line = json.dumps(row, ensure_ascii=False, default=str)
    say_json(line.encode("utf-8", "backslashreplace").decode("utf-8"))  # half a character stays the escape that it was
