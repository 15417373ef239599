"""Train a recipe's baseline, and check what it returns."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from toolkit.data.load import Splits
from toolkit.errors import RecipeError
from toolkit.metrics import column, load
from toolkit.metrics.base import VALUE_NAMES, VALUES, ValueType
from toolkit.tasks.contract import Recipe, with_accepted


def predict(name: str, recipe: Recipe, splits: Splits, options: Mapping[str, Any] = MappingProxyType({})) -> list[Any]:
    """Train a baseline of a recipe on train and predict test.

    Args:
        name: Of the baseline.
        recipe: The task.
        splits: The rows.
        options: The recipe's own keys.

    Raises:
        RecipeError: It fails, or does not return one prediction a row of the type that the first metric compares.
    """
    function = with_accepted((recipe.baselines or {})[name], options=options)
    rows = splits.test.num_rows
    loaded = (definition for _, definition in map(load, recipe.metrics))
    value_type = next((d.value_type for d in loaded if d is not None and column(d) == "prediction"), None)
    try:
        made = function(splits.train, splits.test, splits.labels)
    except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        raise _faulty(name, recipe, f"raised {type(error).__name__}: {error}", rows, value_type) from error
    if not isinstance(made, list | tuple | np.ndarray):
        raise _faulty(name, recipe, f"returned a value of the type {type(made).__name__}", rows, value_type)
    if len(made) != rows:
        raise _faulty(name, recipe, f"returned {len(made):,} predictions for {rows:,} rows", rows, value_type)
    wrong = [value for value in made if not _is_of_type(value, value_type, len(splits.labels))]
    if wrong:
        raise _faulty(name, recipe, f"returned the prediction {repr(wrong[0])[:100]}", rows, value_type)
    return list(made)


def _is_of_type(value: Any, value_type: ValueType | None, classes: int) -> bool:
    """Whether a prediction is what metrics compare; `classes` is 0 for a task without classes."""
    if value_type is None:
        return True
    if not isinstance(value, VALUES[value_type]):
        return False
    if value_type == "ranking":
        return all(isinstance(item, str) for item in value)
    if value_type == "labels":
        return all(_is_of_type(item, "int64", classes) for item in value)
    return value_type != "int64" or not classes or 0 <= int(value) < classes


def _faulty(name: str, recipe: Recipe, problem: str, rows: int, value_type: ValueType | None) -> RecipeError:
    each = f", each {VALUE_NAMES[value_type]}" if value_type is not None else ""
    return RecipeError(
        f"The baseline “{name}” of the recipe {recipe.file} {problem}. It must return a list of {rows:,} predictions, "
        f"one for each row of test{each}.",
        "Correct the baseline, and run the same command with `--resume`: it continues from the last saved state of "
        "training. With `--set evaluation.baselines=false` it does without baselines.",
        id="recipe.baseline",
    )
