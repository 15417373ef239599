"""One class for each row."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.data.tables import columns
from toolkit.evaluation import scores
from toolkit.evaluation.baselines import (
    log_mel_logistic_regression,
    majority,
    pixel_logistic_regression,
    tfidf_logistic_regression,
)
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews import promises
from toolkit.evaluation.selection import uncertainty
from toolkit.evaluation.statistics.promises import selective
from toolkit.inference.predict import probabilities
from toolkit.tasks import shown_labels
from toolkit.tasks.task import AnswerFormat, Limits, Target


def _predictions(outputs: Any, _batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, C) → the class and the probability of each class, for each row."""
    scores = probabilities(outputs.logits)
    return {"prediction": scores.argmax(axis=-1).tolist(), "probabilities": scores.tolist()}


def _answer(prediction: Any, probabilities: Any, calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    """Return the name of the class, its score, and the scores of all classes where they are wanted."""
    answer: dict[str, Any] = {"prediction": how.labels[prediction]}
    if probabilities is None:
        return answer
    answer["score"] = round(float(probabilities[prediction]), selective.DECIMALS)
    if calibrated is not None:
        answer["calibrated_score"] = round(float(calibrated[prediction]), 6)
    return answer | _promised(answer, probabilities, how.limits, how.labels) | how.each_score(probabilities)


def _promised(answer: Mapping[str, Any], probabilities: Any, limits: Limits, labels: Sequence[str]) -> dict[str, Any]:
    """Return why a prediction is not given, and the set of classes, as far as either is promised."""
    promised: dict[str, Any] = {}
    if limits.least_score is not None:
        held_back = answer["score"] < limits.least_score
        promised["abstained"] = (
            f"{answer['prediction']} has a score of {answer['score']:.3f}; from {limits.least_score:.3f} on at most "
            f"{100 * (limits.max_error or 0):g} % of the predictions are wrong, with {100 * (1 - selective.DOUBT):g} % "
            "assurance"
            if held_back
            else None
        )
        if held_back:
            promised["prediction"] = None
    if limits.sets is not None:
        (inside,) = selective.sets_of([probabilities], limits.sets)
        promised["set"] = [label for label, member in zip(labels, inside, strict=True) if member]
    return promised


def _empty(how: AnswerFormat) -> dict[str, None]:
    names = ["prediction", "score", *(["calibrated_score"] if how.calibrated else [])]
    names += ["abstained"] if how.limits.least_score is not None else []
    names += ["set"] if how.limits.sets is not None else []
    return dict.fromkeys([*names, *how.score_columns])


def _line(given: Any, columns: Mapping[str, Any]) -> str:
    """Return the class, its score, calibrated unless those of all classes are shown, and the input."""
    if columns.get("score") is None:
        return f"{columns['prediction']}  {given}"
    if columns.get("abstained") is not None:
        return f"no answer ({columns['abstained']})  {given}"
    scores = {name.removeprefix("score: "): value for name, value in columns.items() if name.startswith("score: ")}
    score = columns["score"] if scores else columns.get("calibrated_score", columns["score"])
    beside = ", ".join(f"{name} {100 * value:.1f} %" for name, value in scores.items())
    beside = ", ".join(filter(None, [beside, f"set: {', '.join(columns['set'])}" if columns.get("set") else ""]))
    return f"{columns['prediction']}  {100 * score:.1f} %{f'  ({beside})' if beside else ''}  {given}"


def _shown(value: Any, labels: Sequence[str]) -> str:
    return labels[value] if labels and isinstance(value, int) else str(value)


def _overview(context: EvaluationContext) -> dict[str, Any]:
    """Return the figures of each class, the confusion matrix, the most confident errors and what was promised."""
    return {**scores.class_sections(context), **promises.sections(context)}


SINGLE_LABEL = Target(
    name="label",
    title="one class for each row",
    in_shape=columns.single_labels,
    predictions=_predictions,
    answer=_answer,
    shown=_shown,
    of_cell=shown_labels.class_number,
    classes=True,
    single=True,
    exclusive=True,
    empty=_empty,
    line=_line,
    overview=_overview,
    metrics=("accuracy", "f1", "matthews", "auroc", "average_precision", "top_5"),
    best_metric="accuracy",
    baselines={
        "text": {"Majority class": majority, "TF-IDF + logistic regression": tfidf_logistic_regression},
        "image": {"Majority class": majority, "Logistic regression on small pixels": pixel_logistic_regression},
        "audio": {
            "Majority class": majority,
            "Logistic regression on log-mel statistics": log_mel_logistic_regression,
        },
    },
    hub_tasks={
        "text": "text-classification",
        "image": "image-classification",
        "audio": "audio-classification",
    },
    decision="class",
    model_labels=lambda values, _labels: list(values),
    uncertainty=uncertainty.margin,
)
