"""Lists of items in a column: lists, or cells with | between the items."""

import pyarrow as pa

from toolkit.config import normal_form
from toolkit.data.formats import cells
from toolkit.data.formats.cells import BrokenListError

SEPARATOR = "|"


def items_of(text: str) -> list[str]:
    """Return the items of a cell: a list, or names with | between them.

    Raises:
        BrokenListError: It begins like a list of quoted items and is not a complete one.
    """
    listed = cells.items(text, bare=True)
    pieces = text.split(SEPARATOR) if listed is None else listed
    return [name for name in map(normal_form.label, pieces) if name]


def item_lists(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as lists of items; lists of texts are as they are.

    Raises:
        BrokenListError: A list in a cell is cut short.
    """
    values = table[name]
    if values.type == pa.list_(pa.string()):
        return values
    rows: list[list[str] | None] = []
    for place, value in enumerate(values.to_pylist()):
        if isinstance(value, list):
            rows.append([normal_form.label(item) for item in value if item is not None])
            continue
        try:
            rows.append(None if value is None else items_of(str(value)))
        except BrokenListError as error:
            error.row = place
            raise
    return pa.chunked_array([pa.array(rows, pa.list_(pa.string()))])
