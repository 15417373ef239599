"""`toolkit runs list | show | remove | best`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import completion
from toolkit.cli.console import note, one_line, prints_document, say, say_document, table
from toolkit.cli.streams import shown
from toolkit.errors import ConfigError

if TYPE_CHECKING:
    from toolkit.runs.inventory import Figure, Ranking, Summary

_WIDTH = 32  # characters of a name in the table

app = typer.Typer(
    help="List the runs of a folder, show or remove some, find the best by a metric.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Folder = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Folder that holds the runs.")]


@app.command("list")
def list_(folder: Folder = Path("runs")) -> None:
    """List the runs of a folder, the newest first, with the first metric of each report and its interval."""
    from toolkit.api.documents.run_folders import RunList
    from toolkit.runs.inventory import summaries

    runs = summaries(folder)
    say_document(lambda: RunList(runs))
    if not runs:
        say(f"There is no run in {folder}.")
    else:
        rows = [
            (
                str(run.path.relative_to(folder)),
                *(_short(text) for text in (run.recipe, run.model, run.data)),
                _estimate(run.metrics[0], named=True) if run.metrics else "–",
                *(_date(run), _size(run), run.state),
            )
            for run in runs
        ]
        say(table(rows, ("name", "task", "model", "data", "main metric", "date", "size", "state")))


@app.command()
def show(
    run: Annotated[Path, completion.run_argument("RUN", "Run directory.")],
) -> None:
    """Show what a run is: task, model, data, command, and the metrics of its report with their intervals."""
    from toolkit.api.documents.run_folders import ShownRun
    from toolkit.runs.inventory import summary

    result = summary(run)
    say_document(lambda: ShownRun(result))
    facts = [
        *(("run", str(result.path)), ("state", result.state), ("task", result.recipe), ("model", result.model)),
        *(("data", result.data), ("date", _date(result)), ("size", _size(result)), ("command", result.command)),
    ]
    say(table(facts + [(figure.name, _estimate(figure)) for figure in result.metrics]))


@app.command()
def remove(
    runs: Annotated[list[Path], completion.run_argument("RUN…", "Run directories.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> None:
    """Remove run directories, after asking. Other folders are refused, and links are not followed."""
    from toolkit.api.documents.run_folders import RemovedRuns
    from toolkit.runs import inventory

    found = inventory.removable(runs)
    if not yes:
        if prints_document() or not sys.stdin.isatty():
            raise ConfigError(
                "Nothing was removed: nobody can be asked here.", "Add --yes to remove.", id="config.nothing-given"
            )
        named = table([(str(run.path), run.state, _size(run)) for run in found])
        if not typer.confirm(shown(f"{named}\nRemove?"), err=True):
            note("Nothing was removed.")
            raise typer.Exit(1)
    for run in found:
        inventory.remove(run)
        say(f"removed  {run.path}")
    say_document(lambda: RemovedRuns.of(found))


@app.command()
def best(
    metric: Annotated[str, typer.Option("--metric", help="Name of a metric, as `runs show` lists it.")],
    folder: Folder = Path("runs"),
) -> None:
    """Find the best finished run by a metric, in the metric's direction, among runs with the same test rows."""
    from toolkit.api.documents.run_folders import BestRuns
    from toolkit.runs.inventory import rankings, summaries

    ranked = rankings(metric, summaries(folder))
    say_document(lambda: BestRuns.of(metric, ranked))
    if len(ranked) > 1:
        say(f"The test rows of these runs differ, or their tasks: {len(ranked)} sets, which cannot be compared.\n")
    say("\n\n".join(_ranking(metric, ranking) for ranking in ranked))


def _ranking(metric: str, ranking: "Ranking") -> str:
    rows = [(str(run.path), _estimate(figure)) for run in ranking.runs if (figure := run.figure(metric)) is not None]
    text = f"Best: {rows[0][0]}\n{table(rows, ('run', metric))}"
    if len(rows) < 2:
        return text
    return (
        f"{text}\nThe best of {len(rows)} is chosen on the test rows, so its figure is optimistic; "
        "`toolkit compare` tests differences."
    )


def _estimate(figure: "Figure", named: bool = False) -> str:
    from toolkit.report.formats import estimate

    text = estimate({"value": figure.value, "low": figure.low, "high": figure.high}, figure.unit)
    return f"{_short(figure.title)} {text}" if named else text


def _date(run: "Summary") -> str:
    return _short(run.created[:16].replace("T", " "))


def _size(run: "Summary") -> str:
    return f"{run.bytes / 2**20:,.1f} MiB"


def _short(text: str) -> str:
    """Return the start of a text from outside, on one line."""
    return one_line(text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…").replace("\t", " ")
