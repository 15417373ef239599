"""A request for explanations: inputs, methods and time limit."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from toolkit.config import RunConfig
from toolkit.data.formats.text_decoding import read_lines
from toolkit.data.load import reader
from toolkit.data.sources.acquire import acquire
from toolkit.data.tables import columns
from toolkit.errors import DataError, SourceError
from toolkit.tasks.contract import Recipe

MOST_TEXTS = 200  # in one page
EXAMPLES = 60  # on which methods are measured when no number is given
ALL = "all"  # instead of names of methods

Texts = tuple[str, ...]
Given = Texts | Mapping[str, Any]


class RecipeAndConfig(Protocol):
    """A recipe and its configuration, which determine how inputs are read."""

    @property
    def recipe(self) -> Recipe:
        """The task."""

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""


@dataclass(frozen=True)
class ExplanationRequest:
    """A request for explanations.

    Attributes:
        texts: Each one text, two for a pair (of a source and its translation, too), or a picture.
        methods: Names, or "all"; when empty those that this call measures, otherwise the default one.
        rows: How many examples of the model's data the methods are measured on; 0 measures nothing, and what was
            measured before is read.
        pictures: Whether to draw PNG files too.
        gold: Manual alignments, a line for each of `texts`, in Pharaoh's format.
        minutes: Time limit, after which the results so far are returned; None for no limit.
        word: Number of the word whose label is explained, from 1, where words have labels; None for each entity.
        wanted: Name of the class to explain; the predicted ones when None.
        to_measure: The command that measures the methods, for explanations without a measurement.
    """

    texts: Sequence[Given]
    methods: Sequence[str] = ()
    rows: int = 0
    pictures: bool = False
    gold: Path | None = None
    minutes: float | None = None
    to_measure: str = ""
    word: int | None = None
    wanted: str | None = None


@dataclass(frozen=True)
class Budget:
    """A time limit.

    Attributes:
        end: On the clock of `time.monotonic`; None for no end.
    """

    end: float | None = None

    @classmethod
    def of(cls, minutes: float | None) -> "Budget":
        """Start a limit now."""
        return cls(None if minutes is None else time.monotonic() + 60 * minutes)

    def part(self, share: float) -> "Budget":
        """Return a share of the time that is left."""
        now = time.monotonic()
        return Budget(None if self.end is None else now + share * max(0.0, self.end - now))

    def spent(self) -> bool:
        """Whether to stop."""
        return self.end is not None and time.monotonic() >= self.end


def table_of(path: Path, subject: RecipeAndConfig) -> pa.Table:
    """Read a file as the configuration says, as `evaluate` reads its data.

    Raises:
        DataError: It cannot be read.
    """
    config = subject.config.data.model_copy(update={"source": str(path)})
    tables, _ = acquire(config, reader(subject.recipe, config, subject.config.options))
    return columns.unfold(pa.concat_tables(tables.parts.values(), promote_options="permissive"))


def lines_or_table(
    path: Path, of_table: Callable[[pa.Table], list[Texts]], subject: RecipeAndConfig, column: str
) -> list[Texts]:
    """Read many texts: the lines of a .txt file, or what `of_table` takes out of a table.

    Args:
        path: The file.
        of_table: Takes texts out of a file other than .txt.
        subject: How the file is read.
        column: Name of the required column, for messages.

    Raises:
        SourceError: There is no such file.
        DataError: It holds no text.
    """
    if not path.is_file():
        raise SourceError(f"There is no file {path}.", "Check the path.", id="source.file-missing")
    if path.suffix == ".txt":
        lines = read_lines(path, subject.config.data.encoding)
        texts: list[Texts] = [(line.strip(),) for line in lines if line.strip()]
    else:
        texts = of_table(table_of(path, subject))
    if not texts:
        raise DataError(
            f"{path} contains no text.",
            f"Write one text per line, or a table with a {column} column.",
            id="data.no-rows",
        )
    return texts
