"""LoRA and DoRA: frozen weights are bit-identical, merged models predict the same, saved adapters load."""

import copy

import pytest
import torch
import transformers

from tests.support import classifiers, models
from tests.support.errors import refused
from toolkit.config.settings import AdapterConfig, TrainingConfig
from toolkit.errors import ConfigError
from toolkit.training.adaptation import adapters
from toolkit.training.adaptation.layer_groups import above_layers, depths
from toolkit.training.loop.schedule import build_optimizer

HEADS = {
    "bert": ["bert.pooler", "classifier"],
    "distilbert": ["pre_classifier", "classifier"],
    "roberta": ["classifier"],
}


def trained(family: str, steps: int = 3, **config):
    """Return (model in evaluation mode, peft's view of it, base weights by name) after a few steps."""
    model = classifiers.classifier(family)
    before = copy.deepcopy(model.state_dict())
    adapted = adapters.attach(model, AdapterConfig(**{"kind": "lora", "rank": 4, **config}), "org/base", "abc")
    optimizer = build_optimizer(model, TrainingConfig(learning_rate=1e-2))
    for _ in range(steps):
        model(**classifiers.batch()).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), adapted, before


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(**classifiers.batch()).logits


@pytest.mark.parametrize("family", classifiers.FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_merged_model_equals_unmerged(family, kind, tmp_path):
    model, adapted, before = trained(family, kind=kind)
    output = logits(model)
    assert (output - logits(classifiers.classifier(family).eval())).abs().max() > 1e-3
    weights = copy.deepcopy(model.state_dict())
    whole = adapters.merged(adapted)
    torch.testing.assert_close(logits(whole), output, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert whole.state_dict().keys() == before.keys()
    whole.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("adapter*"))
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(plain), output, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", classifiers.FAMILIES)
def test_the_base_is_frozen_to_the_bit_and_the_head_is_trained_in_full(family):
    model, _, before = trained(family)
    assert above_layers(classifiers.classifier(family)) == HEADS[family]
    moving = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or any(name.startswith(head) for head in HEADS[family]) for name in moving)
    base = {name.replace(".base_layer.", "."): tensor for name, tensor in model.state_dict().items()}
    compared = [name for name in before if name in base]
    assert len(compared) > 20
    assert all(torch.equal(base[name], before[name]) for name in compared)
    for head in HEADS[family]:
        start = {name: tensor for name, tensor in before.items() if name.startswith(head)}
        for name, tensor in start.items():
            assert not torch.equal(model.state_dict()[name.replace(head, f"{head}.modules_to_save.default")], tensor)


@pytest.mark.parametrize("family", classifiers.FAMILIES)
def test_every_linear_layer_below_the_head_gets_an_adapter(family):
    model, _, _ = trained(family, steps=0)
    plain = classifiers.classifier(family)
    linear = {
        name
        for name, module in plain.named_modules()
        if isinstance(module, torch.nn.Linear) and not any(name.startswith(head) for head in HEADS[family])
    }
    adapted = {name.removesuffix(".lora_A.default") for name, _ in model.named_modules() if name.endswith("A.default")}
    assert adapted == linear
    assert len(linear) == 12


def test_targets_by_pattern():
    model, _, _ = trained("bert", steps=0, targets=r".*attention\.self\.(query|value)")
    adapted = {name for name, _ in model.named_modules() if name.endswith("lora_A.default")}
    assert len(adapted) == 4
    assert all("query" in name or "value" in name for name in adapted)


@pytest.mark.parametrize("targets", ["query", "(", "classifier", r"bert\.encoder\.layer\.0\.attention\.self\.dropout"])
def test_targets_that_cannot_be_met(targets):
    identifier = "config.malformed-value" if targets == "(" else "config.no-such-layer"
    with refused(ConfigError, identifier, "`adapter.targets`") as caught:
        trained("bert", steps=0, targets=targets)
    if targets == "query":
        assert "query" in caught.value.fix.partition("such as")[2]


def test_what_is_named_instead_is_linear():
    with refused(ConfigError, "config.no-such-layer") as caught:
        trained("bert", steps=0, targets="dropout")
    linear = {n for n, module in classifiers.classifier("bert").named_modules() if isinstance(module, torch.nn.Linear)}
    assert set(caught.value.fix.partition("such as ")[2].rstrip(".").split(", ")) < linear


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft's, not ours
def test_the_kept_adapters_load_onto_the_base_again(tmp_path):
    from peft import PeftModel

    model, adapted, _ = trained("bert", kind="dora")
    adapters.save(adapted, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    again = PeftModel.from_pretrained(classifiers.classifier("bert"), tmp_path).eval()
    assert torch.equal(logits(again), logits(model))
    assert again.peft_config["default"].base_model_name_or_path == "org/base"


@pytest.mark.parametrize("family", models.FAMILIES)
def test_any_family_can_be_adapted_and_merged(family):
    model, batch = models.make(family)
    names = set(model.state_dict())
    adapted = adapters.attach(model, AdapterConfig(kind="dora", rank=2), "x", None)
    optimizer = build_optimizer(model, TrainingConfig(learning_rate=1e-2))
    for _ in range(2):
        model(**batch).logits.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    whole = adapters.merged(adapted)
    assert set(whole.state_dict()) == names
    with torch.no_grad():
        torch.testing.assert_close(whole(**batch).logits, model(**batch).logits, rtol=1e-4, atol=2e-5)
    assert not any(p.requires_grad for name, p in model.named_parameters() if "lm_head" in name or "shared" in name)


def test_depth_is_known_through_adapters():
    model, _, _ = trained("distilbert", steps=0)
    result = depths(model)
    assert result["distilbert.transformer.layer.1.attention.q_lin.lora_A.default.weight"] == 2
    assert result["classifier.modules_to_save.default.weight"] == 3


def test_a_model_without_layers_is_refused():
    with refused(ConfigError, "model.adapter-unsupported", "Linear"):
        adapters.attach(torch.nn.Linear(2, 2), AdapterConfig(kind="lora"), "x", None)


@pytest.mark.parametrize("family", models.FAMILIES)
def test_adapters_name_their_task(family):
    adapted = adapters.attach(models.make(family)[0], AdapterConfig(kind="lora"), "org/base", None)
    tasks = dict.fromkeys(("marian", "t5", "mbart", "m2m100"), "SEQ_2_SEQ_LM") | {"vit": None, "llama": None}
    assert adapted.peft_config["default"].task_type == tasks.get(family, "SEQ_CLS")
