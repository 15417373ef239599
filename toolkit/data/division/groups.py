"""Keep rows that belong together in the same part: all pictures of a patient, say.

Pictures of one patient are similar, so metrics would be too optimistic if they were in both train and test.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.batching.batch import Integers
from toolkit.data.division.split import classes_of, row_keys
from toolkit.errors import DataError

_HELD_OUT = ("test", "validation")  # in the order in which a group is kept


def whole(parts: Mapping[str, pa.Table], column: str) -> tuple[dict[str, pa.Table], list[str]]:
    """Leave each group in one of the given parts only: the test part keeps its own, then validation.

    Args:
        parts: The parts that came with the data.
        column: Identifies rows that belong together; a row without a value belongs to no other.

    Returns:
        The parts, and sentences on what was removed.

    Raises:
        DataError: A part lacks the column.
    """
    for part, rows in parts.items():
        if column not in rows.column_names:
            raise DataError(
                f"`data.group_column` names the column `{column}`, which the {part} part does not have.",
                f"It has {', '.join(name for name in rows.column_names if not name.startswith('_'))}.",
                id="data.column-missing",
            )
    kept, notes = dict(parts), []
    taken = pa.array([], pa.string())
    for part in [part for part in (*_HELD_OUT, "train") if part in kept]:
        names = _names(kept[part], column)
        shared = pc.fill_null(pc.is_in(names, taken), False)
        count = int(pc.sum(shared).as_py() or 0)
        if count:
            kept[part] = kept[part].filter(pc.invert(shared))
            notes.append(f"{count:,} {part} rows whose {column} also occurs in a held-out part were removed.")
        if kept[part].num_rows == 0:
            raise DataError(
                f"Every {column} of the {part} part also occurs in a held-out part.",
                "Split the data by that column, or give one file, which the toolkit splits.",
                id="data.overlapping-parts",
            )
        taken = pa.concat_arrays([taken, pc.unique(names).drop_null()])
    return kept, notes


def carve(
    parts: Mapping[str, pa.Table],
    column: str,
    *,
    label: str | None,
    labels: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
) -> dict[str, pa.Table]:
    """Fill in the parts that the data does not bring, by whole groups, with about the share of each class.

    Args:
        parts: The parts that are given; train among them.
        column: Identifies rows that belong together.
        label: Column of class numbers, or None.
        labels: Names of the classes, for messages.
        fractions: Part → share of train's rows to take, for "validation" and "test".
        seed: Decides which groups.

    Raises:
        DataError: There are too few groups.
    """
    carved = dict(parts)
    random = np.random.default_rng(seed)
    train = carved["train"]
    groups = numbered(train, column)
    classes = classes_of(train, label)
    counts = np.zeros((int(groups.max()) + 1, max(len(labels), 1)), np.int64)  # (groups, classes)
    np.add.at(counts, (groups, classes), 1)
    free = np.ones(len(counts), bool)
    for part in [part for part in _HELD_OUT if part not in carved]:
        chosen = _choose(counts, free, fractions[part], random)
        held = np.isin(groups, chosen)
        if not held.any():
            raise DataError(
                f"The {len(counts):,} groups of `{column}` are too few to split off a {part} part.",
                "Give more groups, or give separate parts (train and test files in one folder).",
                id="data.too-few-rows",
            )
        free[chosen] = False
        carved[part] = train.filter(pa.array(held))
    left = free[groups]
    carved["train"] = train.filter(pa.array(left))
    return carved


def _choose(counts: Integers, free: Any, fraction: float, random: np.random.Generator) -> Integers:
    """Choose random groups so that each class is near its share, and some of each class remain in train."""
    wanted = counts.sum(axis=0) * fraction
    left = counts[free].sum(axis=0)
    has = np.zeros_like(wanted)
    chosen = []
    for group in random.permutation(np.flatnonzero(free)):
        own = counts[group]
        nearer = np.abs(wanted - has - own).sum() < np.abs(wanted - has).sum()
        if nearer and (left - own >= (left > 0)).all():
            chosen.append(int(group))
            has, left = has + own, left - own
    return np.array(chosen, np.int64)


def _names(rows: pa.Table, column: str) -> pa.ChunkedArray:
    values = rows[column]
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(pa.string())


def numbered(rows: pa.Table, column: str) -> Integers:
    """Number the groups of a column from 0; each row without one is a group of its own. Shape (rows,)."""
    values = _names(rows, column).combine_chunks()
    numbers = values.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.float64)
    alone = np.isnan(numbers)
    first = int(np.nanmax(numbers)) + 1 if not alone.all() else 0
    numbers[alone] = first + np.arange(alone.sum())
    whole_numbers: Integers = numbers.astype(np.int64)
    return whole_numbers


def of_folds(rows: pa.Table, column: str | None, inputs: Sequence[str]) -> Integers:
    """Return a number for each row; rows that have to be in one fold share it. Shape (rows,).

    Args:
        rows: The rows.
        column: Of their groups; where there is none, rows with equal inputs are together.
        inputs: Columns of the inputs.
    """
    if column is not None and column in rows.column_names:
        return numbered(rows, column)
    _, numbers = np.unique(row_keys(rows, inputs), return_inverse=True)
    return np.asarray(numbers, np.int64)
