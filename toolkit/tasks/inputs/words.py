"""A text that is given as its words."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pyarrow as pa

from toolkit.config.settings import DataConfig
from toolkit.data.formats.cells import BrokenListError
from toolkit.data.tables import columns, empty_values
from toolkit.tasks.inputs.text import LIKENESS, invalid_unicode, json
from toolkit.tasks.task import Checked, Column, Input, Reading, Values

_SAMPLE = ["Is", "it", "ready?"]


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_items)


def _read(values: Sequence[Any], name: str, _reading: Reading) -> Values:
    """Bring values of rows into a column of lists of strings."""
    read: list[list[str] | None] = []
    problems: list[str | None] = []
    for value in values:
        words, problem = _words(value, name)
        read.append(words)
        problems.append(problem)
    return Values(pa.array(read, pa.list_(pa.string())), problems, values)


def _words(value: Any, name: str) -> tuple[list[str] | None, str | None]:
    """Return the words of a value, and any problem with it."""
    if isinstance(value, dict):
        return None, f"`{name}` is not text"
    if not value or not (isinstance(value, list) or str(value).strip()):
        return None, f"`{name}` is empty"
    problem = invalid_unicode(value, name)
    if problem is not None:
        return None, problem
    if isinstance(value, list):
        return ["" if word is None else str(word) for word in value], None
    try:
        words = columns.words_of(str(value))
    except BrokenListError as error:
        return None, f"`{name}` {error}"
    return (words, None) if words else (None, f"`{name}` is empty")


def _json(most: int) -> Any:
    from pydantic import Field

    return Annotated[list[json(most)], Field(min_length=1, max_length=most)]  # type: ignore[misc]


WORDS = Input(
    name="words",
    nouns=("text", "texts"),
    modality="text",
    type=pa.list_(pa.string()),
    in_shape=columns.word_lists,
    check=_check,
    read=_read,
    length=lambda value: len(value or ()),
    length_unit="words",
    json=_json,
    about="The words of a text",
    plain=lambda value: " ".join(map(str, value or ())),
    preparing="Tokenizing",
    likeness=LIKENESS,
    samples=(_SAMPLE, [*_SAMPLE, *_SAMPLE]),
)
