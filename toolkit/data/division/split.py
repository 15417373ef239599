"""Split missing parts off train, and remove training rows that also occur in a held-out part."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.batching.batch import Integers
from toolkit.data.media import columns as media_columns
from toolkit.data.tables import labels as labels_
from toolkit.data.tables.digest import table_digest
from toolkit.errors import DataError

PARTS = ("train", "validation", "test")
_SHOWN = 10  # rare labels that a message names


def carve(
    tables: Mapping[str, pa.Table],
    *,
    label: str | None,
    labels: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
    divide: Callable[[pa.Table, Mapping[str, float], int], Mapping[str, Integers]] | None = None,
) -> dict[str, pa.Table]:
    """Fill in the parts that the data does not bring, stratified by class where there is one for each row.

    Args:
        tables: The parts that are given; train among them.
        label: Column of class numbers to stratify by, or None.
        labels: Names of the classes, for messages.
        fractions: Part → share of train to take, for "validation" and "test".
        seed: Decides which rows.
        divide: (train, part → its share, seed) → part → positions of its rows, for another stratification.

    Returns:
        All of "train", "validation" and "test".
    """
    random = np.random.default_rng(seed)
    parts = dict(tables)
    missing = [part for part in ("test", "validation") if part not in parts]
    train = parts["train"]
    if missing and divide is not None:
        shares = {part: fractions[part] for part in missing}
        positions = divide(train, shares, seed) if train.num_rows > len(missing) else {}
        if any(not len(positions.get(part, ())) for part in ("train", *missing)):
            raise _too_few(train.num_rows, missing[0])
        return {**parts, **{part: train.take(np.sort(rows)) for part, rows in positions.items()}}
    if missing and label is not None:
        _check_frequencies(train, label, labels, needed=len(missing) + 1)
    classes = classes_of(train, label)
    indices = np.arange(train.num_rows)
    for spare, part in zip(range(len(missing), 0, -1), missing, strict=True):
        different = len(labels) if label is not None else 1
        count = max(round(train.num_rows * fractions[part]), different)
        if count > len(indices) - spare * different:
            raise _too_few(train.num_rows, part)
        taken = choose(classes[indices], count, random, spare=spare)
        parts[part] = train.take(indices[taken])
        indices = np.delete(indices, taken)
    parts["train"] = train.take(indices)
    return parts


def _too_few(rows: int, part: str) -> DataError:
    return DataError(
        f"{rows} rows are too few to split off a {part} part.",
        "Give more rows, or separate parts (train and test files in one folder).",
        id="data.too-few-rows",
    )


def classes_of(rows: pa.Table, label: str | None) -> Integers:
    """Return the class number of each row; 0 for all where there is no such column. Shape (rows,)."""
    numbers: Integers = rows[label].to_numpy() if label is not None else np.zeros(rows.num_rows, np.int64)
    return numbers


def choose(classes: Integers, count: int, random: np.random.Generator, *, spare: int) -> Integers:
    """Choose `count` rows at random: of each class its share, at least one, and never its last `spare`.

    Args:
        classes: Class number of each row. Shape (rows,).
        count: At least the number of classes, at most the rows without the spared ones.
        random: Decides which rows.
        spare: Rows of each class that are left.

    Returns:
        Positions of the chosen rows, ascending. Shape (count,).
    """
    _, inverse, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    share = sizes * count / len(classes)
    quota = np.clip(np.floor(share), 1, sizes - spare).astype(np.int64)
    while quota.sum() != count:
        step = 1 if quota.sum() < count else -1
        movable = quota < sizes - spare if step > 0 else quota > 1
        quota[np.argmax(np.where(movable, step * (share - quota), -np.inf))] += step
    shuffled = random.permutation(len(classes))
    by_class = shuffled[np.argsort(inverse[shuffled], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    chosen = [by_class[start : start + number] for start, number in zip(starts, quota, strict=True)]
    return np.sort(np.concatenate(chosen))


def _check_frequencies(train: pa.Table, label: str, labels: Sequence[str], needed: int) -> None:
    numbers = train[label].to_pylist()
    counted = Counter(numbers)
    rare = [number for number in range(len(labels)) if counted[number] < needed]
    if not rare:
        return
    shown = "; the ".join(_times(train, numbers, number, labels[number]) for number in rare[:_SHOWN])
    more = f"; and {len(rare) - _SHOWN:,} more labels" if len(rare) > _SHOWN else ""
    together = ", ".join(f'"{labels[number]}": OTHER' for number in rare[:2]) + (", …" if len(rare) > 2 else "")
    amounts = labels_.amounts(labels)
    raise DataError(
        f"The {shown}{more}: too few for both training and testing; {needed} are needed."
        + (f" {amounts}" if amounts else ""),
        f"Add examples; leave these rows out (--set data.min_label_rows={needed}), or merge them into one class (the "
        f"same with --set data.rare_labels=merge) or into others (`--set 'data.label_map={{{together}}}'`; map all "
        "labels then); or give separate parts (train and test files in one folder).",
        id="label.too-rare",
    )


def _times(train: pa.Table, numbers: Sequence[int], number: int, label: str) -> str:
    """Describe how often a label occurs, and in which rows."""
    where = [str(train["_row"][place].as_py()) for place, value in enumerate(numbers) if value == number]
    if not where:
        return f"label `{label}` appears in no row of train"
    times = {1: "once", 2: "twice"}.get(len(where), f"{len(where)} times")
    return f"label `{label}` appears {times} (row{'s' * (len(where) > 1)} {', '.join(where)})"


def row_keys(table: pa.Table, columns: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a 64-bit key for each row. Shape (rows,).

    It is equal for texts that differ only in case and white space, and for files with the same content.
    """
    if not columns:
        return np.arange(table.num_rows, dtype=np.uint64)  # nothing to compare: all rows count as different
    keys = np.empty(table.num_rows, np.uint64)
    position = 0
    chosen = pa.table({name: _comparable(table[name]) for name in columns})
    for batch in chosen.to_batches(max_chunksize=10_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            text = "\x1f".join(" ".join(_plain(value).split()) for value in row)
            digest = hashlib.blake2b(text.casefold().encode("utf-8", "surrogatepass"), digest_size=8).digest()
            keys[position] = int.from_bytes(digest, "little")
            position += 1
    return keys


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values by which rows are compared; for files, the digest of their content."""
    return pc.struct_field(column, "digest") if media_columns.is_type(column.type) else column


def separate(
    parts: Mapping[str, pa.Table], columns: Sequence[str], *, remove: bool
) -> tuple[dict[str, pa.Table], dict[str, int]]:
    """Find the texts that occur in two parts, and remove them from the one used for training.

    Test is unchanged; validation loses rows that occur in test; train loses rows that occur in either. Without columns
    to compare by, no two rows are the same.

    Returns:
        The parts, and how many rows of train occur in the held-out parts, of validation in test, and
        how many rows that train keeps repeat an earlier one.
    """
    if not columns:
        return dict(parts), dict.fromkeys(("train_in_held_out", "validation_in_test", "repeated_in_train"), 0)
    keys = {part: row_keys(table, columns) for part, table in parts.items()}
    leaked = {
        "train": np.isin(keys["train"], np.concatenate([keys["validation"], keys["test"]])),
        "validation": np.isin(keys["validation"], keys["test"]),
    }
    learned = keys["train"][~leaked["train"]] if remove else keys["train"]
    counts = {
        "train_in_held_out": int(leaked["train"].sum()),
        "validation_in_test": int(leaked["validation"].sum()),
        "repeated_in_train": len(learned) - len(np.unique(learned)),
    }
    if not remove:
        return dict(parts), counts
    kept = {part: table.filter(pa.array(~leaked[part])) if part in leaked else table for part, table in parts.items()}
    return kept, counts


def fingerprint(parts: Mapping[str, pa.Table], columns: Sequence[str]) -> str:
    """Return a digest of all parts: the same rows in the same parts give the same digest."""
    digests = [[part, table_digest(parts[part], columns)] for part in PARTS if part in parts]
    return f"sha256:{hashlib.sha256(json.dumps(digests).encode()).hexdigest()}"


def shared_rows(table: pa.Table, other: pa.Table, columns: Sequence[str]) -> int:
    """Count the rows of `table` whose text also occurs in `other`; none without columns to compare by."""
    if not columns:
        return 0
    return int(np.isin(row_keys(table, columns), row_keys(other, columns)).sum())
