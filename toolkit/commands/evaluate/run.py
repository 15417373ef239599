"""Evaluate a saved model: predict, or use stored predictions of the same rows, and compute every metric again."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import runs
from toolkit.commands.evaluate import shift
from toolkit.commands.evaluate.checks import run_checks
from toolkit.commands.evaluate.document import ReportContext, evaluate_predictions, store
from toolkit.commands.evaluate.inputs import EvaluationInputs
from toolkit.commands.evaluate.stored_model import stored_card
from toolkit.commands.finetune import train_fingerprint
from toolkit.config.files import read_file
from toolkit.config.own_parts import SECTION
from toolkit.errors import SourceError
from toolkit.evaluation import prediction_store, thresholds
from toolkit.evaluation.context import EvaluationContext, clusters, references
from toolkit.evaluation.predict_rows import identity, predict_rows
from toolkit.evaluation.stored_calibration import stored_fit, stored_temperature, stored_thresholds
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.runs import checksums
from toolkit.runs.lock import sole_writer
from toolkit.runs.trust import damage

LOOKS = Path("evaluations", "looks.json")  # in a run: counts evaluations of its held-out rows
MOST_COMMON = "Most common class of these rows"
_STREAMED = (
    "Only a sample of the rows that the run was trained on is known (--streaming): others of these rows may be "
    "training rows, and the metrics too optimistic."
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
            baselines_of(own, rows.num_rows, observe) if own is not None else constant_baseline(subject)
        )
    else:
        observe(Note("Using stored predictions of this model for these rows; --fresh predicts them again."))
    repeated = _repeated(subject)
    learned = _learned(subject, repeated)
    for warning in learned:
        observe(Note(warning))
    for note in _own_parts_left_out(subject):
        observe(Note(note))
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
        repeated=repeated,
        known_entities=train_fingerprint.known_entities(subject.run) if subject.run is not None else None,
        stored=stored,
        shifted=shift.is_compared(subject),
    )
    report_context = ReportContext(
        command,
        created,
        subject.split,
        subject.checkpoint.origin,
        subject.facts,
        own.facts.get("training") if own is not None else None,
        command,
        checks={**run_checks(context, subject.run, observe), **shift.section(subject, context, observe)},
        config=_config_shown(subject),
        warnings=learned,
        looks=looks(own) + 1 if own is not None else None,
    )
    observe(Stage(f"Evaluating {rows.num_rows:,} rows"))
    evaluated = evaluate_predictions(context, stored_predictions, report_context)
    store(evaluated, folder)
    if own is not None and report_context.looks is not None:
        runs.write_json(own.path / LOOKS, {"held_out": report_context.looks})
    return evaluated.report


def looks(run: runs.Run) -> int:
    """Return how many times a run was evaluated on its held-out rows so far, the first time after its training.

    Raises:
        SourceError: The file that counts them is damaged.
    """
    file = run.path / LOOKS
    if not file.is_file():
        return 1
    with damage(file):
        return int(runs.read_object(file)["held_out"])


def _own_parts_left_out(subject: EvaluationInputs) -> list[str]:
    """Name the metrics and checks of its user's own that the run had, and that this command line does not name."""
    before = (_values_of_run(subject) or {}).get(SECTION)
    if not isinstance(before, Mapping):
        return []
    now = subject.config.model_dump()[SECTION]
    notes = []
    for kind in ("metrics", "checks"):
        missing = [name for name in before.get(kind) or () if name not in now[kind]]
        if missing:
            notes.append(
                f"The run was trained with {kind} of its user's own ({', '.join(map(str, missing))}), which are code "
                f"and computed only if this command names them: --set '{SECTION}.{kind}=[…]'."
            )
    return notes


def _values_of_run(subject: EvaluationInputs) -> Mapping[str, Any] | None:
    """Return the configuration of the run that the model belongs to; None without one."""
    stored = subject.run.path / "config.yaml" if subject.run is not None else None
    return read_file(stored) if stored is not None and stored.is_file() else None


def _config_shown(subject: EvaluationInputs) -> dict[str, Any]:
    """Return the values that led to the report: of a run also those of its training, which are not used here."""
    values = subject.config.model_dump()
    of_training = ("model", "data", "training", "loss", "adapter", "loading", "options")
    stored = _values_of_run(subject) if subject.own else None
    if stored is None:
        return {key: value for key, value in values.items() if key not in ("training", "loss", "adapter")}
    return {**values, **{key: value for key, value in stored.items() if key in of_training}}


def _learned(subject: EvaluationInputs, repeated: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Warn of rows that the run was trained on; its own held-out rows are not among them."""
    if subject.run is None or subject.own:
        return []
    same = train_fingerprint.known(subject.run, subject.recipe, subject.rows)
    nearly = {pair["position"] for pair in repeated or ()} - same
    streamed = dict((_values_of_run(subject) or {}).get("data") or {}).get("streaming") is True
    if not same and not nearly:
        return [_STREAMED] if streamed else []
    counts = [f"{len(same):,} are training rows of the run"] if same else []
    counts += [f"{len(nearly):,} are near-duplicates of training rows"] if nearly else []
    warning = f"Of {subject.rows.num_rows:,} rows, {' and '.join(counts)}: the metrics are too optimistic."
    return [warning, *([_STREAMED] if streamed else [])]


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
    rows = checksums.read_rows(kept)
    validation = predict_rows(stored, rows, "validation", None)
    probabilities = validation.predictions.columns.get("probabilities")
    if probabilities is None:
        return None
    truth = references(subject.recipe, validation.table)
    together = clusters(subject.recipe.task, rows, subject.config.data.group_column)
    return thresholds.choose(probabilities, truth, positive, settings.operating_points, together, settings.confidence)


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


def constant_baseline(subject: EvaluationInputs) -> dict[str, list[Any]]:
    """Return one prediction for all rows, such as their most common class: the only baseline without training rows."""
    own, rows = subject.recipe.target.constant, subject.rows
    if subject.recipe.task.stratum is None and own is None:
        return {}
    truth = references(subject.recipe, rows)
    if own is not None:
        title, function = own
        given = pa.table({"label": rows[subject.recipe.task.target.role]})
        return {title: function(given, given, subject.labels)} if any(value != truth[0] for value in truth) else {}
    ranked = Counter(truth).most_common(1)
    prediction = subject.recipe.target.of_class(ranked[0][0], subject.labels)
    return {MOST_COMMON: [prediction] * len(truth)} if len(set(truth)) > 1 else {}


def _earlier(subject: EvaluationInputs) -> list[Path]:
    """Return the files that may hold this model's predictions, the newest first."""
    homes = [] if subject.own else [*runs.HOME.glob("evaluate-*")]
    if subject.run is not None:
        homes += [subject.run.path, *(subject.run.path / "evaluations").glob("*")]
    files = [home / prediction_store.FILE for home in homes if (home / prediction_store.FILE).is_file()]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)


def _repeated(subject: EvaluationInputs) -> list[dict[str, Any]] | None:
    """Return which rows repeat a training row of the run; None where that cannot be checked.

    For the run's own held-out rows that was stored, with the training rows.
    """
    run, rows = subject.run, subject.rows.num_rows
    if run is not None and not subject.own:
        return train_fingerprint.nearly_known(run, subject.recipe, subject.rows)
    file = run.path / runs.NEAR_DUPLICATES if run is not None else None
    if file is None or not file.is_file():
        return None
    with damage(file):
        pairs = [(int(pair["position"]), float(pair["similarity"]), dict(pair["train"])) for pair in _pairs(file)]
        if not all(0 <= position < rows and "label" in train for position, _, train in pairs):
            raise IndexError
    return [{"position": position, "similarity": near, "train": train} for position, near, train in pairs]


def _pairs(file: Path) -> list[dict[str, Any]]:
    return list(runs.read_object(file)["pairs"])


def _folder(subject: EvaluationInputs, output: str | None, created: datetime) -> Path:
    if output or subject.run is None:
        return runs.create(output, "evaluate", subject.checkpoint.name, created).path
    source = Path(subject.config.data.source).stem or "data"
    return subject.run.path / "evaluations" / ("held-out" if subject.own else f"{source}-{created:%Y%m%d-%H%M%S}")
