"""Find the model and the rows of an evaluation, and match their labels."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import checkpoints, model_metadata, runs
from toolkit.commands.evaluate.checks import check_columns
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.evaluate.stored_model import find_stored, stored_card
from toolkit.config import RunConfig
from toolkit.data.division.split import fingerprint
from toolkit.data.load import Table, load_table, part_facts
from toolkit.errors import DataError, SourceError, ToolkitError
from toolkit.evaluation import thresholds
from toolkit.evaluation.checks import generation_quality
from toolkit.events import Note, Observe, Stage
from toolkit.report.document.schema import REPORT, faults
from toolkit.runs import checksums
from toolkit.tasks.contract import Recipe

# Of a data set with several parts, the one a model is evaluated on.
_PREFERRED = ("test", "all", "validation", "train")


def prepare_evaluation(
    target: str, values: Mapping[str, Any], recipe_name: str | None, observe: Observe, *, needs_rows: bool = True
) -> EvaluationInputs:
    """Find the model and the data, and match their labels.

    Args:
        target: Run directory, alias, folder or Hub id.
        values: Nested configuration values that override the stored ones. Without `data.source` a run is evaluated
            on its own held-out rows.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        needs_rows: Whether rows are read, and a model that none come with or are named for is refused.

    Raises:
        DataError: There are no rows to evaluate on, or labels do not match.
    """
    observe(Stage("Locating model and data"))
    run = runs.Run(Path(target)) if runs.is_run(Path(target)) else None
    named = "source" in values.get("data", {})
    if run is None and not named and needs_rows:
        raise _no_data_of_its_own(Path(target))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    for remark in (
        *checkpoints.unasked(checkpoint, config.options),
        *model_metadata.remarks(stored_card(checkpoint), config.evaluation),
    ):
        observe(Note(remark))
    generation_quality.check_glossary(config.evaluation)
    thresholds.parse(config.evaluation.operating_points)
    if not needs_rows:
        none = pa.table({column.role: pa.array([], pa.string()) for column in recipe.columns})
        return EvaluationInputs(checkpoint, recipe, config, labels, none, "none", {}, run, own=False)
    observe(Stage("Reading data"))
    if run is not None and not named:
        rows = checksums.read_rows(run.path / "data" / "test.parquet")
        facts = _stored_facts(run)
        check_columns(config, recipe, rows.column_names)
        _check_groups(values, rows.column_names)
        return EvaluationInputs(checkpoint, recipe, config, labels, rows, "held-out test", facts, run, own=True)
    table = load_table(recipe, config.data, labels, options=config.options)
    recipe = table.recipe(recipe)
    part = next(part for part in _PREFERRED if part in table.parts)
    check_columns(config, recipe, table.parts[part].column_names)
    _check_groups(values, table.parts[part].column_names)
    facts = _data_facts(recipe, config, table, part, table.labels)
    split = "given" if part == "all" else part
    return EvaluationInputs(checkpoint, recipe, config, table.labels, table.parts[part], split, facts, run, own=False)


def _check_groups(values: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a column of groups that the user names now and that the rows lack; one of the training may be absent.

    Raises:
        DataError: There is no such column.
    """
    column = values.get("data", {}).get("group_column")
    if column is not None and column not in names:
        raise DataError(
            f"`data.group_column` names the column `{column}`, which the rows do not have.",
            f"They have {', '.join(name for name in names if not name.startswith('_'))}.",
            id="data.column-missing",
        )


def _stored_facts(run: runs.Run) -> dict[str, Any]:
    """Return the facts about a run's data.

    Raises:
        SourceError: What run.json says of data or training is not what a report can show.
    """
    facts = {part: run.facts.get(part) for part in ("data", "training")}
    wrong = [fault for fault in faults(REPORT, facts) if not fault.endswith("is not in the schema")]
    if wrong:
        raise SourceError(
            f"{run.path / 'run.json'} is damaged: {wrong[0]}.", "Copy the run directory again.", id="run.damaged"
        )
    return facts["data"] or {}


def _no_data_of_its_own(path: Path) -> ToolkitError:
    """Return the error for a target that is not a run where no data was given."""
    name_data = "Give the data to evaluate it on with --data."
    if (path / "config.json").is_file():
        return DataError(
            f"{path} is a model and not a run, so it has no held-out data.", name_data, id="data.not-given"
        )
    seeds = sorted(folder.name for folder in path.iterdir() if runs.is_run(folder)) if path.is_dir() else []
    if seeds:
        return SourceError(
            f"{path} contains several runs.", f"Give one of them, such as {path / seeds[0]}.", id="run.ambiguous"
        )
    if any((path / name).exists() for name in ("config.yaml", "metrics.jsonl", "report.json", "checkpoints")):
        return SourceError(
            f"{path} was a run directory, but its run.json is missing.",
            "Copy the whole folder again.",
            id="run.file-missing",
        )
    if path.exists():
        kind = "is a folder without run.json and config.json" if path.is_dir() else "is a file"
        return SourceError(
            f"{path} {kind}, so it is neither a run nor a model.",
            "Give a run directory or a model.",
            id="run.not-a-run",
        )
    if (
        path.as_posix().count("/") == 1 and not path.is_absolute() and not path.parent.exists()
    ):  # as Hub ids are written
        return DataError(
            f"{path} is not a local folder, and a model of the Hub has no held-out data.",
            name_data,
            id="data.not-given",
        )
    folders = [str(folder) for folder in runs.HOME.iterdir()] if runs.HOME.is_dir() else []
    near = difflib.get_close_matches(str(path), folders, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    return SourceError(
        f"There is no run directory {path}.{guess}",
        "Give an existing run directory. For a model of the Hub or a short name, give the data too, with --data.",
        id="run.not-found",
    )


def _data_facts(recipe: Recipe, config: RunConfig, table: Table, part: str, labels: Sequence[str]) -> dict[str, Any]:
    rows: pa.Table = table.parts[part]
    roles = recipe.task.present(rows)
    return {
        "source": config.data.source,
        "origin": table.origin,
        "fingerprint": fingerprint({"test": rows}, roles),
        "splits": [part_facts(part, rows, recipe.task.counted, labels, given=True)],
        "counts": dict(table.counts),
        "notes": list(table.notes),
    }
