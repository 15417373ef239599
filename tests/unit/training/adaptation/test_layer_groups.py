"""Depth, freezing and layer-wise learning rates, for families that name their parts differently."""

import copy

import pytest
import torch
import transformers

from tests.support import classifiers
from tests.support.errors import refused
from toolkit.config.settings import TrainingConfig
from toolkit.errors import ConfigError
from toolkit.training.adaptation.layer_groups import depths, freeze, layers
from toolkit.training.loop.schedule import build_optimizer


@pytest.fixture(params=classifiers.FAMILIES)
def model(request):
    return classifiers.classifier(request.param, layers=3)


def frozen(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_parameter_depths_follow_use(model):
    result = depths(model)
    assert result.keys() == {name for name, _ in model.named_parameters()}
    assert len(layers(model)) == 3
    for name, depth in result.items():
        if "embeddings" in name:
            assert depth == 0
        elif ".layer." in name:
            assert depth == 1 + int(name.partition(".layer.")[2].partition(".")[0])
        else:
            assert depth == 4  # pooler and head


def test_an_encoder_and_decoder_are_counted_through():
    config = transformers.T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    result = depths(transformers.T5ForConditionalGeneration(config))
    assert result["shared.weight"] == 0
    assert result["encoder.block.1.layer.0.SelfAttention.q.weight"] == 2
    assert result["encoder.final_layer_norm.weight"] == 2
    assert result["decoder.block.0.layer.0.SelfAttention.q.weight"] == 3
    assert result["decoder.final_layer_norm.weight"] == 5


def test_stacks_inside_a_layer_are_no_layers_and_relative_positions_are_embeddings():
    mobile = transformers.MobileBertConfig(
        vocab_size=40, hidden_size=16, num_attention_heads=2, intermediate_size=16, embedding_size=16,
        intra_bottleneck_size=16, num_hidden_layers=2,
    )  # fmt: skip
    assert len(layers(transformers.MobileBertModel(mobile))) == 2
    deberta = transformers.DebertaV2Config(**classifiers.SMALL, relative_attention=True)
    assert depths(transformers.DebertaV2Model(deberta))["encoder.rel_embeddings.weight"] == 0


# --- freezing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [1, 2, 3, "embeddings"])
def test_layers_are_frozen_from_the_input_up(model, what):
    count = freeze(model, what)
    most = what if isinstance(what, int) else 0
    assert frozen(model) == {name for name, depth in depths(model).items() if depth <= most}
    assert count == sum(p.numel() for p in model.parameters() if not p.requires_grad)


def test_a_pattern_is_found_in_names(model):
    freeze(model, r"LayerNorm|layer_norm")
    assert frozen(model) == {name for name in depths(model) if "LayerNorm" in name or "layer_norm" in name}
    assert frozen(model)


def test_a_pattern_that_is_found_nowhere_is_an_error_with_near_names():
    with refused(ConfigError, "config.no-such-layer") as caught:
        freeze(classifiers.classifier("bert"), r"encoder\.layers\.0\.attention\.self\.query\.weight")
    assert "matches no parameter name" in caught.value.problem
    assert "bert.encoder.layer.0.attention.self.query.weight" in caught.value.fix


def test_more_layers_than_there_are(model):
    with refused(ConfigError, "config.no-such-layer", "3 layers") as caught:
        freeze(model, 4)
    assert "at most 3" in caught.value.fix
    with refused(ConfigError, "config.no-such-layer", "0 layers"):
        freeze(torch.nn.Linear(2, 2), 1)


def test_something_must_move(model):
    with refused(ConfigError, "config.nothing-to-train", "`training.freeze`"):
        freeze(model, ".")


def test_frozen_parameters_stay_to_the_bit_and_the_optimizer_holds_none_of_them(model):
    freeze(model, 2)
    before = copy.deepcopy(model.state_dict())
    optimizer = build_optimizer(model, TrainingConfig(learning_rate=1e-2, weight_decay=0.5))
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}
    for _ in range(2):
        model(**classifiers.batch()).loss.backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name


# --- layer-wise decay -----------------------------------------------------------------------------------------------


def test_the_learning_rate_falls_with_the_distance_from_the_head(model):
    optimizer = build_optimizer(model, TrainingConfig(learning_rate=1e-3, layer_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(model.named_parameters())
    assert len(rates) == len(parameters)
    for name, depth in depths(model).items():
        assert rates[id(parameters[name])] == pytest.approx(1e-3 * 0.5 ** (4 - depth)), name
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.01}


def test_plain_gradient_steps_shrink_by_the_factor():
    """With a large epsilon Adam's first step is its gradient times the rate, so the ratio of steps shows the rates."""
    moved = []
    for decay in (1.0, 0.5):
        model = classifiers.classifier("bert")
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        config = TrainingConfig(learning_rate=0.5, layer_decay=decay, adam_epsilon=1e3, weight_decay=0, adam_beta2=0)
        optimizer = build_optimizer(model, config)
        model(**classifiers.batch()).loss.backward()
        optimizer.step()
        moved.append({name: (p.detach() - before[name]).norm().item() for name, p in model.named_parameters()})
    for name, depth in depths(classifiers.classifier("bert")).items():
        if name.endswith("weight") and moved[0][name] > 1e-6:
            assert moved[1][name] / moved[0][name] == pytest.approx(0.5 ** (3 - depth), rel=0.1), name
