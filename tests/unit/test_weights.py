"""Which weights of a checkpoint reach the model: wrappers, missing parts, other shapes, other numbers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.support import models as small
from tests.support.errors import refused
from toolkit import checkpoints, models, weights
from toolkit.config.settings import LoadingConfig, TrainingConfig
from toolkit.errors import ModelError

Change = Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]]
CLASSES = transformers.AutoModelForSequenceClassification
AUTO = {
    "vit": transformers.AutoModelForImageClassification,
    "marian": transformers.AutoModelForSeq2SeqLM,
    "t5": transformers.AutoModelForSeq2SeqLM,
}


def changed(folder: Path, family: str, change: Change, network: Any = None) -> Path:
    """Write a checkpoint of the family with other weights in its file."""
    torch.manual_seed(0)
    (network or small.FAMILIES[family]()).save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file(dict(change(load_file(file))), file, metadata={"format": "pt"})
    return folder


def load(folder: Path, auto: Any = CLASSES, labels: tuple[str, ...] = ("a", "b")) -> tuple[Any, weights.Loaded]:
    with weights.watched() as result:
        model = models.load(auto, folder, labels, LoadingConfig(), TrainingConfig(dropout=None))
    (loaded,) = result
    return model, loaded


def refusal(identifier: str, folder: Path, auto: Any = CLASSES, labels: tuple[str, ...] = ("a", "b")) -> str:
    with refused(ModelError, identifier) as caught:
        load(folder, auto, labels)
    return caught.value.problem


def prefixed(prefix: str) -> Change:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def without(*parts: str) -> Change:
    return lambda state: {name: t for name, t in state.items() if not any(part in name for part in parts)}


# --- wrappers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod.", "_orig_mod.module.model."])
def test_wrapper_is_left_out(family: str, prefix: str, tmp_path: Path) -> None:
    folder = changed(tmp_path / "model", family, prefixed(prefix))
    stored = {name.removeprefix(prefix): tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    model, loaded = load(folder)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in model.state_dict().items())
    assert loaded.new == ()
    own = family == "modernbert" and prefix == "model."  # so the family calls its backbone
    assert (loaded.note is None) == own
    model.save_pretrained(tmp_path / "saved")  # under the model's own names again
    assert load_file(tmp_path / "saved" / "model.safetensors").keys() == stored.keys()


def test_wrapper_inside_is_left_out(tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name.replace("encoder.layer.0", "encoder._orig_mod.layer.0"): tensor for name, tensor in state.items()}

    model, loaded = load(changed(tmp_path / "model", "bert", change))
    assert "_orig_mod" in str(loaded.note)
    model.save_pretrained(tmp_path / "saved")
    assert not any("_orig_mod" in name for name in load_file(tmp_path / "saved" / "model.safetensors"))


def test_wrapped_backbone_without_a_head(tmp_path: Path) -> None:
    """A training loop around the bare model."""
    network = small.FAMILIES["bert"]().bert
    _, loaded = load(changed(tmp_path / "model", "bert", prefixed("model."), network))
    assert loaded.note is not None
    assert loaded.new == ("`classifier.bias` is missing", "`classifier.weight` is missing")


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "modernbert", "vit"])
def test_plain_checkpoint_has_no_note(family: str, tmp_path: Path) -> None:
    _, loaded = load(changed(tmp_path / "model", family, dict), AUTO.get(family, CLASSES))
    assert (loaded.new, loaded.note) == ((), None)


def test_old_names_of_layer_norms_are_known(tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        norms = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, old in norms.items():
            state = {name.replace(new, old): tensor for name, tensor in state.items()}
        return state

    _, loaded = load(changed(tmp_path / "model", "bert", change))
    assert (loaded.new, loaded.note) == ((), None)


# --- what is missing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "change", "missing"),
    [
        ("bert", prefixed("wrapped."), "bert.embeddings"),
        ("bert", without("layer.1."), "encoder.layer.1."),
        ("bert", without("word_embeddings"), "`bert.embeddings.word_embeddings.weight` is missing"),
        ("distilbert", without("LayerNorm"), "LayerNorm"),
        ("modernbert", without("layers.2.mlp"), "layers.2.mlp"),
        ("vit", without("cls_token"), "`vit.embeddings.cls_token` is missing"),
        ("vit", without("position_embeddings"), "position_embeddings"),
        (
            "bert",
            lambda state: {n.removeprefix("bert.encoder."): t for n, t in state.items() if "encoder" in n},
            "bert.",
        ),
    ],
)
def test_backbone_without_its_weights_is_refused(family: str, change: Change, missing: str, tmp_path: Path) -> None:
    assert missing in refusal(
        "model.weights-incomplete", changed(tmp_path / "model", family, change), AUTO.get(family, CLASSES)
    )


@pytest.mark.parametrize(
    ("family", "head"),
    [
        ("bert", ("classifier", "pooler")),
        ("distilbert", ("pre_classifier",)),
        ("roberta", ("classifier",)),
        ("modernbert", ("head", "classifier")),
        ("vit", ("classifier",)),
    ],
)
def test_head_may_be_new_and_that_is_recorded(family: str, head: tuple[str, ...], tmp_path: Path) -> None:
    _, loaded = load(changed(tmp_path / "model", family, without(*head)), AUTO.get(family, CLASSES))
    assert all(any(part in fault for fault in loaded.new) for part in head)
    with refused(ModelError, "model.not-fine-tuned", "is missing"):
        loaded.check_trained()


def test_head_for_other_classes_is_recorded(tmp_path: Path) -> None:
    _, loaded = load(changed(tmp_path / "model", "bert", dict), labels=("a", "b", "c"))
    assert loaded.new[0] == "`classifier.bias` has the shape 2 where 3 is expected"
    with refused(ModelError, "model.not-fine-tuned", "2 where 3"):
        loaded.check_trained()


def test_head_is_found_without_a_backbone_name(tmp_path: Path) -> None:
    tiny = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.SiglipConfig(vision_config={**tiny, "image_size": 8, "patch_size": 4}, text_config=tiny)
    auto = transformers.AutoModelForImageClassification
    folder = changed(tmp_path / "head", "siglip", without("classifier"), auto.from_config(config))
    assert all("classifier" in fault for fault in load(folder, auto)[1].new)
    folder = changed(tmp_path / "body", "siglip", without("patch_embedding"), auto.from_config(config))
    assert "patch_embedding" in refusal("model.weights-incomplete", folder, auto)
    folder = changed(tmp_path / "none", "siglip", prefixed("x."), auto.from_config(config))
    assert "lacks 34 of 34 weights" in refusal("model.weights-incomplete", folder, auto)


def test_layer_scale_of_a_vision_transformer_is_needed(tmp_path: Path) -> None:
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4
    )
    auto = transformers.AutoModelForImageClassification
    network = transformers.Dinov2ForImageClassification(config)
    assert load(changed(tmp_path / "masks", "", without("mask_token"), network), auto)[1].new == ()
    assert "layer_scale" in refusal(
        "model.weights-incomplete", changed(tmp_path / "scale", "", without("layer_scale"), network), auto
    )


def test_statistics_of_batch_norms_are_weights(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
    auto = transformers.AutoModelForImageClassification
    network = transformers.ResNetForImageClassification(config)
    assert "running_mean" in refusal(
        "model.weights-incomplete", changed(tmp_path / "model", "", without("running_mean"), network), auto
    )
    assert load(changed(tmp_path / "count", "", without("num_batches_tracked"), network), auto)[1].new == ()


@pytest.mark.parametrize("family", ["marian", "t5"])
def test_tied_weights_may_be_missing(family: str, tmp_path: Path) -> None:
    tied = without("lm_head", "embed_tokens", "final_logits_bias")
    assert load(changed(tmp_path / "model", family, tied), AUTO[family], ())[1].new == ()


@pytest.mark.parametrize(("family", "part"), [("marian", "decoder"), ("t5", "decoder"), ("t5", "shared")])
def test_model_that_writes_needs_all_its_weights(family: str, part: str, tmp_path: Path) -> None:
    parts = (part, "embed_tokens", "lm_head") if part == "shared" else (part,)
    problem = refusal(
        "model.weights-incomplete", changed(tmp_path / "model", family, without(*parts)), AUTO[family], ()
    )
    assert any(part in problem for part in parts)


def test_bare_model_needs_its_weights_but_no_pooler(tmp_path: Path) -> None:
    models.load_bare(changed(tmp_path / "good", "bert", without("pooler", "classifier")), LoadingConfig())
    with refused(ModelError, "model.weights-incomplete", "layer"):
        models.load_bare(changed(tmp_path / "bad", "bert", without("layer.0")), LoadingConfig())
    with refused(ModelError, "model.weights-incomplete", "decoder"):
        models.load_bare(changed(tmp_path / "t5", "t5", without("decoder")), LoadingConfig())


def test_missing_shard_is_refused(tmp_path: Path) -> None:
    small.FAMILIES["bert"]().save_pretrained(tmp_path, max_shard_size="4kB")
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    shards[1].unlink()
    assert shards[1].name in refusal("model.cannot-load", tmp_path)


@pytest.mark.parametrize("place", ["../elsewhere.safetensors", "/tmp/elsewhere.safetensors", "pickled.bin", 7])
def test_an_index_names_safetensors_beside_it(place: object, tmp_path: Path) -> None:
    small.FAMILIES["bert"]().save_pretrained(tmp_path, max_shard_size="4kB")
    index = tmp_path / "model.safetensors.index.json"
    result = json.loads(index.read_text(encoding="utf-8"))
    result["weight_map"][min(result["weight_map"])] = place
    index.write_text(json.dumps(result), encoding="utf-8")
    message = refusal("model.unsafe-index", tmp_path)
    assert str(place) in message
    assert "not in a .safetensors file next to it" in message


def test_an_index_without_a_list_is_refused(tmp_path: Path) -> None:
    small.FAMILIES["bert"]().save_pretrained(tmp_path, max_shard_size="4kB")
    (tmp_path / "model.safetensors.index.json").write_text("{}", encoding="utf-8")
    assert "'None'" in refusal("model.unsafe-index", tmp_path)


# --- other shapes and numbers ---------------------------------------------------------------------------------------


def test_embedding_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: t[:20].clone() if "word_embeddings" in name else t for name, t in state.items()}

    assert "has the shape 20 × 16 where 50 × 16 is expected" in refusal(
        "model.weights-incomplete", changed(tmp_path / "model", "bert", change)
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_32_bits(kind: torch.dtype, tmp_path: Path) -> None:
    model, _ = load(changed(tmp_path / "model", "bert", lambda state: {n: t.to(kind) for n, t in state.items()}))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantized_weights_are_refused(kind: torch.dtype, tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: t.to(kind) if "output.dense.weight" in name else t for name, t in state.items()}

    assert "quantized" in refusal("model.weights-quantized", changed(tmp_path / "model", "bert", change))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state["classifier.weight"][0, 0] = value
        return state

    assert "`classifier.weight`" in refusal("model.weights-not-finite", changed(tmp_path / "model", "bert", change))


# --- adapters -------------------------------------------------------------------------------------------------------


def test_adapter_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")  # transformers would load what the adapter names
    with refused(ModelError, "model.no-weights", "adapter_model.safetensors"):
        checkpoints.check_checkpoint(tmp_path, "x", allow_pickle=False)
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with refused(ModelError, "model.unsafe-weights", "adapter_model.bin"):
        checkpoints.check_checkpoint(tmp_path, "x", allow_pickle=True)
