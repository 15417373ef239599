"""What is said of new rows as a whole: nothing, other shares of classes, or other rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from toolkit.errors import DataError
from toolkit.evaluation.shift.find import LEAST_ROWS, Settings, Side, compare
from toolkit.report.document.schema import faults
from toolkit.report.shapes import SHIFT
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe

SETTINGS = Settings(level=0.05, margin=0.0, confidence=0.95, resamples=100, seed=0)
LABELS = ("negative", "positive")
WORDS = (["bad", "worse", "awful", "poor", "dull"], ["good", "better", "great", "fine", "sharp"])
OTHERS = ["film", "plot", "actor", "scene", "music", "light", "sound", "story", "end", "start"]


def side(random: np.random.Generator, rows: int, positive: float = 0.5, add: str = "", groups: Any = None) -> Side:
    """Reviews, and predictions of a model that is right on four of five."""
    truth = (random.random(rows) < positive).astype(int)
    texts = [" ".join([*random.choice(OTHERS, 6), *random.choice(WORDS[label], 2)]) for label in truth]
    texts = [f"{text} {add}" if add and row % 2 else text for row, text in enumerate(texts)]
    right = random.random(rows) < np.where(np.arange(rows) % 2, 0.9, 0.7)
    sure = np.where(np.arange(rows) % 2, 0.9, 0.7) + 0.02 * random.random(rows)
    predicted = np.where(right, truth, 1 - truth)
    probabilities = np.where(predicted[:, None] == [0, 1], sure[:, None], 1 - sure[:, None])
    columns = {"prediction": predicted.tolist(), "probabilities": probabilities.tolist()}
    return Side(pa.table({"text": texts, "label": truth}), columns, groups, truth.tolist())


def found(recipe: Recipe, reference: Side, new: Side, settings: Settings = SETTINGS) -> dict[str, Any]:
    validation = np.arange(reference.rows.num_rows) % 2 == 0
    result = compare(recipe.task, LABELS, reference, new, validation, None, settings)
    assert faults(SHIFT, result) == []
    return result


def test_equal_rows_are_not_claimed(sentiment: Recipe) -> None:
    random = np.random.default_rng(0)
    results = [found(sentiment, side(random, 100), side(random, 100)) for _ in range(20)]
    assert sum(result["claimed"] for result in results) <= 4
    quiet = next(result for result in results if not result["claimed"])
    assert quiet["examples"] == []
    assert not any(row["claimed"] for row in (*quiet["words"], *quiet["properties"]))
    estimate, reference = quiet["accuracy"]["estimate"], quiet["accuracy"]["checked"]
    assert estimate["low"] <= 0.8 <= estimate["high"]
    assert reference["low"] <= 0.8 <= reference["high"]


def test_other_shares_are_told_from_other_rows(sentiment: Recipe) -> None:
    random = np.random.default_rng(1)
    reference = side(random, 600)
    shares = found(sentiment, reference, side(random, 400, positive=0.85))
    assert shares["claimed"]
    assert shares["within_classes"]["p"] > SETTINGS.level
    positive = shares["classes"][1]
    assert positive["low"] <= 0.85 <= positive["high"]
    assert positive["low"] > 0.6
    other = found(sentiment, reference, side(random, 400, add="refund parcel"))
    assert other["claimed"]
    assert other["within_classes"]["p"] <= SETTINGS.level
    assert {row["word"] for row in other["words"] if row["claimed"]} == {"refund", "parcel"}
    assert {row["name"] for row in other["properties"] if row["claimed"]} >= {"words"}
    assert len(other["examples"]) > 0
    assert all("refund" in row["text"] for row in other["examples"])


def test_shares_alone_are_seldom_taken_for_other_rows(sentiment: Recipe) -> None:
    random = np.random.default_rng(2)
    results = [found(sentiment, side(random, 200), side(random, 150, positive=0.8)) for _ in range(20)]
    within = [result["within_classes"]["p"] for result in results if result["claimed"]]
    assert len(within) >= 10
    assert np.mean(np.array(within) <= SETTINGS.level) <= 0.2


def test_small_shift_is_not_claimed_below_the_margin(sentiment: Recipe) -> None:
    random = np.random.default_rng(3)
    reference, new = side(random, 400), side(random, 400, positive=0.9)
    assert found(sentiment, reference, new)["claimed"]
    lenient = Settings(level=0.05, margin=0.4, confidence=0.95, resamples=100, seed=0)
    assert not found(sentiment, reference, new, lenient)["claimed"]


def test_one_held_out_row_of_each_group_where_new_rows_have_none(sentiment: Recipe) -> None:
    random = np.random.default_rng(4)
    groups = np.repeat(np.arange(60), 5)
    result = found(sentiment, side(random, 300, groups=groups), side(random, 100))
    assert result["one_of_each_group"]
    assert result["reference_groups"] == 60
    other = found(sentiment, side(random, 300, groups=groups), side(random, 100, positive=1.0))
    assert not other["claimed"]  # the new rows may be of a few groups
    both = found(sentiment, side(random, 300, groups=groups), side(random, 100, groups=np.arange(100) // 2))
    assert not both["one_of_each_group"]
    assert both["groups"] == 50


def test_words_of_rows_have_shares_and_accuracy(tokens: Recipe) -> None:
    random = np.random.default_rng(5)

    def rows(count: int) -> Side:
        lengths = random.integers(2, 9, count)
        truth = [random.integers(0, 2, length).tolist() for length in lengths]
        right = [random.random(length) < 0.9 for length in lengths]
        chosen = [np.where(good, row, 1 - np.array(row)).tolist() for row, good in zip(truth, right, strict=True)]
        sure = [[[0.9, 0.1] if label == 0 else [0.1, 0.9] for label in row] for row in chosen]
        words = [random.choice(OTHERS, length).tolist() for length in lengths]
        columns = {"prediction": chosen, "word_probabilities": sure}
        return Side(pa.table({"words": words, "labels": truth}), columns, None, truth)

    result = found(tokens, rows(100), rows(80))
    assert result["accuracy"]["estimate"]["low"] <= 0.9 <= result["accuracy"]["estimate"]["high"]
    assert result["accuracy"]["truth"]["value"] > 0.8
    assert result["classes"] == []
    assert sum(row["new"]["value"] for row in result["predicted"]) == pytest.approx(1.0)


def test_numbers_have_a_mean_and_no_accuracy() -> None:
    recipe = loading.load("text", "number")
    random = np.random.default_rng(6)

    def rows(count: int, mean: float) -> Side:
        texts = [" ".join(random.choice(OTHERS, 6)) for _ in range(count)]
        numbers = random.normal(mean, 1.0, count).tolist()
        return Side(pa.table({"text": texts, "label": numbers}), {"prediction": numbers}, None, numbers)

    result = compare(recipe.task, (), rows(100, 0.0), rows(100, 3.0), np.zeros(100, bool), None, SETTINGS)
    assert faults(SHIFT, result) == []
    assert result["claimed"]
    assert result["predicted"][0]["new"]["low"] > 2.0
    assert "estimate" not in result["accuracy"]
    assert result["accuracy"]["reason"]


def test_few_rows_are_refused(sentiment: Recipe) -> None:
    random = np.random.default_rng(7)
    with pytest.raises(DataError) as refused:
        found(sentiment, side(random, 100), side(random, LEAST_ROWS - 1))
    assert refused.value.id == "watch.too-few-rows"


def test_texts_and_items_are_not_compared() -> None:
    recipes = {name: loading.load(name) for name in ("sentiment", "tokens", "image", "translation", "recommend")}
    compared = {name for name, recipe in recipes.items() if recipe.task.takes_shift}
    assert compared == {"sentiment", "tokens", "image"}
