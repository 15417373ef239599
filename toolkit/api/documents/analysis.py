"""The documents of commands that examine a trained model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from toolkit.api.documents.document import Advised, Document, Verdict, figures
from toolkit.api.documents.json_schema import Shape
from toolkit.evaluation.shift.unreadable import Count, Unreadable
from toolkit.report.shapes import SHIFT
from toolkit.runs.inventory import Figure

if TYPE_CHECKING:
    from toolkit.api.analysis.select import Selection
    from toolkit.api.results import Comparison, Evaluation, Watched


@dataclass(frozen=True)
class Evaluated(Document, command="evaluate"):
    """An evaluation; with `--dry-run` its plan.

    Attributes:
        path: Folder of the evaluation; null for a dry run, as are the next three.
        report: File report.json, with everything that was measured.
        page: File report.html.
        verdict: Summary of the report.
        rows: Number of rows; null for a dry run.
        metrics: The first is the headline.
        advice: What to do next.
        dry_run: Whether nothing was evaluated.
        plan: What would be done; empty where it was done.
    """

    path: str | None
    report: str | None
    page: str | None
    verdict: Verdict | None
    rows: int | None
    metrics: list[Figure]
    advice: list[Advised]
    dry_run: bool
    plan: str

    @classmethod
    def of(cls, evaluation: "Evaluation", *, dry_run: bool) -> "Evaluated":
        """Convert the result of `evaluate`."""
        if dry_run:
            return cls(None, None, None, None, None, [], [], True, evaluation.plan)
        report, path = evaluation.report, evaluation.path
        measured = report["evaluation"]
        return cls(
            *(str(path), str(path / "report.json"), str(path / "report.html"), Verdict.of(report["verdict"])),
            *(measured["rows"], figures(measured["metrics"]), Advised.of(report["advice"])),
            dry_run=False,
            plan="",
        )


@dataclass(frozen=True)
class ComparedModel:
    """A model of a comparison.

    Attributes:
        name: As in the report.
        metrics: On the common rows.
    """

    name: str
    metrics: list[Figure]


@dataclass(frozen=True)
class Rule:
    """A rule of a gate.

    Attributes:
        rule: Its name.
        title: For people.
        verdict: "passed", or why it is not.
        reason: Of the verdict; empty where there is none.
    """

    rule: str
    title: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Compared(Document, command="compare"):
    """A comparison of models on the same rows.

    Attributes:
        path: Folder of the comparison.
        report: File report.json, with all differences.
        page: File report.html.
        verdict: Summary of the report.
        rows: Number of common rows.
        models: The models, in the order of the arguments.
        passed: The decision of the gate; null without `--gate`.
        rules: The rules of the gate; empty without `--gate`.
    """

    path: str
    report: str
    page: str
    verdict: Verdict
    rows: int
    models: list[ComparedModel]
    passed: bool | None
    rules: list[Rule]

    @classmethod
    def of(cls, comparison: "Comparison") -> "Compared":
        """Convert the result of `compare`."""
        report, path = comparison.report, comparison.path
        models = [ComparedModel(model["name"], figures(model["metrics"])) for model in report["comparison"]["models"]]
        rules = [
            Rule(rule["rule"], rule["title"], rule["verdict"], rule.get("reason") or "")
            for rule in report.get("gate", {}).get("rules", ())
        ]
        return cls(
            *(str(path), str(path / "report.json"), str(path / "report.html"), Verdict.of(report["verdict"])),
            *(report["comparison"]["rows"], models, comparison.passed, rules),
        )


@dataclass(frozen=True)
class WatchedBatch(Document, command="watch"):
    """A batch of new rows against the held-out rows of a run.

    Attributes:
        path: Folder with the page and the records of all batches.
        page: Page on the course over all batches.
        created: Time of the comparison.
        source: Name of the file.
        fingerprint: Digest of the rows.
        rows_read: Number of rows in the file.
        unreadable: Rows that cannot be predicted, of the sample and of the run's data, with their test.
        seed: Of the sample.
        period: Number of the period of looks.
        look: Number of the batch in its period.
        looks: Batches that share the probability of a false alarm.
        level: Probability of a false alarm of this batch.
        claimed: The decision: whether the rows are shown to differ, or more of them than usual cannot be predicted.
        shift: How the rows differ, as in `evaluation.shift` of a report.
    """

    path: str
    page: str
    created: str
    source: str
    fingerprint: str
    rows_read: int
    unreadable: Unreadable
    seed: int
    period: int
    look: int
    looks: int
    level: float
    claimed: bool
    shift: Annotated[dict[str, Any], Shape(SHIFT)]

    @classmethod
    def of(cls, watched: "Watched") -> "WatchedBatch":
        """Convert the result of `watch`."""
        record = dict(watched.record)
        lost = record.pop("unreadable")
        sides = {side: Count(**lost[side]) for side in ("new", "reference")}
        return cls(str(watched.path), str(watched.page), unreadable=Unreadable(**{**lost, **sides}), **record)


@dataclass(frozen=True)
class Joined:
    """Labelled rows that were joined with those of a run.

    Attributes:
        folder: Folder with the parts, for `finetune --data`.
        recipe: The task.
        train: Training rows before.
        added: Rows that were added.
        known: Rows that were left out because the run has them.
        pool: The model on the added rows that were drawn at random: `rows` and `metric`; null without such rows.
    """

    folder: str
    recipe: str
    train: int
    added: int
    known: int
    pool: dict[str, Any] | None


@dataclass(frozen=True)
class Choice:
    """Rows to label next.

    Attributes:
        model: The model.
        source: The pool.
        pool: Counts of the rows of the pool and of those that were left out.
        candidates: Rows to choose from.
        strategy: How rows were chosen.
        reason: Why by this strategy; null where it was given.
        random_share: Share of the rows that is drawn at random.
        chosen: Strategy → number of rows that it chose.
        label_column: Column for the labels.
        curve: Learning curve, with the predicted gain of more labels; null where there is none.
        curve_missing: Why there is no curve; null where there is one.
        rows: The rows: `position` in the pool, its columns, `prediction`, `score`, `uncertainty`, `selected_by`.
        files: Files that were written.
    """

    model: str
    source: str
    pool: dict[str, int]
    candidates: int
    strategy: str
    reason: str | None
    random_share: float
    chosen: dict[str, int]
    label_column: str
    curve: dict[str, Any] | None
    curve_missing: str | None
    rows: list[dict[str, Any]]
    files: list[str]


@dataclass(frozen=True)
class Selected(Document, command="select"):
    """Rows to label next, or labelled rows joined with those of a run.

    Attributes:
        choice: The rows to label; null with `--labelled`.
        joined: The joined rows; null with `--pool`.
        statements: The answer in sentences.
    """

    choice: Choice | None
    joined: Joined | None
    statements: list[str]

    @classmethod
    def of(cls, selection: "Selection") -> "Selected":
        """Convert the result of `select`."""
        facts, statements = selection.facts, list(selection.sentences)
        if "folder" in facts:
            return cls(None, Joined(**facts), statements)
        return cls(Choice(**{name: facts[name] for name in Choice.__dataclass_fields__}), None, statements)
