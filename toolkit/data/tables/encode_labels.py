"""Number the labels of all parts of a data set alike, and say what is odd about them."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.formats import cells
from toolkit.data.tables import columns as columns_
from toolkit.data.tables import labels as labels_
from toolkit.data.tables import wording
from toolkit.errors import DataError
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Column

OTHER = "other"  # the class that rare ones are merged into
REFUSED = "Training would refuse this table."  # begins a note that stands for an error


def number_labels(
    parts: dict[str, pa.Table],
    target: Column,
    recipe: Recipe,
    config: DataConfig,
    trained: Sequence[str] | None,
    counts: dict[str, int],
    notes: list[str],
    *,
    lenient: bool,
    order: Sequence[str] = (),
) -> tuple[dict[str, pa.Table], tuple[str, ...], Mapping[str, str | None]]:
    """Replace the labels of each part by class numbers; rows without a label, or mapped to nothing, go.

    Args:
        parts: Part → rows in the recipe's roles.
        target: The column to be learnt.
        recipe: Names classes that are bare numbers.
        config: Maps labels.
        trained: Classes of a model that the labels must match, or None.
        counts: Called with the number of rows that had no label.
        notes: Called with what the user should know.
        lenient: Whether labels that do not look like labels are noted instead of refused.
        order: Classes in the order in which the data describe them.

    Returns:
        The parts, the names of the classes, and what maps the labels of later data.

    Raises:
        DataError: There are no labels, they do not look like labels, or they match neither mapping nor model.
    """
    by_part = {part: labels_.counts(rows[target.role]) for part, rows in parts.items()}
    _leave_aside(parts, by_part, trained, notes)
    counted = sum(by_part.values(), Counter[str]())
    if not counted:
        raise DataError(
            f"The column of the {target.role} is empty.",
            f"Name another with {columns_.flag(target.role)}.",
            id="data.empty-column",
        )
    label_map: Mapping[str, str | None] = config.label_map
    if trained is not None:
        classes, mapping = _matched(list(counted), config, recipe, trained, order, notes)
    else:
        problem = None if label_map else _no_labels(counted, target, parts, recipe)
        if problem is not None and not lenient:
            raise problem
        notes += [] if problem is None else [f"{REFUSED} {problem.problem} {problem.fix}"]
        classes = labels_.name_classes(list(counted), label_map, _names_for_numbers(recipe), order)
        notes += _assumed(classes, recipe, config)
        notes += labels_.hints(counted, classes, label_map) if problem is None else []
        notes += recipe.label_remarks(labels_.class_names(classes))
        mapping = _without_rare(classes, by_part, target, config, notes)
        label_map = label_map if mapping == classes else mapping
    numbered = {}
    for part, rows in parts.items():
        encoded = _encode_as(rows[target.role], mapping, trained)
        rows = rows.set_column(rows.column_names.index(target.role), target.role, encoded)
        numbered[part] = rows.filter(pc.is_valid(rows[target.role]))
        lost = rows.num_rows - numbered[part].num_rows
        if lost:
            counts["without_label"] = counts.get("without_label", 0) + lost
    if counts.get("without_label"):
        many, were = wording.rows(counts["without_label"])
        notes.append(f"{many} without a label, or with one mapped to nothing, {were} left out.")
    if trained is None:
        return numbered, labels_.class_names(mapping), label_map
    names = labels_.name_placeholders(classes, mapping, trained)
    if names != tuple(trained):
        taken = ", ".join(f"{label} was taken for {name}" for label, name in zip(trained, names, strict=True))
        notes.append(f"The model's classes have no names: {taken}; `data.label_map` changes that.")
    return numbered, names, label_map


def _leave_aside(
    parts: dict[str, pa.Table], by_part: dict[str, Counter[str]], trained: Sequence[str] | None, notes: list[str]
) -> None:
    """Take parts without labels out of both: benchmarks publish test parts with -1, or nothing, in their place."""
    learned = by_part.get("train", Counter[str]())
    known = learned if trained is None else Counter({**learned, **dict.fromkeys(trained, 1)})
    for part in [part for part in by_part if part != "train" and labels_.has_none(by_part[part], known)]:
        written = ", ".join(sorted(by_part[part]))
        if len(parts) > 1:
            only = f", only {written}," if written else ""
            notes.append(f"The {part} part has no labels{only} and is left aside.")
            del parts[part], by_part[part]
        elif trained is not None and written:
            raise DataError(
                f"No row has a label: all hold {written}.",
                "Evaluation needs labels; predict needs none.",
                id="label.missing",
            )


def _names_for_numbers(recipe: Recipe) -> Mapping[int, Sequence[str]]:
    return recipe.label_names or {}


def _matched(
    written: Sequence[str],
    config: DataConfig,
    recipe: Recipe,
    trained: Sequence[str],
    order: Sequence[str],
    notes: list[str],
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return the data's class and the model's class of each written label."""
    assumed = _names_for_numbers(recipe).get(len(trained), ())
    by_number = None if config.label_map else labels_.match_numbers(written, trained, assumed)
    if by_number is None:
        classes = labels_.name_classes(written, config.label_map, {}, order)
        return classes, labels_.match_model(classes, trained)
    named: dict[str, str | None] = {label: assumed[int(label)] if assumed else label for label in by_number}
    notes += _assumed(named, recipe, config)
    return named, by_number


def _assumed(classes: Mapping[str, str | None], recipe: Recipe, config: DataConfig) -> list[str]:
    """Say how labels that are bare numbers are read, where the task would have names for them."""
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
    names = ", ".join(f"{label}: NAME" for label in classes)
    return [
        f"Labels {', '.join(classes)} are numbers without names, and keep their numbers. To name them: "
        f"--set 'data.label_map={{{names}}}'."
    ]


def _no_labels(
    counted: Counter[str], target: Column, parts: Mapping[str, pa.Table], recipe: Recipe
) -> DataError | None:
    """Say that a column holds no classes: several in a cell, or in most rows a value that no other row has."""
    sign = cells.separator(counted) if target.kind.single else None
    if sign is not None:
        joined = [label for label in counted if sign in label]
        first = f"such as {labels_.listed(joined[:2])}, with `{sign}` between them"
        return columns_.several_labels(sum(counted[label] for label in joined), counted.total(), first)
    alone = sum(size == 1 for size in counted.values())
    if len(counted) <= labels_.FEW or 2 * alone <= counted.total():
        return None
    other = f"name another with {columns_.flag(target.role)}."
    amounts = labels_.amounts(list(counted))
    if amounts:
        return DataError(
            f"{amounts} {alone:,} of them stand in one row only.", f"Do so, or {other}", id="label.too-many-classes"
        )
    return DataError(
        f"The column of the {target.role} has {len(counted):,} different values in {counted.total():,} rows, "
        f"and {alone:,} of them stand in one row only."
        + columns_.suspect_swap(next(iter(parts.values())), recipe.columns),
        f"It does not look like labels; {other}",
        id="label.too-many-classes",
    )


def _without_rare(
    classes: Mapping[str, str | None],
    by_part: Mapping[str, Counter[str]],
    target: Column,
    config: DataConfig,
    notes: list[str],
) -> dict[str, str | None]:
    """Leave out, or merge, the classes that have fewer rows to learn from than `data.min_label_rows`."""
    least = config.min_label_rows
    if least is None:
        return dict(classes)
    if not target.kind.single:
        raise DataError(
            "`data.min_label_rows` is for tasks with one label a row.",
            "Unset it, or map labels with `data.label_map`.",
            id="config.not-for-task",
        )
    sizes: Counter[str] = Counter(dict.fromkeys(labels_.class_names(classes), 0))
    for label, count in next((by_part[part] for part in ("train", "all") if part in by_part), Counter()).items():
        name = classes.get(label)
        if name is not None:
            sizes[name] += count
    rare = {name: size for name, size in sizes.items() if size < least}
    if not rare:
        return dict(classes)
    shown = ", ".join(f"{name} {size}" for name, size in list(rare.items())[:10])
    more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
    fate = f"merged into `{OTHER}`" if config.rare_labels == "merge" else "left out"
    notes.append(f"Labels with fewer than {least} rows are {fate}: {shown}{more}.")
    into = OTHER if config.rare_labels == "merge" else None
    kept = {label: name for label, name in classes.items() if name not in rare}
    return {**kept, **{label: into if name is not None else None for label, name in classes.items() if name in rare}}


def _encode_as(
    column: pa.ChunkedArray, mapping: Mapping[str, str | None], trained: Sequence[str] | None
) -> pa.ChunkedArray:
    """Number the labels; by a trained model's own order when there is one."""
    if trained is None:
        return labels_.encode(column, mapping)
    full: dict[str, str | None] = {f"\0{name}": name for name in trained}  # fixes the order; never occurs in data
    return labels_.encode(column, {**full, **mapping})
