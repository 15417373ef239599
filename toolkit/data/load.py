"""From a name to three clean tables: acquire, find the columns, number the labels, split, separate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data import corrections, remarks
from toolkit.data.division import groups as groups_
from toolkit.data.division import over_time
from toolkit.data.division import split as split_
from toolkit.data.sources.acquire import acquire
from toolkit.data.streaming.training_stream import TrainingStream
from toolkit.data.tables import columns as columns_
from toolkit.data.tables import labels as labels_
from toolkit.data.tables import wording
from toolkit.data.tables.encode_labels import check_words, number_labels
from toolkit.data.tables.roles import in_roles
from toolkit.data.targets import target_kind
from toolkit.errors import DataError
from toolkit.tasks.contract import Recipe, Tables
from toolkit.tasks.task import Checked, Column


@dataclass(frozen=True)
class Splits:
    """The rows that a run is trained and evaluated on.

    Attributes:
        train: Rows to learn from; columns are the recipe's roles, metadata, `_file` and `_row`.
        validation: Rows that pick the best checkpoint.
        test: Rows that are not used before the end.
        labels: Names of the classes in the order of their numbers; empty for a task without classes.
        facts: Source, origin, fingerprint, rows and classes of each part, and notes, as the report shows them.
        label_map: What later data's labels are mapped by: the user's mapping, and that of rare labels.
        target: The kind of target of the recipe that the rows are in, and why; None where the recipe has one kind.
        stream: All training rows, where they are read while training runs; `train` is then a sample of them.
    """

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    labels: tuple[str, ...]
    facts: dict[str, Any]
    label_map: Mapping[str, str | None] = field(default_factory=dict)
    target: tuple[str, str] | None = None
    stream: TrainingStream | None = None

    @property
    def train_rows(self) -> int:
        """The number of training rows, also of those that are not in memory."""
        return self.train.num_rows if self.stream is None else len(self.stream)


@dataclass(frozen=True)
class Table:
    """Rows of one data source in a recipe's roles, not yet split.

    Attributes:
        parts: Part → rows; labels are class numbers.
        labels: Names of the classes.
        origin: Where the rows came from, as a name that finds them again.
        notes: Sentences on what was dropped, mapped or assumed.
        counts: How many rows were dropped and why.
        unreadable: Pictures that were left out: {"file", "row", "name", "reason"}.
        label_map: As of `Splits`.
        target: As of `Splits`.
        given: Whether the parts came with the data.
    """

    parts: dict[str, pa.Table]
    labels: tuple[str, ...]
    origin: str
    notes: tuple[str, ...]
    counts: dict[str, int]
    unreadable: tuple[dict[str, Any], ...] = ()
    label_map: Mapping[str, str | None] = field(default_factory=dict)
    target: tuple[str, str] | None = None

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the kind of target that the rows have."""
        return recipe.for_target(self.target[0] if self.target is not None else None)

    given: bool = True


def load_splits(
    recipe: Recipe, config: DataConfig, seed: int, options: Mapping[str, Any] = MappingProxyType({})
) -> Splits:
    """Load the data that `config` names and divide it for training.

    Args:
        recipe: Determines which rows are read and which are left out.
        config: Names the data.
        seed: Decides which rows are held out.
        options: The recipe's own keys.

    Raises:
        SourceError: The data cannot be found or reached.
        DataError: The data does not fit the recipe.
    """
    table = load_table(recipe, config, options=options, clean=True)
    recipe = table.recipe(recipe)
    splits = divide(table, recipe, config, seed)
    return splits if config.corrections is None else _corrected(splits, recipe, Path(config.corrections))


def _corrected(splits: Splits, recipe: Recipe, file: Path) -> Splits:
    """Correct the training rows of a division, which is that of the rows as they were."""
    task, labels = recipe.task, splits.labels
    train, counts, note = corrections.apply(corrections.read(file, task.target, labels), splits.train, task.target)
    if not train.num_rows:
        raise DataError(f"{file} drops every training row.", "Keep some.", id="data.no-rows")
    parts = {"train": train, "validation": splits.validation, "test": splits.test}
    recipe.target.aligned({"train": train}, task.columns)
    _check_classes(parts, task.stratum, labels)
    given = {part["name"]: part["given"] for part in splits.facts["splits"]}
    facts = {
        **splits.facts,
        "fingerprint": split_.fingerprint(parts, task.present(train)),
        "splits": [part_facts(name, parts[name], task.counted, labels, given[name]) for name in split_.PARTS],
        "counts": {**splits.facts["counts"], **counts},
        "notes": [*splits.facts["notes"], note],
    }
    return replace(splits, train=train, facts=facts)


def divide(table: Table, recipe: Recipe, config: DataConfig, seed: int) -> Splits:
    """Divide a loaded table for training.

    Raises:
        DataError: It is not suitable for training and evaluation.
    """
    parts = dict(table.parts)
    if "all" in parts:
        parts["train"] = parts.pop("all")
    if "train" not in parts:
        raise DataError(
            f"{config.source} has no train part, only {', '.join(parts)}.",
            "Give a file or folder with training data.",
            id="data.no-train-part",
        )
    given = [part for part in split_.PARTS if part in parts and table.given]
    task = recipe.task
    label = task.stratum
    _check_classes(parts, label, table.labels)
    if task.labels_words:
        check_words(parts["train"][task.target.role], table.labels)
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    groups, grouped = config.group_column, list[str]()
    timed: dict[str, Any] = {}
    if config.time_column is not None:
        parts, grouped, timed = over_time.carve(parts, config.time_column, config.test_fraction)
    if groups is not None:
        parts, removed = groups_.whole(parts, groups)
        grouped += removed
        parts = groups_.carve(parts, groups, label=label, labels=table.labels, fractions=fractions, seed=seed)
    parts = split_.carve(
        parts, label=label, labels=table.labels, fractions=fractions, seed=seed, divide=_divider(task.target)
    )
    inputs = task.identifying_in(parts["train"])
    parts, duplicates = split_.separate(parts, inputs, remove=config.deduplicate)
    for part in ("train", "validation"):
        if parts[part].num_rows == 0:
            raise DataError(
                f"Every row of the {part} part also occurs in a held-out part.",
                "Check that the parts are different files, and that not all rows are the same.",
                id="data.overlapping-parts",
            )
    _check_classes(parts, label, table.labels)
    if config.max_train_rows is not None:
        parts["train"] = _at_most(parts["train"], label, config.max_train_rows, seed)
    roles = task.present(parts["train"])
    facts: dict[str, Any] = {
        "source": config.source,
        "origin": table.origin,
        "fingerprint": split_.fingerprint(parts, roles),
        "splits": [part_facts(name, parts[name], task.counted, table.labels, name in given) for name in split_.PARTS],
        "counts": {**table.counts, **duplicates},
        "notes": [
            *table.notes,
            *grouped,
            *remarks.of_duplicates(duplicates, removed=config.deduplicate),
            *remarks.of_selection(parts),
        ],
        **({"unreadable": list(table.unreadable)} if table.unreadable else {}),
        **({"time": timed} if timed else {}),
    }
    splits = (parts["train"], parts["validation"], parts["test"])
    return Splits(*splits, table.labels, facts, table.label_map, table.target)


def _divider(target: Column) -> Any:
    """Return how train is divided by the target's own stratification; None for the usual."""
    own = target.kind.divide
    return None if own is None else lambda rows, shares, seed: own(rows[target.role].to_pylist(), shares, seed)


def _at_most(train: pa.Table, label: str | None, most: int, seed: int) -> pa.Table:
    """Choose `most` rows at random, of each class its share."""
    classes = split_.classes_of(train, label)
    different = len(np.unique(classes))
    if most < different:
        raise DataError(
            f"`data.max_train_rows` is {most}, but train has {different} classes.",
            "Give at least one row for each class.",
            id="config.out-of-range",
        )
    if train.num_rows <= most:
        return train
    return train.take(split_.choose(classes, most, np.random.default_rng(seed), spare=0))


def load_table(
    recipe: Recipe,
    config: DataConfig,
    labels: Sequence[str] | None = None,
    *,
    lenient: bool = False,
    options: Mapping[str, Any] = MappingProxyType({}),
    clean: bool = False,
    raw: Tables | None = None,
) -> Table:
    """Load the data that `config` names in the recipe's roles.

    Args:
        recipe: Defines the columns and the names of labels.
        config: Names the data.
        labels: Classes of a trained model that the data's labels must match; the data's own when None.
        lenient: Note anomalies of the labels, even their absence, instead of refusing the table.
        options: The recipe's own keys.
        clean: For training: leave out bad training rows as the recipe defines them, a part named test is unchanged;
            and let the recipe divide the rows, if it does.
        raw: The rows as they were read, where they are in memory already.
    """
    acquired, origin = (raw, config.source) if raw is not None else acquire(config, reader(recipe, config, options))
    notes = list(acquired.notes)
    counts: dict[str, int] = {}
    kept: Mapping[str, pa.Table] = {
        part: columns_.unfold(_where(raw, config.where)) for part, raw in acquired.parts.items()
    }
    kind = target_kind.settle(recipe, kept, config, trained=labels is not None)
    if kind is not None:
        kept, recipe = kind.parts, recipe.for_target(kind.name)
        config = kind.configured(config, recipe.task.target.role)
        notes += [f"Target: {recipe.target.title}, since {kind.rule}."] if kind.rule else []
    task = recipe.task
    target = task.labelled
    arranged = recipe.arrange(kept, config, options, divide=clean) if recipe.arrange is not None else None
    if arranged is not None:
        kept = arranged.parts
        notes += arranged.notes
        counts |= arranged.counts
    prepared, order, found_notes = in_roles(kept, task.named(options), target, config, lenient=lenient)
    notes += found_notes
    if recipe.label_names and any(len(task.inputs_in(rows)) > 1 for rows in prepared.values()):
        recipe = replace(recipe, label_names=None)
        notes.append("Rows have two texts: labels that are numbers are not renamed. The recipe `text` is for pairs.")
    unreadable: list[dict[str, Any]] = []
    for column in (*task.inputs, task.target):
        checked = column.kind.check(prepared, column, config)
        prepared = dict(checked.parts)
        counts |= checked.counts
        notes += checked.notes
        unreadable += checked.unreadable
    if target is not None and lenient:
        prepared, without = _leave_out_targets(prepared, target)
        notes += without
        target = None if without else target
    names: tuple[str, ...] = ()
    label_map: Mapping[str, str | None] = config.label_map
    if target is not None:
        numbered = number_labels(prepared, target, recipe, config, labels, lenient=lenient, order=order)
        prepared, names, label_map = numbered.parts, numbered.names, numbered.label_map
        counts |= {"without_label": numbered.without_label} if numbered.without_label else {}
        notes += numbered.notes
        recipe.target.aligned(prepared, task.columns)
    if clean and recipe.clean is not None:
        checked = _clean(prepared, recipe.clean, options)
        prepared, counts = dict(checked.parts), {**counts, **checked.counts}
        notes += checked.notes
    for part, rows in prepared.items():
        if rows.num_rows == 0:
            raise DataError(
                f"No usable row is left in {'' if part == 'all' else f'the {part} part of '}{origin}.",
                "Check the columns, `where` and the labels.",
                id="data.no-rows",
            )
    chosen = None if kind is None else (kind.name, kind.rule)
    given = arranged is None or arranged.given
    return Table(prepared, names, origin, tuple(notes), counts, tuple(unreadable), label_map, chosen, given)


def reader(recipe: Recipe, config: DataConfig, options: Mapping[str, Any]) -> Any:
    """Return the reader of the task's own formats, if it has any."""
    own = recipe.read
    return None if own is None else lambda path: own(path, config, options)


def _clean(parts: Mapping[str, pa.Table], clean: Any, options: Mapping[str, Any]) -> Checked:
    """Leave out bad training rows, and note how many there are of each kind, and where."""
    kept = dict(parts)
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for part, rows in parts.items():
        if part == "test":
            continue
        gone = np.zeros(rows.num_rows, bool)
        for reason, flags in clean(rows, options).items():
            new = np.flatnonzero(flags & ~gone)
            gone |= flags
            if len(new):
                row = rows.slice(int(new[0]), 1).to_pylist()[0]
                first.setdefault(reason, f"{row.get('_file')}, row {row.get('_row')}")
                counts[reason] = counts.get(reason, 0) + len(new)
        kept[part] = rows.filter(pa.array(~gone))
    notes = [
        f"{' '.join(wording.rows(counts[reason]))} left out: {reason} (first: {place})."
        for reason, place in first.items()
    ]
    return Checked(kept, counts, notes)


def _where(table: pa.Table, where: Mapping[str, str]) -> pa.Table:
    for name, wanted in where.items():
        if name not in table.column_names:
            raise DataError(
                f"`where` names the column `{name}`, which does not exist.",
                f"It has {', '.join(table.column_names)}.",
                id="data.column-missing",
            )
        table = table.filter(pc.equal(columns_.written_labels(table[name]), wanted))
        if table.num_rows == 0:
            raise DataError(f"No row has {name} = {wanted}.", "Check the value of `data.where`.", id="data.no-rows")
    return table


def _leave_out_targets(parts: dict[str, pa.Table], target: Column) -> tuple[dict[str, pa.Table], list[str]]:
    """Remove the target column from all parts, when one part lacks it or all its values are empty."""
    lacking = [part for part, rows in parts.items() if target.role not in rows.column_names]
    held = {part: rows for part, rows in parts.items() if part not in lacking}
    if not lacking and any(labels_.counts(rows[target.role]) for rows in held.values()):
        return parts, []
    reason = (
        f"No column was recognised as the {target.role}" if lacking else f"The column of the {target.role} is empty"
    )
    bare = {part: rows.drop_columns([target.role]) if part in held else rows for part, rows in parts.items()}
    return bare, [f"{reason}; select one with {columns_.flag(target.role)}. Training needs one."]


def _check_classes(parts: Mapping[str, pa.Table], label: str | None, labels: Sequence[str]) -> None:
    if label is None:
        return
    present = {part: set(pc.unique(rows[label]).to_pylist()) for part, rows in parts.items()}
    if len(present["train"]) < 2:
        only = labels[next(iter(present["train"]))] if present["train"] else "none"
        raise DataError(
            f"All training rows have the same label, `{only}`.",
            "A classifier needs at least two classes; check the label column.",
            id="label.one-class",
        )
    for part, numbers in present.items():
        unseen = [labels[number] for number in sorted(numbers - present["train"])]
        if unseen:
            many = len(unseen) > 1
            raise DataError(
                f"The {part} part has the label{'s' * many} {labels_.listed(unseen)}, which train does not have.",
                f"Add training examples of {'them' if many else 'it'}, or map {'them' if many else 'it'} to another "
                "label (`data.label_map`).",
                id="label.not-in-train",
            )


def part_facts(name: str, rows: pa.Table, label: str | None, labels: Sequence[str], given: bool) -> dict[str, Any]:
    """Describe one part: its rows, how many have each class, and whether it was given or carved from train."""
    facts: dict[str, Any] = {"name": name, "rows": rows.num_rows, "given": given}
    if label is not None:
        several = pa.types.is_list(rows[label].type)
        numbers = pc.list_flatten(rows[label]) if several else rows[label]
        counted = np.bincount(numbers.to_numpy(), minlength=len(labels))
        facts["classes"] = {labels[i]: int(n) for i, n in enumerate(counted)}
    return facts
