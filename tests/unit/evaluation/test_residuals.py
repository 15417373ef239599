"""Sections on numbers and on ordered classes hold planted facts."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import mean_absolute_error

from toolkit.config import RunConfig
from toolkit.evaluation.checks import findings
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews import ordered_classes, residuals
from toolkit.inference.predict import Predictions
from toolkit.report.document.portable import without_examples
from toolkit.report.document.schema import REPORT, faults, fill
from toolkit.report.document.verdict import verdict
from toolkit.report.pages.render import to_html, to_markdown
from toolkit.report.sections.targets import ordered
from toolkit.tasks import loading

CONFIG = RunConfig(recipe="text", model="m", data={"source": "d"})
STORED = {"half_width": 2.0, "coverage": 0.9}


def numbers(rows: int = 1200, bias: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and true values; errors of the highest quarter are four times as large."""
    draw = np.random.default_rng(seed)
    true = draw.uniform(0, 100, rows)
    return true + draw.normal(bias, np.where(true > 75, 4.0, 1.0)), true


def section(predicted: np.ndarray, true: np.ndarray, stored: dict | None = None) -> dict:
    result = residuals.section(predicted, true, stored or {}, CONFIG.evaluation, 0)
    assert faults(REPORT["evaluation"]["residuals"], result) == []
    return result


def statements(first: dict, **sections: object) -> str:
    evaluation = {"split": "test", "rows": 1200, "confidence": 0.95, "metrics": [first], **sections}
    return "\n".join(verdict(evaluation, [], None, [])["statements"])


ERROR = {"name": "mae", "title": "Mean absolute error", "value": 1.4, "low": 1.3, "high": 1.5, "unit": "value"}
KAPPA = {"name": "quadratic_kappa", "title": "Kappa", "value": 0.8, "low": 0.7, "high": 0.9, "unit": "score"}


def test_the_quarter_with_larger_errors_is_found_and_no_other() -> None:
    predicted, true = numbers()
    result = section(predicted, true)
    assert [row["worse"] for row in result["quarters"]] == [False, False, False, True]
    assert sum(row["rows"] for row in result["quarters"]) == len(true)
    for row in result["quarters"]:
        inside = (true >= row["low"]) & (true <= row["high"])
        error, others = (mean_absolute_error(true[part], predicted[part]) for part in (inside, ~inside))
        assert row["error"]["value"] == pytest.approx(error)
        assert row["difference"]["value"] == pytest.approx(error - others)
    text = statements(ERROR, residuals=result)
    assert "Less accurate for true values from 7" in text
    assert "too high" not in text
    assert "too low" not in text


def test_equal_errors_rarely_make_a_quarter_look_worse() -> None:
    alarms = []
    config = CONFIG.evaluation.model_copy(update={"resamples": 400})
    for seed in range(40):
        draw = np.random.default_rng([5, seed])
        true = draw.uniform(0, 100, 240)
        result = residuals.section(true + draw.normal(0, 1, 240), true, {}, config, seed)
        alarms.append(any(row["worse"] for row in result["quarters"]))
    assert np.mean(alarms) <= 0.13  # 0.05 and 2.3 times the error of so few draws


@pytest.mark.parametrize(("bias", "fact"), [(0.5, "too high"), (-0.5, "too low")])
def test_a_planted_bias_is_named_with_its_side(bias: float, fact: str) -> None:
    result = section(*numbers(bias=bias))
    assert result["mean"]["low"] <= result["mean"]["value"] <= result["mean"]["high"]
    assert abs(result["mean"]["value"] - bias) < 0.3
    assert fact in statements(ERROR, residuals=result)


def test_the_coverage_of_intervals_is_counted() -> None:
    predicted, true = numbers()
    result = section(predicted, true, STORED)["intervals"]
    share = (np.abs(predicted - true) <= 2.0).mean()
    assert (result["half_width"], result["nominal"]) == (2.0, 0.9)
    assert result["observed"]["value"] == pytest.approx(share)
    assert result["observed"]["low"] < share < result["observed"]["high"]
    assert f"{100 * share:.1f} %" in statements(ERROR, residuals=section(predicted, true, STORED))
    for stored in ({}, {"half_width": "wide", "coverage": 0.9}, {"half_width": 2.0}):
        assert section(predicted, true, stored)["intervals"] is None


def test_drawn_rows_are_bounded_and_hold_the_extreme_residuals() -> None:
    predicted, true = numbers(3000)
    drawn = np.array(section(predicted, true)["drawn"])
    assert drawn.shape == (500, 2)
    errors = predicted - true
    assert {errors.min(), errors.max()} <= set((drawn[:, 1] - drawn[:, 0]).tolist())
    assert len(section(predicted[:40], true[:40])["drawn"]) == 40


def test_exact_predictions_have_no_interval_of_the_mean() -> None:
    true = np.arange(100.0)
    result = section(true, true)
    assert result["mean"] == {"value": 0.0, "low": None, "high": None}
    assert not any(row["worse"] for row in result["quarters"])


def context(target: str, columns: dict, truth: list, labels: tuple[str, ...] = ()) -> EvaluationContext:
    rows = pa.table({"text": [f"text {n}" for n in range(len(truth))], "label": truth, "_row": range(len(truth))})
    return EvaluationContext(rows, Predictions(columns, None), loading.load("text").for_target(target), labels, CONFIG)


def test_the_largest_errors_and_the_plots_are_on_the_page() -> None:
    predicted, true = numbers(300)
    predicted[7] = true[7] + 50
    subject = context("number", {"prediction": predicted.tolist()}, true.tolist())
    evaluation = {"confidence": 0.95, **subject.recipe.target.overview(subject), **findings(subject)}
    assert faults(REPORT["evaluation"], evaluation) == []
    assert evaluation["errors"][0]["row"] == 7
    assert evaluation["errors"][0]["residual"] == pytest.approx(50)
    page = to_html({"evaluation": evaluation})
    assert page.count('class="point"') == 2 * 300
    assert "Largest errors" in page
    assert "too high by 50" in page
    assert "confidence" not in page.partition("Largest errors</h2>")[2]
    assert "Residuals" in to_markdown({"evaluation": evaluation})
    assert without_examples(evaluation)["residuals"]["drawn"] == []
    assert without_examples(evaluation)["errors"] == []


def test_distances_of_ordered_classes_are_counted() -> None:
    draw = np.random.default_rng(0)
    true = draw.integers(0, 5, 500)
    predicted = np.clip(true + draw.choice([0, 0, 0, 1, 2], 500), 0, 4)
    result = ordered_classes.distance(predicted.tolist(), true.tolist(), CONFIG.evaluation, 0)
    assert faults(REPORT["evaluation"]["distance"], result) == []
    for row in result["classes"]:
        count = (np.abs(predicted - true) == row["distance"]).sum()
        assert row["count"] == count
        assert row["share"]["low"] <= count / 500 <= row["share"]["high"]
    assert (result["too_low"], result["too_high"]) == (0, (predicted > true).sum())
    assert result["signed"]["value"] == pytest.approx((predicted - true).mean())
    text = statements(KAPPA, distance=result)
    assert "too high on average" in text
    assert "classes" in text


def test_ordered_classes_that_are_all_right_have_no_side() -> None:
    result = ordered_classes.distance([0, 1, 2], [0, 1, 2], CONFIG.evaluation, 0)
    assert result["signed"] == {"value": 0.0, "low": None, "high": None}
    assert "on average" not in statements(KAPPA, distance=result)


def test_the_matrix_of_ordered_classes_shows_distance() -> None:
    labels = ("1", "2", "3")
    likely = [[0.6, 0.3, 0.1], [0.4, 0.3, 0.3], [0.1, 0.2, 0.7]] * 10
    subject = context("stars", {"prediction": [0, 1, 2] * 10, "probabilities": likely}, [2, 1, 2] * 10, labels)
    evaluation = {"confidence": 0.95, "labels": list(labels), **subject.recipe.target.overview(subject)}
    assert faults(REPORT["evaluation"], evaluation) == []
    page = to_html({"evaluation": evaluation})
    assert "--far:1.0" in page
    assert "Distance from the truth" in page
    assert evaluation["errors"][0]["confidence"] == 0.6
    del evaluation["distance"]
    assert "--far" not in to_html({"evaluation": evaluation}).partition("<body")[2]


def test_pages_print_the_levels_of_their_claims() -> None:
    result = fill(REPORT["evaluation"]["residuals"], section(*numbers()))
    levels = {"mean_confidence": 0.9875, "quarters_confidence": 0.9969}
    (shown,) = ordered.residuals({**result, **levels})
    assert "98.75 %" in shown.lead
    assert any(block.kind == "text" and "99.69 %" in block.text for block in shown.blocks)
