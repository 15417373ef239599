"""How values, labels and predictions are shown where an input or a target does not say otherwise."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import normal_form

MOST_CLASSES = 12  # that a summary of a column names


def summary(column: pa.ChunkedArray, labels: Sequence[str]) -> dict[str, str]:
    """Return the share of the rows that have each class, or the range of numbers."""
    if labels:
        return {"classes": counted(column, labels, of=len(column))}
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) or not len(column):
        return {}
    low, median, high = pc.quantile(column, [0.0, 0.5, 1.0]).to_pylist()
    return {"values": f"median {median:.4g}, from {low:.4g} to {high:.4g}"}


def counted(column: pa.ChunkedArray, labels: Sequence[str], *, of: int) -> str:
    """Return how often each class occurs in a column of class numbers, or of lists of them.

    Args:
        column: The class numbers.
        labels: Names of the classes.
        of: What shares are of.
    """
    lists = pa.types.is_list(column.type)
    numbers = pc.list_flatten(column) if lists else column
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(numbers).to_pylist()}
    texts = [_share(name, counts.get(number, 0), of) for number, name in enumerate(labels)]
    more = [f"and {len(texts) - MOST_CLASSES} more"] if len(texts) > MOST_CLASSES else []
    bare = pc.sum(pc.equal(pc.list_value_length(column), 0)).as_py() if lists else 0
    return ", ".join([*texts[:MOST_CLASSES], *more, *([_share("rows without any", bare, of)] if bare else [])])


def _share(name: str, count: int, of: int) -> str:
    return f"{name} {count:,} ({100 * count / of:.1f} %)" if of else f"{name} 0"


def class_number(text: str, labels: Sequence[str]) -> int:
    """Return the number of the class that a cell names.

    Raises:
        ValueError: There is no such class.
    """
    name = text if text in labels else normal_form.label(text)
    if name not in labels:
        near = difflib.get_close_matches(text, labels, n=1)
        raise ValueError(f"there is no class `{text}`" + (f", but `{near[0]}`" if near else ""))
    return list(labels).index(name)


def line(given: Any, columns: Mapping[str, Any]) -> str:
    """Return a prediction, the other columns in parentheses, and the input."""
    prediction, *others = [(name, _written(value)) for name, value in columns.items()]
    beside = ", ".join(f"{name} {text}" for name, text in others)
    return "  ".join([prediction[1], *([f"({beside})"] if beside else []), str(given)])


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "(none)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sizes(lengths: Any, unit: str) -> tuple[str, str]:
    """Return name and text of the sizes of a column's values."""
    import numpy as np

    median, high = np.quantile(lengths, [0.5, 0.95])
    return f"{unit} per row", f"median {median:.0f}, 95 % under {high:.0f}, longest {lengths.max()}"


def plain(value: Any) -> str:
    """Return a value as text; lists with blanks between their items."""
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
