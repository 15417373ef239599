"""A text that is given as its words."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pyarrow as pa

from toolkit.config.settings import DataConfig, EvaluationConfig
from toolkit.data.formats import cells
from toolkit.data.tables import columns, empty_values, word_splitting
from toolkit.evaluation.checks import robustness
from toolkit.evaluation.perturbations.counterfactual import CounterfactualModel
from toolkit.tasks.inputs.text import LIKENESS, invalid_unicode, json, properties
from toolkit.tasks.task import Checked, Column, Input, Reading, Values

_SAMPLE = ["Is", "it", "ready?"]


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_items)


def _read(values: Sequence[Any], name: str, reading: Reading) -> Values:
    """Bring values of rows into a column of lists of strings; a text is cut into words as the training rows are."""
    splitting = word_splitting.Splitting.of(reading.learned)
    read: list[list[str] | None] = []
    problems: list[str | None] = []
    located = []
    for value in values:
        problem = _problem(value, name)
        try:
            text, places = ("", []) if problem is not None else _located(value, splitting)
        except cells.BrokenListError as error:
            text, places, problem = "", [], f"`{name}` {error}"
        if problem is None and not places:
            problem = f"`{name}` is empty"
        read.append([text[start:end] for start, end in places] if problem is None else None)
        problems.append(problem)
        located.append((text, places))
    return Values(pa.array(read, pa.list_(pa.string())), problems, values, located)


def _problem(value: Any, name: str) -> str | None:
    if isinstance(value, dict):
        return f"`{name}` is not text"
    if not value or not (isinstance(value, list) or str(value).strip()):
        return f"`{name}` is empty"
    return invalid_unicode(value, name)


def _located(value: Any, splitting: word_splitting.Splitting) -> tuple[str, word_splitting.Places]:
    """Return the text of a value, and the place of each word in it.

    Raises:
        BrokenListError: It begins like a list and is not one.
    """
    listed = value if isinstance(value, list) else cells.items(str(value))
    if listed is not None:
        return word_splitting.joined(["" if word is None else str(word) for word in listed])
    return str(value), word_splitting.places(str(value), splitting)


def _json(most: int) -> Any:
    from pydantic import Field

    return json(most) | Annotated[list[json(most)], Field(min_length=1, max_length=most)]  # type: ignore[misc]


def _changes(
    model: CounterfactualModel,
    examples: Sequence[tuple[Sequence[str]]],
    places: Sequence[Any],
    truth: Sequence[Sequence[int]],
    _settings: EvaluationConfig,
) -> dict[str, Any]:
    return robustness.of_words(model, examples, places, truth)


WORDS = Input(
    name="words",
    nouns=("text", "texts"),
    modality="text",
    type=pa.list_(pa.string()),
    in_shape=columns.word_lists,
    check=_check,
    read=_read,
    learned=lambda values: word_splitting.learned(values.to_pylist()).as_dict(),
    length=lambda value: len(value or ()),
    length_unit="words",
    properties=lambda values: properties([" ".join(map(str, value or ())) for value in values]),
    json=_json,
    about="A text, or the list of its words",
    plain=lambda value: " ".join(map(str, value or ())),
    preparing="Tokenizing",
    likeness=LIKENESS,
    changes=_changes,
    samples=(_SAMPLE, [*_SAMPLE, *_SAMPLE]),
)
