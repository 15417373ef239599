"""Explanations of sample predictions, for the report."""

import pyarrow as pa

from tests.support import models
from toolkit import runs
from toolkit.attention import heads
from toolkit.commands.explain import examples
from toolkit.config import RunConfig
from toolkit.evaluation.context import EvaluationContext
from toolkit.inference.model import StoredModel
from toolkit.inference.predict import Predictions


def test_a_pruned_model_is_explained_though_its_layers_keep_unequal_numbers_of_heads(sentiment, tmp_path):
    model, batch = models.make("bert")
    heads.zero(heads.find(model, batch), {0: [1]})
    model.save_pretrained(tmp_path)
    models.tokenizer().save_pretrained(tmp_path)
    runs.write_json(tmp_path / runs.CARD, {"pruned_heads": {"0": [1]}})
    config = RunConfig(recipe="sentiment", training={"device": "cpu"})
    stored = StoredModel(tmp_path, sentiment, ["bad", "good"], config)
    assert len({layer.heads for layer in heads.find(stored.loaded.model, batch)}) == 2
    rows = pa.table({"text": ["the cat sat", "on a mat"], "label": [0, 1]})
    output = Predictions({"prediction": [0, 1], "probabilities": [[0.9, 0.1], [0.2, 0.8]]}, 0.5)
    context = EvaluationContext(rows, output, sentiment, stored.labels, config, stored=stored)
    result = examples.section(context)
    assert [method["name"] for method in result["methods"]] == ["relevance", "leave-one-out"]
    assert {word for item in result["examples"] for word in item["words"][0]} == {"the", "cat", "sat", "on", "a", "mat"}
