"""Predict a few inputs of the command line, and return the predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.commands.evaluate.run import find_stored, stored_card
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources import row_stream
from toolkit.data.sources.row_stream import Row
from toolkit.errors import ConfigError
from toolkit.evaluation.stored_calibration import stored_temperature
from toolkit.events import Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.tasks.task import Target

MOST_NAME = 255  # characters of a file name at most


def predict_inputs(
    target: str,
    inputs: Sequence[str],
    values: Mapping[str, Any],
    recipe_name: str | None,
    observe: Observe,
    *,
    all_scores: bool = False,
) -> tuple[list[dict[str, Any]], Target]:
    """Predict texts, or pictures by their paths.

    Args:
        target: Run directory, alias, folder or Hub id.
        inputs: The texts or names.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        all_scores: Return the score of every class.

    Returns:
        For each input "input", the columns of the target and "problem" or None; and the target.

    Raises:
        CallError: The model cannot be used.
    """
    observe(Stage("Locating the model"))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    columns = recipe.task.named_inputs(config.options)
    stored = StoredModel(checkpoint.path, recipe, labels, config, observe=observe)
    first = columns[0].role
    if columns[0].kind.files is None:
        _refuse_tables(inputs)
    temperature = stored_temperature(stored_card(checkpoint))
    predictor = Predictor(stored, columns, {first: first}, temperature, all_scores, Path.cwd())
    answers = predictor.answer([Row({first: text}) for text in inputs])
    named = [{"input": text, **_without(answer, first)} for text, answer in zip(inputs, answers, strict=True)]
    return named, recipe.target


def _refuse_tables(inputs: Sequence[str]) -> None:
    """Refuse paths of tables: they would be read as texts."""
    for text in inputs:
        if text.lower().endswith(row_stream.SUFFIXES) and len(text) < MOST_NAME and Path(text).is_file():
            raise ConfigError(
                f"{text} is a file, but this argument is a text.",
                f"To predict its rows, use --input {text} --output FILE.",
                id="config.file-as-text",
            )


def _without(answer: Mapping[str, Any], role: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != role}
