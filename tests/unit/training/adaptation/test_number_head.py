"""A model of numbers: standard units in training, the data's units where it is read."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.training.adaptation import feature_vectors, linear_probe, probe_kinds
from toolkit.training.adaptation.number_head import Scale, Units


def test_outputs_are_in_units_of_the_data_within_the_block_alone():
    layer, inputs = torch.nn.Linear(4, 1), torch.randn(3, 4)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    standard = layer(inputs)
    with Units(layer, Scale(1000.0, 250.0)).of_data():
        torch.testing.assert_close(layer(inputs), standard * 250 + 1000, rtol=1e-5, atol=1e-2)
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_layer_is_as_before_after_an_error():
    layer = torch.nn.Linear(4, 1)
    weight = layer.weight.detach().clone()
    with pytest.raises(RuntimeError), Units(layer, Scale(5.0, 2.0)).of_data():
        raise RuntimeError
    assert torch.equal(layer.weight, weight)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_the_deviation_is_never_0(numbers):
    scale = Scale.of(numbers)
    assert scale.deviation > 0
    assert scale.mean == pytest.approx(np.mean(numbers))


def test_without_a_layer_nothing_is_scaled():
    with Units().of_data():
        assert Units().loss(3.0) == 3.0
    assert Units(torch.nn.Linear(1, 1), Scale(0.0, 2.0)).loss(8.0) == 1.0


def test_a_ridge_probe_finds_a_linear_rule_and_can_be_standardized():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 5)).astype(np.float32)
    numbers = 1000 + 50 * vectors[:, 0] - 20 * vectors[:, 3]
    train = feature_vectors.Vectors({feature_vectors.HEAD: vectors[:200]}, numbers[:200])
    held_out = feature_vectors.Vectors({feature_vectors.HEAD: vectors[200:]}, numbers[200:])
    (probe,) = linear_probe.fit(train, held_out, 0, kind=probe_kinds.NUMBER)
    assert probe.accuracy > 0.99
    standardized = linear_probe.standardized(probe, 1000.0, 50.0)
    outputs = (vectors[200:] @ standardized.weight.T + standardized.bias)[:, 0]
    np.testing.assert_allclose(outputs * 50 + 1000, probe.predictions(vectors[200:]), rtol=1e-3)


def test_a_probe_of_several_classes_finds_each_of_them():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(400, 6)).astype(np.float32)
    labels = (vectors[:, :3] > 0.3).astype(np.float32)
    labels[:, 2] = 0.0  # a class without rows
    train = feature_vectors.Vectors({feature_vectors.HEAD: vectors[:300]}, labels[:300])
    held_out = feature_vectors.Vectors({feature_vectors.HEAD: vectors[300:]}, labels[300:])
    (probe,) = linear_probe.fit(train, held_out, 3, kind=probe_kinds.SEVERAL_CLASSES)
    assert probe.accuracy > 0.9
    assert all(2 not in row for row in probe.predictions(vectors))


@pytest.mark.parametrize("kind", [probe_kinds.ONE_CLASS, probe_kinds.SEVERAL_CLASSES, probe_kinds.NUMBER])
def test_a_probe_can_be_sent_to_other_processes(kind):
    assert pickle.loads(pickle.dumps(kind)) == kind
