"""What the label column of a table holds: the kind of target that a recipe is used with.

A kind is inferred where the values leave no doubt: lists or cells with several labels, numbers with decimals, ratings
in a column that says so. Many whole numbers may be classes or quantities, and only the user knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.formats import written_numbers
from toolkit.data.tables import columns as columns_
from toolkit.data.tables.labels import MISSING
from toolkit.data.targets import binary_columns
from toolkit.errors import ConfigError, DataError
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import LabelColumn

_SAMPLED = 20_000  # different values that are looked at
_OTHER_RECIPES = {"text": "translation", "labels": "tokens"}  # what users may mean by a kind of target


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
    taken = (
        f"It takes {', '.join(recipe.targets)}." if recipe.targets else "This recipe has one kind: unset `data.target`."
    )
    other = _OTHER_RECIPES.get(wanted)
    fix = f"Use the recipe `{other}`; or choose another. {taken}" if other else taken
    if not recipe.targets and not other:
        fix = f"The recipes `text` and `image` take several kinds. {taken}"
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
    folding = [name for name, target in recipe.targets.items() if target.from_binary_columns]
    for name in folding if config.target is None else [name for name in folding if name == config.target]:
        folded, columns = binary_columns.fold(parts, recipe, config, role)
        if columns:
            listed = ", ".join(columns[:5]) + (" …" if len(columns) > 5 else "")
            return Inferred(name, f"there are columns of 0 and 1: {listed}", folded, folded=True)
    usual = next(iter(recipe.targets))
    if config.target is not None or trained:
        return Inferred(config.target or usual, "", parts)
    learned = next((parts[part] for part in ("train", "all") if part in parts), None)
    column = None if learned is None or config.label_map else _label_column(recipe, learned, config)
    if column is not None:
        for name, target in recipe.targets.items():
            rule = target.recognizes(column)
            if rule:
                return Inferred(name, rule, parts)
    return Inferred(usual, "", parts)


def _label_column(recipe: Recipe, rows: pa.Table, config: DataConfig) -> LabelColumn | None:
    """Return the label column; None where it is not found, which is reported later."""
    try:
        name = columns_.find(rows.column_names, recipe.task.named({}), config.columns).get(recipe.task.target.role)
    except DataError:
        return None
    if name is None:
        return None
    values = rows[name]
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_nested(values.type) or pa.types.is_boolean(values.type):
        return LabelColumn(name, values, (), None)
    unique = pc.unique(values).slice(0, _SAMPLED).to_pylist()
    written = (str(value).strip() for value in unique if value is not None)
    different = [value for value in written if value and value.casefold() not in MISSING]
    read = [written_numbers.number(value) for value in different]
    known = tuple(number for number in read if number is not None)
    return LabelColumn(name, values, different, known if different and len(known) == len(read) else None)
