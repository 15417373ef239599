"""Judge a saved model: reload it from disk and compute everything again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import models, recipes, runs
from toolkit.config import RunConfig, resolve
from toolkit.data.load import Table, load_table, part_facts
from toolkit.data.split import fingerprint
from toolkit.errors import DataError
from toolkit.pipeline import judge
from toolkit.pipeline.events import Observe, Stage
from toolkit.pipeline.prepare import configure

# Of a data set with several parts, the one a model is judged on.
_PREFERRED = ("test", "all", "validation", "train")


@dataclass(frozen=True)
class Examination:
    """Everything that is settled before a model is asked anything.

    Attributes:
        checkpoint: The model's folder.
        recipe: The task.
        config: What was stored with the model, with the given values laid over it.
        labels: Names of the classes.
        rows: What it is judged on.
        split: What the rows are, in words.
        facts: Facts about the data.
        run: The run that the model belongs to, if it is one.
        own: Whether the rows are the run's own held-out ones.
    """

    checkpoint: models.Checkpoint
    recipe: recipes.Recipe
    config: RunConfig
    labels: Sequence[str]
    rows: pa.Table
    split: str
    facts: Mapping[str, Any]
    run: runs.Run | None
    own: bool


def prepare_evaluation(
    target: str, values: Mapping[str, Any], recipe_name: str | None, observe: Observe
) -> Examination:
    """Find the model and the data, and match their labels.

    Args:
        target: Run directory, alias, folder or Hub id.
        values: Nested configuration values laid over the stored ones. Without `data.source` a run is judged
            on its own held-out rows.
        recipe_name: The task; the one stored with the model when None.
        observe: Told what happens.

    Raises:
        DataError: There is nothing to judge it on, or labels do not match.
    """
    observe(Stage("Looking for model and data"))
    run = runs.Run(Path(target)) if runs.is_run(Path(target)) else None
    named = "source" in values.get("data", {})
    if run is None and not named:
        raise DataError(
            f"There is no run directory {target}, so no held-out data of its own to judge on.",
            "Check the path; for a model that was not trained here, name the data with --data.",
        )
    loading = resolve([("flag", {"recipe": "-", "loading": values.get("loading", {})})]).config.loading
    checkpoint = models.locate(target, loading)
    recipe, config = _configuration(checkpoint, values, recipe_name)
    labels = models.label_names(checkpoint)
    observe(Stage("Reading data"))
    if run is not None and not named:
        rows = runs.read_table(run.path / "data" / "test.parquet")
        return Examination(checkpoint, recipe, config, labels, rows, "held-out test", run.facts["data"], run, own=True)
    table = load_table(recipe, config.data, labels)
    part = next(part for part in _PREFERRED if part in table.parts)
    facts = _facts(recipe, config, table, part, labels)
    split = "given" if part == "all" else part
    return Examination(checkpoint, recipe, config, labels, table.parts[part], split, facts, run, own=False)


def evaluate(subject: Examination, output: str | None, command: str, observe: Observe) -> tuple[Path, dict[str, Any]]:
    """Judge a run, a folder or a Hub model.

    Args:
        subject: From `prepare_evaluation`.
        output: Folder for the report; inside the run, or under runs/, when None.
        command: The command line, for the report.
        observe: Told what happens.

    Returns:
        The folder of the report, and the report.
    """
    created = datetime.now(UTC)
    name = subject.checkpoint.name
    folder = runs.create(output, "evaluate", name, created).path if output else _folder(subject, created)
    own = subject.run if subject.own else None
    baselines = judge.stored_baselines(own, subject.recipe) if own is not None else {}
    training = own.facts.get("training") if own is not None else None
    model = judge.reload(subject.checkpoint.path, subject.recipe, subject.labels, subject.config)
    circumstances = judge.Circumstances(
        command, created, subject.split, subject.checkpoint.origin, subject.facts, training
    )
    observe(Stage(f"Judging on {subject.rows.num_rows:,} rows"))
    verdict = judge.judge(model, subject.rows, baselines, circumstances, observe)
    judge.store(verdict, folder)
    return folder, verdict.report


def _configuration(
    checkpoint: models.Checkpoint, values: Mapping[str, Any], recipe_name: str | None
) -> tuple[recipes.Recipe, RunConfig]:
    """Take what is stored with the model, and lay the given values on it."""
    card = checkpoint.path / "toolkit.json"
    stored: dict[str, Any] = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    name = recipe_name or stored.pop("recipe", None) or "sentiment"
    stored.pop("recipe", None)
    recipe, resolved = configure(name, [("model", stored), ("flag", {**values, "model": checkpoint.name})])
    longest = models.longest_input(checkpoint)
    if longest is not None and resolved.config.data.max_length > longest:
        resolved = resolved.with_values("model", {"data": {"max_length": longest}})
    return recipe, resolved.config


def _facts(recipe: recipes.Recipe, config: RunConfig, table: Table, part: str, labels: Sequence[str]) -> dict[str, Any]:
    rows: pa.Table = table.parts[part]
    roles = [column.role for column in recipe.COLUMNS if column.role in rows.column_names]
    label = next((column.role for column in recipe.COLUMNS if column.kind == "label"), None)
    return {
        "source": config.data.source,
        "origin": table.origin,
        "fingerprint": fingerprint({"test": rows}, roles),
        "splits": [part_facts(part, rows, label, labels, given=True)],
        "counts": dict(table.counts),
        "notes": list(table.notes),
    }


def _folder(subject: Examination, created: datetime) -> Path:
    if subject.run is None:
        return runs.create(None, "evaluate", subject.checkpoint.name, created).path
    source = Path(subject.config.data.source).stem or "data"
    return subject.run.path / "evaluations" / ("held-out" if subject.own else f"{source}-{created:%Y%m%d-%H%M%S}")
