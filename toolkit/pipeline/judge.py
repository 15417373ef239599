"""What training and evaluating share: a model's predictions on some rows, and the report on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import toolkit
from toolkit import environment, models, recipes, runs
from toolkit.config import RunConfig
from toolkit.data.batch import Features, encode
from toolkit.data.load import Splits
from toolkit.evaluation import scores
from toolkit.evaluation.predict import Predictions, predict
from toolkit.pipeline.events import Counted, Observe
from toolkit.report.build import build
from toolkit.report.render import to_html, to_markdown


@dataclass(frozen=True)
class Subject:
    """A model with everything needed to ask it.

    Attributes:
        model: In evaluation mode, on its device.
        processor: Its tokenizer or image processor.
        recipe: The task.
        labels: Names of the classes.
        config: The run's configuration.
    """

    model: Any
    processor: Any
    recipe: recipes.Recipe
    labels: Sequence[str]
    config: RunConfig


@dataclass(frozen=True)
class Circumstances:
    """What the report says beside the figures.

    Attributes:
        command: The command line.
        created: When.
        split: What the rows are, in words: "held-out test".
        origin: Where the weights came from.
        data: Facts about the data.
        training: Facts about the training, when the rows are the run's own.
    """

    command: str
    created: datetime
    split: str
    origin: str
    data: Mapping[str, Any]
    training: Mapping[str, Any] | None


@dataclass(frozen=True)
class Verdict:
    """The outcome of judging.

    Attributes:
        report: As report.json holds it.
        predictions: One row an example: where it stands in the user's files, truth, prediction, baselines.
    """

    report: dict[str, Any]
    predictions: pa.Table


def reload(folder: Path, recipe: recipes.Recipe, labels: Sequence[str], config: RunConfig) -> Subject:
    """Load what was saved, so that the figures are those of the files and not of what was in memory."""
    from toolkit.training.devices import pick_device

    model = recipe.build_model(folder, labels, config).eval().to(pick_device(config.training.device))
    return Subject(model, recipe.load_processor(folder, config), recipe, labels, config)


def judge(
    subject: Subject, rows: pa.Table, baselines: Mapping[str, list[Any]], circumstances: Circumstances, observe: Observe
) -> Verdict:
    """Ask the model about every row, and put what it said beside the truth and the baselines.

    Args:
        subject: The model.
        rows: Examples with their truth.
        baselines: Name → prediction for each row.
        circumstances: What the report says beside the figures.
        observe: Told how far it is.
    """
    config, recipe = subject.config, subject.recipe
    features = encode_rows(rows, recipe, subject.processor, config)
    said = predict_features(subject, features, observe)
    truth = references(recipe, rows)
    parameters, size_bytes = models.size(subject.model)
    report = build(
        title=_title(config),
        recipe=config.recipe,
        command=circumstances.command,
        created=circumstances.created.isoformat(timespec="seconds"),
        version=toolkit.__version__,
        model={
            "name": config.model,
            "origin": circumstances.origin,
            "architecture": type(subject.model).__name__,
            "parameters": parameters,
            "size_bytes": size_bytes,
        },
        evaluation=scores.evaluation_section(said, rows, truth, recipe, subject.labels, config, circumstances.split),
        baselines=[
            scores.baseline_section(
                name, theirs, said.columns["prediction"], truth, recipe.METRICS, subject.labels, config
            )
            for name, theirs in baselines.items()
        ],
        data=circumstances.data,
        training=circumstances.training,
        environment=environment.describe(),
        config=config.model_dump(),
        warnings=_warnings(rows.num_rows, features.truncated, config),
    )
    return Verdict(report, _prediction_table(rows, said, baselines))


def store(verdict: Verdict, folder: Path) -> None:
    """Write predictions and report to `folder`."""
    runs.write_table(folder / "predictions.parquet", verdict.predictions)
    runs.write_json(folder / "report.json", verdict.report)
    runs.write_text(folder / "report.md", to_markdown(verdict.report))
    runs.write_text(folder / "report.html", to_html(verdict.report))


def encode_rows(rows: pa.Table, recipe: recipes.Recipe, processor: Any, config: RunConfig) -> Features:
    """Turn a table into model inputs."""
    present = [column.role for column in recipe.COLUMNS if column.role in rows.column_names]
    return encode(rows.select(present), lambda batch: recipe.preprocess(batch, processor, config))


def predict_features(subject: Subject, features: Features, observe: Observe | None = None) -> Predictions:
    """Ask the model about every example."""
    return predict(
        subject.model,
        features,
        partial(subject.recipe.collate, processor=subject.processor),
        subject.recipe.predictions,
        batch_size=subject.config.evaluation.batch_size,
        device=subject.model.device,
        observe=None if observe is None else lambda done, total: observe(Counted(done, total)),
    )


def references(recipe: recipes.Recipe, rows: pa.Table) -> list[Any]:
    """Return the truth of each row: the recipe's last column."""
    found: list[Any] = rows[recipe.COLUMNS[-1].role].to_pylist()
    return found


def baseline_predictions(recipe: recipes.Recipe, splits: Splits) -> dict[str, list[Any]]:
    """Let each of the recipe's baselines learn from train and predict test."""
    functions = getattr(recipe, "BASELINES", {})
    return {name: function(splits.train, splits.test, splits.labels) for name, function in functions.items()}


def stored_baselines(run: runs.Run, recipe: recipes.Recipe) -> dict[str, list[Any]]:
    """Read what the baselines said of the run's own test rows."""
    stored = runs.read_table(run.path / "predictions.parquet")
    names = [name for name in getattr(recipe, "BASELINES", {}) if f"baseline: {name}" in stored.column_names]
    return {name: stored[f"baseline: {name}"].to_pylist() for name in names}


def _prediction_table(rows: pa.Table, said: Predictions, baselines: Mapping[str, list[Any]]) -> pa.Table:
    columns = {name: rows[name] for name in ("_file", "_row", "label", "labels") if name in rows.column_names}
    columns |= {name: pa.array(values) for name, values in said.columns.items()}
    columns |= {f"baseline: {name}": pa.array(values) for name, values in baselines.items()}
    return pa.table(columns)


def _warnings(rows: int, truncated: int, config: RunConfig) -> list[str]:
    warnings = []
    if truncated:
        warnings.append(f"{truncated:,} of {rows:,} test examples were cut at {config.data.max_length} tokens.")
    if rows < 100:
        warnings.append(f"Only {rows} test examples: the intervals are wide, and small differences cannot be seen.")
    return warnings


def _title(config: RunConfig) -> str:
    name = config.model if config.model.startswith("pkg://") else Path(config.model.rstrip("/")).name
    return f"{Path(config.recipe).stem.replace('_', ' ').capitalize()} with {name}"
