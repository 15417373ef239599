"""Pairs of texts in the recipes of texts: their columns, what is cut, and the inputs of a model that learned them."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

from tests.support.models import tokenizer
from toolkit.config import resolve
from toolkit.data.batching.batch import encode
from toolkit.data.tables.columns import find
from toolkit.tasks import loading
from toolkit.tasks.parts import text_classification
from toolkit.tasks.parts.text_classification import PAIRS

RECIPES = ("text", "sentiment")


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("pair", PAIRS)
def test_columns_of_known_pairs_are_found_in_their_order(recipe, pair):
    columns = loading.load(recipe).columns
    for names in (pair, pair[::-1], [name.capitalize() for name in pair]):
        roles = find(["id", *names, "label"], columns, {})
        assert (roles["text"].lower(), roles["text_pair"].lower()) == pair, roles
    roles = find(["id", *pair, "label"], columns, {"text": pair[0]})
    assert roles["text_pair"] == pair[1]


def test_a_name_of_a_pair_alone_is_no_second_text():
    columns = loading.load("text").columns
    assert find(["text", "passage", "label"], columns, {}) == {"text": "text", "label": "label"}
    assert find(["sentence", "label"], columns, {}) == {"text": "sentence", "label": "label"}
    assert find(["question", "sentence"], columns, {"text": "sentence", "label": "question"})["text"] == "sentence"


def preprocess(rows, longest):
    config = resolve(
        [("flag", {"recipe": "text", "model": "m", "data": {"source": "d", "max_length": longest}})]
    ).config
    return text_classification.preprocess(rows, tokenizer(), config)


def test_it_is_counted_which_text_of_a_pair_is_cut():
    rows = {
        "text": ["the cat sat on a mat " * 3, "the cat", "the cat", "the cat sat on a mat and " * 3],
        "text_pair": ["a mat", "the cat sat on a mat " * 3, "a mat", "the cat sat on a mat and " * 3],
    }
    cut = preprocess(rows, 12)["truncated"]
    assert cut.tolist() == [[True, False], [False, True], [False, False], [True, True]]
    features = encode(pa.table(rows), lambda part: preprocess(part, 12), chunk=3)
    assert (features.truncated, features.cut) == (3, (2, 2))
    one = encode(pa.table({"text": rows["text"]}), lambda part: preprocess(part, 12))
    assert (one.truncated, one.cut) == (2, ())


def test_a_model_of_pairs_requires_both_texts_and_one_of_texts_has_no_other():
    task = loading.load("text").task

    def inputs(required):
        kept = SimpleNamespace(columns=task.learned({role: {"required": value} for role, value in required.items()}))
        return [(c.role, c.required) for c in kept.columns if c.role in ("text", "text_pair")]

    assert inputs({"text": True, "text_pair": True}) == [("text", True), ("text_pair", True)]
    assert inputs({"text": True, "text_pair": False}) == [("text", True), ("text_pair", False)]
    assert inputs({"text": True}) == [("text", True)]
    assert inputs({}) == [("text", True), ("text_pair", False)]
    assert inputs({"other": True}) == [("text", True)]  # a file that was changed
