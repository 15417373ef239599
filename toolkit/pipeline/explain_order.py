"""What to explain, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_TEXTS = 200  # in one page

Texts = tuple[str, ...]
Given = Texts | Mapping[str, Any]


@dataclass(frozen=True)
class Order:
    """What to explain, and how.

    Attributes:
        texts: Each one text, two for a pair (of a source and its translation, too), or a picture.
        methods: Names; all that work here when empty.
        rows: How many of the model's own examples the methods are measured on; 0 measures nothing.
        pictures: Whether to draw PNG files too.
        gold: Alignments that people made, a line for each of `texts`, in Pharaoh's format.
    """

    texts: Sequence[Given]
    methods: Sequence[str] = ()
    rows: int = 60
    pictures: bool = False
    gold: Path | None = None
