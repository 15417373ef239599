"""Words among tokens, and a small model's cross-attention."""

import numpy as np
import pytest
import torch

from tests.support import models
from toolkit.data.batching.batch import pad
from toolkit.explanation.translations import links as alignment
from toolkit.explanation.translations.links import Bitext, PairResult, Reading


@pytest.mark.parametrize(
    ("ids", "words", "spans"),
    [
        ([5, 6, 7, 2], [[5], [6, 7]], ((0,), (1, 2))),
        ([9, 8, 5, 6, 7, 2], [[5], [6, 7]], ((2,), (3, 4))),  # a prefix before
        ([6, 9, 5, 6, 2], [[5], [6]], ((2,), (3,))),  # which holds one of the words
        ([5, 6, 2], [[5], [6, 7], [8]], ((0,), (1,), ())),  # cut at the longest length
        ([5, 11, 7, 2], [[5], [6, 6], [7]], ((0,), (1,), (2,))),  # a word that is cut otherwise by itself
        ([2], [], ()),
    ],
)
def test_tokens_make_words(ids, words, spans):
    assert alignment.spans_of(ids, words, {2}) == spans


def test_what_a_word_is():
    assert alignment.split_words("The cat,  sat.") == ("The", "cat,", "sat.")
    assert alignment.split_words("猫が sat") == ("猫", "が", "sat")
    assert alignment.split_words("猫が sat", by_spaces=True) == ("猫が", "sat")


def collate(features):
    return pad(features, {"labels": -100})


def pair():
    features = {"input_ids": np.array([5, 6, 7, 8, 2]), "labels": np.array([11, 12, 13, 2])}
    return Bitext("a bc d", "e fg", features, ("a", "bc", "d"), ("e", "fg"), ((0,), (1, 2), (3,)), ((0,), (1, 2)))


@pytest.fixture(params=["t5", "marian"])
def model(request):
    return models.make(request.param)[0]


def test_attention_is_that_of_the_model_itself(model):
    seen = alignment.score_pair(model, pair(), collate, 8)
    assert [len(seen.attention), *seen.attention.shape[1:]] == [4, 2, 3]
    assert alignment.readings(model, pair(), collate) == [
        Reading(0, False),
        Reading(0, True),
        Reading(1, False),
        Reading(1, True),
    ]
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        outputs = model(**collate([pair().features]), output_attentions=True)
    plain = outputs.cross_attentions[1][0].mean(dim=0).numpy()  # (T', S')
    summed = np.stack([plain[:, 0], plain[:, 1:3].sum(axis=1), plain[:, 3]], axis=1)
    np.testing.assert_allclose(seen.attention[2], [summed[0], summed[1:3].mean(axis=0)], atol=1e-6)
    np.testing.assert_allclose(seen.attention[3], [summed[1], summed[2:4].mean(axis=0)], atol=1e-6)


def test_a_fall_is_the_loss_without_the_word(model):
    seen = alignment.score_pair(model, pair(), collate, 2)
    results = []
    for ids in ([5, 6, 7, 8, 2], [5, 8, 2]):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids]), labels=torch.tensor([[11, 12, 13, 2]])).logits[0]
        results.append(float(logits.log_softmax(-1)[[1, 2], [12, 13]].sum()))
    assert seen.falls[1, 1] == pytest.approx(results[0] - results[1], abs=1e-4)
    assert seen.falls.shape == (2, 3)


def test_an_empty_translation_has_no_links(model):
    empty = Bitext("a", "", {"input_ids": np.array([5, 2]), "labels": np.array([2])}, ("a",), (), ((0,),), ())
    seen = alignment.score_pair(model, empty, collate, 8)
    assert alignment.links(seen.falls, empty) == []


def test_agreement_counts_the_words_that_matter_most():
    right = np.array([[0.1, 0.9, 0.0], [0.0, 0.2, 0.8]])
    seen = [PairResult(pair(), np.stack([right, 1 - right]), right)]
    np.testing.assert_array_equal(alignment.agreement(alignment.read_at(0), seen), [[2, 2]])
    np.testing.assert_array_equal(alignment.agreement(alignment.read_at(1), seen), [[0, 2]])
    np.testing.assert_array_equal(alignment.agreement(None, seen), [[1, 2]])  # the diagonal: 0 and 2


def test_the_usual_reading_is_the_last_layer_but_one():
    known = [Reading(layer, read) for layer in range(6) for read in (False, True)]
    assert known[alignment.usual(known)] == Reading(4, True)
    assert alignment.usual(known[:2]) == 1
