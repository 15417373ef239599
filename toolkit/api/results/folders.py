"""Return values of calls: folders, whose files are read on access."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import runs
from toolkit.api.results.report import Figure, Report, headline, metrics
from toolkit.errors import RunError
from toolkit.evaluation import prediction_store

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.api.deployment.push import Pushed


class Evaluation:
    """A folder with a report and predictions.

    Args:
        path: The folder; None for a dry run.
        plan: What would be done, in one sentence; empty where it was done.
    """

    def __init__(self, path: str | Path | None, plan: str = "") -> None:
        self._path = None if path is None else Path(path)
        self.plan = plan

    @property
    def path(self) -> Path:
        """The folder.

        Raises:
            RunError: This was a dry run.
        """
        if self._path is None:
            raise RunError("A dry run writes nothing.", "Call it again without dry_run.", id="run.unfinished")
        return self._path

    @cached_property
    def report(self) -> Report:
        """The dictionary of report.json; a notebook shows it as a page."""
        return Report(runs.read_object(self.path / "report.json"))

    @property
    def metrics(self) -> dict[str, Figure]:
        """Each metric with its interval, by name; the means over several seeds."""
        return metrics(self.report)

    @property
    def predictions(self) -> "pd.DataFrame":
        """The rows that were predicted, with their labels, the predictions of model and baselines, and probabilities.

        Classes have their names, and the probability of each has a column of its own, "probability: NAME".
        """
        return _frame(prediction_store.read(self.path / prediction_store.FILE))

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"<{kind}: {self.plan}>" if self._path is None else f"<{kind} {self.path}: {headline(self.report)}>"


class Run(Evaluation):
    """A run directory. `Run("runs/…")` opens one that was made before.

    Attributes:
        pushed: Outcome of `push_to`; None where it was not given.
    """

    def __init__(self, path: str | Path | None, plan: str = "", pushed: "Pushed | None" = None) -> None:
        super().__init__(path, plan)
        self.pushed = pushed

    @property
    def model_path(self) -> Path:
        """Folder of the model: `from_pretrained` of transformers loads it."""
        return runs.Run(self._single()).model

    @property
    def seeds(self) -> Sequence["Run"]:
        """The runs of each seed, where several were requested."""
        return [Run(self.path / run["name"]) for run in self.report["seeds"]["runs"]] if "seeds" in self.report else []

    @property
    def predictions(self) -> "pd.DataFrame":
        """The held-out rows with their labels and predictions, as of an evaluation."""
        self._single()
        return super().predictions

    def _single(self) -> Path:
        """Return the folder, unless it holds the runs of several seeds.

        Raises:
            RunError: It does.
        """
        if self.seeds:
            raise RunError(
                f"{self.path} contains the runs of several seeds.", "Choose one of `.seeds`.", id="run.ambiguous"
            )
        return self.path


@dataclass(frozen=True)
class Comparison:
    """A comparison of models on the same rows.

    Attributes:
        path: The folder that was written.
        report: Its report.
    """

    path: Path
    report: Report

    @property
    def passed(self) -> bool | None:
        """Whether the gate is passed; None without one."""
        return self.report["gate"]["passed"] if "gate" in self.report else None

    def __repr__(self) -> str:
        return f"<Comparison {self.path}: {headline(self.report)}>"


@dataclass(frozen=True)
class Watched:
    """A batch of new rows, compared with the held-out rows of a run.

    Attributes:
        path: The folder in the run that holds the page and the records of all batches.
        record: The record of this batch: its `shift` has the figures of a report.
    """

    path: Path
    record: dict[str, Any]

    @property
    def claimed(self) -> bool:
        """Whether the rows are shown to differ, or more of them than usual cannot be predicted."""
        return bool(self.record["claimed"])

    @property
    def page(self) -> Path:
        """The page on the course over all batches."""
        return self.path / "drift.html"

    def __repr__(self) -> str:
        return f"<Watched {self.path}: {'differs' if self.claimed else 'no difference shown'}>"


def _frame(stored: prediction_store.StoredPredictions) -> "pd.DataFrame":
    """Return a file of predictions as a table, with class names instead of numbers, and one column per class."""
    labels = list(stored.facts.get("labels", ()))
    table = stored.table.drop_columns(["_key"])
    frame: pd.DataFrame = table.to_pandas()
    if labels:
        kinds = {field.name: str(field.type) for field in table.schema}
        for name in frame.columns:
            if "int" in kinds[name] and name not in prediction_store.POSITION:
                frame[name] = [_named(value, labels) for value in table[name].to_pylist()]
    probabilities = table["probabilities"].to_pylist() if "probabilities" in frame.columns else []
    if probabilities and labels:
        frame = frame.drop(columns="probabilities")
        for number, label in enumerate(labels):
            frame[f"probability: {label}"] = [None if row is None else row[number] for row in probabilities]
    return frame.rename(columns={"_file": "file", "_row": "row"})


def _named(value: Any, labels: Sequence[str]) -> Any:
    """Return the name of a class by its number, or of each of several; other values are unchanged."""
    if isinstance(value, list):
        return [_named(item, labels) for item in value]
    return labels[value] if isinstance(value, int) and 0 <= value < len(labels) else value
