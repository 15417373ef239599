"""Evaluate a saved model: predict, or use stored predictions of the same rows, and compute every metric again."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import checkpoints, model_metadata, runs
from toolkit.commands.evaluate.checks import check_columns, run_checks
from toolkit.commands.evaluate.document import ReportContext, evaluate_predictions, store
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.finetune import train_fingerprint
from toolkit.commands.finetune.prepare import configure
from toolkit.config import RunConfig, resolve
from toolkit.config.files import read_file
from toolkit.data.load import Table, load_table, part_facts
from toolkit.data.tables.split import fingerprint
from toolkit.errors import DataError, ModelError, SourceError, ToolkitError
from toolkit.evaluation import prediction_store, thresholds
from toolkit.evaluation.checks import generation_quality
from toolkit.evaluation.context import EvaluationContext, references
from toolkit.evaluation.predict_rows import identity, predict_rows
from toolkit.evaluation.stored_calibration import stored_fit, stored_temperature, stored_thresholds
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.report.document.schema import REPORT, faults
from toolkit.runs import checksums
from toolkit.runs.lock import sole_writer
from toolkit.runs.trust import damage
from toolkit.tasks.contract import Recipe

# Of a data set with several parts, the one a model is evaluated on.
_PREFERRED = ("test", "all", "validation", "train")
MOST_COMMON = "Most common class of these rows"


def prepare_evaluation(
    target: str, values: Mapping[str, Any], recipe_name: str | None, observe: Observe, *, needs_rows: bool = True
) -> EvaluationInputs:
    """Find the model and the data, and match their labels.

    Args:
        target: Run directory, alias, folder or Hub id.
        values: Nested configuration values that override the stored ones. Without `data.source` a run is evaluated
            on its own held-out rows.
        recipe_name: The task; the one stored with the model when None.
        observe: Called with each event.
        needs_rows: Whether rows are read; a model without rows is then refused.

    Raises:
        DataError: There are no rows to evaluate on, or labels do not match.
    """
    observe(Stage("Locating model and data"))
    run = runs.Run(Path(target)) if runs.is_run(Path(target)) else None
    named = "source" in values.get("data", {})
    if run is None and not named and needs_rows:
        raise _no_data_of_its_own(Path(target))
    checkpoint, recipe, config, labels = find_stored(target, values, recipe_name)
    for remark in (
        *checkpoints.unasked(checkpoint, config.options),
        *model_metadata.remarks(stored_card(checkpoint), config.evaluation),
    ):
        observe(Note(remark))
    generation_quality.check_glossary(config.evaluation)
    thresholds.parse(config.evaluation.operating_points)
    if not needs_rows:
        none = pa.table({column.role: pa.array([], pa.string()) for column in recipe.columns})
        return EvaluationInputs(checkpoint, recipe, config, labels, none, "none", {}, run, own=False)
    observe(Stage("Reading data"))
    if run is not None and not named:
        rows = checksums.read_rows(run.path / "data" / "test.parquet")
        facts = _stored_facts(run)
        check_columns(config, recipe, rows.column_names)
        return EvaluationInputs(checkpoint, recipe, config, labels, rows, "held-out test", facts, run, own=True)
    table = load_table(recipe, config.data, labels, options=config.options)
    part = next(part for part in _PREFERRED if part in table.parts)
    check_columns(config, recipe, table.parts[part].column_names)
    facts = _data_facts(recipe, config, table, part, table.labels)
    split = "given" if part == "all" else part
    return EvaluationInputs(checkpoint, recipe, config, table.labels, table.parts[part], split, facts, run, own=False)


def _stored_facts(run: runs.Run) -> dict[str, Any]:
    """Return the facts about a run's data.

    Raises:
        SourceError: Facts about data or training in run.json do not have the form that a report needs.
    """
    facts = {part: run.facts.get(part) for part in ("data", "training")}
    wrong = [fault for fault in faults(REPORT, facts) if not fault.endswith("is not in the schema")]
    if wrong:
        raise SourceError(
            f"{run.path / 'run.json'} is damaged: {wrong[0]}.", "Copy the run directory again.", id="run.damaged"
        )
    return facts["data"] or {}


def _no_data_of_its_own(path: Path) -> ToolkitError:
    """Return the error for a target that is not a run where no data was given."""
    name_data = "Give the data to evaluate it on with --data."
    if (path / "config.json").is_file():
        return DataError(
            f"{path} is a model and not a run, so it has no held-out data.", name_data, id="data.not-given"
        )
    seeds = sorted(folder.name for folder in path.iterdir() if runs.is_run(folder)) if path.is_dir() else []
    if seeds:
        return SourceError(
            f"{path} contains several runs.", f"Give one of them, such as {path / seeds[0]}.", id="run.ambiguous"
        )
    if any((path / name).exists() for name in ("config.yaml", "metrics.jsonl", "report.json", "checkpoints")):
        return SourceError(
            f"{path} was a run directory, but its run.json is missing.",
            "Copy the whole folder again.",
            id="run.file-missing",
        )
    if path.exists():
        kind = "is a folder without run.json and config.json" if path.is_dir() else "is a file"
        return SourceError(
            f"{path} {kind}, so it is neither a run nor a model.",
            "Give a run directory or a model.",
            id="run.not-a-run",
        )
    if path.as_posix().count("/") == 1 and not path.is_absolute() and not path.parent.exists():  # a Hub id
        return DataError(
            f"{path} is not a local folder, and a model of the Hub has no held-out data.",
            name_data,
            id="data.not-given",
        )
    folders = [str(folder) for folder in runs.HOME.iterdir()] if runs.HOME.is_dir() else []
    near = difflib.get_close_matches(str(path), folders, n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    return SourceError(
        f"There is no run directory {path}.{guess}",
        "Give an existing run directory. For a model of the Hub or a short name, give the data too, with --data.",
        id="run.not-found",
    )


def evaluate(
    subject: EvaluationInputs, output: str | None, command: str, observe: Observe, *, fresh: bool = False
) -> tuple[Path, dict[str, Any]]:
    """Evaluate a run, a folder or a Hub model.

    Stored predictions of the same model for the same rows are used again.

    Args:
        subject: From `prepare_evaluation`.
        output: Folder for the report; inside the run, or under runs/, when None.
        command: The command line, for the report.
        observe: Called with each event.
        fresh: Predict again, even if predictions are stored.

    Returns:
        The folder of the report, and the report.
    """
    thresholds.class_number(subject.config.evaluation.positive_class, subject.labels)  # or it is refused
    created = datetime.now(UTC)
    folder = _folder(subject, output, created)
    with sole_writer(folder):
        report = _evaluate(subject, folder, command, created, observe, fresh=fresh)
    return folder, report


def _evaluate(
    subject: EvaluationInputs, folder: Path, command: str, created: datetime, observe: Observe, *, fresh: bool
) -> dict[str, Any]:
    rows = subject.rows
    earlier = [] if fresh else _earlier(subject)
    own = subject.run if subject.own else None
    stored = subject.stored(observe)
    for file in filter(checksums.is_changed, earlier):
        observe(Note(f"{file} was changed after it was written, and is not used."))
    stored_predictions = prediction_store.find(earlier, identity(stored, rows)) if earlier else None
    if stored_predictions is None:
        observe(Stage(f"Predicting {rows.num_rows:,} rows"))
        stored_predictions = predict_rows(stored, rows, subject.split, observe)
        stored_predictions = stored_predictions.beside(
            baselines_of(own, rows.num_rows, observe) if own is not None else _most_common(subject)
        )
    else:
        observe(Note("Using stored predictions of this model for these rows; --fresh predicts them again."))
    learned = _learned(subject)
    for warning in learned:
        observe(Note(warning))
    card = stored_card(subject.checkpoint)
    context = EvaluationContext(
        rows,
        stored_predictions.predictions,
        subject.recipe,
        subject.labels,
        stored.config,
        temperature=stored_temperature(card),
        fit=stored_fit(card),
        thresholds=_thresholds(subject, stored, observe),
        repeated=_repeated(own, rows.num_rows) if own is not None else None,
        stored=stored,
    )
    report_context = ReportContext(
        command,
        created,
        subject.split,
        subject.checkpoint.origin,
        subject.facts,
        own.facts.get("training") if own is not None else None,
        checks=run_checks(context, subject.run, observe),
        config=_config_shown(subject),
        warnings=learned,
    )
    observe(Stage(f"Evaluating {rows.num_rows:,} rows"))
    evaluated = evaluate_predictions(context, stored_predictions, report_context)
    store(evaluated, folder)
    return evaluated.report


def _config_shown(subject: EvaluationInputs) -> dict[str, Any]:
    """Return the values that led to the report: of a run also those of its training, which are not used here."""
    values = subject.config.model_dump()
    of_training = ("model", "data", "training", "loss", "adapter", "loading", "options")
    stored = subject.run.path / "config.yaml" if subject.run is not None and subject.own else None
    if stored is None or not stored.is_file():
        return {key: value for key, value in values.items() if key not in ("training", "loss", "adapter")}
    return {**values, **{key: value for key, value in read_file(stored).items() if key in of_training}}


def _learned(subject: EvaluationInputs) -> list[str]:
    """Warn of rows that the run was trained on; its own held-out rows are not among them."""
    if subject.run is None or subject.own:
        return []
    count = train_fingerprint.count(subject.run, subject.recipe, subject.rows)
    warning = (
        f"{count:,} of {subject.rows.num_rows:,} rows are training rows of the run: the metrics are too optimistic."
    )
    return [warning] if count else []


def _thresholds(subject: EvaluationInputs, stored: StoredModel, observe: Observe) -> thresholds.Thresholds | None:
    """Return the stored thresholds, or choose them on the run's validation rows where others are requested."""
    settings = subject.config.evaluation
    positive = thresholds.class_number(settings.positive_class, subject.labels)
    chosen = stored_thresholds(stored_card(subject.checkpoint), settings)
    if positive is None or chosen is not None:
        return chosen
    kept = subject.run.path / "data" / "validation.parquet" if subject.run is not None else None
    if kept is None or not kept.is_file():
        observe(Note("This model has no validation rows, so no thresholds can be chosen for its operating points."))
        return None
    observe(Stage("Choosing thresholds on validation rows"))
    validation = predict_rows(stored, checksums.read_rows(kept), "validation", None)
    probabilities = validation.predictions.columns.get("probabilities")
    if probabilities is None:
        return None
    truth = references(subject.recipe, validation.table)
    return thresholds.choose(probabilities, truth, positive, settings.operating_points)


def baselines_of(run: runs.Run, rows: int, observe: Observe) -> Mapping[str, list[Any]]:
    """Return the baselines' predictions for a run's held-out rows: their training rows are not in the run."""
    for home in (run.path, run.path / "evaluations" / "held-out"):
        with suppress(SourceError):
            stored = prediction_store.read(home / prediction_store.FILE)
            if len(stored.table) == rows:
                return stored.baselines
            observe(Note("The baselines were computed on fewer rows, within a time budget, and are omitted."))
            return {}
    file = run.path / prediction_store.FILE
    observe(Note(f"{file} is missing, damaged or changed: the baselines are omitted."))
    return {}


def _most_common(subject: EvaluationInputs) -> dict[str, list[Any]]:
    """Return predictions of the rows' most common class, the only baseline without training rows."""
    if not subject.recipe.target.single:
        return {}
    truth = references(subject.recipe, subject.rows)
    ranked = Counter(truth).most_common(1)
    return {MOST_COMMON: [ranked[0][0]] * len(truth)} if len(set(truth)) > 1 else {}


def _earlier(subject: EvaluationInputs) -> list[Path]:
    """Return the files that may hold this model's predictions, the newest first."""
    homes = [] if subject.own else [*runs.HOME.glob("evaluate-*")]
    if subject.run is not None:
        homes += [subject.run.path, *(subject.run.path / "evaluations").glob("*")]
    files = [home / prediction_store.FILE for home in homes if (home / prediction_store.FILE).is_file()]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)


def shown(target: str) -> str:
    """Return the model's name for others: of a folder the last part, since the rest describes this machine."""
    return Path(target).resolve().name if Path(target).exists() else target


def stored_card(checkpoint: checkpoints.Checkpoint) -> dict[str, Any]:
    """Read what is stored next to the weights for later commands; empty for a model of another program."""
    return model_metadata.read(checkpoint.path)


def _repeated(run: runs.Run, rows: int) -> list[dict[str, Any]] | None:
    """Read which of a run's test rows repeat a training row; None where that was not checked."""
    file = run.path / runs.NEAR_DUPLICATES
    if not file.is_file():
        return None
    with damage(file):
        pairs = [(int(pair["position"]), float(pair["similarity"]), dict(pair["train"])) for pair in _pairs(file)]
        if not all(0 <= position < rows and "label" in train for position, _, train in pairs):
            raise IndexError
    return [{"position": position, "similarity": near, "train": train} for position, near, train in pairs]


def _pairs(file: Path) -> list[dict[str, Any]]:
    return list(runs.read_object(file)["pairs"])


def find_stored(
    target: str, values: Mapping[str, Any], recipe_name: str | None
) -> tuple[checkpoints.Checkpoint, Recipe, RunConfig, Sequence[str]]:
    """Find a model and the files stored with it: its folder, recipe, configuration and names of classes.

    Args:
        target: Run directory, alias, folder or Hub id.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model, or that of its class, when None.

    Raises:
        CallError: There is no such model, it may not be loaded, or its recipe is missing.
    """
    loading = resolve([("flag", {"recipe": "-", "loading": values.get("loading", {})})]).config.loading
    checkpoint = checkpoints.locate(target, loading)
    recipe, config = stored_configuration(checkpoint, values, recipe_name)
    labels: Sequence[str] = ()
    if recipe.target.classes:
        if not stored_card(checkpoint):
            checkpoints.check_head(checkpoint)
        labels = checkpoints.label_names(checkpoint)
        _check_labels(target, checkpoint, labels)
    return checkpoint, recipe, config, labels


def _check_labels(target: str, checkpoint: checkpoints.Checkpoint, labels: Sequence[str]) -> None:
    """Refuse a model whose class names differ from those of its training: they were changed afterwards.

    Raises:
        ModelError: With both.
    """
    learned = stored_card(checkpoint).get("labels")
    of_run = runs.Run(Path(target)).facts.get("labels") if runs.is_run(Path(target)) else None
    if learned and of_run and list(learned) != list(of_run) and set(map(str, learned)) == set(map(str, of_run)):
        raise ModelError(  # no new names: the held-out rows store numbers, and their labels would be swapped as well
            f"The classes in {checkpoint.path / runs.CARD} are in a different order than in the run's run.json.\n"
            f"  {runs.CARD}: {', '.join(map(str, learned))}\n  run.json:     {', '.join(map(str, of_run))}",
            "Restore the order of run.json, here and in config.json. If labels of the data are swapped, "
            "train again with `data.label_map`.",
            id="model.classes-mismatch",
        )
    learned = learned or of_run
    if learned and list(learned) != list(labels):
        raise ModelError(
            f"The classes in {checkpoint.path / 'config.json'} (id2label) differ from those of the training.\n"
            f"  config.json: {', '.join(labels)}\n  trained:     {', '.join(map(str, learned))}",
            f"Restore them, or, if you renamed them on purpose, change `labels` in {runs.CARD} next to it as well.",
            id="model.classes-mismatch",
        )


def stored_configuration(
    checkpoint: checkpoints.Checkpoint, values: Mapping[str, Any], recipe_name: str | None
) -> tuple[Recipe, RunConfig]:
    """Merge the given values over those stored with the model."""
    stored = stored_card(checkpoint)
    trusted = bool(values.get("loading", {}).get("trust_remote_code"))
    name = model_metadata.recipe_of(stored, checkpoint.path, recipe_name, trusted=trusted)
    name = name or checkpoints.task_of(checkpoint) or "sentiment"
    given = {**values, "model": checkpoint.name}
    recipe, resolved = configure(name, [("model", model_metadata.values(stored)), ("flag", given)])
    longest = checkpoints.longest_input(checkpoint)
    if longest is not None and resolved.config.data.max_length > longest:
        resolved = resolved.with_values("model", {"data": {"max_length": longest}})
    return recipe, resolved.config


def _data_facts(recipe: Recipe, config: RunConfig, table: Table, part: str, labels: Sequence[str]) -> dict[str, Any]:
    rows: pa.Table = table.parts[part]
    roles = recipe.task.present(rows)
    label = recipe.task.stratum
    return {
        "source": config.data.source,
        "origin": table.origin,
        "fingerprint": fingerprint({"test": rows}, roles),
        "splits": [part_facts(part, rows, label, labels, given=True)],
        "counts": dict(table.counts),
        "notes": list(table.notes),
    }


def _folder(subject: EvaluationInputs, output: str | None, created: datetime) -> Path:
    if output or subject.run is None:
        return runs.create(output, "evaluate", subject.checkpoint.name, created).path
    source = Path(subject.config.data.source).stem or "data"
    return subject.run.path / "evaluations" / ("held-out" if subject.own else f"{source}-{created:%Y%m%d-%H%M%S}")
