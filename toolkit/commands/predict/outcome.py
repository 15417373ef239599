"""The outcome of `predict` on a file: the written predictions, and what is counted while they are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import runs
from toolkit.data.bitext.markup import markup
from toolkit.data.formats.text_decoding import byte_order_mark
from toolkit.data.sources.csv_dialect import Dialect
from toolkit.data.sources.local_files import CSV_SUFFIXES
from toolkit.data.tables import wording
from toolkit.errors import RunError
from toolkit.events import Note, Observe

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PredictedFile:
    """Predictions that were written with the rows of a file.

    Attributes:
        path: The file; None where each row was handed over instead.
        rows: How many rows it has.
        failed: How many of them have no prediction.
        first_failure: The first of these and what is wrong with it.
        marked: How many rows hold placeholders or markup; None where no texts are written.
        kept: How many of their predictions hold the same.
        dialect: How a file of CSV is written.
    """

    path: Path | None
    rows: int
    failed: int
    first_failure: str | None
    marked: int | None = None
    kept: int = 0
    dialect: Dialect | None = None

    @property
    def table(self) -> "pd.DataFrame":
        """The rows with their predictions.

        Raises:
            RunError: No table was written.
        """
        suffix = "" if self.path is None else self.path.suffix.lower()
        if self.path is not None and self.dialect is not None and suffix in CSV_SUFFIXES:
            csv: pd.DataFrame = _read_csv(self.path, self.dialect)
            return csv
        if self.path is None or suffix not in _READERS:
            raise RunError(
                "No table was written.",
                f"Let `output` end in {', '.join((*CSV_SUFFIXES, *_READERS))}.",
                id="run.no-predictions",
            )
        frame: pd.DataFrame = _READERS[suffix](self.path)
        return frame


@dataclass
class PredictionCounts:
    """Counts rows, rows without a prediction, and rows whose placeholders and markup were kept.

    Attributes:
        column: Of the text that is answered by a text; None where the answers are none.
    """

    column: str | None = None
    rows: int = 0
    failed: int = 0
    first_failure: str | None = None
    marked: int = 0
    kept: int = 0
    cut: int = 0
    cut_texts: Sequence[int] = ()

    def add(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Count some predictions."""
        wrong = [place for place, answer in enumerate(answers) if answer["problem"] is not None]
        if wrong and self.first_failure is None:
            self.first_failure = f"row {self.rows + wrong[0] + 1}: {answers[wrong[0]]['problem']}"
        self.failed += len(wrong)
        self.rows += len(answers)
        if self.column is not None:
            pairs = [(markup(str(answer[self.column] or "")), answer["prediction"]) for answer in answers]
            marked = [(marks, prediction) for marks, prediction in pairs if marks and prediction is not None]
            self.marked += len(marked)
            self.kept += sum(marks == markup(prediction) for marks, prediction in marked)

    def add_cut(self, rows: int, texts: Sequence[int] = ()) -> None:
        """Count truncated rows, and of pairs each text that was cut."""
        self.cut += rows
        self.cut_texts = [a + b for a, b in zip_longest(self.cut_texts, texts, fillvalue=0)]

    def remark(self, longest: int | None, observe: Observe) -> None:
        """Report the number of truncated rows, without those of parts that were kept from earlier.

        Args:
            longest: Maximum number of tokens; None where the model decides what it reads.
            observe: Called with the note.
        """
        if self.cut:
            rows = " ".join(wording.rows(self.cut))
            which = wording.cut(self.cut_texts)
            setting = "" if longest is None else ", the maximum of the model (data.max_length)"
            observe(Note(f"{rows} truncated {wording.bound(longest)}{setting}{which}."))

    def outcome(self, output: Path | None, dialect: Dialect | None = None) -> PredictedFile:
        """Return the outcome for all rows."""
        marked = None if self.column is None else self.marked
        return PredictedFile(output, self.rows, self.failed, self.first_failure, marked, self.kept, dialect)


def _read_csv(path: Path, dialect: Dialect) -> Any:
    import pandas as pd

    marked = byte_order_mark(path)
    encoding = dialect.encoding if marked is None else {"utf-8": "utf-8-sig"}.get(marked, marked[: len("utf-16")])
    # "NA" is a text like any other
    return pd.read_csv(
        path,
        sep=dialect.delimiter,
        encoding=encoding,
        skiprows=int(dialect.declared),
        keep_default_na=False,
        na_values=[""],
    )


def _read_jsonl(path: Path) -> Any:
    import pandas as pd

    return pd.read_json(path, lines=True)


def _read_excel(path: Path) -> Any:
    import pandas as pd

    return pd.read_excel(path, keep_default_na=False, na_values=[""])


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": lambda path: runs.read_table(path).to_pandas(),
    ".xlsx": _read_excel,
}
