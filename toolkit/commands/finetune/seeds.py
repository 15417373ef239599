"""The same training with several seeds, summarized by mean and spread.

    runs/sentiment-distilbert-…/
        seed-7/, seed-8/, …       whole runs
        report.json, …            their summary, with the spread over the seeds

Data and splits are those of the first seed for all of them: what differs is the order of examples, dropout and the new
weights of the head.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit import environment, runs
from toolkit.commands.evaluate.document import store_report
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.run import finetune
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import ConfigError
from toolkit.evaluation import prediction_store
from toolkit.evaluation.context import clusters, references
from toolkit.evaluation.scores import computable
from toolkit.evaluation.statistics.seed_spread import row_error, section
from toolkit.events import Note, Observe
from toolkit.metrics import Metric, column
from toolkit.report.document.head import head
from toolkit.report.document.several_models import seeds_verdict
from toolkit.runs import checksums


def finetune_seeds(
    prepared: Prepared, count: int, command: str, observe: Observe, *, resume: bool = False, team: Team = ALONE
) -> tuple[Path, dict[str, Any]]:
    """Fine-tune with `count` seeds, from the configured one on, and summarize the runs.

    Args:
        prepared: From `prepare`; its splits serve all seeds.
        count: How many seeds; at least two.
        command: The command line, for the reports.
        observe: Called with each event.
        resume: Keep the runs of the output folder that are complete, and resume the one that is not.
        team: The processes that share the work.

    Returns:
        The folder that holds the runs, and the report on all of them; empty in other processes than the main one.

    Raises:
        ConfigError: There are fewer than two seeds, or resuming was requested without an output folder.
    """
    config = prepared.config
    if count < 2:
        raise ConfigError("One seed has no spread.", "Give --seeds 2 or more, or remove it.", id="config.out-of-range")
    if resume and config.output is None:
        raise ConfigError(
            "Resuming several seeds needs their folder.", "Give it with --output.", id="config.value-missing"
        )
    created = datetime.now(UTC)
    if resume:
        home = Path(str(config.output))
    else:
        home = team.from_main(lambda: runs.create(config.output, config.recipe, config.model, created).path)
    folders = [home / f"seed-{config.training.seed + number}" for number in range(count)]
    for number, folder in enumerate(folders):
        if resume and runs.Run(folder).complete:
            continue
        if team.is_main:
            observe(Note(f"Seed {config.training.seed + number}, {number + 1} of {count}."))
        values = {"output": str(folder), "training": {"seed": config.training.seed + number}}
        seeded = replace(prepared, resolved=prepared.resolved.with_values("--seeds", values))
        finetune(seeded, command, observe, resume=resume, team=team)
    if not team.is_main:
        return home, {}
    report = _report(prepared, folders, command, created)
    store_report(report, home)
    return home, report


def _report(prepared: Prepared, folders: list[Path], command: str, created: datetime) -> dict[str, Any]:
    for folder in folders:
        checksums.check(folder / "report.json", "Undo the change, or train that seed again.")
    reports = [runs.read_object(folder / "report.json") for folder in folders]
    stored = [prediction_store.read(folder / prediction_store.FILE) for folder in folders]
    predictions = [file.table["prediction"].to_pylist() for file in stored]
    result = section([folder.name for folder in folders], reports, predictions, _row_errors(prepared, stored))
    first = reports[0]
    return {
        **head(command, created, title=f"{first['title']}, {len(folders)} seeds", recipe=first["recipe"]),
        "verdict": seeds_verdict(result, [report["baselines"] for report in reports]),
        "seeds": result,
        "data": first["data"],
        "environment": environment.describe(),
        "config": prepared.config.model_dump(),
    }


def _row_errors(prepared: Prepared, stored: Sequence[prediction_store.StoredPredictions]) -> dict[str, float]:
    """Return the standard error of each metric's mean over the runs by the sample of rows, where it is of sums."""
    first, recipe = stored[0], prepared.recipe
    labels, truth = first.facts["labels"], references(recipe, first.table)
    depending = clusters(recipe.task, first.table, prediction_store.GROUP)
    columns = [file.predictions.columns for file in stored]
    return {
        metric.name: row_error(metric, [given[column(metric)] for given in columns], truth, labels, depending)
        for _, metric in computable(columns[0], recipe.metrics, labels)
        if isinstance(metric, Metric)
    }
