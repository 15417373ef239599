"""Sections on several classes a row equal counts by hand and those of scikit-learn."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, multilabel_confusion_matrix

from toolkit.config import RunConfig
from toolkit.evaluation.checks import calibration, findings, label_errors, slices
from toolkit.evaluation.class_thresholds import stored_thresholds
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics import calibration_error
from toolkit.inference.predict import Predictions
from toolkit.report.document.schema import REPORT, faults
from toolkit.report.document.verdict import verdict
from toolkit.report.pages.render import to_html, to_markdown
from toolkit.tasks import loading

LABELS = ("food", "music", "sport")
ROWS = 400


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and truth; on every tenth row music is taken for sport."""
    draw = np.random.default_rng(seed)
    true = draw.random((ROWS, 3)) < (0.6, 0.3, 0.1)
    likely = np.where(true, draw.uniform(0.7, 1.0, true.shape), draw.uniform(0.0, 0.3, true.shape))
    for row in range(0, ROWS, 10):
        true[row, 1:] = (True, False)
        likely[row, 1:] = (0.05, 0.95)
    return likely, true


def context(likely: np.ndarray, true: np.ndarray, threshold: float = 0.5) -> EvaluationContext:
    numbers = [np.flatnonzero(row).tolist() for row in true]
    rows = pa.table(
        {
            "text": [" ".join(["word"] * (1 + number % 7)) for number in range(len(true))],
            "label": pa.array(numbers, pa.list_(pa.int64())),
            "_file": ["rows.csv"] * len(true),
            "_row": list(range(len(true))),
        }
    )
    predicted = [np.flatnonzero(row >= threshold).tolist() for row in likely]
    config = RunConfig(recipe="text", model="m", data={"source": "d"})
    predictions = Predictions({"prediction": predicted, "probabilities": likely.tolist()}, None)
    return EvaluationContext(rows, predictions, loading.load("text").for_target("classes"), LABELS, config)


@pytest.fixture(scope="module")
def evaluation() -> dict:
    subject = context(*planted())
    facts = {"split": "test", "rows": ROWS, "confidence": 0.95, "labels": list(LABELS), "metrics": []}
    return {**facts, **subject.recipe.target.overview(subject), **findings(subject)}


def test_the_sections_are_of_the_schema_and_on_the_pages(evaluation: dict) -> None:
    assert faults(REPORT["evaluation"], evaluation) == []
    for page in (to_html({"evaluation": evaluation}), to_markdown({"evaluation": evaluation})):
        for text in ("Confused classes", "Classes per row", "Calibration of each class", "Threshold", "Exact match"):
            assert text in page
    assert "added sport (95.0\u00a0%)" in to_html({"evaluation": evaluation})


def test_counts_are_those_of_scikit_learn(evaluation: dict) -> None:
    likely, true = planted()
    matrices = multilabel_confusion_matrix(true, likely >= 0.5)
    figures = f1_score(true, likely >= 0.5, average=None)
    for row, ((_, added), (missed, right)), f1 in zip(evaluation["per_class"], matrices, figures, strict=True):
        assert (row["support"], row["predicted"], row["threshold"]) == (right + missed, right + added, 0.5)
        assert row["f1"]["value"] == pytest.approx(f1)
        assert row["f1"]["low"] <= f1 <= row["f1"]["high"]
    assert evaluation["confused"]["missed"] == matrices[:, 1, 0].sum()
    assert evaluation["confused"]["added"] == matrices[:, 0, 1].sum()
    assert evaluation["confused"]["wrong"] == (true != (likely >= 0.5)).any(axis=1).sum()


def test_the_planted_confusion_is_named(evaluation: dict) -> None:
    (pair,) = evaluation["confused"]["confusions"]
    assert (pair["missed"], pair["added"], pair["count"], pair["reverse"]) == ("music", "sport", 40, 0)
    assert pair["expected"] == pytest.approx(40 * 40 / ROWS)
    first = evaluation["errors"][0]
    assert first["row"] % 10 == 0
    assert first["missed"] == [{"label": "music", "probability": pytest.approx(0.05)}]
    assert first["added"] == [{"label": "sport", "probability": pytest.approx(0.95)}]
    assert first["confidence"] == pytest.approx(0.95)


def test_the_number_of_classes_a_row_is_counted_with_rows_without(evaluation: dict) -> None:
    likely, true = planted()
    section = evaluation["classes_per_row"]
    sizes = true.sum(axis=1)
    assert section["counts"][0] == {
        "classes": 0,
        "true": (sizes == 0).sum(),
        "predicted": ((likely >= 0.5).sum(axis=1) == 0).sum(),
    }
    assert sum(row["true"] for row in section["counts"]) == ROWS
    assert section["true_mean"] == pytest.approx(sizes.mean())


def test_labels_that_contradict_the_model_are_doubted_by_class(evaluation: dict) -> None:
    section = evaluation["label_errors"]
    assert section["classes"][1]["wrong"] >= 40  # labelled music, and hardly probable
    assert section["classes"][2]["missing"] >= 40
    assert section["doubted"] == sum(row["missing"] + row["wrong"] for row in section["classes"])
    kinds = {(row["suggestion"], row["missing"]) for row in section["examples"]}
    assert kinds <= {("music", False), ("sport", True)}


def test_a_miscalibrated_class_is_found_and_a_calibrated_one_is_not() -> None:
    draw = np.random.default_rng(3)
    likely = draw.random((2000, 3))
    true = draw.random(likely.shape) < likely
    likely[:, 2] = likely[:, 2] ** 3
    numbers = [np.flatnonzero(row).tolist() for row in true]
    config = RunConfig(recipe="text", model="m", data={"source": "d"}).evaluation
    section = calibration.of_each_class(likely, numbers, LABELS, config, 0)
    assert [row["p"] < 0.05 for row in section["classes"]] == [False, False, True]
    assert section["classes"][2]["ece"]["low"] > 0.1
    alone = calibration_error.calibrated_p(likely[:, 0], true[:, 0].astype(float), 0)
    assert section["classes"][0]["p"] >= alone  # adjusted for the number of classes
    (statement,) = [s for s in _statements(calibration=section) if "Miscalibrated" in s]
    assert "1 of 3" in statement
    assert "sport" in statement


def test_of_a_hundred_classes_one_can_be_found_miscalibrated() -> None:
    draw = np.random.default_rng(4)
    likely = draw.random((500, 100))
    true = draw.random(likely.shape) < likely
    likely[:, 7] = likely[:, 7] ** 4
    labels = [str(number) for number in range(100)]
    config = RunConfig(recipe="text", model="m", data={"source": "d"}).evaluation
    section = calibration.of_each_class(likely, [np.flatnonzero(row).tolist() for row in true], labels, config, 0)
    assert [row["label"] for row in section["classes"] if row["p"] < 0.05] == ["7"]


def test_the_number_of_right_predictions_is_distributed_as_a_sum() -> None:
    likely = np.random.default_rng(0).random(9)
    expected = np.array([1.0])
    for p in likely:
        expected = np.convolve(expected, [1 - p, p])
    assert calibration_error.sum_distribution(likely) == pytest.approx(expected)


def test_rows_are_grouped_by_their_classes_and_how_many_they_have(evaluation: dict) -> None:
    section = evaluation["slices"]
    groups = {(group["by"], group["name"]): group for group in section["groups"]}
    assert section["figure"] == "Exact match"
    assert groups["class", "music"]["rows"] == planted()[1][:, 1].sum()
    assert ("number of classes", "1") in groups
    assert groups["class", "music"]["p"] < 0.05
    assert slices.by_class([["a"]] * 30 + [[]] * 30)[-1].by == "number of classes"


def test_thresholds_that_do_not_fit_the_classes_are_not_used() -> None:
    assert stored_thresholds({"thresholds": [0.2, 0.3, 0.4]}, LABELS) == [0.2, 0.3, 0.4]
    for stored in ({}, {"thresholds": [0.1]}, {"thresholds": "high"}):
        assert stored_thresholds(stored, LABELS) == [0.5] * 3


def test_a_model_that_predicts_the_same_for_every_row_is_warned_of() -> None:
    likely, true = planted()
    for threshold, fact in ((0.0, "food"), (1.1, "No class")):
        subject = context(likely, true, threshold)
        (warning,) = _warnings(**subject.recipe.target.overview(subject), rows=ROWS)
        assert fact in warning
    assert _warnings(**context(likely, true).recipe.target.overview(context(likely, true)), rows=ROWS) == []


def test_a_label_error_names_what_the_label_says_of_the_class() -> None:
    likely, true = planted()
    subject = context(likely, true)
    shown = subject.recipe.target.shown
    section = label_errors.of_classes(likely, subject.references, subject.rows, LABELS, (), shown)
    for row in section["examples"]:
        assert row["label_probability"] + row["suggestion_probability"] == pytest.approx(1)
        assert row["suggestion_probability"] > 0.5


def _evaluation(**sections: object) -> dict:
    metric = {"name": "micro_f1", "title": "Micro F1", "value": 0.9, "low": 0.8, "high": 0.95, "unit": "fraction"}
    return {"split": "test", "rows": 2000, "confidence": 0.95, "metrics": [metric], **sections}


def _statements(**sections: object) -> list[str]:
    return verdict(_evaluation(**sections), [], None, [])["statements"]


def _warnings(**sections: object) -> list[str]:
    return verdict(_evaluation(**sections), [], None, [])["warnings"]
