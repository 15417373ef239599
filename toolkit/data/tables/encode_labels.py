"""Number the labels of all parts of a data set consistently, and note anomalies."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.formats import cells
from toolkit.data.tables import columns as columns_
from toolkit.data.tables import labels as labels_
from toolkit.data.tables import wording
from toolkit.errors import DataError, RecipeError
from toolkit.tasks import spans
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Column

OTHER = "other"  # the class that rare ones are merged into
REFUSED = "Training would refuse this table."  # begins a note that replaces an error


@dataclass(frozen=True)
class NumberedLabels:
    """Parts of a data set with class numbers in the place of labels.

    Attributes:
        parts: Part → rows that have a label.
        names: Names of the classes, in the order of their numbers.
        label_map: The mapping for the labels of later data.
        without_label: How many rows had no label, or one that is mapped to nothing.
        notes: What the user should know.
    """

    parts: dict[str, pa.Table]
    names: tuple[str, ...]
    label_map: Mapping[str, str | None]
    without_label: int
    notes: Sequence[str]


def number_labels(
    parts: Mapping[str, pa.Table],
    target: Column,
    recipe: Recipe,
    config: DataConfig,
    trained: Sequence[str] | None,
    *,
    lenient: bool,
    order: Sequence[str] = (),
) -> NumberedLabels:
    """Replace the labels of each part by class numbers; rows without a label, or without one of a class, are removed.

    Args:
        parts: Part → rows in the recipe's roles.
        target: The column to be learnt.
        recipe: Names classes that are bare numbers.
        config: Maps labels.
        trained: Classes of a model that the labels must match, or None.
        lenient: Whether labels that do not look like labels are noted instead of refused.
        order: Classes in the order in which the data describe them.

    Raises:
        RecipeError: The target is one class for each row, and the labels are lists.
        DataError: There are no labels, they do not look like labels, or they match neither mapping nor model.
    """
    if recipe.task.stratum is not None and any(columns_.is_list(rows[target.role].type) for rows in parts.values()):
        raise RecipeError(
            f"The target `{target.kind.name}` has single=True, one class for each row, and its in_shape returns lists.",
            "Leave out single=True, or return one label for each row.",
            id="recipe.contradictory-target",
        )
    by_part = {part: labels_.counts(rows[target.role]) for part, rows in parts.items()}
    parts, notes = _with_labels(parts, by_part, trained)
    by_part = {part: by_part[part] for part in parts}
    counted = sum(by_part.values(), Counter[str]())
    if not counted:
        raise DataError(
            f"The column of the {target.role} is empty.",
            f"Select another with {columns_.flag(target.role)}.",
            id="data.empty-column",
        )
    label_map: Mapping[str, str | None] = config.label_map
    if trained is not None:
        classes, mapping, remarks = _matched(list(counted), config, recipe, trained, order)
        notes += remarks
    else:
        classes = labels_.name_classes(list(counted), label_map, _names_for_numbers(recipe), order)
        problem = None
        if not label_map:
            problem = _no_labels(counted, target, parts, recipe) or _no_order(classes, order, target)
        if problem is not None and not lenient:
            raise problem
        notes += [] if problem is None else [f"{REFUSED} {problem.problem} {problem.fix}"]
        notes += _assumed(classes, recipe, config)
        if problem is None:
            notes += labels_.hints(
                counted,
                classes,
                label_map,
                may_be_ratings=not recipe.targets,
                may_be_numbers=config.target is None and "number" in recipe.targets,
            )
        notes += recipe.label_remarks(labels_.class_names(classes))
        notes += _one_each(parts, target) if recipe.task.several and recipe.targets else []
        mapping, remarks = _without_rare(classes, by_part, target, config)
        notes += remarks
        label_map = label_map if mapping == classes else mapping
    numbered, without, fewer = {}, 0, 0
    for part, rows in parts.items():
        written = rows[target.role]
        encoded = _encode_as(written, mapping, trained, target)
        rows = rows.set_column(rows.column_names.index(target.role), target.role, encoded)
        numbered[part] = rows.filter(pc.is_valid(encoded))
        without += rows.num_rows - numbered[part].num_rows
        fewer += len(labels_.values(written.filter(pc.is_valid(encoded)))) - len(labels_.values(encoded.drop_null()))
    if without:
        many, were = wording.rows(without)
        notes.append(f"{many} without a label, or with a label mapped to null, {were} left out.")
    if fewer:
        notes.append(
            f"{fewer:,} labels of rows with several are mapped to null, or to a class that the row has already."
        )
    if trained is None:
        return NumberedLabels(numbered, labels_.class_names(mapping), label_map, without, notes)
    names = labels_.name_placeholders(classes, mapping, trained)
    if names != tuple(trained):
        taken = ", ".join(f"{label} was read as {name}" for label, name in zip(trained, names, strict=True))
        notes.append(f"The model's classes have no names: {taken}; `data.label_map` changes that.")
    return NumberedLabels(numbered, names, label_map, without, notes)


def _with_labels(
    parts: Mapping[str, pa.Table], by_part: Mapping[str, Counter[str]], trained: Sequence[str] | None
) -> tuple[dict[str, pa.Table], list[str]]:
    """Return the parts with labels, and notes: benchmarks publish test parts with -1, or without labels."""
    kept, notes = dict(parts), list[str]()
    learned = by_part.get("train", Counter[str]())
    known = learned if trained is None else Counter({**learned, **dict.fromkeys(trained, 1)})
    for part in [part for part in by_part if part != "train" and labels_.has_none(by_part[part], known)]:
        written = ", ".join(sorted(by_part[part]))
        if len(kept) > 1:
            only = f", only {written}," if written else ""
            notes.append(f"The {part} part has no labels{only} and is ignored.")
            del kept[part]
        elif trained is not None and written:
            raise DataError(
                f"No row has a label: all hold {written}.",
                "Evaluation needs labels; predict needs none.",
                id="label.missing",
            )
    return kept, notes


def _names_for_numbers(recipe: Recipe) -> Mapping[int, Sequence[str]]:
    return recipe.label_names or {}


def _matched(
    written: Sequence[str],
    config: DataConfig,
    recipe: Recipe,
    trained: Sequence[str],
    order: Sequence[str],
) -> tuple[dict[str, str | None], dict[str, str | None], list[str]]:
    """Return the data's class and the model's class of each written label, and notes."""
    assumed = _names_for_numbers(recipe).get(len(trained), ())
    by_number = None if config.label_map else labels_.match_numbers(written, trained, assumed)
    if by_number is None:
        classes = labels_.name_classes(written, config.label_map, {}, order)
        return classes, labels_.match_model(classes, trained), []
    named: dict[str, str | None] = {label: assumed[int(label)] if assumed else label for label in by_number}
    return named, by_number, _assumed(named, recipe, config)


def _assumed(classes: Mapping[str, str | None], recipe: Recipe, config: DataConfig) -> list[str]:
    """Note how numeric labels are read, where the recipe has names for them."""
    if config.label_map or not _names_for_numbers(recipe):
        return []
    named = {label: name for label, name in classes.items() if name not in (label, None)}
    if named:
        return [
            f"Labels {', '.join(named)} are numbers without names, and are read as "
            f"{', '.join(map(str, named.values()))}; `data.label_map` changes that."
        ]
    if list(classes) != labels_.numbers(len(classes)) or len(classes) > labels_.FEW:
        return []
    names = ", ".join(f"{json.dumps(label)}: NAME" for label in classes)
    return [
        f"Labels {', '.join(classes)} are numbers without names, and the numbers are used as names. To name them: "
        f"--set 'data.label_map={{{names}}}'."
    ]


def _no_labels(
    counted: Counter[str], target: Column, parts: Mapping[str, pa.Table], recipe: Recipe
) -> DataError | None:
    """Return the error for a column without classes: several in a cell, or mostly distinct values."""
    sign = cells.separator(counted) if target.kind.single else None
    if sign is not None:
        joined = [label for label in counted if sign in label]
        first = f"such as {labels_.listed(joined[:2])}, with `{sign}` between them"
        return columns_.several_labels(sum(counted[label] for label in joined), counted.total(), first)
    alone = sum(size == 1 for size in counted.values())
    if len(counted) <= labels_.FEW or 2 * alone <= counted.total():
        return None
    other = f"select another with {columns_.flag(target.role)}."
    amounts = labels_.amounts(list(counted))
    if amounts:
        return DataError(
            f"{amounts} {alone:,} of them occur in one row only.", f"Do so, or {other}", id="label.too-many-classes"
        )
    return DataError(
        f"The column of the {target.role} has {len(counted):,} different values in {counted.total():,} rows, "
        f"and {alone:,} of them occur in one row only."
        + columns_.suspect_swap(next(iter(parts.values())), recipe.columns),
        (labels_.QUANTITIES if labels_.like_quantities(list(counted)) else "It does not look like labels; ") + other,
        id="label.too-many-classes",
    )


def _no_order(classes: Mapping[str, str | None], order: Sequence[str], target: Column) -> DataError | None:
    """Return the error for ordered classes whose order is unknown: names that neither the data nor the user ordered."""
    names = labels_.class_names(classes)
    unknown = [name for name in names if name not in order and labels_.rank(name) is None]
    if not unknown or not target.kind.ordered:
        return None
    absent = [name for name in names if name.casefold() in labels_.MISSING]
    kept = [name for name in names if name not in absent]
    mapping = json.dumps({name: name for name in kept} | dict.fromkeys(absent), ensure_ascii=False)
    return DataError(
        f"The order of the classes {labels_.listed(names)} is unknown: {unknown[0]} is not a number.",
        f"Give the order, the lowest first: --set 'data.label_map={mapping}'. For classes without an order use "
        "--target class.",
        id="label.no-order",
    )


def _one_each(parts: Mapping[str, pa.Table], target: Column) -> list[str]:
    """Note that each row has exactly one of several possible classes."""
    columns = [rows[target.role] for rows in parts.values()]
    if any(pc.any(pc.not_equal(pc.list_value_length(column), 1)).as_py() for column in columns):
        return []
    return ["Each row has exactly one class: --target class predicts the most probable class of a row."]


def _without_rare(
    classes: Mapping[str, str | None],
    by_part: Mapping[str, Counter[str]],
    target: Column,
    config: DataConfig,
) -> tuple[dict[str, str | None], list[str]]:
    """Leave out, or merge, the classes that have fewer rows to learn from than `data.min_label_rows`; return notes."""
    least = config.min_label_rows
    if least is None:
        return dict(classes), []
    sizes: Counter[str] = Counter(dict.fromkeys(labels_.class_names(classes), 0))
    for label, count in next((by_part[part] for part in ("train", "all") if part in by_part), Counter()).items():
        name = classes.get(label)
        if name is not None:
            sizes[name] += count
    rare = {name: size for name, size in sizes.items() if size < least}
    if not rare:
        return dict(classes), []
    shown = ", ".join(f"{name} {size}" for name, size in list(rare.items())[:10])
    more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
    fate = f"merged into `{OTHER}`" if config.rare_labels == "merge" else "left out"
    note = f"Labels with fewer than {least} rows are {fate}: {shown}{more}."
    into = OTHER if config.rare_labels == "merge" else None
    kept = {label: name for label, name in classes.items() if name not in rare}
    moved = {label: into if name is not None else None for label, name in classes.items() if name in rare}
    return {**kept, **moved}, [note]


def _encode_as(
    column: pa.ChunkedArray, mapping: Mapping[str, str | None], trained: Sequence[str] | None, target: Column
) -> pa.ChunkedArray:
    """Number the labels; by a trained model's own order when there is one."""
    if trained is None:
        return labels_.encode(column, mapping, target.kind.kept)
    full: dict[str, str | None] = {f"\0{name}": name for name in trained}  # fixes the order; never occurs in data
    return labels_.encode(column, {**full, **mapping}, target.kind.kept)


def check_words(labels: pa.ChunkedArray, names: Sequence[str]) -> None:
    """Refuse rows all of whose words have one label.

    Raises:
        DataError: With the label.
    """
    present = pc.unique(pc.list_flatten(labels)).to_pylist()
    if len(present) < 2:
        only = names[present[0]] if present else "none"
        outside = only == spans.OUTSIDE
        raise DataError(
            f"All words of the training rows have the same label, `{only}`{': there is no entity in them' * outside}.",
            "Give rows with entities; check that the labels are in the column that is read."
            if outside
            else "Give rows with at least two labels; check the label column.",
            id="label.one-class",
        )
