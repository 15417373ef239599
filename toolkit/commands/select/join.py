"""Join rows that were labelled with those of a run, divided as they were: the test rows stay the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.commands.evaluate.stored_model import find_stored
from toolkit.commands.finetune import train_fingerprint, trained_run
from toolkit.commands.select.run import check_task
from toolkit.config import RunConfig
from toolkit.data.division.split import row_keys
from toolkit.data.load import load_table
from toolkit.data.media import columns as media_columns
from toolkit.data.tables import wording
from toolkit.data.tables.columns import AT_RANDOM, POSITION, SELECTED_BY
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation import scores
from toolkit.evaluation.context import clusters, references
from toolkit.evaluation.predict_rows import predict_rows
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.tasks.contract import Recipe


def join(
    target: str, source: str, output: Path | None, values: Mapping[str, Any], recipe_name: str | None, observe: Observe
) -> dict[str, Any]:
    """Write a folder with the run's parts, train with the rows that were labelled since.

    Rows of the run's held-out parts are left out of the new ones. Validation and test rows stay as they are, so that
    the next run can be compared with this one, and no row that was chosen by a strategy is in the test part.

    Args:
        target: A run directory.
        source: The labelled rows: what `finetune --data` reads.
        output: The folder to write.
        values: Nested configuration values of this call.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.

    Returns:
        The answer as JSON: "folder", rows of "train" before, those "added", "known" ones that were left out, and
        "pool", the first metric on the rows that were drawn at random; None where there are none.

    Raises:
        CallError: Run, rows or output cannot be used.
    """
    if output is None:
        raise ConfigError(
            "--labelled writes a folder, and --output is missing.", "Add --output FOLDER.", id="config.nothing-given"
        )
    if output.exists():
        raise ConfigError(f"{output} already exists.", "Remove it, or give another --output.", id="output.exists")
    run = trained_run.read(target, recipe_name, values.get("loading", {}))
    observe(Stage("Locating the model"))
    checkpoint, of_model, stored_config, labels = find_stored(target, values, recipe_name)
    check_task(of_model)
    recipe, config, splits = run.rows(observe)
    observe(Stage("Reading the labelled rows"))
    data = config.data.model_copy(update={"source": source, "where": {}, "max_train_rows": None})
    read = load_table(recipe, data, splits.labels, options=config.options)
    for text in read.notes:
        observe(Note(text))
    rows = pa.concat_tables(list(read.parts.values()), promote_options="default")
    digests = train_fingerprint.digests(recipe, rows)
    held = [train_fingerprint.digests(recipe, part) for part in (splits.train, splits.validation, splits.test)]
    new = np.flatnonzero(~np.isin(digests, np.concatenate(held))) if len(digests) else np.arange(rows.num_rows)
    added = rows.take(pa.array(new, pa.int64()))
    if not added.num_rows:
        raise DataError(
            f"The run has every row of {source} already.",
            "Give rows that were labelled since.",
            id="select.nothing-left",
        )
    doubled = _contradictory(recipe, added)
    if doubled:
        observe(
            Note(
                f"{wording.rows(doubled)[0]} of {source} have an input that is there with another label as well; "
                "`toolkit repair` finds such rows after the next training."
            )
        )
    stored = StoredModel(checkpoint.path, of_model, labels, stored_config, observe=observe)
    pool = _on_random_rows(stored, added, observe)
    parts = {
        "train": _joined(splits.train, added),
        "validation": splits.validation,
        "test": splits.test,
    }
    with runs.aside(output) as draft:
        draft.mkdir()
        for name, part in parts.items():
            if part.num_rows:
                runs.write_table(draft / f"{name}.parquet", _written(recipe, config, splits.labels, part))
    return {
        "folder": str(output),
        "recipe": config.recipe,
        "train": splits.train.num_rows,
        "added": added.num_rows,
        "known": rows.num_rows - added.num_rows,
        "pool": pool,
    }


def _contradictory(recipe: Recipe, rows: pa.Table) -> int:
    """Return how many rows have an input that other rows have with another target."""
    _, inputs = np.unique(row_keys(rows, recipe.task.inputs_in(rows)), return_inverse=True)
    _, targets = np.unique([repr(value) for value in references(recipe, rows)], return_inverse=True)
    kinds = np.unique(np.stack([inputs, targets]), axis=1)[0]
    several = np.flatnonzero(np.bincount(kinds) > 1)
    return int(np.isin(inputs, several).sum())


def _joined(train: pa.Table, added: pa.Table) -> pa.Table:
    """Return the training rows and the new ones, with the columns of the former and what chose a row."""
    names = [name for name in train.column_names if name not in (*POSITION, SELECTED_BY)]
    columns = [name for name in names if name in added.column_names]
    both = []
    for rows in (train, added):
        of = rows[SELECTED_BY].cast(pa.string()) if SELECTED_BY in rows.column_names else None
        chosen = of if of is not None else pa.nulls(rows.num_rows, pa.string())
        both.append(rows.select(names if rows is train else columns).append_column(SELECTED_BY, chosen))
    return pa.concat_tables(both, promote_options="permissive")


def _written(recipe: Recipe, config: RunConfig, labels: Sequence[str], rows: pa.Table) -> pa.Table:
    """Return rows as a file holds them: labels by their names, files with their content, columns by their names."""
    labelled = recipe.task.labelled
    rows = media_columns.embedded(rows.drop_columns([name for name in POSITION if name in rows.column_names]))
    if labelled is not None:
        role = labelled.role
        named = [
            [labels[number] for number in value]
            if isinstance(value, list)
            else None
            if value is None
            else labels[value]
            for value in rows[role].to_pylist()
        ]
        rows = rows.set_column(rows.column_names.index(role), role, pa.array(named))
    given = config.data.columns
    return rows.rename_columns([given.get(name, name) for name in rows.column_names])


def _on_random_rows(stored: StoredModel, added: pa.Table, observe: Observe) -> dict[str, Any] | None:
    """Return the first metric of the run's model on the rows that were drawn at random; None where there are none."""
    chosen = added[SELECTED_BY].to_pylist() if SELECTED_BY in added.column_names else []
    at_random = [number for number, strategy in enumerate(chosen) if strategy == AT_RANDOM]
    if not at_random:
        return None
    recipe, config = stored.recipe, stored.config
    rows = added.take(pa.array(at_random, pa.int64()))
    observe(Stage(f"Predicting {len(at_random):,} rows that were drawn at random"))
    predicted = predict_rows(stored, rows, "random rows of the pool", observe)
    together = clusters(recipe.task, rows, config.data.group_column)
    figures = scores.score(
        predicted.predictions.columns,
        references(recipe, rows),
        recipe.metrics[:1],
        stored.labels,
        config.evaluation,
        config.training.seed,
        together,
    )
    return {"rows": len(at_random), "metric": figures[0] if figures else None}
