"""The trace of a text through a head: the numbers are the model's own, and the steps are consistent."""

import numpy as np
import pytest

from tests.support import models
from tests.support.errors import refused
from toolkit.attention.walk import walk
from toolkit.errors import ConfigError, ModelError

TEXT = "The cat sleeps"


def taken(family, **choice):
    model, _ = models.make(family)
    base = model.base_model
    return walk(base, models.tokenizer(), TEXT, **choice), base


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "marian", "t5", "llama"])
def test_the_steps_are_those_of_the_model(family):
    seen, _ = taken(family, layer=2, head=3)
    assert seen.difference < 1e-3
    assert seen.tokens == ["[CLS]", "the", "cat", "sle", "##eps", "[SEP]"]
    steps = {step.title: step for step in seen.steps}
    assert {"Tokens", "Queries", "Scores", "Weights", "Weighted sum", "Into layer 2", "Out of layer 2"} <= set(steps)
    np.testing.assert_allclose(steps["Weights"].values.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(steps["Weights"].values, seen.weights[1, 2])
    weighted, values = steps["Weighted sum"].values, steps["Values"].values
    np.testing.assert_allclose(weighted, steps["Weights"].values @ values, atol=1e-5)
    for step in seen.steps:
        assert step.values.shape == (len(step.rows), len(step.columns))


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "marian", "t5", "llama"])
def test_the_output_projection_is_a_step(family, monkeypatch):
    """Its rows are the concatenated heads times the model's own matrix."""
    monkeypatch.setattr("toolkit.attention.walk._SHOWN", 100)  # all numbers
    seen, base = taken(family, layer=2, head=1)
    titles = [step.title for step in seen.steps]
    assert titles.index("Output projection") == titles.index("Concatenated heads") + 1
    step = next(step for step in seen.steps if step.title == "Output projection")
    encoder = base.get_encoder() if base.config.is_encoder_decoder else base
    names = (
        "attention.output.dense",
        "attention.out_lin",
        "attn.Wo",
        "self_attn.out_proj",
        "SelfAttention.o",
        "o_proj",
    )
    second = [module for name, module in encoder.named_modules() if name.endswith(names)][1]
    heads = next(step for step in seen.steps if step.title == "Concatenated heads").values
    bias = 0 if second.bias is None else second.bias.detach().numpy()
    np.testing.assert_allclose(step.values, heads @ second.weight.detach().numpy().T + bias, atol=1e-4)


def test_tables_are_found_by_what_they_do():
    seen, base = taken("bert")
    tables = [step for step in seen.steps if step.title.startswith("Looked up in")]
    assert [step.title.split()[-1] for step in tables] == [
        "word_embeddings", "token_type_embeddings", "position_embeddings"
    ]  # fmt: skip
    words = base.get_input_embeddings().weight.detach().numpy()
    ids = next(step for step in seen.steps if step.title == "Tokens").values[:, 0].astype(int)
    np.testing.assert_allclose(tables[0].values, words[ids][:, : tables[0].values.shape[1]])
    assert "the same for every token" in tables[1].meaning
    assert "one for each token" in tables[2].meaning


def test_distance_table_is_recognized():
    tables = [step for step in taken("t5")[0].steps if step.title.startswith("Looked up in")]
    assert ["the distance of a token from the first" in step.meaning for step in tables] == [False, True]


def test_truncation_is_reported():
    model, _ = models.make("bert")
    tokenizer = models.tokenizer()
    tokenizer.model_max_length = 10
    first = walk(model.base_model, tokenizer, f"{TEXT} " * 5).steps[0]
    assert first.shape == "(10,)"
    assert "reads 10 of the text's 22" in first.meaning
    assert "cut" not in walk(model.base_model, tokenizer, TEXT).steps[0].meaning


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_text_without_words_is_refused(text):
    model, _ = models.make("bert")
    with refused(ConfigError, "config.nothing-given"):
        walk(model.base_model, models.tokenizer(), text)


def test_a_mask_is_shown_where_there_is_one():
    shown = {family: [step.title for step in taken(family)[0].steps] for family in ("bert", "llama")}
    assert "Mask" not in shown["bert"]
    assert "Mask" in shown["llama"]


def test_the_worked_example_adds_up():
    seen, _ = taken("t5")
    product, score, weight = (float(line.rpartition("=")[2].replace("−", "-")) for line in seen.example)
    scores = next(step for step in seen.steps if step.title == "Scores").values
    row = len(seen.tokens) // 2
    column = int(seen.weights[0, 0, row].argmax())
    assert scores[row, column] == pytest.approx(score, abs=1e-3)
    assert seen.weights[0, 0, row, column] == pytest.approx(weight, abs=1e-3)
    assert "for the position" in seen.example[1]
    assert product != pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize(("choice", "fact"), [({"layer": 3}, "layer 3"), ({"head": 0}, "head 0")])
def test_missing_head_is_rejected(choice, fact):
    with refused(ConfigError, "config.out-of-range", fact):
        taken("bert", **choice)


def test_a_model_of_pictures_is_refused():
    model, _ = models.make("vit")
    with refused(ModelError, "model.wrong-input", "ViTModel"):
        walk(model.base_model, models.tokenizer(), TEXT)
