"""The documents of commands that train."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.documents.deployment import Destination
from toolkit.api.documents.document import Advised, Document, Verdict, figures, place
from toolkit.report.sections.distillation import TITLE
from toolkit.runs.inventory import Figure

if TYPE_CHECKING:
    from toolkit.api.results import Run
    from toolkit.api.training.repair import Repair
    from toolkit.commands.tune.search import Search
    from toolkit.training.loop.lr_range_test import RangeTest


@dataclass(frozen=True)
class Finetuned(Document, command="finetune"):
    """A run; with `--dry-run` its plan.

    Attributes:
        path: Run directory; null for a dry run, as are the next four.
        model: Folder of the model; null with several seeds.
        report: File report.json.
        page: File report.html.
        verdict: Summary of the report.
        metrics: On the held-out rows, the first is the headline; means over several seeds.
        seeds: Run directories of each seed; empty unless several were requested.
        pushed: Where the model was pushed; null without `--push-to`.
        dry_run: Whether nothing was trained.
        plan: What would be done; empty where it was done.
    """

    path: str | None
    model: str | None
    report: str | None
    page: str | None
    verdict: Verdict | None
    metrics: list[Figure]
    seeds: list[str]
    pushed: Destination | None
    dry_run: bool
    plan: str

    @classmethod
    def of(cls, run: "Run", *, dry_run: bool) -> "Finetuned":
        """Convert the result of `finetune`."""
        if dry_run:
            return cls(None, None, None, None, None, [], [], None, True, run.plan)
        seeds = [str(one.path) for one in run.seeds]
        cells = run.report["seeds"]["summary"] if seeds else run.report["evaluation"]["metrics"]
        return cls(
            path=str(run.path),
            model=None if seeds else str(run.model_path),
            report=str(run.path / "report.json"),
            page=str(run.path / "report.html"),
            verdict=Verdict.of(run.report["verdict"]),
            metrics=figures(cells),
            seeds=seeds,
            pushed=None if run.pushed is None else Destination.of(run.pushed),
            dry_run=False,
            plan="",
        )


@dataclass(frozen=True)
class Distilled(Document, command="distill"):
    """A student of a run's model.

    Attributes:
        path: Run directory of the student.
        model: Folder of its model.
        report: File report.json.
        page: File report.html.
        verdict: Summary of the report.
        metrics: Of the student on the held-out rows.
        teacher: The same metrics of the teacher; empty where they are not known.
        comparison: Size and speed of both, as `training.distillation` of the report.
    """

    path: str
    model: str
    report: str
    page: str
    verdict: Verdict
    metrics: list[Figure]
    teacher: list[Figure]
    comparison: dict[str, Any]

    @classmethod
    def of(cls, run: "Run") -> "Distilled":
        """Convert the result of `distill`."""
        known: Any = next((entry["metrics"] for entry in run.report["baselines"] if entry["title"] == TITLE), [])
        return cls(
            path=str(run.path),
            model=str(run.model_path),
            report=str(run.path / "report.json"),
            page=str(run.path / "report.html"),
            verdict=Verdict.of(run.report["verdict"]),
            metrics=figures(run.report["evaluation"]["metrics"]),
            teacher=figures(known),
            comparison=dict(run.report["training"]["distillation"]),
        )


@dataclass(frozen=True)
class RateFound(Document, command="lr-find"):
    """A learning rate for a model and its data.

    Attributes:
        path: Folder of the curve.
        curve: File of the drawn curve.
        values: File of its numbers.
        suggestion: Suggested peak learning rate.
        lowest_loss: Lowest smoothed loss.
        lowest_at: Learning rate at which the loss was lowest.
        diverged: Whether the loss diverged before the last step.
        clear: Whether the loss fell and rose by more than its noise; if not, the suggestion is unreliable.
        train: Command line that trains with the suggestion.
    """

    path: str
    curve: str
    values: str
    suggestion: float
    lowest_loss: float
    lowest_at: float
    diverged: bool
    clear: bool
    train: str

    @classmethod
    def of(cls, folder: Path, result: "RangeTest", train: str) -> "RateFound":
        """Convert the result of a range test that found a learning rate."""
        best = min(range(len(result.smoothed)), key=result.smoothed.__getitem__)
        return cls(
            path=str(folder),
            curve=str(folder / "curve.svg"),
            values=str(folder / "curve.json"),
            suggestion=result.suggestion or 0.0,
            lowest_loss=result.smoothed[best],
            lowest_at=result.learning_rates[best],
            diverged=result.burst,
            clear=result.clear,
            train=train,
        )


@dataclass(frozen=True)
class TriedValues:
    """One trial of a search.

    Attributes:
        number: From 1, in the order of their starts.
        state: "complete", "pruned", "failed" or "running".
        value: Best validation figure; null where there is none.
        values: Key of the configuration → value that was tried.
        seconds: Duration of the training; null where not known.
        error: Why it failed; null where it did not.
    """

    number: int
    state: str
    value: float | None
    values: dict[str, Any]
    seconds: float | None
    error: str | None


@dataclass(frozen=True)
class Tuned(Document, command="tune"):
    """A hyperparameter search.

    Attributes:
        path: Folder of the search.
        metric: The validation figure that decides.
        best: Number of the best trial.
        value: Its validation figure.
        trials: All trials.
        preset: File of the best values, for `finetune --config`.
        train: Command line that trains with them.
        lead: How far the best trial is ahead, in a sentence; null where it is the only complete one.
        advice: What to do where chance decided.
    """

    path: str
    metric: str
    best: int
    value: float
    trials: list[TriedValues]
    preset: str
    train: str
    lead: str | None
    advice: list[Advised]

    @classmethod
    def of(cls, search: "Search") -> "Tuned":
        """Convert the result of `tune`."""
        trials = [
            TriedValues(trial.number + 1, trial.state, trial.value, trial.values, trial.seconds, trial.error)
            for trial in search.trials
        ]
        lead = None if search.lead is None else search.lead.sentence(search.metric)
        return cls(
            *(str(search.folder), search.metric, search.best.number + 1, search.best.value or 0.0, trials),
            *(str(search.preset), search.command, lead, Advised.of(search.advice)),
        )


@dataclass(frozen=True)
class Pretrained(Document, command="pretrain"):
    """A checkpoint that was adapted to texts.

    Attributes:
        path: Its folder; use it as `--model`.
        texts: Number of texts it was trained on.
        held_out_texts: Number of texts that perplexity is measured on.
        steps: Optimizer steps.
        perplexity_before: Perplexity of masked tokens before training.
        perplexity: The same after it.
    """

    path: str
    texts: int
    held_out_texts: int
    steps: int
    perplexity_before: float
    perplexity: float

    @classmethod
    def of(cls, folder: Path, facts: Mapping[str, Any]) -> "Pretrained":
        """Convert what `pretraining.json` in the folder holds."""
        return cls(
            *(str(folder), facts["texts"], facts["held_out_texts"], facts["training"]["steps"]),
            *(facts["perplexity_before"], facts["perplexity"]),
        )


@dataclass(frozen=True)
class Doubts:
    """Doubtful training rows.

    Attributes:
        table: File of the doubts, to decide on.
        page: Page of the doubts.
        rows: Number of training rows.
        doubts: Number of doubtful ones.
        reasons: Reason → number of doubts.
        noise: Estimated share of wrong labels with its interval; null where it is not estimated.
        annotators: Agreement of annotators; null where not requested.
    """

    table: str
    page: str
    rows: int
    doubts: int
    reasons: dict[str, int]
    noise: dict[str, Any] | None
    annotators: dict[str, Any] | None


@dataclass(frozen=True)
class Gain:
    """The gain of corrected training rows, on the same test rows.

    Attributes:
        name: Of the metric.
        unit: Its unit.
        before: Value of the old run.
        after: Value of the new run.
        value: The gain; positive is better.
        low: Lower end of its interval.
        high: Upper end.
        p: p-value of no gain.
        confidence: Level of the interval.
        rows: Number of test rows.
        dropped: Training rows that were left out.
        relabelled: Training rows with a new label.
    """

    name: str
    unit: str
    before: float
    after: float
    value: float
    low: float
    high: float
    p: float | None
    confidence: float
    rows: int
    dropped: int
    relabelled: int


@dataclass(frozen=True)
class Repaired(Document, command="repair"):
    """Doubtful training rows, or a run on corrected ones.

    Attributes:
        path: Folder of the doubts; with `--decisions` the new run directory.
        found: The doubts; null with `--decisions`.
        gain: The gain of the corrections; null without `--decisions`.
        comparison: Folder of the comparison of both runs; null without `--decisions`.
    """

    path: str
    found: Doubts | None
    gain: Gain | None
    comparison: str | None

    @classmethod
    def of(cls, repair: "Repair") -> "Repaired":
        """Convert the result of `repair`."""
        summary, path = repair.summary, repair.path
        if repair.comparison is not None:
            gain = Gain(**{name: summary[name] for name in Gain.__dataclass_fields__})
            return cls(str(path), None, gain, place(repair.comparison.path))
        files = (str(path / "doubts.csv"), str(path / "repair.html"))
        keys = ("rows", "doubts", "reasons", "noise", "annotators")
        return cls(str(path), Doubts(*files, *(summary[key] for key in keys)), None, None)
