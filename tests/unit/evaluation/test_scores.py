"""Figures, classes, confusion and errors of predictions that can be counted by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config import RunConfig
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import RecipeError
from toolkit.evaluation import scores
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews import class_figures
from toolkit.inference.predict import Predictions
from toolkit.metrics import Metric
from toolkit.tasks import loading
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.task import Column

CONFIG = EvaluationConfig(resamples=200)
LABELS = ("bad", "good", "mixed")
TRUE = [0, 0, 0, 1, 1, 1, 1, 2]
SAID = [0, 0, 1, 1, 1, 1, 0, 1]


def test_figures_with_their_intervals(no_hub, no_sockets):
    figures = scores.score({"prediction": SAID}, TRUE, ("accuracy", "f1", "matthews"), LABELS, CONFIG, seed=0)
    assert [figure["name"] for figure in figures] == ["accuracy", "f1", "matthews"]
    assert figures[0]["value"] == pytest.approx(5 / 8)
    assert figures[1]["value"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert [figure["unit"] for figure in figures] == ["fraction", "fraction", "score"]
    for figure in figures:
        assert figure["low"] < figure["value"] < figure["high"]
    assert scores.score({"prediction": SAID}, TRUE, ("accuracy", "f1", "matthews"), LABELS, CONFIG, seed=0) == figures


def test_values_are_the_figures_without_intervals(no_hub):
    figures = scores.score({"prediction": SAID}, TRUE, ("accuracy", "f1", "matthews"), LABELS, CONFIG, seed=0)
    values = scores.values({"prediction": SAID}, TRUE, ("accuracy", "f1", "matthews"), LABELS)
    assert values == {figure["name"]: figure["value"] for figure in figures}


@pytest.mark.parametrize("said", [[1] * 10, [0] * 10])
def test_all_right_or_all_wrong_is_not_certain(said):
    (figure,) = scores.score({"prediction": said}, [1] * 10, ("accuracy",), ("a", "b"), CONFIG, seed=0)
    assert figure["high"] - figure["low"] == pytest.approx(0.2775, abs=1e-3)


@pytest.mark.parametrize("right", [True, False])
def test_f1_and_every_class_know_doubt_where_resampling_has_none(right, no_hub):
    true = [0] * 40 + [1] * 4
    output = true if right else [1 - label for label in true]
    value, columns = (1.0 if right else 0.0), {"prediction": output}
    figures = {
        figure["name"]: figure for figure in scores.score(columns, true, ["f1", "matthews"], ["a", "b"], CONFIG, 0)
    }
    assert figures["f1"]["value"] == value
    rows = class_figures.per_class(output, true, ["a", "b"], CONFIG, seed=0)
    widths = []
    for cell in (figures["f1"], *(row[name] for row in rows for name in ("precision", "recall", "f1"))):
        assert cell["low"] <= value <= cell["high"]
        widths.append(cell["high"] - cell["low"])
    assert min(widths) > 0.04
    if right:  # four examples tell less than forty
        assert rows[1]["f1"]["low"] < rows[0]["f1"]["low"] < 1
    assert figures["matthews"]["low"] is None  # no interval is better than one without width


def test_a_metric_from_elsewhere_has_no_interval(monkeypatch):
    theirs = SimpleNamespace(compute=lambda predictions, references: {"wer": 0.25, "parts": [1, 2]})
    monkeypatch.setattr(scores, "load", lambda metric: (theirs, None))
    (figure,) = scores.score({"prediction": [1]}, [1], ("wer",), (), CONFIG, seed=0)
    assert figure == {"name": "wer", "title": "wer", "value": 0.25, "low": None, "high": None, "unit": "score"}
    assert scores.values({"prediction": [1]}, [1], ("wer",), ()) == {"wer": 0.25}


def test_a_recipes_own_metric_is_resampled():
    def same(said, true, _):
        return np.array([[float(a == b), 1.0] for a, b in zip(said, true, strict=True)])

    exact = Metric("exact", "Exact", same, lambda sums: sums[..., 0] / sums[..., 1], value_type="string")
    (figure,) = scores.score({"prediction": list("aabb")}, list("aaab"), (exact,), (), CONFIG, seed=0)
    assert figure["value"] == 0.75
    assert figure["low"] < 0.75 < figure["high"]


@pytest.mark.parametrize(
    ("value_type", "predictions", "references"),
    [
        ("int64", [0.5, 1.0], [0, 1]),
        ("int64", [[0], [1]], [[0], [1]]),
        ("labels", [0, 1], [0, 1]),
        ("float64", ["a", "b"], [0.0, 1.0]),
        ("string", ["a", "b"], [0, 1]),
    ],
)
def test_values_of_another_type_than_the_metrics_are_refused(value_type, predictions, references):
    metric = Metric("own", "Own", lambda p, r, _: np.zeros((len(p), 1)), lambda sums: sums[..., 0], value_type)
    with refused(RecipeError, "recipe.metric-type", "own"):
        scores.values({"prediction": predictions}, references, (metric,), ())


def test_missing_predictions_are_refused():
    with refused(RecipeError, "recipe.no-prediction", "probabilities"):
        scores.values({"probabilities": [[0.5, 0.5]]}, [0], ("accuracy",), ("no", "yes"))


def test_the_lead_is_paired_on_the_same_examples():
    from toolkit.metrics.classification import METRICS

    true = [0, 1] * 50
    ours, theirs = [*true[:90], *[1 - t for t in true[90:]]], [*true[:75], *[1 - t for t in true[75:]]]
    first, other = {"prediction": ours}, {"prediction": theirs}
    result = scores.difference(METRICS["accuracy"], first, other, true, ("a", "b"), CONFIG, seed=0)
    assert result["metric"] == "accuracy"
    assert result["value"] == pytest.approx(0.15)
    assert 0 < result["low"] < 0.15 < result["high"] < 0.3
    assert result["mcnemar"] == {"only_ours": 15, "only_theirs": 0, "p": pytest.approx(2**-15)}


def test_each_class_is_counted():
    rows = {row["label"]: row for row in class_figures.per_class(SAID, TRUE, LABELS, CONFIG, seed=0)}
    assert {label: row["support"] for label, row in rows.items()} == {"bad": 3, "good": 4, "mixed": 1}
    assert rows["bad"]["precision"]["value"] == pytest.approx(2 / 3)
    assert rows["good"]["recall"]["value"] == pytest.approx(3 / 4)
    assert rows["mixed"]["f1"]["value"] == 0
    for row in rows.values():
        for name in ("recall", "f1", *(["precision"] if row["label"] != "mixed" else [])):  # never predicted
            assert 0 <= row[name]["low"] <= row[name]["high"] <= 1


def test_figures_that_are_0_of_0_have_no_value():
    output, true = [0] * 30 + [1] * 10 + [2] * 5, [0] * 25 + [3] * 20
    rows = {
        row["label"]: row for row in class_figures.per_class(output, true, ("a", "b", "c", "d", "e"), CONFIG, seed=0)
    }
    undefined = {"value": None, "low": None, "high": None}
    assert rows["d"]["precision"] == undefined
    assert rows["d"]["recall"]["value"] == rows["d"]["f1"]["value"] == 0
    assert rows["d"]["recall"]["high"] < 0.2
    for label in ("b", "c"):
        assert rows[label]["recall"] == undefined
        assert rows[label]["precision"]["value"] == rows[label]["f1"]["value"] == 0
    assert rows["e"]["precision"] == rows["e"]["recall"] == rows["e"]["f1"] == undefined


def test_precision_of_a_class_that_is_predicted_once():
    """Samples without it say nothing of it; they are no precision of 0."""
    output, true = [0] * 40 + [1], [0] * 35 + [1] * 6
    row = class_figures.per_class(output, true, ("a", "b"), CONFIG, seed=0)[1]
    assert row["precision"]["value"] == row["precision"]["high"] == 1
    assert row["precision"]["low"] == pytest.approx(0.2065, abs=1e-3)  # Wilson's of 1 of 1


def context(recipe, columns, truth, labels, metrics, config) -> EvaluationContext:
    """Return the context of predictions with their truth."""
    rows = pa.table({"label": truth})
    return EvaluationContext(rows, Predictions(columns, None), replace(recipe, metrics=metrics), labels, config)


def test_one_class_alone_has_no_correlation(sentiment):
    probabilities = [[0.6, 0.4], [0.3, 0.7]] * 20
    columns = {"prediction": [0, 1] * 20, "probabilities": probabilities}
    names = ["accuracy", "f1", "matthews", "auroc"]
    results = {figure["name"] for figure in scores.score(columns, [1] * 40, names, ("a", "b"), CONFIG, 0)}
    assert results == {"accuracy", "f1"}
    assert scores.values(columns, [1] * 40, names, ("a", "b")).keys() == results
    guess = {"prediction": [1] * 40}
    (figure,) = scores.score(guess, [0, 1] * 20, ["matthews"], ("a", "b"), CONFIG, 0)
    assert figure["value"] == 0
    from toolkit.metrics.classification import METRICS

    config = RunConfig(recipe="x", model="m")
    evaluated = context(sentiment, columns, [1] * 40, ("a", "b"), [METRICS["matthews"]], config)
    (section,) = scores.baseline_sections({"x": guess["prediction"]}, evaluated)
    assert section["difference"] is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30))
def test_the_confusion_counts_every_example_once(rows):
    output, true = [s for s, _ in rows], [t for _, t in rows]
    confusion = scores.confusion(output, true, LABELS)
    assert confusion["labels"] == list(LABELS)
    matrix = np.array(confusion["matrix"])
    assert matrix.sum() == len(rows)
    for truth in range(3):
        for prediction in range(3):
            assert matrix[truth, prediction] == rows.count((prediction, truth))


PAIR = (Column("text", (), TEXT), Column("text_pair", (), TEXT))


def test_the_surest_errors_come_first():
    columns = {"prediction": [1, 0, 1, 0], "probabilities": [[0.4, 0.6], [0.9, 0.1], [0.05, 0.95], [0.7, 0.3]]}
    rows = [
        {"text": "slightly wrong", "label": 0, "_file": "a.csv", "_row": 2},
        {"text": "right", "label": 0, "_file": "a.csv", "_row": 3},
        {"text": "very wrong", "text_pair": "indeed", "label": 0, "_file": "a.csv", "_row": 4},
        {"text": "wrong", "text_pair": None, "label": 1, "_file": "a.csv", "_row": 5},
    ]
    errors = scores.confident_errors(columns, rows, ("bad", "good"), PAIR)
    assert [error["row"] for error in errors] == [4, 5, 2]
    assert errors[0] == {
        "file": "a.csv",
        "row": 4,
        "text": "very wrong ⏎ indeed",
        "label": "bad",
        "prediction": "good",
        "confidence": 0.95,
    }
    assert len(scores.confident_errors(columns, rows, ("bad", "good"), PAIR, most=1)) == 1


def test_the_section_of_a_split(sentiment):
    probabilities = np.eye(3)[SAID] * 0.7 + 0.1
    predictions = Predictions({"prediction": SAID, "probabilities": probabilities.tolist()}, 0.5)
    rows = pa.table({"text": [f"t{n}" for n in range(8)], "label": TRUE, "_file": ["f"] * 8, "_row": range(8)})
    config = RunConfig(recipe="x", evaluation=CONFIG)
    section = scores.evaluation_section(EvaluationContext(rows, predictions, sentiment, LABELS, config), "test")
    assert (section["split"], section["rows"], section["loss"], section["confidence"]) == ("test", 8, 0.5, 0.95)
    assert len(section["errors"]) == 3
    assert {"metrics", "per_class", "confusion", "labels"} <= section.keys()


def test_the_section_of_a_baseline(sentiment):
    config = RunConfig(recipe="x", evaluation=CONFIG)
    evaluated = context(sentiment, {"prediction": SAID}, TRUE, LABELS, ("accuracy",), config)
    (section,) = scores.baseline_sections({"Guess": [0] * 8}, evaluated)
    assert section["metrics"][0]["value"] == pytest.approx(3 / 8)
    assert section["difference"]["value"] == pytest.approx(2 / 8)


def test_the_surest_errors_come_first_and_no_right_answer_is_among_them():
    columns = {"prediction": [0, 1, 1, 0], "probabilities": [[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.9, 0.1]]}
    assert scores.surest_errors(columns, [1, 1, 0, 1]) == [3, 2, 0]
    assert scores.surest_errors(columns, [1, 1, 0, 1], most=2) == [3, 2]
    assert scores.surest_errors(columns, [0, 1, 1, 0]) == []


def test_average_precision_has_the_share_of_positives_as_its_base_rate():
    random, true = np.random.default_rng(0), [0] * 30 + [1] * 10
    probabilities = random.dirichlet([1, 1], 40)
    columns = {"prediction": [0] * 40, "probabilities": probabilities.tolist()}
    (figure,) = scores.score(columns, true, ("average_precision",), ("well", "ill"), CONFIG, seed=0)
    assert (figure["positive"], figure["base_rate"]) == ("ill", 0.25)
    true, columns["probabilities"] = [0] * 20 + [1] * 16 + [2] * 4, random.dirichlet([1, 1, 1], 40).tolist()
    (figure,) = scores.score(columns, true, ("average_precision",), LABELS, CONFIG, seed=0)
    assert (figure["positive"], figure["base_rate"]) == ("", pytest.approx((0.5 + 0.4 + 0.1) / 3))
    (figure,) = scores.score(columns, true, ("auroc",), LABELS, CONFIG, seed=0)
    assert "base_rate" not in figure


@pytest.mark.parametrize(("recipe", "extra"), [("sentiment", ()), ("translation", ("writing",))])
def test_claims_of_a_report_share_one_error(recipe, extra):
    config = RunConfig(recipe=recipe, model="m", data={"source": "d"})
    rows = pa.table({"text": ["a"], "label": [0]})
    context = EvaluationContext(rows, Predictions({}, None), loading.load(recipe), LABELS, config)
    assert sum(1 - level for level in context.claims.values()) == pytest.approx(0.05)
    assert set(extra) == set(context.claims) & {"writing"}
    with_people = config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update={"checks": ["bias"], "group_column": "dialect"})}
    )
    levels = replace(context, config=with_people).claims
    assert {"bias", "fairness"} <= set(levels)
    assert levels["fairness"] == pytest.approx(levels["bias"])
    assert levels["fairness"] > context.claims["baselines"]
