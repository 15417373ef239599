"""From a name to three clean tables: acquire, find the columns, number the labels, split, separate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import DataConfig
from toolkit.data import columns as columns_
from toolkit.data import labels as labels_
from toolkit.data import split as split_
from toolkit.data.acquire import acquire
from toolkit.errors import DataError
from toolkit.recipes import Column, Recipe


@dataclass(frozen=True)
class Splits:
    """What a run learns from and is judged on.

    Attributes:
        train: Rows to learn from; columns are the recipe's roles, metadata, `_file` and `_row`.
        validation: Rows that pick the best checkpoint.
        test: Rows that nothing looked at before the end.
        labels: Names of the classes in the order of their numbers; empty for a task without classes.
        facts: Source, origin, fingerprint, rows and classes of each part, and notes, as the report shows them.
    """

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    labels: tuple[str, ...]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of one data source in a recipe's roles, not yet split.

    Attributes:
        parts: Part → rows; labels are class numbers.
        labels: Names of the classes.
        origin: Where the rows came from, as a name that finds them again.
        notes: Sentences on what was dropped, mapped or assumed.
        counts: How many rows were dropped and why.
    """

    parts: dict[str, pa.Table]
    labels: tuple[str, ...]
    origin: str
    notes: tuple[str, ...]
    counts: dict[str, int]


def load_splits(recipe: Recipe, config: DataConfig, seed: int) -> Splits:
    """Load the data that `config` names and divide it for training.

    Raises:
        SourceError: The data cannot be found or reached.
        DataError: The data does not fit the recipe.
    """
    table = load_table(recipe, config)
    parts = dict(table.parts)
    if "all" in parts:
        parts["train"] = parts.pop("all")
    if "train" not in parts:
        raise DataError(
            f"{config.source} has no train part, only {', '.join(parts)}.", "Give a file or folder to learn from."
        )
    given = [part for part in split_.PARTS if part in parts]
    label = next((c.role for c in recipe.COLUMNS if c.kind == "label"), None)
    _check_classes(parts, label, table.labels)
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    parts = split_.carve(parts, label=label, labels=table.labels, fractions=fractions, seed=seed)
    inputs = [c.role for c in recipe.COLUMNS if c.kind in ("text", "words") and c.role in parts["train"].column_names]
    parts, duplicates = split_.separate(parts, inputs, remove=config.deduplicate)
    for part in ("train", "validation"):
        if parts[part].num_rows == 0:
            raise DataError(
                f"Every row of the {part} part also stands in a part that is held out from it.",
                "Check that the parts are different files, and that not all rows are the same.",
            )
    _check_classes(parts, label, table.labels)
    if config.max_train_rows is not None:
        parts["train"] = _at_most(parts["train"], label, config.max_train_rows, seed)
    roles = [c.role for c in recipe.COLUMNS if c.role in parts["train"].column_names]
    facts = {
        "source": config.source,
        "origin": table.origin,
        "fingerprint": split_.fingerprint(parts, roles),
        "splits": [part_facts(name, parts[name], label, table.labels, name in given) for name in split_.PARTS],
        "counts": {**table.counts, **duplicates},
        "notes": [*table.notes, *_duplicate_notes(duplicates, removed=config.deduplicate)],
    }
    return Splits(parts["train"], parts["validation"], parts["test"], table.labels, facts)


def _at_most(train: pa.Table, label: str | None, most: int, seed: int) -> pa.Table:
    """Choose `most` rows at random, of each class its share."""
    classes = split_.classes_of(train, label)
    different = len(np.unique(classes))
    if most < different:
        raise DataError(
            f"`data.max_train_rows` is {most}, but train has {different} classes.",
            "Give at least one row for each class.",
        )
    if train.num_rows <= most:
        return train
    return train.take(split_.choose(classes, most, np.random.default_rng(seed), spare=0))


def load_table(recipe: Recipe, config: DataConfig, labels: Sequence[str] | None = None) -> Table:
    """Load the data that `config` names in the recipe's roles.

    Args:
        recipe: Says which columns are needed and how labels are named.
        config: Names the data.
        labels: Classes of a trained model that the data's labels must match; the data's own when None.
    """
    parts, origin, acquired_notes = acquire(config)
    notes = list(acquired_notes)
    counts: dict[str, int] = {}
    prepared = {}
    for part, raw in parts.items():
        rows = _where(raw, config.where)
        roles = columns_.find(rows.column_names, recipe.COLUMNS, config.columns)
        prepared[part] = columns_.take_roles(rows, roles, recipe.COLUMNS)
    for column in recipe.COLUMNS:
        if column.kind in ("text", "words") and column.required:
            prepared = _drop_empty(prepared, column, counts, notes)
    target = next((c for c in recipe.COLUMNS if c.kind in ("label", "labels")), None)
    names: tuple[str, ...] = ()
    if target is not None:
        prepared, names = _number_labels(prepared, target, recipe, config, labels, counts, notes)
        _check_aligned(prepared, recipe.COLUMNS)
    for part, rows in prepared.items():
        if rows.num_rows == 0:
            raise DataError(
                f"No usable row is left in the {part} part of {origin}.", "Check the columns, `where` and the labels."
            )
    return Table(prepared, names, origin, tuple(notes), counts)


def _where(table: pa.Table, where: Mapping[str, str]) -> pa.Table:
    for name, wanted in where.items():
        if name not in table.column_names:
            raise DataError(
                f"`where` names the column `{name}`, which is not there.", f"It has {', '.join(table.column_names)}."
            )
        table = table.filter(pc.equal(columns_.coerce(table[name], "label"), wanted))
        if table.num_rows == 0:
            raise DataError(f"No row has {name} = {wanted}.", "Check the value of `data.where`.")
    return table


def _drop_empty(
    parts: dict[str, pa.Table], column: Column, counts: dict[str, int], notes: list[str]
) -> dict[str, pa.Table]:
    kept, dropped, total, first = {}, 0, 0, None
    for part, rows in parts.items():
        if column.role not in rows.column_names:
            kept[part] = rows
            continue
        values = rows[column.role]
        if column.kind == "words":
            full = pc.fill_null(pc.greater(pc.list_value_length(values), 0), False)
        else:
            full = pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0), False)
        kept[part] = rows.filter(full)
        total += rows.num_rows
        lost = rows.num_rows - kept[part].num_rows
        if lost and first is None:
            empty = rows.filter(pc.invert(full)).slice(0, 1).to_pylist()[0]
            first = f"{empty.get('_file')}, row {empty.get('_row')}"
        dropped += lost
    if dropped > total / 2:
        raise DataError(
            f"{dropped:,} of {total:,} rows have an empty {column.role} (first: {first}).",
            f"Is it the right column? Name another with {columns_.flag(column.role)}.",
        )
    if dropped:
        counts[f"empty_{column.role}"] = dropped
        notes.append(f"{dropped:,} rows with an empty {column.role} were left out (first: {first}).")
    return kept


def _number_labels(
    parts: dict[str, pa.Table],
    target: Column,
    recipe: Recipe,
    config: DataConfig,
    trained: Sequence[str] | None,
    counts: dict[str, int],
    notes: list[str],
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    by_part = {part: labels_.counts(rows[target.role]) for part, rows in parts.items()}
    for part in [p for p, counted in by_part.items() if not counted]:
        if len(parts) > 1:  # benchmarks publish test parts without labels
            notes.append(f"The {part} part has no labels and is left aside.")
            del parts[part], by_part[part]
    written = list(dict.fromkeys(label for counted in by_part.values() for label in counted))
    if not written:
        raise DataError(
            f"The column of the {target.role} is empty.", f"Name another with {columns_.flag(target.role)}."
        )
    names_by_count: Mapping[int, Sequence[str]] = getattr(recipe, "LABEL_NAMES", {})
    if trained is not None and set(written) <= set(trained):
        names_by_count = {}  # the model itself was trained with bare numbers
    mapping = labels_.name_classes(written, config.label_map, names_by_count)
    if not config.label_map and any(label != name for label, name in mapping.items()):
        notes.append(
            f"Labels {', '.join(mapping)} were read as {', '.join(map(str, mapping.values()))}; "
            "`data.label_map` changes that."
        )
    if trained is not None:
        mapping = labels_.match_model(mapping, trained)
    labelled = sum(counted.total() for counted in by_part.values())
    if trained is None and len(labels_.class_names(mapping)) > _most_classes(labelled):
        raise DataError(
            f"The column of the {target.role} has {len(written):,} different values, nearly one for each row."
            + columns_.suspect_swap(next(iter(parts.values())), recipe.COLUMNS),
            f"It does not look like labels; name another with {columns_.flag(target.role)}.",
        )
    numbered = {}
    for part, rows in parts.items():
        encoded = _encode_as(rows[target.role], mapping, trained)
        rows = rows.set_column(rows.column_names.index(target.role), target.role, encoded)
        numbered[part] = rows.filter(pc.is_valid(rows[target.role]))
        lost = rows.num_rows - numbered[part].num_rows
        if lost:
            counts["without_label"] = counts.get("without_label", 0) + lost
    if counts.get("without_label"):
        notes.append(f"{counts['without_label']:,} rows without a label, or with one mapped to nothing, were left out.")
    return numbered, tuple(trained) if trained is not None else labels_.class_names(mapping)


def _most_classes(rows: int) -> int:
    return max(20, rows // 3)


def _encode_as(
    column: pa.ChunkedArray, mapping: Mapping[str, str | None], trained: Sequence[str] | None
) -> pa.ChunkedArray:
    """Number the labels; by a trained model's own order when there is one."""
    if trained is None:
        return labels_.encode(column, mapping)
    full: dict[str, str | None] = {f"\0{name}": name for name in trained}  # fixes the order; never occurs in data
    return labels_.encode(column, {**full, **mapping})


def _check_aligned(parts: Mapping[str, pa.Table], columns: Sequence[Column]) -> None:
    words = next((c.role for c in columns if c.kind == "words"), None)
    labels = next((c.role for c in columns if c.kind == "labels"), None)
    if words is None or labels is None:
        return
    for rows in parts.values():
        uneven = pc.not_equal(pc.list_value_length(rows[words]), pc.list_value_length(rows[labels]))
        if pc.any(uneven).as_py():
            row = rows.filter(uneven).slice(0, 1).to_pylist()[0]
            raise DataError(
                f"{row['_file']}, row {row['_row']}: {len(row[words])} words but {len(row[labels])} labels.",
                "Give one label for each word.",
            )


def _check_classes(parts: Mapping[str, pa.Table], label: str | None, labels: Sequence[str]) -> None:
    if label is None:
        return
    present = {part: set(pc.unique(rows[label]).to_pylist()) for part, rows in parts.items()}
    if len(present["train"]) < 2:
        only = labels[next(iter(present["train"]))] if present["train"] else "none"
        raise DataError(
            f"All training rows have the same label, `{only}`.",
            "A classifier needs at least two classes; check the label column.",
        )
    for part, seen in present.items():
        unseen = sorted(seen - present["train"])
        if unseen:
            raise DataError(
                f"The {part} part has the label `{labels[unseen[0]]}`, which train has not.",
                "Add training examples of it, or map it to another label (`data.label_map`).",
            )


def part_facts(name: str, rows: pa.Table, label: str | None, labels: Sequence[str], given: bool) -> dict[str, Any]:
    """Describe one part: its rows, its classes, and whether it was given or carved from train."""
    facts: dict[str, Any] = {"name": name, "rows": rows.num_rows, "given": given}
    if label is not None:
        counted = np.bincount(rows[label].to_numpy(), minlength=len(labels))
        facts["classes"] = {labels[i]: int(n) for i, n in enumerate(counted)}
    return facts


def _duplicate_notes(found: Mapping[str, int], *, removed: bool) -> list[str]:
    notes = []
    fate = "were removed from" if removed else "were left in"
    if found["train_in_held_out"]:
        notes.append(f"{found['train_in_held_out']:,} training rows that also stand in a held-out part {fate} train.")
    if found["validation_in_test"]:
        notes.append(f"{found['validation_in_test']:,} validation rows that also stand in test {fate} validation.")
    if found["repeated_in_train"]:
        notes.append(f"{found['repeated_in_train']:,} training rows repeat another training row.")
    return notes
