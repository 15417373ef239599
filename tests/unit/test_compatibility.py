"""Values of saved files for other programs, which transformers reads as before."""

import json

import pytest
import torch

from tests.support import models as families
from toolkit import models


def saved(model, tokenizer, folder):
    """Save both and return (config.json, tokenizer_config.json)."""
    models.save(model, tokenizer, folder)
    return [json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("config", "tokenizer_config")]


def test_a_tokenizer_has_a_class_and_keys_that_older_versions_know(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = families.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[A]", "[B]"]})
    for family, names in (("distilbert", ["input_ids", "attention_mask"]), ("bert", tokenizer.model_input_names)):
        _, settings = saved(families.make(family)[0], tokenizer, tmp_path / family)
        assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert settings["additional_special_tokens"] == ["[A]", "[B]"]
        assert "extra_special_tokens" not in settings
        assert sorted(settings["model_input_names"]) == sorted(names)
        again = AutoTokenizer.from_pretrained(tmp_path / family)
        assert type(again) is type(tokenizer)
        assert again("the [A] cat")["input_ids"] == tokenizer("the [A] cat")["input_ids"]
        assert again.decode(again("the [A] cat")["input_ids"], skip_special_tokens=True) == "the cat"


@pytest.mark.parametrize("family", ["t5", "mbart", "m2m100", "bert", "llama"])
def test_an_output_layer_of_its_own_is_stated_and_a_shared_one_is_not(family, tmp_path):
    model, batch = families.make(family)
    stated, _ = saved(model, families.tokenizer(), tmp_path / "before")
    assert stated.get("tie_word_embeddings") is not False or family == "llama"
    output = model.get_output_embeddings()
    if output is not None:
        output.weight = torch.nn.Parameter(torch.randn_like(output.weight))
    if family == "t5":
        model.config.scale_decoder_outputs = False
    own, _ = saved(model, families.tokenizer(), tmp_path / "own")
    assert own.get("tie_word_embeddings") is (False if family == "t5" else stated.get("tie_word_embeddings"))
    again = type(model).from_pretrained(tmp_path / "own").eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(**batch).logits, model(**batch).logits)


def test_rotary_period_is_saved_for_older_versions(tmp_path):
    model, _ = families.make("llama")
    model.config.rope_parameters = {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0}
    config, _ = saved(model, families.tokenizer(), tmp_path / "llama")
    assert (config["rope_theta"], config["rope_scaling"]) == (500.0, {"rope_type": "linear", "factor": 2.0})
    again = type(model).from_pretrained(tmp_path / "llama").config.rope_parameters
    assert again == model.config.rope_parameters
    config, _ = saved(families.make("modernbert")[0], families.tokenizer(), tmp_path / "modernbert")
    assert (config["global_rope_theta"], config["local_rope_theta"]) == (160000.0, 10000.0)
