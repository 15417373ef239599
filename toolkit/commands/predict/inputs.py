"""Predict a few inputs of the command line, and return the predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.commands.evaluate.stored_model import find_stored, stored_card
from toolkit.commands.predict.answer_options import USUAL, AnswerOptions
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources import row_stream
from toolkit.data.sources.row_formats import Row
from toolkit.errors import ConfigError
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.events import Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.tasks.task import Column, Target

MOST_NAME = 255  # characters of a file name at most


def predict_inputs(
    target: str,
    inputs: Sequence[str | tuple[str, ...]],
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    *,
    wanted: AnswerOptions = USUAL,
) -> tuple[list[dict[str, Any]], Target]:
    """Predict texts, pairs of texts, or pictures by their paths.

    Args:
        target: Run directory, alias, folder or Hub id.
        inputs: The texts or names, as of `examples`.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        wanted: What is answered, and what is promised of it.

    Returns:
        For each input "input", the columns of the target and "problem" or None; and the target.

    Raises:
        CallError: The model cannot be used.
    """
    observe(Stage("Locating the model"))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    columns = recipe.task.named_inputs(config.options)
    stored = StoredModel(checkpoint.path, recipe, labels, config, observe=observe)
    given = examples(inputs, columns)
    roles = [column.role for column in columns[: max(map(len, given))]]
    if columns[0].kind.files is None:
        _refuse_tables([value for values in given for value in values])
    temperature = stored_temperature(stored_card(checkpoint))
    limits = wanted.limits(stored)
    same = {role: role for role in roles}
    predictor = Predictor(stored, columns, same, temperature, wanted.all_scores, Path.cwd(), limits=limits)
    answers = predictor.answer([Row(dict(zip(roles, values, strict=False))) for values in given])
    named = [
        {"input": values[0] if len(values) == 1 else values, **_without(answer, roles)}
        for values, answer in zip(given, answers, strict=True)
    ]
    return named, recipe.target


def examples(inputs: Sequence[str | tuple[str, ...]], columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """Return the values of each example: as many as the model has required inputs, which follow each other.

    Args:
        inputs: Values one after the other; or tuples, each an example.
        columns: The inputs of the model.

    Raises:
        ConfigError: The last example is incomplete, or one has more values than the model has inputs.
    """
    roles = [column.role for column in columns]
    width = sum(column.required for column in columns) or 1
    flat = [value for value in inputs if not isinstance(value, tuple)]
    given = [value for value in inputs if isinstance(value, tuple)]
    given += [tuple(flat[start : start + width]) for start in range(0, len(flat), width)]
    wrong = next((values for values in given if not width <= len(values) <= len(roles)), None)
    if wrong is not None:
        raise ConfigError(
            f"An input of this model needs {' and '.join(roles[:width])}, and {', '.join(map(repr, wrong))} is given.",
            "Give the values one after the other.",
            id="data.column-missing",
        )
    return given


def _refuse_tables(inputs: Sequence[str]) -> None:
    """Refuse paths of tables: they would be read as texts."""
    for text in inputs:
        if text.lower().endswith(row_stream.SUFFIXES) and len(text) < MOST_NAME and Path(text).is_file():
            raise ConfigError(
                f"{text} is a file, but this argument is a text.",
                f"To predict its rows, use --input {text} --output FILE.",
                id="config.file-as-text",
            )


def _without(answer: Mapping[str, Any], roles: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in roles}
