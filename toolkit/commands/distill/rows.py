"""Rows without labels for a student: read, without those that are held out, and labelled by the teacher."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.train_fingerprint import digests
from toolkit.data.load import Splits, load_table
from toolkit.data.tables import wording


def unlabelled(prepared: Prepared) -> tuple[pa.Table, int]:
    """Read the further rows of a student; return those that are in no part of the run, and how many are left out.

    Args:
        prepared: The student's training; `distillation.unlabelled` is set.

    Raises:
        ToolkitError: They cannot be read.
    """
    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    inputs = {column.role for column in recipe.task.inputs}
    update = {
        "source": str(config.distillation.unlabelled),
        "columns": {role: name for role, name in config.data.columns.items() if role in inputs},
        **dict.fromkeys(("corrections", "group_column", "time_column", "max_train_rows"), None),
        "where": {},
        "label_map": {},
    }
    data = config.data.model_copy(update=update)
    table = load_table(recipe, data, splits.labels, lenient=True, options=config.options)
    kept = ["_file", "_row", *recipe.task.inputs_in(next(iter(table.parts.values())))]
    rows = pa.concat_tables([part.select(kept) for part in table.parts.values()])
    found = digests(recipe, rows)
    _, first = np.unique(found, return_index=True)
    known = np.concatenate([digests(recipe, part) for part in (splits.train, splits.validation, splits.test)])
    fresh = np.sort(first[~np.isin(found[first], known)])
    return rows.take(fresh), rows.num_rows - len(fresh)


def with_rows(splits: Splits, target: str, rows: pa.Table, labels: Sequence[int], left_out: int) -> Splits:
    """Return a division whose training rows end with `rows`, labelled by the teacher.

    Args:
        splits: The run's.
        target: Role of the label.
        rows: From `unlabelled`.
        labels: Numbers of the classes that the teacher finds most probable.
        left_out: How many rows are not among them.
    """
    labelled = rows.append_column(target, pa.array(labels, splits.train.schema.field(target).type))
    names = [name for name in splits.train.column_names if name in labelled.column_names]
    fields = [splits.train.schema.field(name) for name in names]
    labelled = labelled.select(names).cast(pa.schema(fields))
    note = f"{' '.join(wording.rows(rows.num_rows))} without labels are labelled by the teacher"
    note += f"; {left_out:,} that repeat others or rows of the run are left out." if left_out else "."
    train = pa.concat_tables([splits.train, labelled], promote_options="default")
    return replace(splits, train=train, facts={**splits.facts, "notes": [*splits.facts["notes"], note]})
