"""Entities of sentences: pairs of true and predicted ones, their figures, confidence, groups and suspect labels."""

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from toolkit.config import RunConfig
from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import entities
from toolkit.evaluation.checks import calibration, label_errors, slices
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.scores import figure_interval
from toolkit.evaluation.statistics import temperature
from toolkit.evaluation.statistics.claims.worst_groups import adjusted
from toolkit.inference.predict import Predictions
from toolkit.tasks import loading
from toolkit.tasks.spans import WORD_PROBABILITIES, Span

NAMES = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
NUMBERS = st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6)
loading.load("tokens")
RECIPE = sys.modules["toolkit_recipe_tokens"]


def context(words: list[list[str]], true: list[str], predicted: list[str], sure: Any = 0.9, **more: Any) -> Any:
    """Return the context of sentences whose labels are written with blanks between them."""
    numbers = [[[NAMES.index(label) for label in row.split()] for row in rows] for rows in (true, predicted)]
    probabilities = [
        [
            _probabilities(number, sure if isinstance(sure, float) else sure[row][place])
            for place, number in enumerate(ours)
        ]
        for row, ours in enumerate(numbers[1])
    ]
    rows = pa.table(
        {"words": words, "labels": numbers[0], "_file": ["a"] * len(words), "_row": range(1, len(words) + 1)}
    )
    columns = {"prediction": numbers[1], WORD_PROBABILITIES: probabilities}
    config = RunConfig(recipe="tokens").model_copy()
    return EvaluationContext(rows, Predictions(columns, None), loading.load("tokens"), NAMES, config, **more)


def _probabilities(number: int, sure: float) -> list[float]:
    return [sure if n == number else (1 - sure) / 4 for n in range(5)]


@pytest.mark.parametrize(
    ("true", "predicted", "kinds"),
    [
        ([Span(0, 2, "X")], [Span(0, 2, "X")], [""]),
        ([Span(0, 2, "X")], [], ["missed"]),
        ([], [Span(0, 2, "X")], ["invented"]),
        ([Span(0, 2, "X")], [Span(0, 2, "Y")], ["wrong type"]),
        ([Span(0, 2, "X")], [Span(1, 2, "X")], ["wrong boundary"]),
        ([Span(0, 2, "X")], [Span(1, 3, "Y")], ["wrong type and boundary"]),
        ([Span(0, 2, "X")], [Span(2, 3, "X")], ["missed", "invented"]),
        ([Span(0, 1, "X"), Span(1, 2, "X")], [Span(0, 2, "X")], ["wrong boundary", "missed"]),
        ([Span(0, 3, "X"), Span(3, 4, "X")], [Span(0, 1, "X"), Span(1, 3, "X"), Span(3, 4, "X")],
         ["wrong boundary", "invented", ""]),
    ],
)  # fmt: skip
def test_kinds_of_errors(true, predicted, kinds):
    assert [pair.kind for pair in entities.pairs_of(0, true, predicted)] == kinds


@settings(deadline=None, max_examples=60)
@given(NUMBERS, st.randoms(use_true_random=False))
def test_figures_are_those_of_seqeval(true, random):
    predicted = [[number if random.random() < 0.7 else random.randrange(5) for number in row] for row in true]
    written = [[[NAMES[number] for number in row] for row in rows] for rows in (true, predicted)]
    pairs = entities.compared(predicted, true, NAMES)
    counts = entities.type_counts(pairs, ["LOC", "PER"], len(true)).sum(axis=0).reshape(3, 2)
    theirs = precision_recall_fscore_support(*written, average=None, zero_division=0)
    occurring = [n for n in range(2) if counts[1:, n].any()]
    right, given_, real = counts[:, occurring]
    assert np.divide(right, given_, out=np.zeros(len(right)), where=given_ > 0) == pytest.approx(theirs[0])
    assert np.divide(right, real, out=np.zeros(len(right)), where=real > 0) == pytest.approx(theirs[1])
    assert real.tolist() == theirs[3].tolist()
    sums = RECIPE.entity_counts(predicted, true, NAMES).sum(axis=0)
    assert RECIPE.entity_f1(sums) == pytest.approx(f1_score(*written, zero_division=0))
    assert sums.tolist() == counts.sum(axis=1).tolist()


WORDS = [["Ann", "saw", "New", "York"], ["in", "Rome", "Bo", "Lee"]]
TRUE = ["B-PER O B-LOC I-LOC", "O B-LOC B-PER I-PER"]
PREDICTED = ["B-PER O O B-LOC", "B-PER B-PER O O"]


def test_overview_of_entities():
    found = entities.overview(context(WORDS, TRUE, PREDICTED, [[0.9] * 4, [0.6, 0.8, 0.95, 0.7]]))
    assert found["unit"] == "entities"
    by_type = {row["label"]: row for row in found["per_class"]}
    assert by_type["PER"]["support"] == 2
    assert by_type["PER"]["recall"]["value"] == 0.5
    assert by_type["PER"]["precision"]["value"] == pytest.approx(1 / 3)
    assert by_type["LOC"]["f1"]["value"] == 0.0
    low, high = by_type["PER"]["f1"]["low"], by_type["PER"]["f1"]["high"]
    assert low < by_type["PER"]["f1"]["value"] < high
    assert found["confusion"] == {"labels": ["LOC", "PER", "no entity"], "matrix": [[1, 1, 0], [0, 1, 1], [0, 1, 0]]}
    errors = [(e["kind"], e["label"], e["prediction"], round(e["confidence"], 3), e["row"]) for e in found["errors"]]
    assert errors == [
        ("wrong boundary", "LOC “New York”", "LOC “York”", 0.9, 1),
        ("wrong type", "LOC “Rome”", "PER “Rome”", 0.8, 2),
        ("missed", "PER “Bo Lee”", "no entity", 0.7, 2),
        ("invented", "no entity", "PER “in”", 0.6, 2),
    ]
    assert found["errors"][1]["text"] == "in [Rome] Bo Lee"


def test_long_sentences_are_shown_around_the_entity():
    words = [str(number) for number in range(60)]
    labels = ["O"] * 60
    true = [*labels[:30], "B-LOC", *labels[31:]]
    (error,) = entities.overview(context([words], [" ".join(true)], [" ".join(labels)]))["errors"]
    assert error["text"].split() == ["…", *words[18:30], "[30]", *words[31:43], "…"]


def test_words_that_are_not_read_have_no_confidence():
    one = context([["Ann"]], ["B-PER"], ["O"])
    columns = {**one.columns, WORD_PROBABILITIES: [[None]]}
    unread = EvaluationContext(one.rows, Predictions(columns, None), one.recipe, NAMES, one.config)
    assert entities.overview(unread)["errors"] == []
    assert label_errors.CHECK.run(unread) is None
    assert calibration.CHECK.run(unread) is None


def test_calibration_is_of_predicted_entities():
    found = calibration.CHECK.run(context(WORDS, TRUE, PREDICTED, 0.8, temperature=2.0, fit={"rows": 8}))
    assert found["unit"] == "entities"
    assert found["accuracy"] == 0.25  # one of the four predicted ones
    assert found["mean_confidence"] == pytest.approx(0.8)
    assert found["brier"]["value"] == pytest.approx((0.2**2 + 3 * 0.8**2) / 4)
    scaled = temperature.at_temperature([0.8, 0.05, 0.05, 0.05, 0.05], 2.0)[0]
    assert found["scaled"]["brier"]["value"] == pytest.approx(((1 - scaled) ** 2 + 3 * scaled**2) / 4)


def test_the_confidence_is_the_smallest_of_the_words():
    span = Span(0, 2, "X")
    assert entities.confidence([0, 1], [[0.9, 0.1], [0.4, 0.6]], span) == 0.6
    assert entities.confidence([0, None], [[0.9, 0.1], None], span) is None


def test_calibration_keeps_the_temperature_of_words_by_sentences():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 600)
    logits = random.normal(size=(600, 3)) * 2
    logits[np.arange(600), labels] += 2
    probabilities = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    alone = temperature.choose_temperature(probabilities, labels, 0.95, 0)
    grouped = temperature.choose_temperature(probabilities, labels, 0.95, 0, np.repeat(np.arange(60), 10))
    assert alone.kept
    assert grouped.temperature == alone.temperature
    one = temperature.choose_temperature(probabilities, labels, 0.95, 0, np.arange(600))
    assert one == alone
    twice = [np.concatenate([part, part]) for part in (probabilities, labels, np.arange(600))]
    pairs = temperature.choose_temperature(*twice[:2], 0.95, 0, twice[2])
    assert pairs.gain.high - pairs.gain.low == pytest.approx(alone.gain.high - alone.gain.low, rel=0.02)


def test_suspect_labels_are_entities():
    words = [["Ann", "ran"]] * 8 + [["Bo", "ran"]]
    true = ["B-PER O"] * 8 + ["O O"]
    found = label_errors.CHECK.run(context(words, true, ["B-PER O"] * 9, 0.95))
    assert found["unit"] == "entities"
    assert found["doubted"] == 1
    (example,) = found["examples"]
    assert (example["label"], example["suggestion"], example["row"]) == ("no entity", "PER “Bo”", 9)
    assert example["suggestion_probability"] == pytest.approx(0.95)
    assert example["label_probability"] == pytest.approx(0.0125)
    assert example["text"] == "[Bo] ran"


def test_groups_of_entities():
    words = [["Ann", "saw", "Rome"]] * 30 + [["Zed", "saw", "Oslo"]] * 30
    true = ["B-PER O B-LOC"] * 60
    predicted = ["B-PER O B-LOC"] * 30 + ["B-PER O O"] * 30
    found = slices.CHECK.run(context(words, true, predicted, known_entities=frozenset({"ann", "rome", "zed"})))
    assert found["unit"] == "entities"
    assert found["accuracy"] == 0.75
    groups = {(group["by"], group["name"]): group for group in found["groups"]}
    assert groups["class", "LOC"]["accuracy"]["value"] == 0.5
    assert groups["seen in training", "no"]["rows"] == 30
    assert groups["seen in training", "no"]["accuracy"]["value"] == 0.0
    assert groups["seen in training", "no"]["p"] < 0.05
    assert groups["class", "PER"]["p"] > 0.05
    bare = slices.CHECK.run(context(words, true, predicted))
    assert "seen in training" not in {group["by"] for group in bare["groups"]}


def test_known_texts_ignore_case():
    assert entities.known_texts([["New", "YORK", "x"]], [[0, 2, 4]], NAMES) == {"new york"}


def test_mistakes_in_one_cluster_are_one_mistake():
    """Ten wrong entities of one sentence show nothing of its group; ten wrong sentences do."""
    wrong = np.zeros(200, bool)
    wrong[:10] = True
    group = [np.arange(20)]
    (alone,) = adjusted(wrong, group, 0).p_values
    (sentences,) = adjusted(wrong, group, 0, np.arange(200) // 10).p_values
    assert alone < 0.01
    assert sentences > 0.05
    assert adjusted(wrong, group, 0, np.arange(200)).p_values[0] < 0.01


def test_a_precision_of_everything_has_an_interval():
    recipe = loading.load("tokens")
    labels = ("O", "B-PER", "I-PER")
    rows = [[0, 1, 2], [1, 0, 0], [0, 0, 0]] * 5
    config = EvaluationConfig(resamples=100)
    for name, predictions in (("entity_precision", rows), ("entity_recall", rows)):
        metric = next(metric for metric in recipe.metrics if metric.name == name)
        interval = figure_interval(metric, predictions, rows, labels, config, 0)
        assert interval is not None
        assert (interval.value, interval.high) == (1, 1)
        assert 0.5 < interval.low < 1
    metric = next(metric for metric in recipe.metrics if metric.name == "entity_precision")
    assert figure_interval(metric, [[0, 0, 0]] * 15, rows, labels, config, 0) is None  # none is predicted
