"""Agreement of annotators where a column of the data names them and rows repeat."""

from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.commands.finetune.prepare import Prepared
from toolkit.data.division.split import row_keys
from toolkit.data.load import load_table
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.context import references
from toolkit.evaluation.doubts import agreement


def measured(prepared: Prepared, column: str) -> dict[str, Any]:
    """Return how much annotators agree on all rows of the data, before their division.

    Args:
        prepared: The run.
        column: Names who labelled each row.

    Returns:
        "column", "confidence", "alpha" and "annotators", as of `agreement`.

    Raises:
        DataError: There is no such column.
        ConfigError: Labels are of words, or the column holds the labels.
    """
    recipe, config, labels = prepared.recipe, prepared.config, prepared.splits.labels
    task = recipe.task
    if task.labels_words:
        raise ConfigError(
            "Agreement of annotators is not measured for labels of words.",
            "Leave out --annotator-column.",
            id="config.not-for-task",
        )
    table = load_table(recipe, config.data, labels or None, options=config.options)
    rows = pa.concat_tables([*table.parts.values()], promote_options="permissive")
    if column in (task.target.role, config.data.columns.get(task.target.role)):
        raise ConfigError(
            f"--annotator-column names `{column}`, which holds the labels.",
            "Name the column that says who labelled each row.",
            id="config.conflict",
        )
    if column not in rows.column_names:
        raise DataError(
            f"--annotator-column names the column `{column}`, which the rows do not have.",
            f"They have {', '.join(name for name in rows.column_names if not name.startswith('_'))}.",
            id="data.column-missing",
        )
    names = rows[column].to_pylist()
    known = [place for place, name in enumerate(names) if name is not None]
    rows = rows.take(pa.array(known, pa.int64()))
    _, items = np.unique(row_keys(rows, task.inputs_in(rows)), return_inverse=True)
    truth, settings = references(recipe, rows), config.evaluation
    points = agreement.points(truth, len(labels), ordered=task.target.kind.ordered)
    alpha = agreement.alpha(
        points,
        items.astype(np.int64),
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=config.training.seed,
    )
    each = agreement.annotators(truth, items.astype(np.int64), [str(names[k]) for k in known], settings.confidence)
    return {"column": column, "confidence": settings.confidence, "alpha": alpha, "annotators": each}
