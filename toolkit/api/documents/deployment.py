"""The documents of commands that use, convert or publish a trained model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from toolkit.api.documents.document import Document, place
from toolkit.serve.messages import ServedModel

if TYPE_CHECKING:
    from toolkit.api.deployment.dossier import Documentation
    from toolkit.api.deployment.export import Exported
    from toolkit.api.deployment.launch import Launched
    from toolkit.api.deployment.push import Pushed
    from toolkit.api.results import PredictedFile, Prediction


@dataclass(frozen=True)
class Predicted(Document, command="predict"):
    """Predictions: of inputs in the document itself, of a file in the file that was written.

    Attributes:
        path: The file with all rows and their predictions; null where inputs were given.
        rows: Number of rows or inputs.
        failed: How many of them have no prediction.
        first_failure: The first of these and what is wrong with it; null where there is none.
        marked: Rows with placeholders or markup; null where the model writes no texts into a file.
        kept: How many of their predictions have the same; null where `marked` is.
        predictions: Of each input: `input`, `problem` (null where it was predicted), `prediction`, and the columns
            that `--output` would write; null where a file was written.
    """

    path: str | None
    rows: int
    failed: int
    first_failure: str | None
    marked: int | None
    kept: int | None
    predictions: list[dict[str, Any]] | None

    @classmethod
    def of(cls, done: "list[Prediction] | PredictedFile") -> "Predicted":
        """Convert the result of `predict`."""
        if isinstance(done, list):
            rows = [{"input": row.input, "problem": row.problem, **row.columns} for row in done]
            wrong = [number for number, row in enumerate(done) if row.problem is not None]
            first = f"input {wrong[0] + 1}: {done[wrong[0]].problem}" if wrong else None
            return cls(None, len(done), len(wrong), first, None, None, rows)
        kept = None if done.marked is None else done.kept
        return cls(place(done.path), done.rows, done.failed, done.first_failure, done.marked, kept, None)


@dataclass(frozen=True)
class PrunedHeads(Document, command="prune-heads"):
    """A run with fewer attention heads.

    Attributes:
        path: Run directory of the pruned model.
        report: Its report.json, on held-out rows.
        page: Page of the curve.
        pruning: File with importance of each head and curve.
        metric: The metric on validation rows that the curve shows.
        before: Its value with all heads.
        after: Its value with those that are left.
        heads: Number of heads of the model.
        left_out: How many of them were pruned.
        operations: Share of the operations that is left.
    """

    path: str
    report: str
    page: str
    pruning: str
    metric: str
    before: float
    after: float
    heads: int
    left_out: int
    operations: float

    @classmethod
    def of(cls, folder: Path, result: Mapping[str, Any]) -> "PrunedHeads":
        """Convert what `pruning.json` in the folder holds."""
        first, chosen, metric = result["curve"][0], result["curve"][result["chosen"]], result["metric"]
        return cls(
            path=str(folder),
            report=str(folder / "report.json"),
            page=str(folder / "pruning.html"),
            pruning=str(folder / "pruning.json"),
            metric=metric,
            before=first[metric],
            after=chosen[metric],
            heads=sum(map(len, result["importance"])),
            left_out=chosen["left_out"],
            operations=chosen["flops"] / first["flops"],
        )


@dataclass(frozen=True)
class Change:
    """The change of a metric by an export, with a paired interval.

    Attributes:
        metric: Its name.
        original: Value of the model.
        exported: Value of the export.
        value: The change.
        low: Lower end of its interval.
        high: Upper end.
    """

    metric: str
    original: float
    exported: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ExportedModel(Document, command="export"):
    """A model in a format for other programs.

    Attributes:
        path: Its folder; export.json in it has the complete comparison with the model.
        form: The format.
        rows: Number of rows that both predicted.
        same: On how many of them both predictions are the same.
        tolerance: Share of the rows that may have a different one.
        largest_difference: Of probabilities, or of numbers in standard deviations; null where there are none.
        change: Change of the first metric; null without labels.
        original_bytes: Size of the model.
        exported_bytes: Size of the export.
        original_ms: Milliseconds for one example with the model; null where not measured.
        exported_ms: The same with the export.
    """

    path: str
    form: str
    rows: int
    same: int
    tolerance: float
    largest_difference: float | None
    change: Change | None
    original_bytes: int
    exported_bytes: int
    original_ms: float | None
    exported_ms: float | None

    @classmethod
    def of(cls, exported: "Exported") -> "ExportedModel":
        """Convert the result of `export`."""
        report = exported.report
        changed = report.difference
        change = None
        if changed is not None:
            change = Change(**{name: getattr(changed, name) for name in Change.__dataclass_fields__})
        return cls(
            *(str(exported.path), report.form, report.agreement.rows, report.agreement.same, report.tolerance),
            *(None if report.drift is None else report.drift.largest, change),
            *(report.original_bytes, report.exported_bytes),
            *(None if speed is None else speed.one_ms for speed in (report.original_speed, report.exported_speed)),
        )


@dataclass(frozen=True)
class Destination:
    """Where a model was pushed.

    Attributes:
        repository: On the Hub, org/name.
        public: Whether everybody may read it.
        url: Page of the commit or pull request; null for a dry run.
        commit: Its id; null for a dry run.
        revision: Branch or pull request that has the files; null for a dry run.
        changed: Whether a commit was made; there is none if the Hub has the same files.
    """

    repository: str
    public: bool
    url: str | None
    commit: str | None
    revision: str | None
    changed: bool

    @classmethod
    def of(cls, pushed: "Pushed") -> "Destination":
        """Convert the result of `push`."""
        where, outcome = pushed.plan.destination, pushed.outcome
        if outcome is None:
            return cls(where.name, where.public, None, None, None, False)
        return cls(where.name, where.public, outcome.url, outcome.commit, outcome.revision, outcome.changed)


@dataclass(frozen=True)
class PushedRun(Document, command="push"):
    """A run on the Hub, or the plan of a push.

    Attributes:
        destination: Where it is.
        files: Path in the repository → bytes.
        exists: Whether the repository existed before; null where that was not checked.
        dry_run: Whether nothing was pushed.
    """

    destination: Destination
    files: dict[str, int]
    exists: bool | None
    dry_run: bool

    @classmethod
    def of(cls, pushed: "Pushed") -> "PushedRun":
        """Convert the result of `push`."""
        return cls(Destination.of(pushed), dict(pushed.files), pushed.plan.exists, pushed.outcome is None)


@dataclass(frozen=True)
class Point:
    """A point of Annex IV.

    Attributes:
        number: Its number.
        title: Its heading.
        entries: Its entries: `number`, `title`, `state`, `content`, and `key` or `command` where there is one. Each
            figure in the content has its `file`, `key` and `value`.
    """

    number: str
    title: str
    entries: list[dict[str, Any]]


@dataclass(frozen=True)
class Dossier(Document, command="dossier"):
    """The technical documentation of a run.

    Attributes:
        path: Its folder.
        files: Names of the files in it.
        title: Of the run.
        created: When the report was written.
        summary: How much is filled.
        counts: State of an entry → number of entries.
        points: The content.
    """

    path: str
    files: list[str]
    title: str
    created: str
    summary: str
    counts: dict[str, int]
    points: list[Point]

    @classmethod
    def of(cls, written: "Documentation") -> "Dossier":
        """Convert the result of `dossier`."""
        content = written.content
        points = [Point(point["number"], point["title"], point["entries"]) for point in content["points"]]
        return cls(
            *(str(written.path), list(written.files), content["title"], content["created"]),
            *(content["summary"], content["counts"], points),
        )


@dataclass(frozen=True)
class LaunchedJob(Document, command="launch"):
    """A job for another machine.

    Attributes:
        engine: What runs it: slurm, hf-jobs, sky or kubernetes.
        name: Of the job.
        path: The file that was written; null after a dry run.
        content: Of the file.
        job: Command of the toolkit and its arguments, a word each.
        submit: Command line that submits the file.
        submitted: Whether it was submitted.
        answer: What the engine answered; null where it was not submitted.
    """

    engine: str
    name: str
    path: str | None
    content: str
    job: list[str]
    submit: str
    submitted: bool
    answer: str | None

    @classmethod
    def of(cls, launched: "Launched") -> "LaunchedJob":
        """Convert the result of `launch`."""
        plan = launched.plan
        return cls(
            *(plan.on, plan.job.name, place(launched.path), launched.content, list(plan.job.words)),
            *(launched.submit, launched.answer is not None, launched.answer),
        )


@dataclass(frozen=True)
class Service(ServedModel, Document, command="serve"):
    """A service, printed once it accepts requests.

    Attributes:
        address: Its URL.
    """

    address: str

    @classmethod
    def of(cls, address: str, served: ServedModel) -> Self:
        """Convert the address and the model that GET /health describes."""
        return cls(**asdict(served), address=address)


@dataclass(frozen=True)
class Page(Service, command="app"):
    """A service with a page, printed once it accepts requests."""
