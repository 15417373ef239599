"""Models are compared on the same rows only, in any order and numbering."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import DataError
from toolkit.evaluation import prediction_store
from toolkit.evaluation.compare import align, compare
from toolkit.evaluation.prediction_store import StoredPredictions
from toolkit.inference.predict import Predictions
from toolkit.tasks import loading
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.targets.generated_text import GENERATED_TEXT
from toolkit.tasks.targets.number import NUMBER
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import Column, Task

LABELS = ("bad", "good")
RECIPES = Path(__file__).parents[2] / "support" / "recipes"
CONFIG = EvaluationConfig(resamples=200)


OF_CLASSES = Task((Column("text", (), TEXT), Column("label", (), SINGLE_LABEL)))
OF_TEXTS = Task((Column("source", (), TEXT), Column("target", (), GENERATED_TEXT)))


def told(texts, truth, said, labels=LABELS, recipe="sentiment") -> StoredPredictions:
    """A file of predictions, with confidence 0.9."""
    rows = pa.table({"text": texts, "label": truth, "_file": ["f.csv"] * len(texts), "_row": range(len(texts))})
    probabilities = [[0.9 if number == item else 0.1 for number in range(len(labels))] for item in said]
    predictions = Predictions({"prediction": said, "probabilities": probabilities}, None)
    table = prediction_store.table(rows, ("text", "label"), ("text",), predictions)
    facts = {"labels": list(labels), "recipe": recipe, "columns": ["prediction", "probabilities"], "split": "test"}
    return StoredPredictions(table, facts)


def aligned(*files, names=("one", "other")):
    return align(names, files, Column("label", (), SINGLE_LABEL))


def test_rows_in_another_order_and_classes_in_another_numbering_are_the_same():
    first = told(["a", "b", "c"], [0, 1, 1], [0, 1, 0])
    other = told(["c", "a", "b"], [0, 1, 0], [0, 1, 1], labels=("good", "bad"))
    result = aligned(first, other)
    assert result.columns[0] == {"prediction": [0, 1, 0], "probabilities": [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]}
    assert result.columns[1] == {"prediction": [0, 0, 1], "probabilities": [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]}


def test_numbers_that_are_predicted_for_classes_keep_their_values():
    one = told(["a", "b"], [0, 1], [0, 1])
    other = told(["a", "b"], [1, 0], [1, 0], labels=("good", "bad"))
    for file in (one, other):
        values = pa.array([0.25, 0.75])
        place = file.table.column_names.index("prediction")
        file = StoredPredictions(file.table.set_column(place, "prediction", values), file.facts)
        assert aligned(one, file).columns[1]["prediction"] == [0.25, 0.75]


def test_texts_that_stand_twice_are_matched_one_to_one():
    first = told(["a", "a", "a"], [0, 1, 0], [0, 1, 1])
    other = told(["a", "a", "a"], [1, 0, 0], [1, 0, 1])
    assert aligned(first, other).columns[1]["prediction"] == [0, 1, 1]
    with refused(
        DataError, "compare.different-rows", "3 and 2.", "Only in one: 1 (first: f.csv, row 2)", "Only in other: 0"
    ):
        aligned(first, told(["a", "a"], [0, 1], [0, 0]))


def test_different_rows_are_rejected_with_the_difference():
    first = told(["a", "b", "c"], [0, 1, 1], [0, 1, 0])
    with refused(DataError, "compare.different-rows") as caught:
        aligned(first, told(["a", "b", "d", "e"], [0, 1, 1, 0], [0, 1, 0, 0]))
    assert "Only in one: 1 (first: f.csv, row 2). Only in other: 2 (first: f.csv, row 2)" in caught.value.problem
    with refused(DataError, "compare.different-rows", "labels"):
        aligned(first, told(["a", "b", "c"], [0, 1, 0], [0, 1, 0]))


def test_other_classes_and_other_tasks_are_refused():
    first = told(["a"], [0], [0])
    with refused(DataError, "compare.different-classes", "one: bad, good", "other: bad, fine"):
        aligned(first, told(["a"], [0], [0], labels=("bad", "fine")))
    with refused(DataError, "compare.different-tasks", "sentiment", "tokens"):
        aligned(first, told(["a"], [0], [0], recipe="tokens"))


def test_a_comparison_counts_and_ranks():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 300).tolist()
    good = [t if random.random() < 0.9 else 1 - t for t in truth]
    poor = [t if random.random() < 0.7 else 1 - t for t in truth]
    texts = [f"text {number}" for number in range(300)]
    files = [told(texts, truth, text) for text in (good, poor, good)]
    result = compare(
        align("abc", files, Column("label", (), SINGLE_LABEL)),
        truth,
        ("accuracy", "auroc"),
        CONFIG,
        seed=0,
        task=OF_CLASSES,
    )
    assert [model["name"] for model in result["models"]] == ["a", "b", "c"]
    pairs = {(pair["one"], pair["other"]): pair for pair in result["pairs"]}
    assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    first = pairs["a", "b"]
    rights = [(a == t, b == t) for a, b, t in zip(good, poor, truth, strict=True)]
    assert first["only_one"] == rights.count((True, False))
    assert first["only_other"] == rights.count((False, True))
    assert first["both_right"] + first["only_one"] + first["only_other"] + first["both_wrong"] == 300
    assert first["differences"][0]["low"] > 0
    assert first["p"] < 0.001
    assert first["confidence"] == pytest.approx(1 - 0.05 / 3)
    assert pairs["a", "c"]["agreement"] == 1
    assert pairs["a", "c"]["p"] == 1
    parted = sum(a != b for a, b in zip(good, poor, strict=True))
    assert result["disagreeing"] == parted
    assert len(result["disagreements"]) == 20
    assert result["disagreements"][0]["answers"][0]["confidence"] == 0.9
    assert result["disagreements"][0]["text"].startswith("text")
    assert {answer["model"] for answer in result["disagreements"][0]["answers"]} == {"a", "b", "c"}


def test_rows_of_a_group_are_compared_together():
    """Copies of rows say nothing new, in whichever order a file lists them; the coarser of two groupings counts."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 2, 40).repeat(5)
    said, theirs = (np.where((random.random(40) < share).repeat(5), truth, 1 - truth) for share in (0.8, 0.6))
    texts, order = [f"text {number}" for number in range(200)], random.permutation(200)
    groups = np.arange(40).repeat(5)
    first = told(texts, truth.tolist(), said.tolist())
    other = told([texts[row] for row in order], truth[order].tolist(), theirs[order].tolist())

    def report(*files):
        result = aligned(*files)
        return compare(result, truth.tolist(), ["accuracy"], CONFIG, 0, OF_CLASSES)

    plain = report(first, other)
    assert "groups" not in plain
    grouped = report(first, other.grouped(groups[order]))
    assert grouped["groups"] == 40
    assert report(first.grouped(np.arange(200)), other.grouped(groups[order]))["groups"] == 40
    assert report(first.grouped(groups), other) == grouped
    for part in (lambda r: r["models"][1]["metrics"][0], lambda r: r["pairs"][0]["differences"][0]):
        wide, narrow = part(grouped), part(plain)
        assert wide["value"] == narrow["value"]
        assert wide["high"] - wide["low"] > 1.6 * (narrow["high"] - narrow["low"])
    assert grouped["pairs"][0]["p"] > plain["pairs"][0]["p"]


def test_agreeing_models_have_no_disagreements():
    file = told(["a", "b", "c"], [0, 1, 1], [0, 1, 0])
    table = file.table.set_column(0, "_file", file.table["_file"].combine_chunks().dictionary_encode())
    same = StoredPredictions(table, file.facts)
    found = compare(aligned(same, same), [0, 1, 1], ("accuracy",), CONFIG, seed=0, task=OF_CLASSES)
    assert (found["disagreements"], found["disagreeing"], found["pairs"][0]["p"]) == ([], 0, 1.0)


def test_texts_are_compared_by_their_figures_and_not_by_right_and_wrong():
    sources, references = ["one", "two", "three"], ["a b c d", "e f g h", "i j k l"]
    good, poor = ["a b c d", "e f g x", "i j k l"], ["a b c d d", "y z y z", "i j k l"]
    files = []
    for text in (good, poor):
        rows = pa.table({"source": sources, "target": references, "_file": ["f.tsv"] * 3, "_row": [2, 3, 4]})
        table = prediction_store.table(rows, ("source", "target"), ("source",), Predictions({"prediction": text}, None))
        files.append(
            StoredPredictions(
                table, {"labels": [], "recipe": "translation", "columns": ["prediction"], "split": "test"}
            )
        )
    both = align(("good", "poor"), files, Column("target", (), GENERATED_TEXT))
    result = compare(both, references, ("chrf", "bleu", "ter"), CONFIG, seed=0, task=OF_TEXTS)
    (pair,) = result["pairs"]
    assert pair["p"] > 0.05  # three rows show nothing
    assert "both_right" not in pair
    assert pair["agreement"] == pytest.approx(1 / 3)
    signs = {item["name"]: item["value"] > 0 for item in pair["differences"]}
    assert signs == {"chrf": True, "bleu": True, "ter": False}  # of edits the better one makes fewer
    assert (result["disagreeing"], result["parted_by"]) == (2, "chrF2")
    assert [row["row"] for row in result["disagreements"]] == [3, 2]  # where they differ most


def test_numbers_are_compared_without_an_agreement() -> None:
    truth, files = [1e-4, 2e-4, 3e-4], []  # differences are small, as the unit is
    for numbers in ([1e-4, 2e-4, 3e-4], [1e-4, 1e-4, 1e-4]):
        rows = pa.table({"text": list("abc"), "label": truth, "_file": ["f.csv"] * 3, "_row": [2, 3, 4]})
        table = prediction_store.table(rows, ("text", "label"), ("text",), Predictions({"prediction": numbers}, None))
        facts = {"labels": [], "recipe": "text", "columns": ["prediction"], "split": "test"}
        files.append(StoredPredictions(table, facts))
    task = Task((Column("text", (), TEXT), Column("label", (), NUMBER)))
    result = compare(align(("good", "poor"), files, task.target), truth, ("mae",), CONFIG, seed=0, task=task)
    assert result["pairs"][0]["agreement"] is result["disagreeing"] is None
    assert [row["row"] for row in result["disagreements"]] == [4, 3]  # where they differ most
    assert result["pairs"][0]["differences"][0]["value"] == pytest.approx(-1e-4)


def test_a_list_of_classes_has_no_confidence():
    """The largest of its probabilities says nothing of a row without classes."""
    task = loading.load(str(RECIPES / "topics.py")).task
    files = []
    for said in ([[0], [], [1]], [[0], [1], []]):
        rows = pa.table({"text": ["a", "b", "c"], "topics": [[0], [1], []], "_file": ["f.csv"] * 3, "_row": [2, 3, 4]})
        predictions = Predictions({"prediction": said, "probabilities": [[0.9, 0.1], [0.2, 0.6], [0.4, 0.6]]}, None)
        table = prediction_store.table(rows, ("text", "topics"), ("text",), predictions)
        facts = {"labels": list(LABELS), "recipe": "topics", "columns": ["prediction", "probabilities"]}
        files.append(StoredPredictions(table, facts))
    both = align(("one", "other"), files, task.target)
    result = compare(both, [[0], [1], []], (), CONFIG, seed=0, task=task)
    assert [row["row"] for row in result["disagreements"]] == [3, 4]
    assert {answer["confidence"] for row in result["disagreements"] for answer in row["answers"]} == {None}
