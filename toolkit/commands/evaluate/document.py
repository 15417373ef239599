"""The report of an evaluation, from predictions, their truth and the checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit import environment, runs
from toolkit.commands.evaluate.checks import not_checked
from toolkit.commands.evaluate.warnings import repeated_looks, warnings
from toolkit.config import RunConfig
from toolkit.evaluation import prediction_store, scores
from toolkit.evaluation.checks import findings
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews import grouping
from toolkit.report.document.build import build
from toolkit.report.document.head import head
from toolkit.report.pages.render import to_html, to_markdown
from toolkit.runs import checksums
from toolkit.tasks.contract import Recipe


@dataclass(frozen=True)
class ReportContext:
    """Parts of the report other than the metrics.

    Attributes:
        command: The command line.
        created: When.
        split: What the rows are, in words: "held-out test".
        origin: Where the weights came from.
        data: Facts about the data.
        training: Facts about the training, when the rows are the run's own.
        evaluation_command: Command line that evaluates the model on these rows.
        checks: Sections of checks that needed further predictions.
        config: The configuration that the report shows; the one that the model was loaded with when None.
        warnings: What else the reader should know.
        looks: How many times the run was evaluated on its held-out rows, this time included; None for other rows.
    """

    command: str
    created: datetime
    split: str
    origin: str
    data: Mapping[str, Any]
    training: Mapping[str, Any] | None
    evaluation_command: str
    checks: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    warnings: Sequence[str] = ()
    looks: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """The outcome of an evaluation.

    Attributes:
        report: As report.json holds it.
        predictions: One row per example: its position in the user's files, reference, prediction, baselines.
    """

    report: dict[str, Any]
    predictions: prediction_store.StoredPredictions


def evaluate_predictions(
    context: EvaluationContext, predicted: prediction_store.StoredPredictions, report_context: ReportContext
) -> Evaluated:
    """Compare predictions with the truth and the baselines, and build the report.

    Args:
        context: Rows, truth and predictions.
        predicted: The same predictions with those of the baselines.
        report_context: Facts that the report shows in addition to the metrics.
    """
    config, recipe = context.config, context.recipe
    report = build(
        head=head(report_context.command, report_context.created, title=_title(config, recipe), recipe=config.recipe),
        model={**predicted.facts["model"], "name": config.model, "origin": report_context.origin},
        evaluation={
            **scores.evaluation_section(context, report_context.split),
            "looks": report_context.looks,
            **grouping.section(context),
            **findings(context),
            **report_context.checks,
            "not_checked": not_checked(context, report_context.checks, report_context.evaluation_command),
        },
        baselines=scores.baseline_sections(predicted.baselines, context),
        data=report_context.data,
        training=report_context.training,
        environment=environment.describe(),
        config=config.model_dump() if report_context.config is None else report_context.config,
        warnings=[
            *warnings(context, predicted.facts),
            *repeated_looks(report_context.looks),
            *report_context.warnings,
        ],
    )
    groups = context.clusters if context.group_column is not None else None
    return Evaluated(report, predicted.grouped(groups))


def store(evaluated: Evaluated, folder: Path) -> None:
    """Write predictions and report to `folder`."""
    prediction_store.write(folder / prediction_store.FILE, evaluated.predictions)
    checksums.record(folder, [prediction_store.FILE])
    store_report(evaluated.report, folder)


def store_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write a report as JSON, Markdown and HTML to `folder`."""
    runs.write_json(folder / "report.json", report)
    runs.write_text(folder / "report.md", to_markdown(report))
    runs.write_text(folder / "report.html", to_html(report))
    checksums.record(folder, ["report.json"])


def _title(config: RunConfig, recipe: Recipe) -> str:
    """Return what was done with which model; the kind of target where it is not the recipe's usual one."""
    name = config.model if config.model.startswith("pkg://") else Path(config.model.rstrip("/")).name
    task = Path(config.recipe).stem.replace("_", " ").capitalize()
    usual = next(iter(recipe.targets.values()), recipe.target)
    return f"{task} with {name}" if recipe.target is usual else f"{task} ({recipe.target.title}) with {name}"
