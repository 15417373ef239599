"""The documents of `toolkit runs`."""

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.api.documents.document import Document
from toolkit.runs.inventory import Ranking, Summary


@dataclass(frozen=True)
class RunList(Document, command="runs list"):
    """The runs of a folder.

    Attributes:
        runs: The newest first.
    """

    runs: list[Summary]


@dataclass(frozen=True)
class ShownRun(Document, command="runs show"):
    """A run.

    Attributes:
        run: What it is.
    """

    run: Summary


@dataclass(frozen=True)
class Removed:
    """A run directory that was removed.

    Attributes:
        path: The directory.
        bytes: Size of its files.
    """

    path: str
    bytes: int


@dataclass(frozen=True)
class RemovedRuns(Document, command="runs remove"):
    """Removed run directories.

    Attributes:
        removed: The directories.
    """

    removed: list[Removed]

    @classmethod
    def of(cls, runs: Sequence[Summary]) -> "RemovedRuns":
        """Convert runs that were removed."""
        return cls([Removed(str(run.path), run.bytes) for run in runs])


@dataclass(frozen=True)
class RankedRuns:
    """Runs of one task with the same test rows.

    Attributes:
        recipe: The task.
        test_rows: Digest of the file of the test rows; null for a run that recorded none.
        best: Directory of the best run.
        runs: All runs, the best first.
    """

    recipe: str
    test_rows: str | None
    best: str
    runs: list[Summary]


@dataclass(frozen=True)
class BestRuns(Document, command="runs best"):
    """The best runs by a metric.

    Attributes:
        metric: Its name.
        comparable: Whether all runs have the same task and test rows.
        rankings: One for each task and set of test rows, the largest first.
    """

    metric: str
    comparable: bool
    rankings: list[RankedRuns]

    @classmethod
    def of(cls, metric: str, rankings: Sequence[Ranking]) -> "BestRuns":
        """Convert rankings."""
        ranked = [RankedRuns(each.recipe, each.test_rows, str(each.runs[0].path), list(each.runs)) for each in rankings]
        return cls(metric, len(rankings) == 1, ranked)
