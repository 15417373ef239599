"""Number the labels of all parts of a data set alike, and say what is odd about them."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from toolkit import written as written_
from toolkit.data import columns as columns_
from toolkit.data import labels as labels_
from toolkit.data import wording
from toolkit.errors import DataError
from toolkit.recipes import Column, Recipe
from toolkit.settings import DataConfig

FEW = 20  # classes; so many are never taken for something else


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
) -> tuple[dict[str, pa.Table], tuple[str, ...]]:
    """Replace the labels of each part by class numbers; rows without a label, or mapped to nothing, go.

    Args:
        parts: Part → rows in the recipe's roles.
        target: The column to be learnt.
        recipe: Names classes that are bare numbers.
        config: Maps labels.
        trained: Classes of a model that the labels must match, or None.
        counts: Told how many rows had no label.
        notes: Told what the user should know.
        lenient: Whether labels that do not look like labels are noted instead of refused.

    Returns:
        The parts, and the names of the classes.
    """
    by_part = {part: labels_.counts(rows[target.role]) for part, rows in parts.items()}
    for part in [p for p, counted in by_part.items() if not counted]:
        if len(parts) > 1:  # benchmarks publish test parts without labels
            notes.append(f"The {part} part has no labels and is left aside.")
            del parts[part], by_part[part]
    counted = sum(by_part.values(), Counter[str]())
    written = list(counted)
    if not written:
        raise DataError(
            f"The column of the {target.role} is empty.", f"Name another with {columns_.flag(target.role)}."
        )
    names_by_count: Mapping[int, Sequence[str]] = getattr(recipe, "LABEL_NAMES", {})
    if trained is not None and set(written) <= {written_.label(name) for name in trained}:
        names_by_count = {}  # the model itself was trained with bare numbers
    mapping = labels_.name_classes(written, config.label_map, names_by_count)
    if not config.label_map and any(label != name for label, name in mapping.items()):
        notes.append(
            f"Labels {', '.join(mapping)} were read as {', '.join(map(str, mapping.values()))}; "
            "`data.label_map` changes that."
        )
    classes = mapping
    if trained is not None:
        mapping = labels_.match_model(mapping, trained)
    else:
        notes += labels_.hints(counted, mapping, config.label_map)
        problem = _no_classes(counted, mapping, target)
        if problem is not None and not lenient:
            raise DataError(
                problem + columns_.suspect_swap(next(iter(parts.values())), recipe.COLUMNS),
                f"It does not look like labels; name another with {columns_.flag(target.role)}.",
            )
        notes += [] if problem is None else [f"{problem} It does not look like labels, and training would refuse it."]
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
        return numbered, labels_.class_names(mapping)
    names = labels_.name_placeholders(classes, mapping, trained)
    if names != tuple(trained):
        taken = ", ".join(f"{one} was taken for {name}" for one, name in zip(trained, names, strict=True))
        notes.append(f"The model's classes have no names: {taken}; `data.label_map` changes that.")
    return numbered, names


def _no_classes(counted: Counter[str], mapping: Mapping[str, str | None], target: Column) -> str | None:
    """Say that a column holds no classes: more than a few, and in most rows one that no other row has."""
    sizes: Counter[str] = Counter()
    for label, name in mapping.items():
        if name is not None:
            sizes[name] += counted[label]
    alone = sum(size == 1 for size in sizes.values())
    if len(sizes) <= FEW or 2 * alone <= sizes.total():
        return None
    return (
        f"The column of the {target.role} has {len(sizes):,} different values in {sizes.total():,} rows, "
        f"and {alone:,} of them stand in one row only."
    )


def _encode_as(
    column: pa.ChunkedArray, mapping: Mapping[str, str | None], trained: Sequence[str] | None
) -> pa.ChunkedArray:
    """Number the labels; by a trained model's own order when there is one."""
    if trained is None:
        return labels_.encode(column, mapping)
    full: dict[str, str | None] = {f"\0{name}": name for name in trained}  # fixes the order; never occurs in data
    return labels_.encode(column, {**full, **mapping})


def check_aligned(parts: Mapping[str, pa.Table], columns: Sequence[Column]) -> None:
    """Refuse rows that have not one label for each word.

    Raises:
        DataError: With the row.
    """
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
