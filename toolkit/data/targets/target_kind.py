"""What the label column of a table holds: the kind of target that a recipe is used with.

A kind is inferred where the values leave no doubt: lists or cells with several labels, numbers with decimals, ratings
in a column that says so. Many whole numbers may be classes or quantities, and only the user knows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.formats import cells
from toolkit.data.tables import columns as columns_
from toolkit.data.tables.labels import FEW
from toolkit.data.targets import binary_columns
from toolkit.errors import ConfigError, DataError
from toolkit.tasks.contract import Recipe

CLASS, CLASSES, STARS, NUMBER = "class", "classes", "stars", "number"
_NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)
_ORDERED_NAMES = {"stars", "star", "rating", "ratings", "grade", "grades", "score", "severity", "level"}
_MOST_STARS = 10
_SEPARATORS = "|;"
_SAMPLED = 20_000  # different values that are looked at
_OTHER_RECIPES = {"text": "translation", "labels": "tokens"}


@dataclass(frozen=True)
class Inferred:
    """The kind of target that a column has.

    Attributes:
        name: One of the recipe's.
        rule: Why, in a few words; "" where it is the usual kind.
        parts: The tables, with columns of 0 and 1 folded into one of lists.
        folded: Whether there were such columns.
    """

    name: str
    rule: str
    parts: Mapping[str, pa.Table]
    folded: bool = False

    def configured(self, config: DataConfig, role: str) -> DataConfig:
        """Return the data settings for the tables: folded columns have the name of the role."""
        return config.model_copy(update={"columns": {**config.columns, role: role}}) if self.folded else config


def check(recipe: Recipe, wanted: str | None) -> None:
    """Refuse a kind of target that a recipe does not take.

    Raises:
        ConfigError: With the kinds that it takes, and the recipe for what the user means.
    """
    if wanted is None or wanted in recipe.targets:
        return
    taken = f"It takes {', '.join(recipe.targets)}." if recipe.targets else "It has one kind of target; unset it."
    other = _OTHER_RECIPES.get(wanted)
    fix = f"Use the recipe `{other}`; or choose another. {taken}" if other else taken
    if not recipe.targets and wanted in (CLASSES, STARS, NUMBER):
        fix = f"Use the recipe `text` or `image`, which take it. {taken}"
    raise ConfigError(f"`data.target` is {wanted!r}, which this recipe does not take.", fix, id="config.unknown-choice")


def settle(recipe: Recipe, parts: Mapping[str, pa.Table], config: DataConfig, trained: bool) -> Inferred | None:
    """Return the kind of target of tables as they were read; None where the recipe has one kind.

    Args:
        recipe: The task.
        parts: Part → rows as they were read.
        config: Names columns, and perhaps the kind.
        trained: Whether a model is given: then the kind is the stored one, or the usual.

    Raises:
        ConfigError: The recipe does not take the wanted kind.
        DataError: The column may hold classes or quantities.
    """
    check(recipe, config.target)
    if not recipe.targets:
        return None
    role = recipe.task.target.role
    if config.target in (None, CLASSES) and CLASSES in recipe.targets:
        folded, names = binary_columns.fold(parts, recipe, config, role)
        if names:
            return Inferred(CLASSES, f"there are columns of 0 and 1: {', '.join(names[:5])}", folded, folded=True)
    usual = next(iter(recipe.targets))
    if config.target is not None or trained:
        return Inferred(config.target or usual, "", parts)
    learned = next((parts[part] for part in ("train", "all") if part in parts), None)
    column = None if learned is None else _column(recipe, learned, config)
    if learned is None or column is None:
        return Inferred(usual, "", parts)
    name, rule = _kind(learned[column], column, recipe.targets, config)
    return Inferred(name or usual, rule, parts)


def _column(recipe: Recipe, rows: pa.Table, config: DataConfig) -> str | None:
    """Return the name of the label column; None where it is not found, which is reported later."""
    role = recipe.task.target.role
    try:
        return columns_.find(rows.column_names, recipe.task.named({}), config.columns).get(role)
    except DataError:
        return None


def _kind(
    values: pa.ChunkedArray, column: str, targets: Sequence[str] | Mapping[str, object], config: DataConfig
) -> tuple[str | None, str]:
    """Return the kind of a column and why; None for the usual kind."""
    if CLASSES in targets and columns_.is_list(values.type):
        several = pc.any(pc.not_equal(pc.list_value_length(values), 1)).as_py()
        return (CLASSES, f"`{column}` holds lists of labels") if several else (None, "")
    if pa.types.is_nested(values.type) or pa.types.is_boolean(values.type) or config.label_map:
        return None, ""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    unique = pc.unique(values).slice(0, _SAMPLED)
    different = [str(value).strip() for value in unique.to_pylist() if value is not None]
    different = [value for value in different if value]
    if CLASSES in targets:
        rule = _several(different, column)
        if rule:
            return CLASSES, rule
    numeric = bool(different) and all(_NUMBER.fullmatch(value) for value in different)
    if not numeric:
        return None, ""
    numbers = [float(value.replace(",", ".")) for value in different]
    whole = all(number.is_integer() for number in numbers)
    if NUMBER in targets and not whole and len(numbers) > FEW:
        return NUMBER, f"`{column}` holds {len(numbers):,} different numbers with decimals"
    if NUMBER in targets and len(numbers) > FEW:
        raise DataError(
            f"The column `{column}` holds {len(numbers):,} different whole numbers, from {min(numbers):g} to "
            f"{max(numbers):g}: quantities, or the numbers of classes?",
            "Add --target number to predict quantities, or --target class if each number is the name of a class.",
            id="label.class-or-number",
        )
    if STARS in targets and whole and _says_order(column) and 3 <= len(numbers) <= _MOST_STARS:
        return STARS, f"`{column}` holds ratings from {min(numbers):g} to {max(numbers):g}"
    return None, ""


def _several(labels: Sequence[str], column: str) -> str:
    """Say why the cells of a column hold several labels each; "" where they hold one."""
    sign = cells.separator(labels)
    if sign is not None and sign in _SEPARATORS:
        example = next(label for label in labels if sign in label)
        return f"`{column}` holds several labels in a cell, such as `{example[:40]}`"
    if labels and all(label.startswith("[") for label in labels) and any(_items(label) != 1 for label in labels):
        return f"`{column}` holds lists in its cells"
    return ""


def _items(cell: str) -> int:
    """Return the number of items of a list in a cell; 1 where it holds no complete list."""
    try:
        listed = cells.items(cell, bare=True)
    except cells.BrokenListError:
        return 1
    return 1 if listed is None else len(listed)


def _says_order(column: str) -> bool:
    return any(word in _ORDERED_NAMES for word in re.findall(r"[a-z]+", column.lower()))
