"""Explanations of some correct and some wrong predictions, for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.commands.explain import images, text
from toolkit.commands.explain.inputs import reads_pictures
from toolkit.errors import ModelError
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.scores import shown_text, thumbnail
from toolkit.explanation.attributions import BY_NAME, Explanation, described
from toolkit.explanation.patches import Picture
from toolkit.explanation.question import Outcome
from toolkit.report.pages.attention.explanation import Shown
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
        return {"not_tested": "Explanations are only for classes and numbers of texts, pairs and pictures."}
    of_pictures = reads_pictures(stored)
    loaded, target = stored.whole().loaded, context.recipe.target
    outcome = text.outcome_of(stored)
    chosen = _of_numbers(context) if outcome.number else _of_classes(context, outcome, loaded.calibration)
    picked = context.rows.take([item.row for item in chosen]).to_pylist()
    given = [row[inputs[0].role] if of_pictures else tuple(str(row[c.role] or "") for c in inputs) for row in picked]
    model = images.model_for(loaded) if of_pictures else text.model_for(loaded)
    try:
        methods = METHODS if text.attention_fits(loaded, given[0]) else METHODS[1:]
        outputs = [[item.output] for item in chosen]
        explained = text.explained(
            model, loaded, given, methods, lambda _event: None, choose=lambda number, _values: outputs[number]
        )
    except ModelError as error:
        return {"not_tested": error.problem}
    return {
        "methods": [
            {"name": method.name, "title": method.title, "about": method.about}
            for method in (described(n, of_pictures=of_pictures, of_numbers=outcome.number) for n in methods)
        ],
        "examples": [
            {
                "file": row.get("_file"),
                "row": row.get("_row"),
                "text": shown_text(row, inputs),
                "label": target.shown(context.references[item.row], stored.labels),
                "prediction": shown["prediction"],
                "confidence": shown["probability"],
                "right": item.right,
                **thumbnail(row, inputs),
                **_drawn(explanation, methods, outcome),
            }
            for item, row, (explanation, values) in zip(chosen, picked, explained, strict=True)
            for shown in [Shown(outcome, loaded.calibration, target.shown).of(explanation, values, stored.labels)]
        ],
        "pairs": len(inputs) > 1,
    }


@dataclass(frozen=True)
class _Chosen:
    """A prediction to explain.

    Attributes:
        row: Its row.
        output: The output of the model that is explained.
        right: Whether it is correct; of numbers, whether its error is small.
    """

    row: int
    output: int
    right: bool


def _of_classes(context: EvaluationContext, outcome: Outcome, stored: Mapping[str, Any]) -> list[_Chosen]:
    """Choose correct predictions of different classes, then wrong ones, by falling probability."""
    probabilities = np.asarray(context.columns["probabilities"])
    truth = [set(row) if isinstance(row, list) else {row} for row in context.references]
    pairs = [
        _Chosen(row, number, number in truth[row])
        for row, values in enumerate(probabilities)
        for number in outcome.chosen(values, stored)
    ]
    surest = sorted(pairs, key=lambda item: -probabilities[item.row, item.output])
    right = [item for item in surest if item.right]
    first = {item.output: item for item in reversed(right)}  # the most confident of each class
    varied = sorted(first.values(), key=right.index) + right
    return list(dict.fromkeys(varied))[:EACH] + [item for item in surest if not item.right][:EACH]


def _of_numbers(context: EvaluationContext) -> list[_Chosen]:
    """Choose a low, a middle and a high prediction with small errors, then the predictions with the largest errors."""
    predicted = np.asarray(context.columns["prediction"], np.float64)
    order = np.argsort(np.abs(predicted - np.asarray(context.references, np.float64)), kind="stable").tolist()
    close = sorted(order[: len(order) // 2], key=lambda row: predicted[row])
    far = order[len(order) // 2 :][-EACH:][::-1]
    spread = [close[place] for place in (0, len(close) // 2, -1)] if close else []
    return [_Chosen(row, 0, right=True) for row in dict.fromkeys(spread)] + [
        _Chosen(row, 0, right=False) for row in far
    ]


def _drawn(explanation: Explanation, methods: Sequence[str], outcome: Outcome) -> dict[str, Any]:
    """Return a picture's overlays, or a text's strongest words, by each method; of numbers with their effect."""
    if isinstance(explanation.example, Picture):
        return {
            "overlays": [
                overlays.overlay(explanation.example.pixels, explanation.scores[m], explanation.example.grid)
                for m in methods
            ]
        }
    words, listed = explanation.example.marked, []
    for name in methods:
        scores = np.asarray(explanation.scores[name])
        order = np.argsort(-np.abs(scores) if outcome.number else -scores, kind="stable")[:WORDS]
        sized = outcome.number and BY_NAME[name].signed
        listed.append([f"{words[place]} {scores[place]:+.4g}" if sized else words[place] for place in order])
    return {"words": listed}


def _applies(task: Task) -> bool:
    return task.explained_by is not None


CHECK = Check(
    "explanations",
    section,
    applies=_applies,
    wanted=named("explanations"),
    stage=lambda _context: "Explaining sample predictions",
)
