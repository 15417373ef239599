"""Train, save, evaluate and report."""

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from toolkit import runs
from toolkit.commands.evaluate.checks import run_checks
from toolkit.commands.evaluate.document import ReportContext, evaluate_predictions, store
from toolkit.commands.few_labels.fit import fit_few_labels
from toolkit.commands.finetune import train_fingerprint
from toolkit.commands.finetune.calibrate import calibrate, settled
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.resume import find_state, terminable, unfinished
from toolkit.commands.finetune.teacher import check_taught
from toolkit.commands.finetune.training.fit import ADAPTER, fit
from toolkit.commands.time_budget import limits as time_budget_limits
from toolkit.commands.time_budget.limits import Limits
from toolkit.config import RunConfig
from toolkit.config.files import to_yaml
from toolkit.data.load import Splits
from toolkit.data.media import columns as media_columns
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import Interrupted, ModelError, RunError
from toolkit.evaluation import baselines, thresholds
from toolkit.evaluation.checks import repeated_rows
from toolkit.evaluation.context import EvaluationContext, clusters
from toolkit.evaluation.predict_rows import predict_rows
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.report.sections.distillation import TITLE
from toolkit.runs import checksums
from toolkit.runs.lock import claimed
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Task
from toolkit.training.loop import checkpoint, trackers

BEFORE = "Before fine-tuning"


def finetune(
    prepared: Prepared,
    command: str,
    observe: Observe,
    *,
    resume: bool = False,
    team: Team = ALONE,
    started: float | None = None,
) -> runs.Run:
    """Train, save, evaluate and report.

    Args:
        prepared: From `prepare`.
        command: The command line, for the report.
        observe: Called with each event.
        resume: Resume the run of the same configuration and data that did not finish.
        team: The processes that share the work; the main one alone writes.
        started: Start of the command by `time.monotonic`, for `training.budget`; now when None.

    Returns:
        The complete run directory; in the other processes it may not be complete yet.

    Raises:
        RunError: The run failed; run.json records how it ended.
        Interrupted: Ctrl-C or SIGTERM.
    """
    config, created = prepared.config, datetime.now(UTC)
    check_taught(config, prepared.teacher)
    limits = time_budget_limits.limit(prepared, started, observe, team)
    run, state = team.from_main(lambda: _open(prepared, created, observe, resume))
    with terminable(), claimed(run.path) if team.is_main else nullcontext(), _recorded(run, command, team):
        if team.is_main:
            _describe(run, prepared, command, created)
        if limits is not None:
            limits = team.from_main(partial(time_budget_limits.kept_rows, run, limits, resumed=state is not None))
        prepared = time_budget_limits.reduced(prepared, limits)
        splits = prepared.splits
        compared = None  # with a time budget, work of fixed duration comes first, and training gets the remaining time
        if limits is not None and team.is_main:
            compared = _compared(run, prepared, observe, limits)
        few = config.training.few_labels == "on"
        fitted = (
            fit_few_labels(run, prepared, observe, team) if few else fit(run, prepared, observe, state, team, limits)
        )
        best, training = fitted.best, fitted.facts
        training["automatic"] = prepared.resolved.automatic()
        if prepared.model_choice:
            training["model_choice"] = prepared.model_choice
        observe(Stage("Evaluating on held-out data"))
        trained = config.loading.model_copy(update={"from_scratch": False})  # its weights exist now
        stored = StoredModel(
            best, prepared.recipe, splits.labels, config.model_copy(update={"loading": trained}), calibrated={}
        )
        if fitted.out_of_fold is not None:
            together = clusters(prepared.recipe.task, splits.train, config.data.group_column)
            calibration = settled(*fitted.out_of_fold, stored, "cross-validation", together)
        else:
            calibration = calibrate(stored, splits.validation, team, fitted.validation)
        stored = stored.with_calibration(calibration)
        kept = team.from_main(lambda: time_budget_limits.rows_to_evaluate(stored, splits.test, limits))
        test = splits.test if kept is None else splits.test.take(kept)
        if limits is not None:
            training["budget"] = limits.evaluated(training["budget"], test.num_rows)
        predictions = predict_rows(stored, test, "held-out test", observe, team)
        if not team.is_main:
            return run
        if prepared.teacher is not None:
            training["distillation"] = prepared.teacher.compared(stored, test)
        run.record(training=training)
        compared = compared or _compared(run, prepared, observe)
        if config.evaluation.baselines:
            beside = {**compared.predictions, **fitted.baselines}
            predictions = predictions.beside(
                beside if kept is None else {n: [p[row] for row in kept] for n, p in beside.items()}
            )
        context = EvaluationContext(
            test,
            predictions.predictions,
            prepared.recipe,
            splits.labels,
            stored.config,
            temperature=calibration.get("temperature"),
            fit=calibration.get("fit"),
            thresholds=thresholds.Thresholds.of(calibration.get("screening")),
            repeated=compared.repeated if kept is None else None,
            known_entities=train_fingerprint.known_entities(run),
            stored=stored,
        )
        report_context = ReportContext(
            command,
            created,
            "held-out test",
            prepared.checkpoint.origin,
            splits.facts,
            training,
            shlex.join(["toolkit", "evaluate", str(run.path)]),
            checks=run_checks(context, run, observe) if limits is None else {},
            looks=1,
            config=config.model_dump(),  # the run's own, which may have started from scratch
        )
        evaluated = evaluate_predictions(context, predictions, report_context)
        store(evaluated, run.path)
        _keep_model(run, best, prepared, calibration)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        _deliver(run, evaluated.report, observe)
        run.record(status="complete", environment=evaluated.report["environment"], finished=finished)
    shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # no longer needed
    return run


def _deliver(run: runs.Run, report: Mapping[str, Any], observe: Observe) -> None:
    """Give the trackers that take them the model, the report and its metrics."""
    metrics = {metric["name"]: metric["value"] for metric in report["evaluation"]["metrics"]}
    known = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    places = {"model": run.model, "report": run.path / "report.html", "report-data": run.path / "report.json"}
    trackers.deliver(run.facts.get("tracked") or {}, known, places, lambda text: observe(Note(text)))


def _keep_model(run: runs.Run, best: Path, prepared: Prepared, calibration: Mapping[str, Any]) -> None:
    """Copy the best weights into the run directory: the model with its facts, and the adapter if there is one."""
    with runs.aside(run.model) as draft:
        shutil.copytree(best, draft, ignore=shutil.ignore_patterns(ADAPTER))
        splits, inputs = prepared.splits, _inputs(prepared.recipe.task, prepared.splits.train)
        write_card(draft, prepared.config, splits.labels, splits.label_map, calibration, inputs)
    if (best / ADAPTER).is_dir():
        with runs.aside(run.adapter) as draft:  # usable without the model: with its small files
            shutil.copytree(run.model, draft, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
            shutil.copytree(best / ADAPTER, draft, dirs_exist_ok=True)
    checksums.record_weights(run)


def _open(
    prepared: Prepared, created: datetime, observe: Observe, resume: bool
) -> tuple[runs.Run, checkpoint.State | None]:
    """Find the run to resume and its newest state, or create a new one."""
    run = unfinished(prepared, observe) if resume else None
    if run is not None:
        return run, find_state(run, observe)
    config = prepared.config
    return runs.create(config.output, config.recipe, config.model, created), None


def _describe(run: runs.Run, prepared: Prepared, command: str, created: datetime) -> None:
    """Write into the run directory the facts known before training, and the held-out rows."""
    run.record(
        status="running",
        command=command,
        recipe=prepared.config.recipe,
        created=created.isoformat(timespec="seconds"),
        model=prepared.checkpoint.origin,
        data=prepared.splits.facts,
        labels=list(prepared.splits.labels),
        notes=list(prepared.notes),
        **({"model_choice": prepared.model_choice} if prepared.model_choice else {}),
    )
    reason = f"# model: {prepared.model_choice}\n" if prepared.model_choice else ""
    runs.write_text(run.path / "config.yaml", f"{reason}{to_yaml(prepared.config)}")
    if prepared.config.recipe.endswith(".py"):  # a user's file, which may move or change
        source = Path(prepared.recipe.file)
        runs.write_text(run.path / source.name, source.read_text(encoding="utf-8"))
    _keep_held_out(run, prepared.splits)
    if prepared.config.data.corrections is not None:  # a user's file, which may move or change
        content = Path(prepared.config.data.corrections).read_text(encoding="utf-8-sig")
        runs.write_text(run.path / runs.CORRECTIONS, content)
        checksums.record(run.path, [runs.CORRECTIONS])
    train_fingerprint.remember(run, prepared.recipe, prepared.splits.train, prepared.splits.labels)


@contextmanager
def _recorded(run: runs.Run, command: str, team: Team) -> Iterator[None]:
    """Record in run.json how a run failed; name the command that resumes it."""
    again = command if "--resume" in command.split() else f"{command} --resume"

    def record(status: str) -> None:
        if team.is_main:
            with suppress(RunError, OSError):  # the disk that stopped the run may refuse this too
                run.record(status=status)

    try:
        yield
    except Interrupted as stop:
        record("interrupted")
        raise Interrupted(stop.problem, f"Resume with: {again}", id=stop.id) from None
    except KeyboardInterrupt:
        record("interrupted")
        raise Interrupted(
            f"Interrupted. {run.path} is marked as interrupted; other commands ignore it.",
            f"Resume with: {again}",
            id="run.interrupted",
        ) from None
    except Exception:
        record("failed")
        raise


def _keep_held_out(run: runs.Run, splits: Splits) -> None:
    """Store the held-out rows, so that the run can be evaluated again on any machine."""
    parts = {"validation": splits.validation, "test": splits.test}
    kept = {name: rows for name, rows in parts.items() if rows.num_rows}  # with few labels there is no validation
    for name, rows in kept.items():
        runs.write_table(run.path / "data" / f"{name}.parquet", media_columns.embedded(rows))
    checksums.record(run.path, [f"data/{name}.parquet" for name in kept])


@dataclass(frozen=True)
class Compared:
    """Results that do not need the trained model.

    Attributes:
        predictions: Of each baseline for the test rows.
        repeated: Test rows that repeat a training row; None where they were not searched for.
    """

    predictions: dict[str, list[Any]]
    repeated: list[dict[str, Any]] | None


def _compared(run: runs.Run, prepared: Prepared, observe: Observe, limits: Limits | None = None) -> Compared:
    """Compute the baselines, find repeated rows and keep them for later evaluations, as far as a budget allows."""
    recipe, splits, seed = prepared.recipe, prepared.splits, prepared.config.training.seed
    predictions: dict[str, list[Any]] = {}
    if prepared.config.evaluation.baselines:
        for name in recipe.baselines or {}:
            predict = partial(baselines.predict, name, recipe, options=prepared.config.options)
            predicted = time_budget_limits.within(predict, splits, limits, seed)
            predictions |= {name: predicted} if predicted is not None else {}
        if limits is None or limits.suffices_for_answers:
            predictions |= _before(prepared, observe)
    observe(Stage("Searching for near-duplicates of test rows in train"))
    find = partial(_repeated, recipe)
    search = time_budget_limits.within(find, splits, limits, seed, all_rows=True) or repeated_rows.Search()
    if search.summary is not None:
        train_fingerprint.keep_summary(run, search.summary)
    if search.pairs is not None:
        runs.write_json(run.path / runs.NEAR_DUPLICATES, {"pairs": search.pairs})
    return Compared(predictions, search.pairs)


def _repeated(recipe: Recipe, splits: Splits) -> repeated_rows.Search:
    return repeated_rows.find(recipe, splits.train, splits.test, splits.labels)


def _before(prepared: Prepared, observe: Observe) -> dict[str, list[Any]]:
    """Return the predictions of the model before fine-tuning, where it may have learned the task."""
    recipe, splits = prepared.recipe, prepared.splits
    if prepared.teacher is not None:
        return {TITLE: list(prepared.teacher.answers)}
    if not recipe.target.tried_before or prepared.completed or prepared.config.loading.from_scratch:
        return {}
    observe(Stage("Evaluating the model before fine-tuning"))
    before = StoredModel(prepared.checkpoint.path, recipe, splits.labels, prepared.config)
    try:
        predicted = predict_rows(before, splits.test, "held-out test", observe)
    except ModelError as error:
        if error.id != "model.not-fine-tuned":
            raise
        observe(Note("The checkpoint's head for this task is not trained: it is not evaluated before fine-tuning."))
        return {}
    return {BEFORE: list(predicted.predictions.columns["prediction"])}


def _inputs(task: Task, train: pa.Table) -> dict[str, dict[str, Any]]:
    """Return the inputs that training rows have: role → its entry in a card, as `Task.learned` takes it."""
    entries: dict[str, dict[str, Any]] = {}
    for column in task.inputs:
        if column.role in train.column_names:
            values = train[column.role]
            required = column.required or all(str(value or "").strip() for value in values.to_pylist())
            learned = column.kind.learned
            entries[column.role] = {"required": required, **({} if learned is None else {"learned": learned(values)})}
    return entries


def write_card(
    folder: Path,
    config: RunConfig,
    labels: Sequence[str],
    label_map: Mapping[str, str | None],
    calibration: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Store next to the weights what later commands need: the recipe, and the preparation of inputs.

    `inputs` is as of `Task.learned`, and empty where the training rows are not known.
    """
    keep: dict[str, Any] = {
        "max_length": config.data.max_length,
        "columns": config.data.columns,
        "label_map": dict(label_map),
        **{key: value for key in ("target", "group_column") if (value := getattr(config.data, key)) is not None},
    }
    card = {
        "recipe": config.recipe,
        **({"labels": list(labels)} if labels else {}),
        **({"inputs": dict(inputs)} if inputs else {}),
        "attention": config.attention,
        "data": keep,
        "evaluation": config.evaluation.model_dump(),
        "training": {"seed": config.training.seed, "acceleration": config.training.acceleration},
        "options": config.options,
        **({"calibration": calibration} if calibration else {}),
    }
    runs.write_json(folder / runs.CARD, card)
