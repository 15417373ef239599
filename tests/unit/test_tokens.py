"""The recipe `tokens`: one label for each word, for any tokenization."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch

from tests.support import checkpoints
from toolkit import sources
from toolkit.config import resolve
from toolkit.data.batching.batch import encode
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict_features import predict_features
from toolkit.tasks import loading

LABELS = ("B-PER", "I-PER", "O")
loading.load("tokens")
MODULE = sys.modules["toolkit_recipe_tokens"]


@pytest.fixture(scope="module")
def recipe() -> Any:
    return loading.load("tokens")


@pytest.fixture(scope="module")
def processor(recipe: Any) -> Any:
    config = resolve([("test", {"recipe": "tokens"})]).config
    return recipe.load_processor(sources.package_path(checkpoints.TINY.removeprefix("pkg://")), config)


def config(longest: int = 64) -> Any:
    return resolve([("test", {"recipe": "tokens", "model": "x", "data": {"max_length": longest}})]).config


def labelled(recipe: Any, processor: Any, words: list[str], longest: int = 64) -> list[int | None]:
    """Return the label of each word where the model gives every token the number of its place."""
    features = recipe.preprocess({"words": [words], "labels": [[0] * len(words)]}, processor, config(longest))
    tokens = len(features["input_ids"][0])
    logits = torch.eye(tokens)[None]
    batch = {name: features[name] for name in ("first_of", "words")}
    (result,) = recipe.predictions(SimpleNamespace(logits=logits), batch)["prediction"]
    marked = [place for place, label in enumerate(features["labels"][0]) if label != MODULE.IGNORED]
    assert marked == [place for place in result if place is not None]
    return list(result)


@pytest.mark.parametrize("invisible", ["\u200b", "\u00ad", "\ufe0f", "\u200d\u200b", "", "\x00"])
def test_word_without_pieces_has_no_label(recipe: Any, processor: Any, invisible: str) -> None:
    assert labelled(recipe, processor, ["we", invisible, "met", "them"]) == [1, None, 2, 3]
    assert labelled(recipe, processor, [invisible, "we", "met", invisible]) == [None, 1, 2, None]
    assert labelled(recipe, processor, [invisible]) == [None]


def test_words_that_are_cut_off_have_no_label(recipe: Any, processor: Any) -> None:
    assert labelled(recipe, processor, ["we"] * 6, longest=5) == [1, 2, 3, None, None, None]


def test_words_of_several_pieces_have_one_label(recipe: Any, processor: Any) -> None:
    words = ["we", "extraordinarily", "New York", "\u2a4b\u2a4c", "[SEP]", "met"]
    pieces = [len(processor(word, add_special_tokens=False)["input_ids"]) for word in words]
    assert pieces[1] > 1
    assert pieces[2] == 2
    starts = [1 + sum(pieces[:number]) for number in range(len(words))]
    assert labelled(recipe, processor, words) == starts


def test_words_that_are_not_read_are_outside(recipe: Any, processor: Any) -> None:
    class Model(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return _Outputs(logits=torch.nn.functional.one_hot(torch.zeros_like(input_ids), len(LABELS)).float())

    rows = pa.table({"words": [["Ann", "\u200b", "Lee"], ["Bo"]]})
    features = encode(rows, lambda batch: recipe.preprocess(batch, processor, config()))
    for labels, none in ((LABELS, 2), (("B-PER", "I-PER", "X"), None)):
        subject = LoadedModel(Model(), processor, recipe, labels, config())
        assert predict_features(subject, features).columns["prediction"] == [[0, none, 0], [0]]


class _Outputs(dict[str, Any]):
    @property
    def logits(self) -> Any:
        return self["logits"]


def test_entities_of_words_without_a_label(recipe: Any) -> None:
    counts = MODULE.entity_counts([[0, None, 0]], [[0, 2, 0]], LABELS)
    assert counts.tolist() == [[2, 2, 2]]


def test_table_of_words_without_labels_is_read(recipe: Any, processor: Any, tmp_path: Path) -> None:
    features = encode(pa.table({"words": [["we", "met"]]}), lambda rows: recipe.preprocess(rows, processor, config()))
    assert recipe.collate([features[0]], processor).keys() == {"input_ids", "attention_mask"}


def test_labels_outside_the_scheme_are_remarked_on(recipe: Any):
    assert recipe.label_remarks(["O", "B-PER"]) == recipe.label_remarks(["I-LOC", "O"]) == []
    (numbers,) = recipe.label_remarks(["0", "1", "2"])
    assert "entity F1 is 0" in numbers
    assert "data.label_map={0: O, 1: B-PER, 2: I-PER}" in numbers
