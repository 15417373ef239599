"""Explanations of some correct and some wrong predictions, for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.commands.explain import images, text
from toolkit.commands.explain.inputs import reads_pictures
from toolkit.errors import ModelError
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.scores import shown_text, thumbnail
from toolkit.explanation.attributions import BY_NAME, Explanation
from toolkit.explanation.patches import Picture
from toolkit.report.plots import overlays
from toolkit.tasks.task import Task

EACH = 3  # correct predictions, and as many wrong ones
WORDS = 5
METHODS = ("relevance", "leave-one-out")  # one that reads attention, one that perturbs the input


def section(context: EvaluationContext) -> dict[str, Any]:
    """Explain the most confident correct predictions of different classes, and the most confident wrong ones.

    Args:
        context: Rows, truth and predictions, with the stored model.
    """
    stored, inputs = context.stored, context.task.inputs
    if stored is None or not _applies(context.task):
        return {"not_tested": "Explanations are only for the classification of texts, of pairs and of pictures."}
    of_pictures = reads_pictures(stored)
    loaded = stored.whole().loaded
    truth = context.references
    chosen = _chosen(np.asarray(context.columns["probabilities"]), np.asarray(truth))
    picked = context.rows.take(chosen).to_pylist()
    given = [row[inputs[0].role] if of_pictures else tuple(str(row[c.role] or "") for c in inputs) for row in picked]
    model = images.model_for(loaded) if of_pictures else text.model_for(loaded)
    try:
        methods = METHODS if text.attention_fits(loaded, given[0]) else METHODS[1:]
        explained = text.explained(model, loaded, given, methods, lambda _event: None)
    except ModelError as error:
        return {"not_tested": error.problem}
    return {
        "methods": [
            {"name": method.name, "title": method.title, "about": method.about}
            for method in ((BY_NAME[name].for_pictures() if of_pictures else BY_NAME[name]) for name in methods)
        ],
        "examples": [
            {
                "file": row.get("_file"),
                "row": row.get("_row"),
                "text": shown_text(row, inputs),
                "label": stored.labels[truth[number]],
                "prediction": stored.labels[explanation.target],
                "confidence": float(probabilities[explanation.target]),
                "right": bool(truth[number] == explanation.target),
                **thumbnail(row, inputs),
                **_drawn(explanation, methods),
            }
            for number, row, (explanation, probabilities) in zip(chosen, picked, explained, strict=True)
        ],
        "pairs": len(inputs) > 1,
    }


def _chosen(probabilities: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> list[int]:
    """Return the rows to show: correct ones of different classes, then wrong ones, by falling confidence."""
    predicted = probabilities.argmax(axis=1)
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = [int(row) for row in surest if predicted[row] == truth[row]]
    wrong = [int(row) for row in surest if predicted[row] != truth[row]]
    first = {int(truth[row]): row for row in reversed(right)}  # the most confident of each class
    varied = sorted(first.values(), key=right.index) + right
    return list(dict.fromkeys(varied))[:EACH] + wrong[:EACH]


def _drawn(explanation: Explanation, methods: Sequence[str]) -> dict[str, Any]:
    """Return a picture's overlays, or a text's strongest words, by each method."""
    if isinstance(explanation.example, Picture):
        return {
            "overlays": [
                overlays.overlay(explanation.example.pixels, explanation.scores[m], explanation.example.grid)
                for m in methods
            ]
        }
    order = {name: np.argsort(-np.asarray(explanation.scores[name]), kind="stable")[:WORDS] for name in methods}
    return {"words": [[explanation.example.marked[place] for place in order[name]] for name in methods]}


def _applies(task: Task) -> bool:
    return task.explained_by is not None


CHECK = Check(
    "explanations",
    section,
    applies=_applies,
    wanted=named("explanations"),
    stage=lambda _context: "Explaining sample predictions",
)
