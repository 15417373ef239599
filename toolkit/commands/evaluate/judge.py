"""What training and evaluating share: a model's predictions on some rows, and the report on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import toolkit
from toolkit import environment, model_metadata, models, recipes, runs
from toolkit.attention import heads
from toolkit.config import RunConfig
from toolkit.data.batching import vocabulary
from toolkit.data.batching.batch import Features, encode
from toolkit.data.load import Splits
from toolkit.distributed.process_group import ALONE, Team
from toolkit.evaluation import prediction_store, scores
from toolkit.evaluation.checks import operating_points
from toolkit.evaluation.findings import findings
from toolkit.events import Counted, Observe
from toolkit.inference.build_model import build_model
from toolkit.inference.generate import write
from toolkit.inference.predict import Predictions, predict
from toolkit.report.document.build import build
from toolkit.report.pages.render import to_html, to_markdown
from toolkit.runs import checksums
from toolkit.training.loop.objective import RATIONALE

WORSE_THAN_LOT = 0.5  # share of what guessing would get right, below which something is exchanged
MANY_COPIES = 0.05  # share of the rows


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
class StoredModel:
    """A model on disk, loaded when it is first asked something.

    Attributes:
        folder: Weights, configuration and processor.
        recipe: The task.
        labels: Names of the classes.
        config: The run's configuration.
        slim: Whether heads that were pruned are cut out when it is loaded, which costs less and answers the same.
        observe: Told what the user should know of its weights.
    """

    folder: Path
    recipe: recipes.Recipe
    labels: Sequence[str]
    config: RunConfig
    slim: bool = True
    observe: Observe | None = None

    @cached_property
    def subject(self) -> Subject:
        """What was saved, so that the figures are those of the files and not of what was in memory."""
        from toolkit.training.distributed.devices import pick_device

        model = build_model(self.recipe, self.folder, self.labels, self.config, self.observe).eval()
        if self.slim and self.pruned:
            heads.slimmed(model, heads.inputs_for(model), self.pruned)
        device = pick_device(self.config.training.device)
        return Subject(
            model.to(device),
            self.recipe.load_processor(self.folder, self.config),
            self.recipe,
            self.labels,
            self.config,
        )

    @property
    def pruned(self) -> heads.Pruned:
        """The heads that were left out of it."""
        return {
            int(layer): numbers for layer, numbers in model_metadata.read(self.folder).get("pruned_heads", {}).items()
        }

    def whole(self) -> "StoredModel":
        """Return the model with as many heads in each layer, pruned ones reading nothing, as explanations need it."""
        return replace(self, slim=False) if self.slim and self.pruned else self

    def identity(self, rows: pa.Table) -> str:
        """Return a digest of all that decides what the model says of `rows`."""
        config = self.config
        settings = {
            "attention": config.attention,
            "max_length": config.data.max_length,
            "options": config.options,
            "labels": list(self.labels),
            "precision": config.evaluation.precision,
            "acceleration": config.training.acceleration,
        }
        return prediction_store.identity(
            self.folder, Path(self.recipe.__file__), rows, roles(self.recipe, rows), settings
        )


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
        temperature: Fitted on validation rows; None where there is none.
        fit: How it was found, or why there is none.
        thresholds: Chosen on validation rows; None where there are none.
        repeated: Rows that repeat a training row, as `near_duplicates.describe` gives them; None where nobody looked.
        checks: What was asked of the model beyond the rows, as sections of the report.
        config: The configuration that the report shows; the one that the model was loaded with when None.
        warnings: What else the reader should mind.
    """

    command: str
    created: datetime
    split: str
    origin: str
    data: Mapping[str, Any]
    training: Mapping[str, Any] | None
    temperature: float | None = None
    fit: Mapping[str, Any] | None = None
    thresholds: operating_points.Chosen | None = None
    repeated: Sequence[dict[str, Any]] | None = None
    checks: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Verdict:
    """The outcome of judging.

    Attributes:
        report: As report.json holds it.
        answers: One row an example: where it stands in the user's files, truth, prediction, baselines.
    """

    report: dict[str, Any]
    answers: prediction_store.Answers


def judge(
    stored: StoredModel, given: prediction_store.Answers, rows: pa.Table, circumstances: Circumstances, observe: Observe
) -> Verdict:
    """Put what a model said beside the truth and the baselines, and into a report.

    Args:
        stored: The model, in case it has to be asked more.
        given: What it said of the rows: from `ask`, or from an earlier evaluation.
        rows: Examples with their truth.
        circumstances: What the report says beside the figures.
        observe: Told how far it is.
    """
    config, recipe, said = stored.config, stored.recipe, given.predictions
    truth = references(recipe, rows)
    report = build(
        title=_title(config),
        recipe=config.recipe,
        command=circumstances.command,
        created=circumstances.created.isoformat(timespec="seconds"),
        version=toolkit.__version__,
        model={**given.facts["model"], "name": config.model, "origin": circumstances.origin},
        evaluation={
            **scores.evaluation_section(said, rows, truth, recipe, stored.labels, config, circumstances.split),
            **findings(
                said,
                rows,
                truth,
                recipe,
                stored.labels,
                config,
                circumstances.temperature,
                circumstances.repeated,
                circumstances.thresholds,
                circumstances.fit,
            ),
            **circumstances.checks,
        },
        baselines=[
            scores.baseline_section(name, theirs, said.columns, truth, recipe.METRICS, stored.labels, config)
            for name, theirs in given.baselines.items()
        ],
        data=circumstances.data,
        training=circumstances.training,
        environment=environment.describe(),
        config=config.model_dump() if circumstances.config is None else circumstances.config,
        warnings=[*_warnings(truth, given.facts, stored, said, rows), *circumstances.warnings],
    )
    return Verdict(report, given)


def ask(
    stored: StoredModel, rows: pa.Table, split: str, observe: Observe | None = None, team: Team = ALONE
) -> prediction_store.Answers:
    """Ask the model about every row.

    Args:
        stored: The model.
        rows: Examples with their truth.
        split: What the rows are, in words.
        observe: Told how far it is.
        team: The processes that share the work; each calls this with the same rows.
    """
    subject, recipe = stored.subject, stored.recipe
    features = team.from_main(lambda: encode_rows(rows, recipe, subject.processor, stored.config))
    said = predict_features(subject, features, observe, team)
    parameters, size_bytes = models.size(subject.model)
    facts = {
        "identity": stored.identity(rows),
        "recipe": stored.config.recipe,
        "labels": list(stored.labels),
        "name": stored.config.model,
        "split": split,
        "loss": said.loss,
        "truncated": features.truncated,
        "unread": vocabulary.unread_rows(rows, recipe.COLUMNS, subject.processor),
        "columns": list(said.columns),
        "model": {
            "architecture": type(subject.model).__name__,
            "parameters": parameters,
            "size_bytes": size_bytes,
        },
    }
    inputs = [column.role for column in recipe.COLUMNS if column.is_input]
    present = roles(recipe, rows)
    keyed = [role for role in inputs if role in present]
    return prediction_store.Answers(prediction_store.table(rows, present, keyed, said), facts)


def store(verdict: Verdict, folder: Path) -> None:
    """Write predictions and report to `folder`."""
    prediction_store.write(folder / prediction_store.FILE, verdict.answers)
    checksums.record(folder, [prediction_store.FILE])
    store_report(verdict.report, folder)


def store_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write a report as JSON, Markdown and HTML to `folder`."""
    runs.write_json(folder / "report.json", report)
    runs.write_text(folder / "report.md", to_markdown(report))
    runs.write_text(folder / "report.html", to_html(report))
    checksums.record(folder, ["report.json"])


def roles(recipe: recipes.Recipe, rows: pa.Table) -> list[str]:
    """Return the recipe's columns that `rows` have."""
    return [column.role for column in recipe.COLUMNS if column.role in rows.column_names]


def encode_rows(rows: pa.Table, recipe: recipes.Recipe, processor: Any, config: RunConfig) -> Features:
    """Turn a table into model inputs."""
    encoded = encode(input_columns(rows, recipe), lambda batch: recipe.preprocess(batch, processor, config))
    return encoded.without(RATIONALE)  # for training alone


def input_columns(rows: pa.Table, recipe: recipes.Recipe) -> pa.Table:
    """Return the columns that the recipe reads."""
    return rows.select(roles(recipe, rows))


def predict_features(
    subject: Subject,
    features: Features,
    observe: Observe | None = None,
    team: Team = ALONE,
    collate: Callable[..., dict[str, Any]] | None = None,
    *,
    answers: bool = True,
) -> Predictions:
    """Ask the model about every example.

    Args:
        subject: The model.
        features: The examples.
        observe: Told how far it is.
        team: The processes that share the work.
        collate: Stacks examples; the recipe's when None.
        answers: Whether answers are wanted, beside the loss, of a task that has to write them.
    """
    recipe, settings = subject.recipe, subject.config.evaluation
    common: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "device": subject.model.device,
        "precision": settings.precision,
        "observe": None if observe is None else lambda done, total: observe(Counted(done, total)),
        "team": team,
    }
    padded = subject.config.training.acceleration == "off"
    collate = collate or partial(recipe.collate, processor=subject.processor)
    if not recipes.generates(recipe):
        said = predict(subject.model, features, collate, recipe.predictions, padded=padded, **common)
        return _outside(said, subject)
    loss = None
    if "labels" in features.columns:
        quiet = {**common, "observe": None} if answers else common
        loss = predict(subject.model, features, collate, lambda _outputs, _batch: {}, padded=padded, **quiet).loss
    if not answers:
        return Predictions({}, loss)
    generate = partial(recipe.generate, processor=subject.processor, config=subject.config)  # type: ignore[attr-defined]
    tokens = settings.batch_tokens
    return Predictions(write(subject.model, features, collate, generate, tokens=tokens, **common), loss)


def _outside(said: Predictions, subject: Subject) -> Predictions:
    """Give words that the model does not read the recipe's class for words outside, where the labels have it."""
    outside = getattr(subject.recipe, "OUTSIDE", None)
    if subject.recipe.COLUMNS[-1].kind != "labels" or outside not in subject.labels:
        return said
    number = subject.labels.index(outside)
    rows = [[number if label is None else label for label in row] for row in said.columns["prediction"]]
    return replace(said, columns={**said.columns, "prediction": rows})


def references(recipe: recipes.Recipe, rows: pa.Table) -> list[Any]:
    """Return the truth of each row: the recipe's last column."""
    found: list[Any] = rows[recipe.COLUMNS[-1].role].to_pylist()
    return found


def baseline_predictions(function: Callable[..., list[Any]], splits: Splits) -> list[Any]:
    """Let a baseline learn from train and predict test."""
    return function(splits.train, splits.test, splits.labels)


def _warnings(
    truth: Sequence[Any], facts: Mapping[str, Any], stored: StoredModel, said: Predictions, table: pa.Table
) -> list[str]:
    rows, config, truncated = len(truth), stored.config, facts["truncated"]
    warnings = [facts["unread"]] if facts.get("unread") else []
    if stored.recipe.COLUMNS[-1].kind == "label" and len(set(truth)) == 1:
        warnings.append(
            f"All {rows:,} test examples are of the class {stored.labels[truth[0]]}: nothing is seen of how the model "
            "tells classes apart, and accuracy is the share of this class that it finds."
        )
    predicted = said.columns.get("prediction", ())
    right = sum(one == other for one, other in zip(predicted, truth, strict=False))
    if stored.recipe.COLUMNS[-1].kind == "label" and rows >= 20 and right * len(stored.labels) < WORSE_THAN_LOT * rows:
        warnings.append(
            "Right much less often than by lot: the classes may be exchanged. `data.label_map` says which is which."
        )
    copies = _copies(stored.recipe, table)
    if copies > MANY_COPIES * rows:
        warnings.append(
            f"Of {rows:,} test examples {copies:,} repeat another: there is less to learn from them than the intervals "
            "say, which take every example for a new one."
        )
    if truncated:
        warnings.append(f"{truncated:,} of {rows:,} test examples were cut at {config.data.max_length} tokens.")
    if rows < 100:
        warnings.append(f"Only {rows} test examples: the intervals are wide, and small differences cannot be seen.")
    return warnings


def _copies(recipe: recipes.Recipe, table: pa.Table) -> int:
    """Count the rows whose texts stand in an earlier row, too; 0 for what is not text."""
    inputs = [column for column in recipe.COLUMNS if column.is_input and column.role in table.column_names]
    if not inputs or any(column.kind != "text" for column in inputs):
        return 0
    names = [column.role for column in inputs]
    return int(table.num_rows - table.select(names).group_by(names).aggregate([]).num_rows)


def _title(config: RunConfig) -> str:
    name = config.model if config.model.startswith("pkg://") else Path(config.model.rstrip("/")).name
    return f"{Path(config.recipe).stem.replace('_', ' ').capitalize()} with {name}"
