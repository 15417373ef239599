"""The verdict claims only what the numbers support."""

import copy
import json
from datetime import UTC, datetime

import pytest

import toolkit
from tests.support.reports import sample
from toolkit.commands.few_labels import candidates
from toolkit.report.document.build import build
from toolkit.report.document.claims import compared
from toolkit.report.document.figures import shown
from toolkit.report.document.head import head
from toolkit.report.document.several_models import comparison_verdict
from toolkit.report.document.verdict import verdict
from toolkit.report.pages.render import to_html, to_markdown
from toolkit.report.pages.terminal import to_text

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
        (ACCURACY, "Accuracy 83.9 % on 1,280 held-out test examples (95 % interval 81.8 to 85.8)."),
        ({**ACCURACY, "low": None, "high": None}, "Accuracy 83.9 % on 1,280 held-out test examples."),
        (MATTHEWS, "Matthews correlation 0.678 on 1,280 held-out test examples (95 % interval 0.600 to 0.750)."),
    ],
)
def test_the_headline_is_the_first_figure_with_its_doubt(figure, headline):
    assert judge(figure)["headline"] == headline


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.079, 0.056, 0.102, "Better than majority class by 7.9 points (95 % interval 5.6 to 10.2)."),
        (-0.05, -0.08, -0.02, "Worse than majority class by 5.0 points (95 % interval 2.0 to 8.0)."),
        (
            0.01,
            -0.01,
            0.03,
            "No significant difference from majority class: +1.0 points (95 % interval -1.0 to 3.0).",
        ),
        (
            0.01,
            0.0,
            0.03,
            "No significant difference from majority class: +1.0 points (95 % interval 0.0 to 3.0).",
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


def test_a_class_is_named_where_its_test_finds_it_weaker():
    group = {"by": "class", "name": "bad", "rows": 50, "accuracy": {"value": 0.5, "low": 0.3, "high": 0.7}, "p": 0.001}
    slices = {"confidence": 0.95, "accuracy": 0.84, "worst_confidence": 0.998, "worst": [group]}
    (output,) = judge(slices=slices)["statements"]
    assert all(fact in output for fact in ("“bad”", "50.0 % on 50", "99.8 % interval 30.0 to 70.0", "84.0 % on all"))
    strong, weak = row("good", 0.9, 0.85, 0.95), row("bad", 0.5, 0.4, 0.6)
    assert judge(per_class=[strong, weak], slices={**slices, "worst": []})["statements"] == []


def test_the_rule_of_the_kept_method_is_named_where_it_is_known():
    row = {"log_likelihood": -0.4, "standard_error": 0.1, "folds": 3, "seconds": 9.0, "accuracy": 0.9}
    named = [{**row, "name": "linear probe"}, {**row, "name": "contrastive fine-tuning", "log_likelihood": -0.5}]
    comparison = {"rows": 60, "folds": 3, "chosen": "contrastive fine-tuning", "candidates": named}
    reason = "no other method is better by more than 2 standard errors"
    assert candidates.reason(comparison["chosen"]) == reason
    assert "more than 2 standard errors" in candidates.reason("linear probe") != reason
    for known in ({}, {"reason": reason}):
        training = {"few_labels": {**comparison, **known}}
        (statement,) = judge(training=training)["statements"]
        report = {**sample(), "training": training}
        assert (reason in statement) == (reason in to_text(report)) == bool(known)


def test_early_stopping_is_stated():
    training = {"stopped_early": True, "steps": 1200, "best_step": 800}
    stopped = "Training stopped early at step 1,200; the weights of step 800 were kept."
    assert stopped in judge(training=training)["statements"]
    assert stopped not in judge(training={**training, "stopped_early": False})["statements"]


def test_a_kept_start_is_named():
    def statements(**training):
        return judge(training={"best_step": 0, "steps": 40, **training})["statements"]

    pretrained, one_training = statements()
    probe, _ = statements(linear_probe={"installed": True})
    assert "--seeds" in one_training
    assert "model as it was" in pretrained
    assert "linear probe" in probe
    assert statements(best_step=40) == [one_training]
    assert statements(steps=0) == []
    assert statements(few_labels={}, linear_probe={"installed": False}) == [pretrained, one_training]


def test_collapsed_model_is_warned_of():
    def warnings(matrix, training=None):
        return judge(training=training, confusion={"labels": ["bad", "good"], "matrix": matrix})["warnings"]

    (output,) = warnings([[0, 15], [0, 15]], {"learning_rate": 0.01, "steps": 40})
    assert "“good”" in output
    assert "learning rate (0.01)" in output
    assert warnings([[0, 0], [0, 15]]) == warnings([[14, 1], [0, 15]]) == []


def test_the_gap_of_the_kept_weights_is_named():
    points = [{"step": 10, "loss": 0.5, "train_loss": 0.45}, {"step": 20, "loss": 0.4, "train_loss": 0.25}]
    statements = judge(training={"best_step": 20, "evaluations": points})["statements"]
    assert statements == ["Loss of the kept weights: 0.250 on train rows, 0.400 on validation rows (a gap of 0.150)."]
    assert judge(training={"best_step": 30, "evaluations": points})["statements"] == []
    assert judge(training={"best_step": 10, "evaluations": [{"step": 10, "loss": 0.5}]})["statements"] == []


def test_figures_as_they_are_printed():
    assert shown(0.8394, "fraction") == "83.9 %"
    assert shown(0.6784, "score") == "0.678"
    assert shown(1, "fraction") == "100.0 %"


def test_separating_scores_are_no_collapse():
    confusion = {"labels": ["ill", "well"], "matrix": [[0, 9], [0, 30]]}
    area = {**ACCURACY, "name": "auroc", "value": 0.9, "low": 0.8, "high": 0.95}
    for low, outcome in (
        (0.8, "`evaluation.positive_class`"),
        (0.4, "does not separate the classes"),
    ):
        result = judge(confusion=confusion, metrics=[ACCURACY, {**area, "low": low}])
        (warning,) = [text for text in result["warnings"] if "Every example" in text]
        assert outcome in warning


def test_the_report_is_its_sections():
    parts = {key: {"a": 1} for key in ("model", "data", "training", "environment", "config")}
    names = head("toolkit evaluate", datetime(2026, 1, 2, tzinfo=UTC), title="a title", recipe="sentiment")
    evaluation = {**EVALUATION, "metrics": [ACCURACY]}
    report = build(**parts, head=names, evaluation=evaluation, baselines=(), warnings=("mind this",))
    assert report["schema_version"] == 1
    assert report["toolkit_version"] == toolkit.__version__
    assert report["created"].startswith("2026-01-02T")
    assert report["verdict"]["warnings"] == ["mind this"]
    assert {key: report[key] for key in parts | names} == parts | names
    assert json.loads(json.dumps(report)) == report
    assert report.keys() == sample().keys()
    without = build(**{**parts, "training": None}, head=names, evaluation=evaluation, baselines=(), warnings=())
    assert without["training"] is None


def test_the_text_holds_the_verdict_and_every_figure_within_its_width():
    report = sample()
    text = to_text(report, width=72)
    assert text.strip().startswith("Accuracy 83.9 % on 1,280 examples it never saw")
    for figure in report["evaluation"]["metrics"]:
        assert figure["title"] in text
    for baseline in report["baselines"]:
        assert baseline["title"] in text
    assert "Warning: 12 of 1,280 test texts" in text
    assert max(map(len, text.splitlines()[: len(report["verdict"]["statements"]) + 2])) <= 72
    bare = copy.deepcopy(report)
    bare["baselines"], bare["evaluation"]["metrics"] = [], [{**ACCURACY, "low": None}]
    assert "Accuracy 83.9 %\n" in to_text(bare)


# --- several models -------------------------------------------------------------------------------------------------


def pair(one, other, value, low, high, agreement=0.8, unit="fraction"):
    difference = {"name": "accuracy", "title": "Accuracy", "unit": unit, "value": value, "low": low, "high": high}
    return {"one": one, "other": other, "agreement": agreement, "confidence": 0.95, "differences": [difference]}


def versus(*pairs, rows=1280):
    names = dict.fromkeys(name for item in pairs for name in (item["one"], item["other"]))
    models = [{"name": name, "metrics": [ACCURACY]} for name in names]
    return comparison_verdict({"rows": rows, "split": "held-out test", "pairs": pairs, "models": models})


def test_the_model_that_is_ahead_of_all_others_is_named():
    result = versus(
        pair("a", "b", 0.05, 0.02, 0.08), pair("a", "c", 0.02, 0.01, 0.03), pair("b", "c", -0.03, -0.1, 0.1)
    )
    assert result["headline"] == "a is the best: accuracy 83.9 % on 1,280 held-out test examples."
    assert result["statements"][0].startswith("a is better than b by 5.0 points (95 % interval 2.0 to 8.0); they agree")
    assert result["statements"][2].startswith("b and c do not differ significantly: -3.0 points")
    behind = versus(pair("a", "b", -0.05, -0.08, -0.02))
    assert behind["headline"].startswith("b is the best")
    assert behind["statements"][0].startswith("b is better than a by 5.0 points (95 % interval 2.0 to 8.0)")


def test_no_model_is_named_where_none_is_clearly_ahead():
    unclear = pair("a", "b", 0.05, -0.02, 0.08)
    assert versus(unclear)["headline"] == "a and b do not differ significantly on 1,280 held-out test examples."
    three = versus(unclear, pair("a", "c", 0.05, 0.02, 0.08), pair("b", "c", 0.05, 0.02, 0.08))
    assert three["headline"].startswith("None of the 3 models")
    assert versus(pair("a", "b", 0, 0, 0, agreement=1))["statements"] == [
        "a and b give the same prediction for every example."
    ]
    assert len(versus(unclear, rows=40)["warnings"]) == 1
    (numbers,) = versus(pair("a", "b", 0.05, -0.02, 0.08, agreement=None))["statements"]
    assert "agree" not in numbers  # numbers are seldom the same


# --- findings -------------------------------------------------------------------------------------------------------


def test_planted_faults_are_named_in_the_verdict():
    result = sample()
    result["evaluation"].pop("screening")
    output = verdict(result["evaluation"], (), None, ())
    assert (
        "Overconfident: mean confidence 91.0 %, accuracy 83.9 %, a difference of 7.1 points (98.75 % interval 4.1 to "
        "10.1); calibration error 7.1 %. The stored temperature 1.62 reduces the error to 1.2 %."
    ) in output["statements"]
    (weak,) = [statement for statement in output["statements"] if "“not”" in statement]
    assert all(fact in weak for fact in ("66.0 % on 96 examples", "99.99 % interval 60.0 to 72.0", "83.9 % on all"))
    assert output["warnings"] == []  # one repeated row in 1,280 is no reason to doubt the figures
    result["evaluation"]["near_duplicates"]["found"] = 60
    (warning,) = verdict(result["evaluation"], (), None, ())["warnings"]
    assert warning.startswith("60 of 1,280 test rows are near-duplicates")
    assert warning.endswith("Accuracy 83.9 %.")


@pytest.mark.parametrize(("mean", "kind"), [(0.7, "Underconfident"), (0.84, "Miscalibrated")])
def test_the_kind_of_miscalibration_is_named(mean, kind):
    result = sample()["evaluation"]
    gap = {"value": mean - 0.839, "low": mean - 0.9, "high": mean - 0.8}
    result["calibration"] |= {"mean_confidence": mean, "scaled": None, "gap": gap}
    (output,) = [s for s in verdict(result, (), None, ())["statements"] if "mean confidence" in s]
    assert output.startswith(kind)
    result["distance"] = {"classes": [{"distance": 0}]}  # of ordered classes the median is predicted
    (ordered,) = [s for s in verdict(result, (), None, ())["statements"] if "mean confidence" in s]
    assert output.replace("accuracy", "accuracy of the most probable class") == ordered
    result["calibration"]["p"] = 0.4
    assert not [s for s in verdict(result, (), None, ())["statements"] if "mean confidence" in s]


def test_fragile_biased_and_unfair_models_are_named():
    result = sample()["evaluation"]
    text = "\n".join(verdict(result, (), None, ())["statements"])
    assert "Not robust: “A typo in every eighth word” lowers accuracy by 3.0 points (95 % interval 1.0 to 5.0)." in text
    assert (
        "Depends on religion: the same texts are scored more positive with “Hindu” than with “the others”, "
        "by 0.200 on a scale from -1 to 1 (99.17 % interval 0.100 to 0.300)."
    ) in text
    result["bias"]["studies"][0]["gaps"][0]["score"] = {"value": -0.2, "low": -0.3, "high": -0.1}
    turned = "\n".join(verdict(result, (), None, ())["statements"])
    assert "more negative with “Hindu” than with “the others”, by 0.200 on a scale" in turned
    assert "(99.17 % interval 0.100 to 0.300)" in turned
    assert "Differs by dialect in how often the second class is predicted: 20.0 points" in text
    assert "(95 % interval 5.0 to 35.0, p = 0.01)" in text
    result["robustness"]["invariance"][0]["difference"]["high"] = 0.01
    result["bias"]["studies"][0]["gaps"][0]["clear"] = False
    result["fairness"]["gaps"][0]["p"] = 0.3
    text = "\n".join(verdict(result, (), None, ())["statements"])
    assert not [word for word in ("Not robust", "Depends", "Differs") if word in text]


def test_a_missed_target_is_named():
    (warning,) = judge(screening=sample()["evaluation"]["screening"])["warnings"]
    assert "sensitivity=0.95 is not reached on held-out test rows: 94.0 %" in warning
    assert "on 128 positive and 130 negative validation rows" in warning


@pytest.mark.parametrize(
    ("value", "text"),
    [(20818.2, "20,818"), (0.012341, "0.01234"), (-1.5, "-1.500"), (0, "0"), (3.1e9, "3.1e+09"), (1e-7, "1e-07")],
)
def test_values_in_the_unit_of_the_data_have_four_digits(value, text):
    assert shown(value, "value") == text


def test_a_figure_where_lower_is_better_says_so():
    error = {"name": "mae", "title": "Mean absolute error", "value": 20818.2, "unit": "value", "better": "lower"}
    report = {**sample(), "baselines": []}
    report["evaluation"] = {**report["evaluation"], "metrics": [{**error, "low": 18000.4, "high": 23000.0}, ACCURACY]}
    lines = to_text(report).splitlines()
    (line,) = [line for line in lines if "absolute error" in line]
    assert "lower is better" in line
    assert "20,818" in line
    assert "%" not in line
    assert sum("lower is better" in line for line in lines) == 1
    for page in (to_html(report), to_markdown(report)):
        assert page.count("lower is better") >= 1
        assert "20,818" in page
        assert "20,818 %" not in page


def test_a_division_by_time_has_both_figures():
    training = {"best_step": 20, "evaluations": [{"step": 10, "accuracy": 0.5}, {"step": 20, "accuracy": 0.913}]}
    time = {"column": "date", "train_until": "2024-05-31", "test_from": "2024-06-01"}
    evaluation = {**EVALUATION, "metrics": [ACCURACY]}
    (stated,) = verdict(evaluation, (), training, (), {"time": time})["statements"][:1]
    assert all(fact in stated for fact in ("2024-06-01", "83.9 %", "2024-05-31", "91.3 %"))
    assert verdict(evaluation, (), None, (), {"time": time})["statements"] != []
    assert verdict(evaluation, (), None, (), {"time": {"column": "date"}})["statements"] == []
    assert verdict(evaluation, (), None, (), {})["statements"] == []
