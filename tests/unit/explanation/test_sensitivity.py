"""Weights are randomized from the head downwards and restored; rankings are compared."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import models
from toolkit.data.batching.batch import pad
from toolkit.explanation import sensitivity
from toolkit.explanation.attributions import explain
from toolkit.explanation.question import Model
from toolkit.explanation.words import example


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_the_stages_reach_further_and_further_down(family):
    model, _ = models.make(family)
    head, upper, everything = ({id(p) for p in stage} for stage in sensitivity.stages(model))
    assert head < upper < everything
    assert everything == {id(p) for p in model.parameters()}
    assert id(model.classifier.weight) in head
    assert id(model.get_input_embeddings().weight) not in upper


def test_weights_come_back_even_after_a_failure():
    model, _ = models.make("bert")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(KeyError), sensitivity.shuffled(list(model.parameters()), 3):
        matrix = model.classifier.weight
        assert not torch.equal(matrix, before["classifier.weight"])
        assert torch.equal(matrix.flatten().sort().values, before["classifier.weight"].flatten().sort().values)
        raise KeyError
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_reads_no_head_does_not_notice_a_random_one():
    network, _ = models.make("bert")
    model = Model(network, lambda features: pad(features, {}), padding=0)
    tokenizer = models.tokenizer()
    encoded = tokenizer("The cat sleeps on a mat", return_token_type_ids=False)
    made = example(["The cat sleeps on a mat"], encoded, tokenizer, 64)
    methods = ("attention", "gradient-input")
    result = sensitivity.sensitivity(model, [explain(model, made, 1, methods)], methods, seed=1)
    assert {name: len(stages) for name, stages in result.items()} == {"attention": 3, "gradient-input": 3}
    assert result["attention"][0] == [pytest.approx(1)]
    assert result["attention"][2][0] < 0.99
    assert result["gradient-input"][0][0] < 0.99


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=8, unique_by=abs))
def test_a_ranking_agrees_with_itself_and_with_what_orders_alike(values):
    scores = np.array(values, float)
    assert sensitivity.rank_correlation(scores, scores) == pytest.approx(1)
    assert sensitivity.rank_correlation(scores, -np.exp(np.abs(scores) / 10)) == pytest.approx(1)


def test_what_ranks_nothing_agrees_with_nothing():
    assert sensitivity.rank_correlation(np.ones(4), np.arange(4)) == 0
