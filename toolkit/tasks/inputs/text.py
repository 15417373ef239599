"""A whole text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import pyarrow as pa

from toolkit.config.settings import DataConfig, EvaluationConfig
from toolkit.data.tables import columns, empty_values
from toolkit.evaluation.checks import bias, robustness
from toolkit.evaluation.duplicates import near_duplicates
from toolkit.evaluation.perturbations.counterfactual import CounterfactualModel
from toolkit.evaluation.perturbations.text_changes import load_lists
from toolkit.tasks.task import WORD, Checked, Column, Input, Likeness, Reading, Values

_SAMPLE = "Is it ready?"


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    checked = empty_values.leave_out(parts, column, empty_values.has_text)
    numbers = columns.only_numbers(checked.parts, column) if column.required else []
    return Checked(checked.parts, checked.counts, [*checked.notes, *numbers])


def read(values: Sequence[Any], name: str, _reading: Reading) -> Values:
    """Bring values of rows into a column of strings."""
    problems = [_problem(value, name) for value in values]
    strings = [None if problem else str(value) for value, problem in zip(values, problems, strict=True)]
    return Values(pa.array(strings, pa.string()), problems, values)


def _problem(value: Any, name: str) -> str | None:
    if isinstance(value, dict | list):
        return f"`{name}` is not text"
    if value is None or not str(value).strip():
        return f"`{name}` is empty"
    return invalid_unicode(value, name)


def invalid_unicode(value: Any, name: str) -> str | None:
    """Say that a value holds a lone surrogate, which no tokenizer reads; None where it does not."""
    if any("\ud800" <= sign <= "\udfff" for sign in str(value)):
        return f"`{name}` holds invalid Unicode (a lone surrogate)"
    return None


def json(most: int) -> Any:
    """Return the type of a text in a request."""
    from pydantic import Field

    return Annotated[str, Field(min_length=1, max_length=most)]


def _changes(
    model: CounterfactualModel,
    examples: Sequence[tuple[str, ...]],
    places: Sequence[Any],
    truth: Sequence[int],
    settings: EvaluationConfig,
) -> dict[str, Any]:
    return robustness.section(model, examples, places, truth, load_lists(settings.lists))


def _swaps(
    model: CounterfactualModel, examples: Sequence[tuple[str, ...]], places: Sequence[Any], settings: EvaluationConfig
) -> dict[str, Any]:
    return bias.section(model, examples, places, load_lists(settings.lists))


def properties(texts: Sequence[str | None]) -> dict[str, list[float]]:
    """Return simple properties of texts, in which samples of them can differ."""
    words = [(text or "").split() for text in texts]
    return {
        "words": [float(len(row)) for row in words],
        "characters per word": [sum(map(len, row)) / max(1, len(row)) for row in words],
        "share of capital letters": [_share(str.isupper, text) for text in texts],
        "share of digits": [_share(str.isdigit, text) for text in texts],
    }


def _share(is_one: Callable[[str], bool], text: str | None) -> float:
    return sum(map(is_one, text)) / len(text) if text else 0.0


LIKENESS = Likeness(near_duplicates.summary, near_duplicates.find, near_duplicates.THRESHOLD)
_plain: Callable[[Any], str] = lambda value: str(value or "")  # noqa: E731

TEXT = Input(
    name="text",
    nouns=("text", "texts"),
    modality="text",
    type=pa.string(),
    in_shape=columns.strings,
    check=_check,
    read=read,
    length=lambda value: len((value or "").split()),
    length_unit="words",
    properties=properties,
    json=json,
    about="A text",
    plain=_plain,
    preparing="Tokenizing",
    unit=WORD,
    likeness=LIKENESS,
    changes=_changes,
    swaps=_swaps,
    samples=(_SAMPLE, f"{_SAMPLE} {_SAMPLE}"),
    few_labels=True,
    standalone=True,
)
