"""What someone used before, oldest first: a list of items; and what is known of each use."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pyarrow as pa

from toolkit.config import normal_form
from toolkit.config.settings import DataConfig
from toolkit.data.formats.cells import BrokenListError
from toolkit.data.interactions import lists
from toolkit.data.tables import columns, empty_values
from toolkit.tasks.inputs.text import invalid_unicode, json
from toolkit.tasks.task import Auxiliary, Checked, Column, Input, Reading, Values

_SHOWN = 10  # items of a long history that pages and messages show


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_items)


def _read(values: Sequence[Any], name: str, _reading: Reading) -> Values:
    """Bring values of rows into a column of lists of names."""
    read: list[list[str] | None] = []
    problems: list[str | None] = []
    for value in values:
        items, problem = _items(value, name)
        read.append(items)
        problems.append(problem)
    return Values(pa.array(read, pa.list_(pa.string())), problems, values)


def _items(value: Any, name: str) -> tuple[list[str] | None, str | None]:
    """Return the items of a value, and any problem with it."""
    if isinstance(value, dict):
        return None, f"`{name}` is not a list of items"
    if not value:
        return None, f"`{name}` is empty"
    problem = invalid_unicode(value, name)
    if problem is not None:
        return None, problem
    try:
        items = [normal_form.label(v) for v in value] if isinstance(value, list) else lists.items_of(str(value))
    except BrokenListError as error:
        return None, f"`{name}` {error}"
    return (items, None) if items else (None, f"`{name}` is empty")


def _shown(value: Any) -> str:
    items = [*map(str, value or ())]
    return " | ".join(items if len(items) <= _SHOWN else ["…", *items[-_SHOWN:]])


def _json(most: int) -> Any:
    from pydantic import Field

    listed: Any = Annotated[list[json(most)], Field(min_length=1, max_length=most)]  # type: ignore[misc]
    return listed | json(most)


HISTORY = Input(
    name="history",
    nouns=("history", "histories"),
    modality="history",
    type=pa.list_(pa.string()),
    in_shape=lists.item_lists,
    check=_check,
    read=_read,
    length=lambda value: len(value or ()),
    length_unit="items",
    json=_json,
    about="The items of a history, the oldest first: a list, or a text with | between them",
    shown=_shown,
    preparing="Numbering items",
    samples=(["a"], ["a", "b", "c"]),
    identifying=False,  # two people may have used the same items
)

USER = Auxiliary("user", columns.single_labels, clusters=True)
TIME = Auxiliary("time", columns.strings)
RATING = Auxiliary("rating", columns.strings)
LEARNED = Auxiliary("learned", lambda table, name: table[name])  # how many of a row's last items are to be predicted
