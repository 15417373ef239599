"""Predictions of inputs, or of the rows of a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import runs
from toolkit.errors import RunError

if TYPE_CHECKING:
    import pandas as pd

_SCORE = "score: "  # prefix of the name of a class's probability


@dataclass(frozen=True)
class Prediction:
    """The prediction of one input.

    Attributes:
        input: The input, as it was given.
        prediction: The class, the text that was written, or a class for each word; None where there is a problem.
        score: Probability of the class; None where no class is chosen.
        calibrated_score: The same with the temperature that was fitted on validation rows.
        scores: Probability of each class, by name; empty where not requested.
        problem: Why the input cannot be predicted, or None.
    """

    input: Any
    prediction: Any
    score: float | None
    calibrated_score: float | None
    scores: Mapping[str, float]
    problem: str | None

    @property
    def label(self) -> Any:
        """The prediction, under its name for tasks with classes."""
        return self.prediction

    @classmethod
    def of(cls, given: Any, answer: Mapping[str, Any]) -> "Prediction":
        """Convert the columns of a predicted row: "prediction", "score", "score: NAME" and "problem"."""
        scores = {name.removeprefix(_SCORE): value for name, value in answer.items() if name.startswith(_SCORE)}
        return cls(
            given,
            answer["prediction"],
            answer.get("score"),
            answer.get("calibrated_score"),
            scores,
            answer.get("problem"),
        )


@dataclass(frozen=True)
class PredictedFile:
    """Predictions that were written with the rows of a file.

    Attributes:
        path: The file; None where each row was handed over instead.
        rows: How many rows it has.
        failed: How many of them have no prediction.
        first_failure: The first of these and its problem.
        marked: How many rows hold placeholders or markup; None where no texts are written.
        kept: How many of their predictions keep them.
    """

    path: Path | None
    rows: int
    failed: int
    first_failure: str | None
    marked: int | None
    kept: int

    @property
    def table(self) -> "pd.DataFrame":
        """The rows with their predictions.

        Raises:
            RunError: No table was written.
        """
        if self.path is None or self.path.suffix.lower() not in _READERS:
            raise RunError(
                "No table was written.", f"Let `output` end in {', '.join(_READERS)}.", id="run.no-predictions"
            )
        frame: pd.DataFrame = _READERS[self.path.suffix.lower()](self.path)
        return frame


def _read_csv(path: Path, separator: str = ",") -> Any:
    import pandas as pd

    return pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""])  # "NA" is a text like any other


def _read_jsonl(path: Path) -> Any:
    import pandas as pd

    return pd.read_json(path, lines=True)


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".csv": _read_csv,
    ".tsv": partial(_read_csv, separator="\t"),
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": lambda path: runs.read_table(path).to_pandas(),
}
