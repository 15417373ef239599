"""Find doubts about the training rows of a run, and write them into its folder.

RUN/repair/doubts.csv    a line for each doubtful row, with empty columns for decisions
RUN/repair/doubts.json   the summary, and where it came from
RUN/repair/repair.html   the page to decide on
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.trained_run import TrainedRun
from toolkit.commands.repair.features import CrossFitted, cross_fitted
from toolkit.data import corrections
from toolkit.data.tables.columns import POSITION
from toolkit.errors import ConfigError
from toolkit.evaluation import scores
from toolkit.evaluation.checks import repeated_rows
from toolkit.evaluation.context import clusters, references
from toolkit.evaluation.doubts import labels as doubtful_labels
from toolkit.evaluation.doubts import neighbours
from toolkit.evaluation.doubts.doubt import DUPLICATE, LABEL, OUTLIER, Doubt, merged
from toolkit.evaluation.duplicates.near_duplicates import LONGEST
from toolkit.events import Observe, Stage
from toolkit.report.pages import repair as page
from toolkit.runs.lock import sole_writer
from toolkit.tasks.contract import Recipe

FOLDER = "repair"  # in a run
FILE, SUMMARY, PAGE = "doubts.csv", "doubts.json", "repair.html"
_BESIDE = ("text", "label", "suggestion", "reason", "score", "similar_to", "similar_label", "similar_text")
COLUMNS = (*corrections.COLUMNS[:2], *_BESIDE, *corrections.COLUMNS[2:])


@dataclass(frozen=True)
class Found:
    """The doubts about the training rows of a run.

    Attributes:
        doubts: In the order in which a person looks at them.
        noise: The estimated share of wrong labels, where a row has one class and there are enough rows.
        searched: Whether near-duplicates were searched for.
    """

    doubts: Sequence[Doubt]
    noise: Mapping[str, Any] | None
    searched: bool


def check_place(source: TrainedRun) -> None:
    """Refuse to replace a file in which somebody decided already.

    Raises:
        ConfigError: With the file.
    """
    file = source.run.path / FOLDER / FILE
    if file.is_file() and any(row["decision"] for _, row in corrections.rows(file)):
        raise ConfigError(
            f"{file} contains decisions, which would be overwritten.",
            f"Apply them with --decisions {file}, or move the file.",
            id="repair.decisions-exist",
        )


def check_task(recipe: Recipe) -> None:
    """Refuse a task whose training rows cannot be doubted.

    Raises:
        ConfigError: With what can be done instead.
    """
    task = recipe.task
    if not task.repairable:
        advice = (
            "Leave out bad pairs with the recipe's own filters (`toolkit recipes show`)."
            if recipe.clean is not None
            else "Compare its validation rows with the predictions: `toolkit evaluate`."
        )
        raise ConfigError(
            f"Doubts are for rows with classes or numbers, and the column of the {task.target.role} holds neither.",
            advice,
            id="repair.not-for-task",
        )


def find(prepared: Prepared, observe: Observe) -> Found:
    """Search for doubtful training rows.

    Raises:
        ConfigError: The task has no labels that can be doubted.
    """
    recipe, splits = prepared.recipe, prepared.splits
    check_task(recipe)
    train, truth, seed = splits.train, references(recipe, splits.train), prepared.config.training.seed
    fitted = cross_fitted(prepared, observe)
    doubts, noise, apart = _of_labels(prepared, fitted, truth)
    observe(Stage("Searching for near-duplicates with other labels"))
    columns = repeated_rows.compared(recipe, train)
    twins: list[Doubt] | None = None
    if columns and not recipe.task.labels_words:
        roles = [column.role for column in columns]
        twins = neighbours.contradictions(train, roles, columns[0].kind.likeness, truth, apart)
    starts = np.flatnonzero(np.diff(fitted.rows, prepend=-1))
    means = np.add.reduceat(fitted.vectors, starts) / np.diff([*starts, len(fitted.rows)])[:, None]
    far = [Doubt(int(fitted.rows[starts[d.row]]), d.reasons, d.score) for d in neighbours.outliers(means, seed)]
    return Found(merged([doubts, twins or [], far]), noise, twins is not None)


def _of_labels(
    prepared: Prepared, fitted: CrossFitted, truth: Sequence[Any]
) -> tuple[list[Doubt], dict[str, Any] | None, float | None]:
    """Return doubts about labels, the estimated share of wrong ones, and from where on numbers contradict."""
    task, outputs = prepared.recipe.task, fitted.outputs
    if task.target.kind.standardized:
        predictions = outputs[:, 0]
        return doubtful_labels.of_numbers(predictions, truth), None, doubtful_labels.spread(predictions, truth)
    if task.several:
        return doubtful_labels.of_classes(1 / (1 + np.exp(-np.clip(outputs, -30, 30))), truth), None, None
    scaled = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities = scaled / scaled.sum(axis=1, keepdims=True)
    if task.labels_words:
        places = list(zip(fitted.rows.tolist(), fitted.words.tolist(), strict=True))
        return doubtful_labels.of_words(probabilities, places, truth), None, None
    together = clusters(task, prepared.splits.train, prepared.config.data.group_column)
    found, noise = doubtful_labels.of_one_class(probabilities, truth, together)
    return found, noise, None


def write(source: TrainedRun, prepared: Prepared, found: Found, agreement: Mapping[str, Any] | None) -> dict[str, Any]:
    """Write the folder of doubts, whole or not at all, and return the summary."""
    summary = summarised(source, prepared, found, agreement)
    rows = _rows(prepared, found.doubts)
    text = corrections.written(rows, COLUMNS)
    thumbnails = _thumbnails(prepared, found.doubts[: page.MOST])
    choices = list(prepared.splits.labels) if prepared.recipe.task.stratum is not None else []
    html = page.to_html(summary, rows, COLUMNS, choices, thumbnails)
    folder = source.run.path / FOLDER
    with sole_writer(source.run.path), runs.aside(folder) as draft:
        draft.mkdir()
        (draft / FILE).write_text(text, encoding="utf-8", newline="", errors="replace")
        runs.write_json(draft / SUMMARY, summary)
        (draft / PAGE).write_text(html, encoding="utf-8", errors="replace")
    return summary


def summarised(
    source: TrainedRun, prepared: Prepared, found: Found, agreement: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the summary as JSON: "run", "fingerprint", "rows", "doubts", "reasons", "noise", "searched", "annotators".

    Args:
        source: The run.
        prepared: It, as it was trained.
        found: The doubts.
        agreement: Of annotators; None where not measured.
    """
    counts = Counter(reason for doubt in found.doubts for reason in doubt.reasons)
    return {
        "run": source.run.path.name,
        "fingerprint": prepared.splits.facts["fingerprint"],
        "rows": prepared.splits.train.num_rows,
        "doubts": len(found.doubts),
        "reasons": {reason: counts[reason] for reason in (LABEL, DUPLICATE, OUTLIER)},
        "noise": found.noise,
        "searched": found.searched,
        "annotators": agreement,
    }


def _rows(prepared: Prepared, doubts: Sequence[Doubt]) -> list[dict[str, str]]:
    """Return the line of each doubt, as texts by column."""
    train, task, labels = prepared.splits.train, prepared.recipe.task, prepared.splits.labels
    files, numbers = (train[name].to_pylist() for name in POSITION)
    truth = references(prepared.recipe, train)
    inputs = [column for column in task.inputs if column.role in train.column_names]
    shown = train.select([column.role for column in inputs])
    lines = []

    def text_of(row: int) -> str:
        (values,) = shown.slice(row, 1).to_pylist()
        return scores.shown_text(values, inputs)[:LONGEST]

    for doubt in doubts:
        other = doubt.other
        suggestion = "" if doubt.suggestion is None else corrections.cell(task.target, doubt.suggestion, labels)
        lines.append(
            {
                "file": str(files[doubt.row]),
                "row": str(numbers[doubt.row]),
                "text": text_of(doubt.row),
                "label": corrections.cell(task.target, truth[doubt.row], labels),
                "suggestion": suggestion,
                "reason": ", ".join(doubt.reasons),
                "score": f"{doubt.score:.4g}",
                "similar_to": "" if other is None else f"{files[other]}, row {numbers[other]}",
                "similar_label": "" if other is None else corrections.cell(task.target, truth[other], labels),
                "similar_text": "" if other is None else text_of(other),
                "decision": "",
                "new_label": "",
            }
        )
    return lines


def _thumbnails(prepared: Prepared, doubts: Sequence[Doubt]) -> list[str | None]:
    """Return a small picture of each row as a data address; None where there is none."""
    inputs = prepared.recipe.task.narrowed(prepared.splits.train).inputs
    shown = prepared.splits.train.select([column.role for column in inputs])
    samples = (shown.slice(doubt.row, 1).to_pylist()[0] for doubt in doubts)
    return [scores.thumbnail(sample, inputs).get("picture") for sample in samples]
