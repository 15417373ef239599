"""What some answers rest on, right ones and wrong ones, for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.commands.evaluate import judge
from toolkit.commands.explain import images, text
from toolkit.errors import ModelError
from toolkit.evaluation.scores import shown_text, thumbnail
from toolkit.explanation.attributions import BY_NAME, Explanation
from toolkit.explanation.patches import Picture
from toolkit.inference.predict import Predictions
from toolkit.report.plots import overlays

EACH = 3  # right answers, and as many wrong ones
WORDS = 5
METHODS = ("relevance", "leave-one-out")  # one that reads attention, one that asks the model


def section(stored: judge.StoredModel, rows: pa.Table, said: Predictions, role: str, kind: str) -> dict[str, Any]:
    """Explain the surest right answers of different classes, and the surest wrong ones.

    Args:
        stored: The model.
        rows: Examples with their truth.
        said: What the model said of them.
        role: Column of the only input; "" for tasks that have not one.
        kind: Its kind: "text", "image" or "".
    """
    if not kind:
        return {"not_tested": "Answers are explained where a class is given to single texts or pictures."}
    loaded = stored.whole().subject
    truth = judge.references(stored.recipe, rows)
    chosen = _chosen(np.asarray(said.columns["probabilities"]), np.asarray(truth))
    picked = rows.take(chosen).to_pylist()
    of_pictures = kind == "image"
    given = [row[role] if of_pictures else (str(row[role]),) for row in picked]
    model = images.asked(loaded) if of_pictures else text.asked(loaded)
    try:
        methods = METHODS if text.attention_fits(loaded, given[0]) else METHODS[1:]
        found = text.explained(model, loaded, given, methods, lambda _event: None)
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
                "text": shown_text(row, [role]),
                "label": stored.labels[truth[number]],
                "prediction": stored.labels[one.target],
                "confidence": float(chances[one.target]),
                "right": bool(truth[number] == one.target),
                **thumbnail(row, [role]),
                **_drawn(one, methods),
            }
            for number, row, (one, chances) in zip(chosen, picked, found, strict=True)
        ],
    }


def _chosen(probabilities: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> list[int]:
    """Return the rows to show: right ones of as many classes as there are, then wrong ones, the surest first."""
    predicted = probabilities.argmax(axis=1)
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = [int(row) for row in surest if predicted[row] == truth[row]]
    wrong = [int(row) for row in surest if predicted[row] != truth[row]]
    first = {int(truth[row]): row for row in reversed(right)}  # the surest of each class
    varied = sorted(first.values(), key=right.index) + right
    return list(dict.fromkeys(varied))[:EACH] + wrong[:EACH]


def _drawn(one: Explanation, methods: Sequence[str]) -> dict[str, Any]:
    """Return a picture's overlays, or a text's strongest words, by each method."""
    if isinstance(one.example, Picture):
        return {"overlays": [overlays.overlay(one.example.pixels, one.scores[m], one.example.grid) for m in methods]}
    order = {name: np.argsort(-np.asarray(one.scores[name]), kind="stable")[:WORDS] for name in methods}
    return {"words": [[one.example.words[place] for place in order[name]] for name in methods]}
