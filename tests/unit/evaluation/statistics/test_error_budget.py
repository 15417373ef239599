"""A report claims nothing of clean models but within its error, and finds planted faults."""

import math

import numpy as np
import pyarrow as pa
import pytest

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.evaluation.checks import calibration, slices
from toolkit.evaluation.statistics import calibration_error
from toolkit.evaluation.statistics.claims import error_budget, worst_groups
from toolkit.evaluation.statistics.intervals import Interval, agreeing
from toolkit.evaluation.statistics.significance import exchanged_p, mid_p
from toolkit.evaluation.statistics.temperature import scaled
from toolkit.metrics import load
from toolkit.report.document import claims
from toolkit.report.document.figures import is_better, is_worse

LEVELS = {kind: 1 - part for kind, part in error_budget.parts(("baselines", "slices", "calibration"), 0.95).items()}
CONFIG = EvaluationConfig(resamples=200)
WORDS = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
ACCURACY = load("accuracy")[1]


def texts(random, rows):
    return [" ".join(random.choice(WORDS, random.integers(3, 9), replace=False)) for _ in range(rows)]


def drawn(random, rows, classes, temperature=1.0):
    """Return probabilities of a model whose logits are `temperature` times too large, and the truth."""
    logits = random.normal(size=(rows, classes)) * 1.5
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = (honest.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1).clip(max=classes - 1)
    return scaled(honest, 1 / temperature), true


def against(ours, theirs, true, labels, level=LEVELS["baselines"]):
    settings = CONFIG.model_copy(update={"confidence": level})
    columns = ({"prediction": given.tolist()} for given in (ours, theirs))
    return scores.difference(ACCURACY, *columns, true.tolist(), labels, settings, 0)


def test_parts_sum_to_the_error():
    for kinds in (("baselines",), ("slices", "baselines", "calibration"), tuple(error_budget.WEIGHTS)):
        found = error_budget.parts(kinds, 0.95)
        assert set(found) == set(kinds)
        assert math.isclose(sum(found.values()), 0.05)


@pytest.mark.parametrize("classes", [2, 50])
def test_clean_reports_claim_something_within_the_error(monkeypatch, classes):
    monkeypatch.setattr(worst_groups, "SHUFFLES", 200)
    monkeypatch.setattr(calibration_error, "REDRAWS", 200)
    alarms, reports = 0, 120
    labels = [f"class {number}" for number in range(classes)]
    for seed in range(reports):
        random = np.random.default_rng([classes, seed])
        probabilities, true = drawn(random, 300 if classes == 2 else 1000, classes)
        given, rows = probabilities.argmax(axis=1), len(true)
        other = np.where(random.random(rows) < 0.3, given[random.permutation(rows)], given)
        swapped = random.random(rows) < 0.5  # the model and its baseline are exchangeable
        ours, theirs = np.where(swapped, other, given), np.where(swapped, given, other)
        words = texts(random, rows)
        table = pa.table({"text": words, "source": random.choice(["a", "b", "c"], rows)})
        named = [labels[number] for number in true]
        right = random.permutation(given == true)
        evaluation = {
            "metrics": [{"name": "accuracy", "title": "Accuracy", "unit": "fraction"}],
            "rows": rows,
            "confidence": 0.95,
            "claims_confidence": LEVELS,
            "slices": slices.section(right, table, {"text": words}, named, 0.95, seed, claimed=LEVELS["slices"]),
            "calibration": calibration.section(probabilities, true, CONFIG, seed, None, claimed=LEVELS["calibration"]),
        }
        baselines = [{"title": "Other", "difference": against(ours, theirs, true, labels)}]
        said = [text for text in claims.statements(evaluation, baselines) if not text.startswith("No significant")]
        alarms += bool(said)
        tested = claims.tested(evaluation, baselines)
        assert tested["tested"] == evaluation["slices"]["looked_at"] + 3
        assert tested["error"] == pytest.approx(0.05)
    assert alarms / reports <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / reports)


def power(reports, start=0):
    """Return the share of reports that find a weak group, too high a confidence, and its direction.

    The group has 100 of 1,000 rows and is 20 points worse; the temperature is 2, on 200 rows of two classes.
    """
    weak, sure, direction = 0, 0, 0
    for seed in range(start, start + reports):
        random = np.random.default_rng([3, seed])
        source = np.array(["a"] * 100 + ["b"] * 450 + ["c"] * 450)
        words = texts(random, 1000)
        right = random.random(1000) >= np.where(source == "a", 0.35, 0.15)
        table = pa.table({"text": words, "source": source})
        found = slices.section(right, table, {"text": words}, None, 0.95, seed, claimed=LEVELS["slices"])
        weak += any(group["name"] == "a" for group in found["worst"])
        assert all(group["accuracy"]["high"] < found["accuracy"] for group in found["worst"])
        section = calibration.section(*drawn(random, 200, 2, 2.0), CONFIG, seed, None, claimed=LEVELS["calibration"])
        sure += section["p"] < 1 - LEVELS["calibration"]
        direction += section["gap"]["low"] > 0
    return weak / reports, sure / reports, direction / reports


def test_planted_faults_are_found_at_these_levels(monkeypatch):
    monkeypatch.setattr(calibration_error, "REDRAWS", 500)
    weak, sure, direction = power(40)
    assert weak >= 0.85
    assert sure >= 0.92
    assert direction >= 0.7


@pytest.mark.slow
def test_power_is_the_documented_one():
    """Less two standard errors of the simulation."""
    reports = 300
    weak, sure, _ = power(reports, start=1000)
    assert weak >= 0.92 - 2 * math.sqrt(0.92 * 0.08 / reports)
    assert sure >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / reports)


def test_a_lead_is_claimed_where_its_test_rejects_chance():
    true = np.zeros(200, np.int64)
    for ours, theirs in ((3, 0), (4, 0), (6, 0), (9, 1), (12, 2), (0, 3), (0, 9), (30, 30)):
        first, second = true.copy(), true.copy()
        first[:theirs], second[theirs : theirs + ours] = 1, 1
        found = against(first, second, true, ["a", "b"], 0.95)
        assert found["p"] == pytest.approx(mid_p(ours, theirs))
        assert (is_better(found), is_worse(found)) == (
            found["p"] < 0.05 and ours > theirs,
            found["p"] < 0.05 and ours < theirs,
        )
        assert found["low"] <= found["value"] <= found["high"]
        assert found["standard_error"] == pytest.approx(
            math.sqrt(ours + theirs - (ours - theirs) ** 2 / 200) / 200, rel=0.01
        )


def test_intervals_agree_with_tests():
    assert agreeing(Interval(0.02, 0.005, 0.04), 0.125, 0.95) == Interval(0.02, 0.0, 0.04)
    assert agreeing(Interval(0.02, -0.01, 0.04), 0.01, 0.95).low > 0
    assert agreeing(Interval(-0.02, -0.04, 0.01), 0.01, 0.95).high < 0


def test_exchanged_predictions_differ_as_rarely_as_promised():
    """Of macro F1 on few rows, which is no sum of rows."""
    metric, p_values = load("f1")[1], []
    for seed in range(150):
        random = np.random.default_rng([4, seed])
        true = random.integers(0, 2, 60)
        parts = [np.where(random.random(60) < 0.7, true, 1 - true).tolist() for _ in range(2)]
        each = [metric.statistics(part, true.tolist(), ["a", "b"]) for part in parts]
        p_values.append(exchanged_p(*each, metric.aggregate, seed))
    assert np.mean(np.array(p_values) < 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 150)
    better = np.where(np.arange(60) < 20, 1 - true, true)
    each = [metric.statistics(part.tolist(), true.tolist(), ["a", "b"]) for part in (true, better)]
    assert exchanged_p(*each, metric.aggregate, 0) < 0.01


def test_a_lower_error_of_an_own_metric_is_better():
    metric = ACCURACY.__class__(
        "mistakes",
        "Mistakes",
        lambda p, r, _: np.stack([np.not_equal(p, r), np.ones(len(r))], axis=1).astype(float),
        lambda sums: sums[..., 0] / sums[..., 1],
        higher_is_better=False,
    )
    true = np.zeros(100, np.int64)
    worse = (np.arange(100) < 30).astype(np.int64)
    columns = [{"prediction": part.tolist()} for part in (true, worse)]
    found = scores.difference(metric, *columns, true.tolist(), ["a", "b"], CONFIG, 0)
    assert is_better(found)
    figure = {"name": "mistakes", "title": "Mistakes", "unit": "fraction", "better": "lower"}
    (text,) = claims.statements(
        {"metrics": [figure], "rows": 100, "confidence": 0.95}, [{"title": "Other", "difference": found}]
    )
    assert text.startswith("Better than other")
