"""The verdict says what the numbers support, and no more."""

import copy
import json

import pytest

from tests.support.reports import sample
from toolkit.report.build import build, compared, shown, verdict
from toolkit.report.text import to_text

EVALUATION = {"confidence": 0.95, "rows": 1280, "split": "held-out test"}
ACCURACY = {"name": "accuracy", "title": "Accuracy", "value": 0.839, "low": 0.818, "high": 0.858, "unit": "fraction"}
MATTHEWS = {
    "name": "matthews",
    "title": "Matthews correlation",
    "value": 0.678,
    "low": 0.6,
    "high": 0.75,
    "unit": "score",
}


def judge(first=ACCURACY, baselines=(), training=None, warnings=(), **evaluation):
    return verdict({**EVALUATION, "metrics": [first], **evaluation}, baselines, training, warnings)


def difference(value, low, high, figure=ACCURACY, name="Majority class"):
    return compared(name, {"value": value, "low": low, "high": high}, EVALUATION, figure)


def row(label, f1, low, high, support=50):
    return {"label": label, "support": support, "recall": {"value": f1}, "f1": {"value": f1, "low": low, "high": high}}


@pytest.mark.parametrize(
    ("figure", "headline"),
    [
        (ACCURACY, "Right on 83.9 % of 1,280 held-out test examples (95 % interval 81.8 to 85.8)."),
        ({**ACCURACY, "low": None, "high": None}, "Right on 83.9 % of 1,280 held-out test examples."),
        (MATTHEWS, "Matthews correlation 0.678 on 1,280 held-out test examples (95 % interval 0.600 to 0.750)."),
    ],
)
def test_the_headline_is_the_first_figure_with_its_doubt(figure, headline):
    assert judge(figure)["headline"] == headline


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.079, 0.056, 0.102, "Better than majority class by 7.9 points (95 % interval 5.6 to 10.2)."),
        (-0.05, -0.08, -0.02, "Worse than majority class by 5.0 points (95 % interval -8.0 to -2.0)."),
        (
            0.01,
            -0.01,
            0.03,
            "Not distinguishable from majority class: difference +1.0 points (95 % interval -1.0 to 3.0).",
        ),
        (
            0.01,
            0.0,
            0.03,
            "Not distinguishable from majority class: difference +1.0 points (95 % interval 0.0 to 3.0).",
        ),
    ],
)
def test_a_difference_is_only_claimed_where_the_interval_is_clear_of_nought(value, low, high, said):
    assert difference(value, low, high) == said


def test_names_that_are_no_words_keep_their_letters():
    assert "than TF-IDF + logistic regression by" in difference(0.1, 0.05, 0.2, name="TF-IDF + logistic regression")
    assert "by 0.100 (" in difference(0.1, 0.05, 0.2, figure=MATTHEWS)


def test_baselines_without_a_difference_are_not_compared():
    baseline = {"title": "Majority class", "metrics": [ACCURACY]}
    lead = {"value": 0.3, "low": 0.2, "high": 0.4}
    assert judge(baselines=[baseline])["statements"] == []
    assert len(judge(baselines=[baseline, {**baseline, "difference": lead}])["statements"]) == 1


def test_the_weakest_class_is_named_where_it_is_clearly_weaker():
    strong, weak, close = row("good", 0.9, 0.85, 0.95), row("bad", 0.5, 0.4, 0.6), row("odd", 0.8, 0.7, 0.9)
    (said,) = judge(per_class=[strong, weak])["statements"]
    assert said == "Weakest on “bad”: F1 50.0 % on 50 examples, where it finds 50.0 % of them."
    assert judge(per_class=[strong, close])["statements"] == []
    assert judge(per_class=[strong])["statements"] == []
    assert judge(per_class=[strong, {**weak, "support": 0}])["statements"] == []


def test_early_stopping_is_said():
    training = {"stopped_early": True, "steps": 1200, "best_step": 800}
    assert judge(training=training)["statements"] == [
        "Training stopped early at step 1,200; the weights of step 800 were kept."
    ]
    assert judge(training={**training, "stopped_early": False})["statements"] == []


@pytest.mark.parametrize(
    ("losses", "warned"),
    [
        ([0.5, 0.4, 0.45], True),
        ([0.5, 0.4, 0.43], False),
        ([0.5, 0.4, 0.3], False),
        ([0.5], False),
        ([None, 0.5], False),
        ([], False),
    ],
)
def test_overfitting_is_warned_of_where_it_shows(losses, warned):
    training = {"evaluations": [{"step": n, "loss": loss} for n, loss in enumerate(losses)]}
    found = judge(training=training, warnings=["first"])["warnings"]
    assert found[0] == "first"
    assert (len(found) == 2) is warned
    if warned:
        assert "rose from 0.400 to 0.450" in found[1]


def test_figures_as_they_are_printed():
    assert shown(0.8394, "fraction") == "83.9 %"
    assert shown(0.6784, "score") == "0.678"
    assert shown(1, "fraction") == "100.0 %"


def test_the_report_is_its_sections():
    parts = {key: {"a": 1} for key in ("model", "data", "training", "environment", "config")}
    names = {key: key for key in ("title", "recipe", "command", "created")}
    evaluation = {**EVALUATION, "metrics": [ACCURACY]}
    report = build(**parts, **names, version="1.2.3", evaluation=evaluation, baselines=(), warnings=("mind this",))
    assert report["schema_version"] == 1
    assert report["toolkit_version"] == "1.2.3"
    assert report["verdict"]["warnings"] == ["mind this"]
    assert {key: report[key] for key in parts | names} == parts | names
    assert json.loads(json.dumps(report)) == report
    assert report.keys() == sample().keys()
    without = build(
        **{**parts, "training": None}, **names, version="1", evaluation=evaluation, baselines=(), warnings=()
    )
    assert without["training"] is None


def test_the_text_holds_the_verdict_and_every_figure_within_its_width():
    report = sample()
    text = to_text(report, width=72)
    assert text.strip().startswith("Right on 83.9 % of 1,280 examples it never saw")
    for figure in report["evaluation"]["metrics"]:
        assert figure["title"] in text
    for baseline in report["baselines"]:
        assert baseline["title"] in text
    assert "Mind: 12 of 1,280 test texts" in text
    assert max(map(len, text.splitlines()[: len(report["verdict"]["statements"]) + 2])) <= 72
    bare = copy.deepcopy(report)
    bare["baselines"], bare["evaluation"]["metrics"] = [], [{**ACCURACY, "low": None}]
    assert "Accuracy 83.9 %\n" in to_text(bare)
