"""The program of an ONNX export: how predictions follow from outputs."""

import json

import numpy as np
import pytest

from toolkit.exporting.run import Model
from toolkit.tasks.targets import multi_label, ordinal


def model(decision: str, labels: list[str], **calibration: object) -> Model:
    """Return a model without a graph."""
    made = Model.__new__(Model)
    made.decision, made.labels, made.calibration = decision, labels, calibration
    return made


def test_one_class_is_the_most_probable():
    assert model("class", ["a", "b", "c"]).prediction(np.array([0.4, 0.25, 0.35])) == ["a", "0.400000"]


def test_of_ordered_classes_it_is_the_median():
    made = model("median", ["1", "2", "3"])
    assert made.prediction(np.array([0.4, 0.25, 0.35])) == ["2", "0.250000"]
    for scores in np.random.default_rng(0).dirichlet(np.ones(3), 50):
        assert made.prediction(scores)[0] == made.labels[int(ordinal.medians(scores))]


def test_several_classes_reach_their_thresholds():
    made = model("classes", ["a", "b|c", "d"], thresholds=[0.3, 0.6, 0.6])
    names, scores = map(json.loads, made.prediction(np.array([0.35, 0.5, 0.9])))
    assert (names, scores) == (["a", "d"], [0.35, 0.9])
    assert made.prediction(np.array([0.1, 0.1, 0.1])) == ["[]", "[]"]
    stored = {"thresholds": made.calibration["thresholds"]}
    for row in np.random.default_rng(0).random((50, 3)):
        expected = multi_label.MULTI_LABEL.decide({"probabilities": [row]}, stored)["prediction"][0]
        assert json.loads(made.prediction(row)[0]) == [made.labels[number] for number in expected]


def test_a_number_has_its_interval():
    number, low, high = model("number", [], half_width=2.5).prediction(np.array([10.0]))
    assert (float(number), float(low), float(high)) == pytest.approx((10, 7.5, 12.5))
    assert model("number", []).prediction(np.array([10.0])) == ["10", "", ""]
